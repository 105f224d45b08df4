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
mod factors;
mod functions;
mod height;
mod kernel;
mod linear;
mod modular;
mod numeric;
mod opaque;
mod order;
mod sample;

use std::cell::RefCell;

use dashu_base::Signed;
use dashu_float::ConstCache;
use dashu_ratio::RBig;

pub(crate) use decimal::same;
pub(crate) use digest::digest;
pub(crate) use order::{constant_ratio, order, within};

use self::numeric::{AtPoint, compare_exactly, numeric_equal};
use crate::expression::{Expr, Function, Name};
use crate::fuel::{Fuel, OutOfFuel};

/// Precisions in bits, tried in turn while balls overlap.
const PRECISIONS: [usize; 3] = [192, 448, 1_024];
/// Words of constants that are kept for the next evaluation; those of 1,024 bits take some hundred.
const MAXIMUM_KEPT_WORDS: usize = 1_024;
/// Expressions with fewer bits of numerals cannot have been made to agree modulo two primes of 61 bits.
const MAXIMUM_TRUSTED_BITS: u64 = 100;

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
    let named = |prime, with_turns| modular::Residues {
        prime,
        with_kernels: symbolic || kernels,
        with_roots: kernels,
        with_turns,
    };
    let by_residues = match modular_equal(left, right, &|prime| named(prime, false), fuel) {
        // identities of angles
        Ok(false) if has_waves(left) || has_waves(right) => {
            match modular_equal(left, right, &|prime| named(prime, true), fuel) {
                Err(Stop::Stuck(_)) => Ok(false),
                decided => decided,
            }
        }
        decided => decided,
    };
    match by_residues {
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

fn has_waves(expr: &Expr) -> bool {
    expr.any(&|node| {
        matches!(
            node,
            Expr::Call(
                Function::Sin | Function::Cos | Function::Tan | Function::Cot | Function::Sec | Function::Csc,
                _
            )
        )
    })
}

fn modular_equal(
    left: &Expr,
    right: &Expr,
    residues: &dyn Fn(u64) -> modular::Residues,
    fuel: &mut Fuel,
) -> Result<bool, Stop> {
    for prime in modular::PRIMES {
        let residues = residues(prime);
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
        let residues = modular::Residues { prime, with_kernels: false, with_roots: false, with_turns: false };
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
