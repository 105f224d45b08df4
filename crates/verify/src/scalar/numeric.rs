//! Equality by values: at points that reach every branch, exactly or in balls of growing precision.

use std::iter;

use dashu_ratio::RBig;

use super::ball::{Arithmetic, Ball};
use super::evaluate::Point;
use super::{PRECISIONS, Sameness, Stop, Stuck, evaluate, exact, height, sample, symbols, with_constants};
use crate::expression::{Expr, Function, Name};
use crate::fuel::Fuel;

/// Values that differ mostly do so within these: their products take two words, which lie on the stack. Too few for equality.
const FIRST_LOOK_BITS: usize = 60;

/// Two values that agree to this many bits are equal.
const AGREEMENT_BITS: i64 = 128;

/// Values this close to zero (as a binary logarithm) are zero, when no summand was lost.
const ZERO_BITS: i64 = -330;

/// More symbols than this are not sampled.
const MAXIMUM_SYMBOLS: usize = 24;

pub(super) fn numeric_equal(left: &Expr, right: &Expr, fuel: &mut Fuel) -> Sameness {
    let names = symbols(left, right);
    let height = height::of(left).max(height::of(right));
    if names.is_empty() {
        let point = Point { values: &[], complex: true };
        let precisions = iter::once(FIRST_LOOK_BITS).chain(PRECISIONS);
        return match compare_in(precisions, left, right, &point, height, fuel) {
            AtPoint::Compared(sameness) => sameness,
            AtPoint::BothUndefined | AtPoint::Unclear => Sameness::Undecided,
            AtPoint::OneUndefined => Sameness::Different,
        };
    }
    if names.len() > MAXIMUM_SYMBOLS {
        return Sameness::Undecided;
    }
    let complex = [left, right]
        .iter()
        .any(|side| side.any(&|node| matches!(node, Expr::Imaginary | Expr::Call(Function::Cis, _))));
    let whole = [left, right].iter().any(|side| side.any(&sample::needs_whole_numbers));
    if whole || sample::rounds_whole_numbers(left, right, &names) {
        return equal_at_whole_numbers(left, right, &names, height, fuel);
    }
    // what undoes a wave has a branch for every turn
    let wave = |node: &Expr| matches!(node, Expr::Call(Function::Sin | Function::Cos | Function::Tan, items) if items.iter().any(Expr::has_symbols));
    let undoes = |node: &Expr| {
        matches!(node, Expr::Call(Function::Arcsin | Function::Arccos | Function::Arctan, items)
            if items.iter().any(|item| item.any(&wave)))
    };
    let enough = if [left, right].iter().any(|side| side.any(&undoes)) { sample::ROUNDS } else { 4 };
    let mut valid = 0;
    for round in 0..sample::ROUNDS {
        let values = sample::generic(&names, round);
        match compare_at(left, right, &Point { values: &values, complex }, height, fuel) {
            AtPoint::Compared(Sameness::Equal) => valid += 1,
            AtPoint::Compared(Sameness::Undecided) => return Sameness::Undecided,
            AtPoint::Compared(Sameness::Different) | AtPoint::OneUndefined => return Sameness::Different,
            AtPoint::BothUndefined | AtPoint::Unclear => {}
        }
        if valid >= enough {
            break;
        }
    }
    if valid < 2 {
        return Sameness::Undecided;
    }
    if sample::has_complex_letters(left, right, &names) {
        for round in 0..3 {
            let values = sample::complex(&names, round);
            let at = |side: &Expr| {
                side.map(&|node| values.iter().find(|(name, _)| name == node).map(|(_, value)| value.clone()))
            };
            let point = Point { values: &[], complex: true };
            match compare_at(&at(left), &at(right), &point, height, fuel) {
                AtPoint::Compared(Sameness::Equal) | AtPoint::BothUndefined | AtPoint::Unclear => {}
                AtPoint::Compared(other) => return other,
                AtPoint::OneUndefined => return Sameness::Different,
            }
        }
    }
    for values in sample::at_branches(left, right, &names) {
        match compare_exactly(left, right, &values, height, fuel) {
            // one point may be missing on a side: a denominator's zero that cancels
            AtPoint::Compared(Sameness::Equal)
            | AtPoint::BothUndefined
            | AtPoint::Unclear
            | AtPoint::OneUndefined => {}
            AtPoint::Compared(other) => return other,
        }
    }
    Sameness::Equal
}

/// Equality of expressions that mean something at whole numbers only.
fn equal_at_whole_numbers(
    left: &Expr,
    right: &Expr,
    names: &[Name],
    height: i64,
    fuel: &mut Fuel,
) -> Sameness {
    const ENOUGH: usize = 36;
    const NEEDED: usize = 4;
    const VALUES_NEEDED: usize = 3;
    let mut valid = 0;
    let mut seen: Vec<Vec<RBig>> = vec![Vec::new(); names.len()];
    let mut span = sample::Span::default();
    let mut points = sample::whole(left, right, names);
    let mut enough = ENOUGH;
    let rounds = |node: &Expr| matches!(node, Expr::Call(Function::Floor | Function::Ceiling, items) if items.iter().any(Expr::has_symbols));
    if [left, right].iter().any(|side| side.any(&rounds)) {
        let whole =
            |values: &sample::Values| values.iter().all(|(_, value)| value.is_int() && *value >= RBig::ZERO);
        points.extend(sample::at_branches(left, right, names).into_iter().filter(whole));
        enough = points.len();
    }
    for values in points {
        let suits = sample::suits(left, &values, fuel).min(sample::suits(right, &values, fuel));
        if suits == sample::Suits::Not {
            continue;
        }
        match compare_exactly(left, right, &values, height, fuel) {
            // what chooses too much is zero on any side
            AtPoint::Compared(Sameness::Equal) if suits == sample::Suits::Barely => {}
            AtPoint::Compared(Sameness::Equal) => {
                valid += 1;
                span.add(&values);
                for (seen, (_, value)) in seen.iter_mut().zip(values) {
                    if !seen.contains(&value) {
                        seen.push(value);
                    }
                }
            }
            AtPoint::Compared(other) => return other,
            AtPoint::OneUndefined | AtPoint::BothUndefined | AtPoint::Unclear => {}
        }
        if valid >= enough {
            break;
        }
    }
    // where a symbol can have hardly any value on both sides, or the symbols depend on each other, agreement says nothing
    let varied = seen.iter().all(|seen| seen.len() >= VALUES_NEEDED) && span.dimension() == names.len();
    if valid >= NEEDED && varied { Sameness::Equal } else { Sameness::Undecided }
}

pub(super) enum AtPoint {
    Compared(Sameness),
    OneUndefined,
    BothUndefined,
    Unclear,
}

/// Compares with the values put in: exactly where both sides are rational.
pub(super) fn compare_exactly(
    left: &Expr,
    right: &Expr,
    values: &[(Name, RBig)],
    height: i64,
    fuel: &mut Fuel,
) -> AtPoint {
    let (left, right) = (sample::substituted(left, values), sample::substituted(right, values));
    if fuel.spend(4).is_err() {
        return AtPoint::Compared(Sameness::Undecided);
    }
    match (exact::evaluate(&left, fuel), exact::evaluate(&right, fuel)) {
        (Ok(left), Ok(right)) => AtPoint::Compared(Sameness::of(left == right)),
        (Err(Stop::Fuel), _) | (_, Err(Stop::Fuel)) => AtPoint::Compared(Sameness::Undecided),
        _ => {
            let complex = [&left, &right].iter().any(|side| side.any(&|node| *node == Expr::Imaginary));
            compare_at(&left, &right, &Point { values: &[], complex }, height, fuel)
        }
    }
}

fn compare_at(left: &Expr, right: &Expr, point: &Point<'_>, height: i64, fuel: &mut Fuel) -> AtPoint {
    compare_in(PRECISIONS, left, right, point, height, fuel)
}

/// The same with these precisions in turn.
fn compare_in(
    precisions: impl IntoIterator<Item = usize>,
    left: &Expr,
    right: &Expr,
    point: &Point<'_>,
    height: i64,
    fuel: &mut Fuel,
) -> AtPoint {
    with_constants(|cache| {
        for precision in precisions {
            let mut arithmetic = Arithmetic::new(precision, cache, fuel);
            let left = evaluate::evaluate(left, point, &mut arithmetic);
            let right = evaluate::evaluate(right, point, &mut arithmetic);
            match (left, right) {
                (Ok(left), Ok(right)) => {
                    if let Some(sameness) = same_balls(&left, &right, precision, height, &mut arithmetic) {
                        return AtPoint::Compared(sameness);
                    }
                }
                (Err(Stop::Fuel), _) | (_, Err(Stop::Fuel)) => return AtPoint::Compared(Sameness::Undecided),
                (Err(Stop::Stuck(Stuck::Unclear)), _) | (_, Err(Stop::Stuck(Stuck::Unclear))) => {}
                // so few bits do not say what is undefined
                _ if precision == FIRST_LOOK_BITS => {}
                (Err(Stop::Stuck(Stuck::TooLarge)), _) | (_, Err(Stop::Stuck(Stuck::TooLarge))) => {
                    return AtPoint::Unclear;
                }
                (Err(_), Err(_)) => return AtPoint::BothUndefined,
                (Err(_), Ok(_)) | (Ok(_), Err(_)) => return AtPoint::OneUndefined,
            }
        }
        AtPoint::Unclear
    })
}

/// Whether two balls hold one value; `None` asks for more precision.
fn same_balls(
    left: &Ball,
    right: &Ball,
    precision: usize,
    height: i64,
    arithmetic: &mut Arithmetic<'_>,
) -> Option<Sameness> {
    let absorbed = arithmetic.absorbed;
    let Ok(difference) = arithmetic.subtract(left, right) else { return Some(Sameness::Undecided) };
    if !difference.contains_zero() {
        return Some(Sameness::Different);
    }
    if absorbed {
        return None;
    }
    if left.is_exactly_zero() && right.is_exactly_zero() {
        return Some(Sameness::Equal);
    }
    let size = left.magnitude().max(right.magnitude());
    if left.contains_zero() && right.contains_zero() {
        let settled =
            precision > 192 && difference.error() < ZERO_BITS.saturating_sub(height.saturating_mul(2));
        return settled.then_some(Sameness::Equal);
    }
    (size.saturating_sub(difference.error()) >= height.saturating_mul(2).saturating_add(AGREEMENT_BITS))
        .then_some(Sameness::Equal)
}
