//! Equality of scalars, cheapest proof first.
//!
//! 1. exact rationals; 2. modulo two 61-bit primes, for rational functions and numbers too large to write;
//! 3. ball arithmetic at 192, 448 and 1,024 bits, at several points when there are symbols. Equality is
//!    relative: `10^{-20}` and `10^{-21}` differ.

mod ball;
mod decimal;
mod digest;
mod evaluate;
mod exact;
mod functions;
mod modular;
mod opaque;

use std::cell::RefCell;
use std::cmp::Ordering;

use dashu_base::Signed;
use dashu_float::ConstCache;
use dashu_int::IBig;
use dashu_ratio::RBig;

pub(crate) use decimal::same;
pub(crate) use digest::digest;

use self::ball::{Arithmetic, Ball};
use self::evaluate::Point;
use crate::expression::{Bound, Expr, Function, Name};
use crate::fuel::{Fuel, OutOfFuel};

/// Precisions in bits, tried in turn while balls overlap.
const PRECISIONS: [usize; 3] = [192, 448, 1_024];
/// Two values that agree to this many bits are equal.
const AGREEMENT_BITS: i64 = 128;
/// Values this close to zero (as a binary logarithm) are zero, when no summand was lost.
const ZERO_BITS: i64 = -330;
/// Words of constants that are kept for the next evaluation; those of 1,024 bits take some hundred.
const MAXIMUM_KEPT_WORDS: usize = 1_024;
/// More symbols than this are not sampled.
const MAXIMUM_SYMBOLS: usize = 24;

thread_local! {
    /// Constants such as pi, shared by the judgements of a thread.
    static CONSTANTS: RefCell<ConstCache> = const { RefCell::new(ConstCache::new()) };
}

/// Lends the thread's constants to one evaluation. Should it have asked for very many digits, they are not kept:
/// every later one would have to carry them along.
fn with_constants<T>(evaluate: impl FnOnce(&mut ConstCache) -> T) -> T {
    CONSTANTS.with_borrow_mut(|cache| {
        let result = evaluate(cache);
        if cache.total_words() > MAXIMUM_KEPT_WORDS {
            *cache = ConstCache::new();
        }
        result
    })
}

/// Why a tier cannot give a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stuck {
    NotRational,
    Undefined,
    TooLarge,
    Unclear,
}

/// Why an evaluation stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    Stuck(Stuck),
    Fuel,
}

impl From<Stuck> for Stop {
    fn from(stuck: Stuck) -> Self {
        Self::Stuck(stuck)
    }
}

impl From<OutOfFuel> for Stop {
    fn from(_: OutOfFuel) -> Self {
        Self::Fuel
    }
}

/// What a comparison found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sameness {
    Equal,
    Different,
    /// Fuel, precision or size did not suffice.
    Undecided,
}

impl Sameness {
    pub(crate) fn of(equal: bool) -> Self {
        if equal { Self::Equal } else { Self::Different }
    }

    /// Equal only if both are; different if either is.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Different, _) | (_, Self::Different) => Self::Different,
            (Self::Equal, Self::Equal) => Self::Equal,
            _ => Self::Undecided,
        }
    }
}

/// The exact rational value, where there is one.
pub(crate) fn rational(expr: &Expr, fuel: &mut Fuel) -> Option<RBig> {
    exact::evaluate(expr, fuel).ok()
}

/// Whether a number is above zero; dashu calls zero positive too.
fn is_above_zero(value: &RBig) -> bool {
    value.is_positive() && !value.is_zero()
}

/// Whether two expressions have the same value wherever both are defined.
pub(crate) fn equal(left: &Expr, right: &Expr, fuel: &mut Fuel) -> Sameness {
    if left == right {
        return Sameness::Equal;
    }
    if opaque::is_in(left) || opaque::is_in(right) {
        return opaque::equal_whatever(left, right, fuel);
    }
    match (exact::evaluate(left, fuel), exact::evaluate(right, fuel)) {
        (Ok(left), Ok(right)) => return Sameness::of(left == right),
        (Err(Stop::Fuel), _) | (_, Err(Stop::Fuel)) => return Sameness::Undecided,
        (Err(Stop::Stuck(Stuck::Undefined)), _) | (_, Err(Stop::Stuck(Stuck::Undefined))) => {
            return Sameness::Different;
        }
        _ => {}
    }
    match modular_equal(left, right, fuel) {
        Ok(equal) => Sameness::of(equal),
        Err(Stop::Fuel) => Sameness::Undecided,
        Err(Stop::Stuck(_)) => numeric_equal(left, right, fuel),
    }
}

fn modular_equal(left: &Expr, right: &Expr, fuel: &mut Fuel) -> Result<bool, Stop> {
    for prime in modular::PRIMES {
        if modular::evaluate(left, prime, fuel)? != modular::evaluate(right, prime, fuel)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The free symbols of both expressions, in order of appearance.
fn symbols(left: &Expr, right: &Expr) -> Vec<Name> {
    fn collect(expr: &Expr, bound: &mut Vec<Name>, names: &mut Vec<Name>) {
        match expr {
            Expr::Symbol(name) => {
                if !bound.contains(name) && !names.contains(name) {
                    names.push(name.clone());
                }
            }
            Expr::Iterated(iteration) => {
                // the ends see the variable's name from outside; nobody writes both
                bound.push(iteration.variable.clone());
                expr.any_child(&mut |child| {
                    collect(child, bound, names);
                    false
                });
                bound.pop();
            }
            _ => {
                expr.any_child(&mut |child| {
                    collect(child, bound, names);
                    false
                });
            }
        }
    }
    let (mut bound, mut names) = (Vec::new(), Vec::new());
    collect(left, &mut bound, &mut names);
    collect(right, &mut bound, &mut names);
    names
}

fn numeric_equal(left: &Expr, right: &Expr, fuel: &mut Fuel) -> Sameness {
    let names = symbols(left, right);
    if names.is_empty() {
        return match compare_at(left, right, &Point { values: &[], complex: true }, fuel) {
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
    let whole = [left, right].iter().any(|side| side.any(&needs_whole_numbers));
    let mut valid = 0;
    for round in 0..6 {
        let values: Vec<(Name, RBig)> = names
            .iter()
            .enumerate()
            .map(|(index, name)| {
                (name.clone(), if whole { whole_point(round, index) } else { point(round, index) })
            })
            .collect();
        match compare_at(left, right, &Point { values: &values, complex }, fuel) {
            AtPoint::Compared(Sameness::Equal) => valid += 1,
            AtPoint::Compared(Sameness::Undecided) => return Sameness::Undecided,
            AtPoint::Compared(Sameness::Different) | AtPoint::OneUndefined => return Sameness::Different,
            AtPoint::BothUndefined | AtPoint::Unclear => {}
        }
        if valid >= 4 {
            break;
        }
    }
    if valid >= 2 { Sameness::Equal } else { Sameness::Undecided }
}

/// Whether a node has a meaning only at whole numbers.
fn needs_whole_numbers(expr: &Expr) -> bool {
    match expr {
        Expr::Call(Function::Factorial | Function::Binomial | Function::Gcd | Function::Lcm, items) => {
            items.iter().any(Expr::has_symbols)
        }
        Expr::Power(base, exponent) => exponent.has_symbols() && matches!(**base, Expr::Negate(_)),
        Expr::Iterated(iteration) => {
            [Some(&iteration.from), iteration.to.as_ref()].into_iter().flatten().any(|bound| match bound {
                Bound::At(end) => end.has_symbols(),
                _ => false,
            })
        }
        _ => false,
    }
}

/// Sample values: both signs, small and larger, with unrelated denominators.
fn point(round: usize, index: usize) -> RBig {
    const NUMERATORS: [i64; 6] = [1_709, -1_213, 331, 2_917, -577, 887];
    const STEPS: [i64; 6] = [613, -389, 97, -1_471, 811, 241];
    let numerator = NUMERATORS.get(round).copied().unwrap_or(1_009)
        + STEPS.get(round).copied().unwrap_or(7) * index as i64;
    let denominator = 997 + 12 * index as u64;
    RBig::from_parts(IBig::from(numerator), denominator.into())
}

fn whole_point(round: usize, index: usize) -> RBig {
    RBig::from((5 + 2 * round as i64 - (round as i64 % 2)) + (index as i64 * (3 + round as i64)) % 11)
}

enum AtPoint {
    Compared(Sameness),
    OneUndefined,
    BothUndefined,
    Unclear,
}

fn compare_at(left: &Expr, right: &Expr, point: &Point<'_>, fuel: &mut Fuel) -> AtPoint {
    with_constants(|cache| {
        for precision in PRECISIONS {
            let mut arithmetic = Arithmetic::new(precision, cache, fuel);
            let left = evaluate::evaluate(left, point, &mut arithmetic);
            let right = evaluate::evaluate(right, point, &mut arithmetic);
            match (left, right) {
                (Ok(left), Ok(right)) => {
                    if let Some(sameness) = same_balls(&left, &right, precision, &mut arithmetic) {
                        return AtPoint::Compared(sameness);
                    }
                }
                (Err(Stop::Fuel), _) | (_, Err(Stop::Fuel)) => return AtPoint::Compared(Sameness::Undecided),
                (Err(Stop::Stuck(Stuck::Unclear)), _) | (_, Err(Stop::Stuck(Stuck::Unclear))) => {}
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
        let settled = precision > 192 && difference.error() < ZERO_BITS;
        return settled.then_some(Sameness::Equal);
    }
    (size - difference.error() >= AGREEMENT_BITS).then_some(Sameness::Equal)
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

#[cfg(test)]
mod tests {
    use dashu_float::round::mode::HalfEven;

    use super::*;

    #[test]
    fn constants_of_very_many_digits_are_not_kept() {
        let terms = |precision: usize| {
            with_constants(|cache| drop(cache.pi::<2, HalfEven>(precision)));
            with_constants(|cache| cache.total_terms())
        };
        let kept = terms(1_024);
        assert!(kept > 0);
        assert_eq!(terms(1_000_000), 0);
        assert_eq!(terms(1_024), kept);
    }
}
