//! The order of constants, and how far apart they are.

use std::cmp::Ordering;

use dashu_base::Signed;
use dashu_ratio::RBig;

use super::ball::Arithmetic;
use super::evaluate::Point;
use super::{
    PRECISIONS, Sameness, Stop, Stuck, equal, evaluate, exact, rational, sample, symbols, with_constants,
};
use crate::expression::Expr;
use crate::fuel::Fuel;

/// What the first expression is of the second one at some point, if both are rational there.
pub(crate) fn constant_ratio(left: &Expr, right: &Expr, fuel: &mut Fuel) -> Option<RBig> {
    let names = symbols(left, right);
    sample::confirming(&names, false).iter().find_map(|values| {
        let mut at = |expr: &Expr| exact::evaluate(&sample::substituted(expr, values), fuel).ok();
        let (left, right) = (at(left)?, at(right)?);
        (!right.is_zero() && !left.is_zero()).then(|| left / right)
    })
}

/// The order of two real constants, if it can be told.
pub(crate) fn order(left: &Expr, right: &Expr, fuel: &mut Fuel) -> Option<Ordering> {
    if let (Some(left), Some(right)) = (rational(left, fuel), rational(right, fuel)) {
        return Some(left.cmp(&right));
    }
    match equal(left, right, fuel) {
        Sameness::Equal => return Some(Ordering::Equal),
        Sameness::Undecided => return None,
        Sameness::Different => {}
    }
    let difference = Expr::Sum(vec![left.clone(), Expr::Negate(Box::new(right.clone()))]);
    sign(&difference, fuel)
}

/// The sign of a real constant that is not zero.
fn sign(expr: &Expr, fuel: &mut Fuel) -> Option<Ordering> {
    with_constants(|cache| {
        for precision in PRECISIONS {
            let mut arithmetic = Arithmetic::new(precision, cache, fuel);
            let point = Point { values: &[], complex: false };
            match evaluate::evaluate(expr, &point, &mut arithmetic) {
                Ok(value) if value.contains_zero() => {}
                Ok(value) => {
                    return Some(if value.is_negative() { Ordering::Less } else { Ordering::Greater });
                }
                Err(Stop::Stuck(Stuck::Unclear)) => {}
                Err(_) => return None,
            }
        }
        None
    })
}

/// Whether `|left - right| <= bound` is certain, for constants.
pub(crate) fn within(left: &Expr, right: &RBig, bound: &RBig, fuel: &mut Fuel) -> bool {
    if let Some(left) = rational(left, fuel) {
        let difference = left - right;
        let difference = if difference.is_negative() { -difference } else { difference };
        return difference <= *bound;
    }
    let number = |value: RBig| Expr::Number(crate::expression::Number { value, decimal: None });
    let lower = Expr::Sum(vec![left.clone(), number(bound - right)]);
    let upper = Expr::Sum(vec![number(right + bound), Expr::Negate(Box::new(left.clone()))]);
    sign(&lower, fuel) == Some(Ordering::Greater) && sign(&upper, fuel) == Some(Ordering::Greater)
}
