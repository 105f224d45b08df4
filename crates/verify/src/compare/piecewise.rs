//! Answers by cases: the same values under the same conditions, however the line is cut; also beside one expression.

use super::{Sameness, reals};
use crate::expression::{Expr, Name};
use crate::fuel::Fuel;
use crate::scalar;

/// More rows than this are not compared by their conditions.
const MAXIMUM_ROWS: usize = 8;

/// Whether an expression has the values of the rows, whose conditions must cover the reals.
pub(super) fn same_as_one(rows: &[(Expr, Expr)], other: &Expr, fuel: &mut Fuel) -> Sameness {
    let Some(conditions) = conditions(rows, fuel) else { return Sameness::Different };
    let always = reals::Conditions::always();
    let Some(variable) = variable(rows) else { return Sameness::Different };
    same_values(rows, &conditions, std::slice::from_ref(other), &always, variable, fuel)
}

/// Whether rows have the same values wherever their conditions hold together, and leave the same numbers. `None` where
/// conditions are no sets of reals.
pub(super) fn same(gold: &[(Expr, Expr)], answer: &[(Expr, Expr)], fuel: &mut Fuel) -> Option<Sameness> {
    let variable = variable(gold)?;
    if self::variable(answer)? != variable {
        return None;
    }
    let (conditions, others) = (conditions(gold, fuel)?, conditions(answer, fuel)?);
    let values: Vec<Expr> = answer.iter().map(|(value, _)| value.clone()).collect();
    Some(same_values(gold, &conditions, &values, &others, variable, fuel))
}

fn conditions(rows: &[(Expr, Expr)], fuel: &mut Fuel) -> Option<reals::Conditions> {
    if rows.len() > MAXIMUM_ROWS {
        return None;
    }
    reals::Conditions::of(rows.iter().map(|(_, condition)| condition), fuel)
}

fn same_values(
    rows: &[(Expr, Expr)],
    conditions: &reals::Conditions,
    values: &[Expr],
    others: &reals::Conditions,
    variable: &Name,
    fuel: &mut Fuel,
) -> Sameness {
    if !conditions.cover_alike(others, fuel) {
        return Sameness::Different;
    }
    let symbol = Expr::Symbol(variable.clone());
    let mut all = Sameness::Equal;
    for (index, (value, _)) in rows.iter().enumerate() {
        for (at, other) in values.iter().enumerate() {
            let Some(ranges) = conditions.common(index, others, at, fuel) else { return Sameness::Undecided };
            for range in ranges {
                // every number of the range is the range's own expression in a free symbol
                let within = |expr: &Expr| expr.map(&|node| (*node == symbol).then(|| range.clone()));
                if !value.is_scalar() || !other.is_scalar() {
                    return Sameness::Different;
                }
                all = all.and(scalar::equal(&within(value), &within(other), fuel));
                if all == Sameness::Different {
                    return all;
                }
            }
        }
    }
    all
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
