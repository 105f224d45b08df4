//! Exact evaluation to a rational number, as far as sizes allow.

use dashu_base::{Abs, BitTest, Gcd, Inverse, Sign, Signed};
use dashu_int::{IBig, UBig};
use dashu_ratio::RBig;

use super::{Stop, Stuck, is_above_zero};
use crate::expression::{Bound, Expr, Function, Iteration, Operator};
use crate::fuel::Fuel;

/// Rationals with more bits than this are left to the modular tier.
const MAXIMUM_BITS: usize = 1 << 18;
/// Factorials of more than this are left to the modular tier.
const MAXIMUM_FACTORIAL: u64 = 5_000;

/// Bits of numerator and denominator together.
pub(crate) fn bits(value: &RBig) -> usize {
    value.numerator().bit_len() + value.denominator().bit_len()
}

/// The exact value, [`Stuck`] if it is not (seen to be) rational, or a stop.
pub(crate) fn evaluate(expr: &Expr, fuel: &mut Fuel) -> Result<RBig, Stop> {
    match expr {
        Expr::Number(number) => Ok(number.value.clone()),
        Expr::Negate(inner) => Ok(-evaluate(inner, fuel)?),
        Expr::Percent(inner) => Ok(evaluate(inner, fuel)? / RBig::from(100)),
        Expr::Sum(items) => {
            let mut total = RBig::ZERO;
            for item in items {
                total += evaluate(item, fuel)?;
                check(&total, fuel)?;
            }
            Ok(total)
        }
        Expr::Product(items) => {
            let mut total = RBig::ONE;
            for item in items {
                total *= evaluate(item, fuel)?;
                check(&total, fuel)?;
            }
            Ok(total)
        }
        Expr::Quotient(numerator, denominator) => {
            let numerator = evaluate(numerator, fuel)?;
            let denominator = evaluate(denominator, fuel)?;
            if denominator.is_zero() {
                return Err(Stop::Stuck(Stuck::Undefined));
            }
            let value = numerator / denominator;
            check(&value, fuel)?;
            Ok(value)
        }
        Expr::Power(base, exponent) => {
            let exponent = evaluate(exponent, fuel)?;
            power_of(base, &exponent, fuel)
        }
        Expr::Root(radicand, index) => {
            let index = evaluate(index, fuel)?;
            let index = small(&index).filter(|index| (2..=64).contains(index)).ok_or(Stuck::NotRational)?;
            root(&evaluate(radicand, fuel)?, index as usize, fuel)
        }
        Expr::Call(function, items) => call(*function, items, fuel),
        Expr::Iterated(iteration) => {
            let (from, to) = range(iteration, &mut |end| evaluate(end, fuel))?;
            let size = iteration.body_size();
            let sum = iteration.operator == Operator::Sum;
            let mut total = if sum { RBig::ZERO } else { RBig::ONE };
            for index in from..=to {
                fuel.spend(1 + size / 4)?;
                let value = evaluate(&iteration.at(&Expr::integer(index)), fuel)?;
                if sum {
                    total += value;
                } else {
                    total *= value;
                }
                check(&total, fuel)?;
            }
            Ok(total)
        }
        _ => Err(Stop::Stuck(Stuck::NotRational)),
    }
}

/// The whole numbers a finite sum or product runs over.
pub(crate) fn range(
    iteration: &Iteration,
    evaluate: &mut dyn FnMut(&Expr) -> Result<RBig, Stop>,
) -> Result<(i64, i64), Stop> {
    let (false, Bound::At(from), Some(Bound::At(to))) =
        (iteration.is_infinite(), &iteration.from, &iteration.to)
    else {
        return Err(Stop::Stuck(Stuck::NotRational));
    };
    let mut end = |expr: &Expr| small(&evaluate(expr)?).ok_or(Stop::Stuck(Stuck::NotRational));
    let (from, to) = (end(from)?, end(to)?);
    // a range that runs backwards further than the empty one has no agreed meaning
    if to < from.saturating_sub(1) { Err(Stop::Stuck(Stuck::Undefined)) } else { Ok((from, to)) }
}

fn check(value: &RBig, fuel: &mut Fuel) -> Result<(), Stop> {
    let bits = bits(value);
    if bits > MAXIMUM_BITS {
        return Err(Stop::Stuck(Stuck::TooLarge));
    }
    Ok(fuel.spend_bits(bits)?)
}

/// A power of what need not be rational itself: `(\sqrt{7})^2`, `(\sqrt{2}/3)^4`. Nothing is evaluated twice.
fn power_of(base: &Expr, exponent: &RBig, fuel: &mut Fuel) -> Result<RBig, Stop> {
    if !exponent.is_int() || !has_root_as_factor(base) {
        return power(&evaluate(base, fuel)?, exponent, fuel);
    }
    match base {
        Expr::Root(radicand, index) => {
            let (radicand, index) = (evaluate(radicand, fuel)?, evaluate(index, fuel)?);
            if radicand.is_negative() || !is_above_zero(&index) {
                return power(&evaluate(base, fuel)?, exponent, fuel);
            }
            power(&radicand, &(exponent / index), fuel)
        }
        Expr::Negate(inner) => {
            let magnitude = power_of(inner, exponent, fuel)?;
            Ok(if exponent.numerator().clone().abs().bit(0) { -magnitude } else { magnitude })
        }
        Expr::Product(items) => items.iter().try_fold(RBig::ONE, |product, item| {
            let product = product * power_of(item, exponent, fuel)?;
            check(&product, fuel)?;
            Ok(product)
        }),
        Expr::Quotient(above, below) => {
            let (above, below) = (power_of(above, exponent, fuel)?, power_of(below, exponent, fuel)?);
            if below.is_zero() {
                return Err(Stop::Stuck(Stuck::Undefined));
            }
            Ok(above / below)
        }
        _ => power(&evaluate(base, fuel)?, exponent, fuel),
    }
}

/// Whether a root is the expression, or a factor of it.
fn has_root_as_factor(expr: &Expr) -> bool {
    match expr {
        Expr::Root(..) => true,
        Expr::Negate(inner) => has_root_as_factor(inner),
        Expr::Product(items) => items.iter().any(has_root_as_factor),
        Expr::Quotient(above, below) => has_root_as_factor(above) || has_root_as_factor(below),
        _ => false,
    }
}

fn power(base: &RBig, exponent: &RBig, fuel: &mut Fuel) -> Result<RBig, Stop> {
    if !exponent.is_int() {
        // a rational exponent with a small denominator is a root
        let index: u64 = exponent.denominator().try_into().map_err(|_| Stuck::NotRational)?;
        if index > 64 || base.is_negative() {
            return Err(Stop::Stuck(Stuck::NotRational));
        }
        let rooted = root(base, index as usize, fuel)?;
        return power(&rooted, &RBig::from(exponent.numerator().clone()), fuel);
    }
    if base.is_zero() {
        return if is_above_zero(exponent) { Ok(RBig::ZERO) } else { Err(Stop::Stuck(Stuck::Undefined)) };
    }
    let magnitude = exponent.numerator().clone().abs();
    if base.numerator().clone().abs().is_one() && base.denominator().is_one() {
        let odd = magnitude.bit(0);
        return Ok(if odd { base.clone() } else { RBig::ONE });
    }
    let exponent_small = u64::try_from(&magnitude).map_err(|_| Stuck::TooLarge)?;
    let estimated = (bits(base) as u64).saturating_mul(exponent_small);
    if estimated > MAXIMUM_BITS as u64 {
        return Err(Stop::Stuck(Stuck::TooLarge));
    }
    fuel.spend_bits(estimated as usize)?;
    let raised = base.pow(exponent_small as isize);
    Ok(if exponent.is_negative() { raised.inv() } else { raised })
}

/// A perfect root of a rational number.
fn root(radicand: &RBig, index: usize, fuel: &mut Fuel) -> Result<RBig, Stop> {
    let negative = radicand.is_negative();
    if negative && index.is_multiple_of(2) {
        return Err(Stop::Stuck(Stuck::NotRational));
    }
    fuel.spend_bits(bits(radicand) * 2)?;
    let numerator = perfect_root(&magnitude(radicand.numerator()), index)?;
    let denominator = perfect_root(radicand.denominator(), index)?;
    let numerator = IBig::from_parts(if negative { Sign::Negative } else { Sign::Positive }, numerator);
    Ok(RBig::from_parts(numerator, denominator))
}

fn magnitude(value: &IBig) -> UBig {
    value.clone().into_parts().1
}

fn perfect_root(value: &UBig, index: usize) -> Result<UBig, Stop> {
    if *value == UBig::ZERO || *value == UBig::ONE {
        return Ok(value.clone());
    }
    let root = value.nth_root(index);
    if root.pow(index) == *value { Ok(root) } else { Err(Stop::Stuck(Stuck::NotRational)) }
}

/// A rational that is a small whole number.
pub(crate) fn small(value: &RBig) -> Option<i64> {
    if !value.is_int() {
        return None;
    }
    i64::try_from(value.numerator()).ok()
}

fn integer(value: &RBig) -> Result<IBig, Stop> {
    if value.is_int() { Ok(value.numerator().clone()) } else { Err(Stop::Stuck(Stuck::NotRational)) }
}

fn call(function: Function, items: &[Expr], fuel: &mut Fuel) -> Result<RBig, Stop> {
    let mut values = Vec::with_capacity(items.len());
    for item in items {
        values.push(evaluate(item, fuel)?);
    }
    let stuck = Stop::Stuck(Stuck::NotRational);
    let first = values.first().ok_or(stuck)?;
    match function {
        Function::Abs => Ok(first.clone().abs()),
        Function::Floor => Ok(RBig::from(first.floor())),
        Function::Ceiling => Ok(RBig::from(first.ceil())),
        Function::Real | Function::Conjugate => Ok(first.clone()),
        Function::ImaginaryPart => Ok(RBig::ZERO),
        Function::Max => values.into_iter().max().ok_or(stuck),
        Function::Min => values.into_iter().min().ok_or(stuck),
        Function::Gcd | Function::Lcm => {
            let mut result = magnitude(&integer(first)?);
            for value in values.get(1..).unwrap_or(&[]) {
                let value = magnitude(&integer(value)?);
                if result == UBig::ZERO || value == UBig::ZERO {
                    return Err(stuck);
                }
                fuel.spend_bits(result.bit_len() + value.bit_len())?;
                let divisor = (&result).gcd(&value);
                result = if function == Function::Gcd { divisor } else { result / divisor * value };
                check(&RBig::from(result.clone()), fuel)?;
            }
            Ok(RBig::from(result))
        }
        Function::Factorial => {
            let argument = small(first).filter(|argument| *argument >= 0).ok_or_else(|| too_large(first))?;
            if argument as u64 > MAXIMUM_FACTORIAL {
                return Err(Stop::Stuck(Stuck::TooLarge));
            }
            factorial(argument as u64, fuel)
        }
        Function::Binomial => {
            let second = values.get(1).ok_or(stuck)?;
            let upper = small(first).filter(|upper| *upper >= 0).ok_or_else(|| too_large(first))?;
            let lower = small(second).ok_or_else(|| too_large(second))?;
            if lower < 0 || lower > upper {
                return Ok(RBig::ZERO);
            }
            let steps = lower.min(upper - lower) as u64;
            if steps > MAXIMUM_FACTORIAL {
                return Err(Stop::Stuck(Stuck::TooLarge));
            }
            let mut result = UBig::ONE;
            for step in 0..steps {
                result = result * UBig::from(upper as u64 - step) / UBig::from(step + 1);
                fuel.spend(1 + (result.bit_len() / 2_048) as u64)?;
            }
            Ok(RBig::from(result))
        }
        // the values at zero and one that everyone writes plainly
        Function::Sin
        | Function::Tan
        | Function::Arcsin
        | Function::Arctan
        | Function::Sinh
        | Function::Tanh
            if first.is_zero() =>
        {
            Ok(RBig::ZERO)
        }
        Function::Cos | Function::Cosh | Function::Exp if first.is_zero() => Ok(RBig::ONE),
        Function::Ln | Function::Log if *first == RBig::ONE => Ok(RBig::ZERO),
        _ => Err(stuck),
    }
}

fn too_large(value: &RBig) -> Stop {
    Stop::Stuck(if value.is_int() && value.is_positive() { Stuck::TooLarge } else { Stuck::NotRational })
}

fn factorial(argument: u64, fuel: &mut Fuel) -> Result<RBig, Stop> {
    let mut result = UBig::ONE;
    let mut chunk: u64 = 1;
    for factor in 2..=argument {
        if let Some(product) = chunk.checked_mul(factor) {
            chunk = product;
        } else {
            result *= UBig::from(chunk);
            fuel.spend(1 + (result.bit_len() / 2_048) as u64)?;
            chunk = factor;
        }
    }
    Ok(RBig::from(result * UBig::from(chunk)))
}
