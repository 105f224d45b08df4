//! Answers by cases beside one expression: it must have every row's values where the row holds.

use super::{Sameness, reals};
use crate::expression::{Expr, Name};
use crate::fuel::Fuel;
use crate::scalar;

/// More rows than this are not compared with one expression.
const MAXIMUM_ROWS: usize = 8;

/// Whether an expression has the values of the rows, whose conditions must cover the reals.
pub(super) fn same(rows: &[(Expr, Expr)], other: &Expr, fuel: &mut Fuel) -> Sameness {
    if rows.len() > MAXIMUM_ROWS {
        return Sameness::Undecided;
    }
    let Some(variable) = variable(rows) else { return Sameness::Different };
    let Some(ranges) = reals::ranges(rows.iter().map(|(_, condition)| condition), fuel) else {
        return Sameness::Different;
    };
    let mut all = Sameness::Equal;
    for ((value, _), ranges) in rows.iter().zip(ranges) {
        for range in ranges {
            // every number of the range is the range's own expression in a free symbol
            let symbol = Expr::Symbol(variable.clone());
            let within = |expr: &Expr| expr.map(&|node| (*node == symbol).then(|| range.clone()));
            if !value.is_scalar() {
                return Sameness::Different;
            }
            all = all.and(scalar::equal(&within(value), &within(other), fuel));
            if all == Sameness::Different {
                return all;
            }
        }
    }
    all
}

/// The one symbol of all conditions.
fn variable(rows: &[(Expr, Expr)]) -> Option<Name> {
    let mut found: Option<Name> = None;
    for (_, condition) in rows {
        for name in reals::names(condition) {
            let Expr::Symbol(name) = name else { return None };
            if found.as_ref().is_some_and(|found| found != name) {
                return None;
            }
            found = Some(name.clone());
        }
    }
    found
}
