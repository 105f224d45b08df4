//! Answers by cases: the same values under the same conditions, an `otherwise` being what the others leave; also beside one expression.

use super::{Sameness, reals};
use crate::expression::{Expr, Name};
use crate::fuel::Fuel;
use crate::scalar;

/// More rows than this are not compared by their conditions.
const MAXIMUM_ROWS: usize = 8;

/// Whether an expression has the values of the rows, whose conditions must cover the reals.
pub(super) fn same_as_one(rows: &[(Expr, Expr)], other: &Expr, fuel: &mut Fuel) -> Sameness {
    let (Some(variable), Some(conditions)) = (variable(rows), conditions(rows, fuel)) else {
        return Sameness::Different;
    };
    if !conditions.cover_all() {
        return Sameness::Different;
    }
    rows.iter().enumerate().fold(Sameness::Equal, |all, (index, (value, _))| {
        if all == Sameness::Different {
            all
        } else {
            all.and(same_along(&conditions.runs(index), value, other, variable, fuel))
        }
    })
}

/// Whether rows have the same values under the same conditions. `None` where conditions are no sets of reals.
pub(super) fn same(gold: &[(Expr, Expr)], answer: &[(Expr, Expr)], fuel: &mut Fuel) -> Option<Sameness> {
    let variable = variable(gold)?;
    if gold.len() != answer.len() || self::variable(answer)? != variable {
        return None;
    }
    let (conditions, others) = (conditions(gold, fuel)?, conditions(answer, fuel)?);
    let mut all = Sameness::Equal;
    for (index, (value, _)) in gold.iter().enumerate() {
        let at = conditions.position_in(index, &others, fuel);
        let Some((other, _)) = at.and_then(|at| answer.get(at)) else { return Some(Sameness::Different) };
        all = all.and(super::same(value, other, fuel));
        if all == Sameness::Different {
            return Some(all);
        }
    }
    Some(all)
}

/// Whether two values agree along each of the expressions put in for the variable.
fn same_along(runs: &[Expr], value: &Expr, other: &Expr, variable: &Name, fuel: &mut Fuel) -> Sameness {
    let symbol = Expr::Symbol(variable.clone());
    if !value.is_scalar() || !other.is_scalar() {
        return Sameness::Different;
    }
    runs.iter().fold(Sameness::Equal, |all, run| {
        let within = |expr: &Expr| expr.map(&|node| (*node == symbol).then(|| run.clone()));
        if all == Sameness::Different {
            all
        } else {
            all.and(scalar::equal(&within(value), &within(other), fuel))
        }
    })
}

fn conditions(rows: &[(Expr, Expr)], fuel: &mut Fuel) -> Option<reals::Conditions> {
    if rows.len() > MAXIMUM_ROWS {
        return None;
    }
    reals::Conditions::of(rows.iter().map(|(_, condition)| condition), fuel)
}

/// The one symbol of all conditions.
fn variable(rows: &[(Expr, Expr)]) -> Option<&Name> {
    let mut found: Option<&Name> = None;
    for (_, condition) in rows {
        for name in reals::names(condition) {
            let Expr::Symbol(name) = name else { return None };
            if found.is_some_and(|found| found != name) {
                return None;
            }
            found = Some(name);
        }
    }
    found
}
