//! Equality of scalars, cheapest proof first.
//!
//! 1. exact rationals; 2. modulo two 61-bit primes, for rational functions of symbols and of kernels (exponentials,
//!    logarithms, roots, factorials after rewriting), and for numbers too large to write;
//! 3. exact values or ball arithmetic at 192, 448 and 1,024 bits, at points that reach every branch when there are
//!    symbols (see [`sample`]). Equality is relative: `10^{-20}` and `10^{-21}` differ; and the more bits the numbers
//!    have that go in, the more must agree.

mod approximate;
mod ball;
mod decimal;
mod digest;
mod evaluate;
mod exact;
mod functions;
mod height;
mod kernel;
mod modular;
mod opaque;
mod sample;

use std::cell::RefCell;
use std::cmp::Ordering;

use dashu_base::Signed;
use dashu_float::ConstCache;
use dashu_ratio::RBig;

pub(crate) use decimal::same;
pub(crate) use digest::digest;

use self::ball::{Arithmetic, Ball};
use self::evaluate::Point;
use crate::expression::{Expr, Function, Name};
use crate::fuel::{Fuel, OutOfFuel};

/// Precisions in bits, tried in turn while balls overlap.
const PRECISIONS: [usize; 3] = [192, 448, 1_024];
/// Two values that agree to this many bits are equal.
const AGREEMENT_BITS: i64 = 128;
/// Values this close to zero (as a binary logarithm) are zero, when no summand was lost.
const ZERO_BITS: i64 = -330;
/// Words of constants that are kept for the next evaluation; those of 1,024 bits take some hundred.
const MAXIMUM_KEPT_WORDS: usize = 1_024;
/// Expressions with fewer bits of numerals cannot have been made to agree modulo two primes of 61 bits.
const MAXIMUM_TRUSTED_BITS: u64 = 100;
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
    let symbolic = left.has_symbols() || right.has_symbols();
    let kernels = has_kernels(left) || has_kernels(right);
    match modular_equal(left, right, symbolic || kernels, fuel) {
        // what was written may have been made to vanish modulo both primes, if it has room enough
        Ok(true) if height::written(left) + height::written(right) > MAXIMUM_TRUSTED_BITS => {
            if symbolic {
                confirmed(left, right, fuel)
            } else {
                drawn_equal(left, right, fuel)
            }
        }
        Ok(true) => Sameness::Equal,
        // kernels that differ may still have the same values
        Ok(false) if !kernels => Sameness::Different,
        Err(Stop::Fuel) => Sameness::Undecided,
        Ok(false) | Err(Stop::Stuck(_)) => {
            if let (Expr::Iterated(first), Expr::Iterated(second)) = (left, right)
                && opaque::same_iteration(first, second, fuel) == Sameness::Equal
            {
                return Sameness::Equal;
            }
            // one function of equal arguments
            if symbolic
                && let (Expr::Call(function, items), Expr::Call(other, others)) = (left, right)
                && function == other
                && let ([item], [other]) = (items.as_slice(), others.as_slice())
                && equal(item, other, fuel) == Sameness::Equal
            {
                return Sameness::Equal;
            }
            numeric_equal(left, right, fuel)
        }
    }
}

/// Whether something stands in an expression that has no residue of its own.
fn has_kernels(expr: &Expr) -> bool {
    expr.any(&|node| match node {
        Expr::Pi | Expr::Euler | Expr::Imaginary | Expr::Root(..) | Expr::Degrees(_) | Expr::Call(..) => true,
        Expr::Power(_, exponent) => match &**exponent {
            Expr::Number(number) => !number.value.is_int(),
            Expr::Negate(inner) => !matches!(&**inner, Expr::Number(number) if number.value.is_int()),
            _ => true,
        },
        _ => false,
    })
}

fn modular_equal(left: &Expr, right: &Expr, with_kernels: bool, fuel: &mut Fuel) -> Result<bool, Stop> {
    for prime in modular::PRIMES {
        let residues = modular::Residues { prime, with_kernels };
        if residues.of(left, fuel)? != residues.of(right, fuel)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Equality of constants that agree modulo both primes: by their values, or modulo primes drawn for them where they are
/// too large.
fn drawn_equal(left: &Expr, right: &Expr, fuel: &mut Fuel) -> Sameness {
    let by_value = numeric_equal(left, right, fuel);
    if by_value != Sameness::Undecided {
        return by_value;
    }
    let text = format!("{left:?} and {right:?}");
    if fuel.spend(600).is_err() {
        return Sameness::Undecided;
    }
    for seed in [text.as_bytes(), text.as_bytes().get(1..).unwrap_or(&[])] {
        let prime = modular::drawn_prime(seed);
        let residues = modular::Residues { prime, with_kernels: false };
        match (residues.of(left, fuel), residues.of(right, fuel)) {
            (Ok(left), Ok(right)) if left == right => {}
            (Ok(_), Ok(_)) => return Sameness::Different,
            _ => return Sameness::Undecided,
        }
    }
    Sameness::Equal
}

/// Equality of expressions that agree modulo both primes, by one point.
fn confirmed(left: &Expr, right: &Expr, fuel: &mut Fuel) -> Sameness {
    let names = symbols(left, right);
    let whole = [left, right].iter().any(|side| side.any(&sample::needs_whole_numbers));
    for values in sample::confirming(&names, whole) {
        if let AtPoint::Compared(sameness) = compare_exactly(left, right, &values, 0, fuel) {
            return sameness;
        }
    }
    Sameness::Undecided
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
    let height = height::of(left).max(height::of(right));
    if names.is_empty() {
        let point = Point { values: &[], complex: true };
        return match compare_at(left, right, &point, height, fuel) {
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
    if whole {
        return equal_at_whole_numbers(left, right, &names, height, fuel);
    }
    let mut valid = 0;
    for round in 0..sample::ROUNDS {
        let values = sample::generic(&names, round);
        match compare_at(left, right, &Point { values: &values, complex }, height, fuel) {
            AtPoint::Compared(Sameness::Equal) => valid += 1,
            AtPoint::Compared(Sameness::Undecided) => return Sameness::Undecided,
            AtPoint::Compared(Sameness::Different) | AtPoint::OneUndefined => return Sameness::Different,
            AtPoint::BothUndefined | AtPoint::Unclear => {}
        }
        if valid >= 4 {
            break;
        }
    }
    if valid < 2 {
        return Sameness::Undecided;
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
    const ENOUGH: usize = 24;
    const NEEDED: usize = 4;
    const VALUES_NEEDED: usize = 3;
    let mut valid = 0;
    let mut seen: Vec<Vec<RBig>> = vec![Vec::new(); names.len()];
    for values in sample::whole(left, right, names) {
        if !sample::is_natural(left, &values, fuel) || !sample::is_natural(right, &values, fuel) {
            continue;
        }
        match compare_exactly(left, right, &values, height, fuel) {
            AtPoint::Compared(Sameness::Equal) => {
                valid += 1;
                for (seen, (_, value)) in seen.iter_mut().zip(values) {
                    if !seen.contains(&value) {
                        seen.push(value);
                    }
                }
            }
            AtPoint::Compared(other) => return other,
            AtPoint::OneUndefined | AtPoint::BothUndefined | AtPoint::Unclear => {}
        }
        if valid >= ENOUGH {
            break;
        }
    }
    // where a symbol can have hardly any value on both sides, agreement says nothing
    let varied = seen.iter().all(|seen| seen.len() >= VALUES_NEEDED);
    if valid >= NEEDED && varied { Sameness::Equal } else { Sameness::Undecided }
}

/// Compares with the values put in: exactly where both sides are rational.
fn compare_exactly(
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

enum AtPoint {
    Compared(Sameness),
    OneUndefined,
    BothUndefined,
    Unclear,
}

fn compare_at(left: &Expr, right: &Expr, point: &Point<'_>, height: i64, fuel: &mut Fuel) -> AtPoint {
    with_constants(|cache| {
        for precision in PRECISIONS {
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
