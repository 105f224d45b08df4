//! Evaluation of expressions by ball arithmetic, at a point where symbols have values.

use dashu_base::Inverse;
use dashu_ratio::RBig;

use super::ball::{Arithmetic, Ball};
use super::{Stop, Stuck, exact, is_above_zero};
use crate::expression::{Expr, Function, Name, Operator};

/// Roots of a higher index go by the logarithm.
const MAXIMUM_ROOT: usize = 64;

/// The values of the symbols, and whether intermediate values may leave the real line.
pub(crate) struct Point<'a> {
    pub(crate) values: &'a [(Name, RBig)],
    pub(crate) complex: bool,
}

/// The value of an expression at a point.
pub(crate) fn evaluate(
    expr: &Expr,
    point: &Point<'_>,
    arithmetic: &mut Arithmetic<'_>,
) -> Result<Ball, Stop> {
    let value = step(expr, point, arithmetic)?;
    if !point.complex && !value.is_real() {
        return Err(Stop::Stuck(Stuck::Undefined));
    }
    Ok(value)
}

fn step(expr: &Expr, point: &Point<'_>, arithmetic: &mut Arithmetic<'_>) -> Result<Ball, Stop> {
    match expr {
        Expr::Number(number) => arithmetic.rational(&number.value),
        Expr::Symbol(name) => {
            let value = point.values.iter().find(|(known, _)| known == name).ok_or(Stuck::Undefined)?;
            arithmetic.rational(&value.1)
        }
        Expr::Pi => arithmetic.pi(),
        Expr::Euler => {
            let one = arithmetic.rational(&RBig::ONE)?;
            arithmetic.exp(&one)
        }
        Expr::Imaginary => Arithmetic::imaginary(),
        Expr::Negate(inner) => {
            let inner = evaluate(inner, point, arithmetic)?;
            Ok(Arithmetic::negate(inner))
        }
        Expr::Percent(inner) => {
            let inner = evaluate(inner, point, arithmetic)?;
            let hundred = arithmetic.rational(&RBig::from(100))?;
            arithmetic.divide(&inner, &hundred)
        }
        Expr::Degrees(inner) => {
            let inner = evaluate(inner, point, arithmetic)?;
            let pi = arithmetic.pi()?;
            let product = arithmetic.multiply(&inner, &pi)?;
            let half_turn = arithmetic.rational(&RBig::from(180))?;
            arithmetic.divide(&product, &half_turn)
        }
        Expr::Sum(items) => {
            let mut total = arithmetic.rational(&RBig::ZERO)?;
            for item in items {
                let value = evaluate(item, point, arithmetic)?;
                total = arithmetic.add(&total, &value)?;
            }
            Ok(total)
        }
        Expr::Product(items) => {
            let mut total = arithmetic.rational(&RBig::ONE)?;
            for item in items {
                let value = evaluate(item, point, arithmetic)?;
                total = arithmetic.multiply(&total, &value)?;
            }
            Ok(total)
        }
        Expr::Quotient(numerator, denominator) => {
            let numerator = evaluate(numerator, point, arithmetic)?;
            let denominator = evaluate(denominator, point, arithmetic)?;
            arithmetic.divide(&numerator, &denominator)
        }
        Expr::Power(base, exponent) => power(base, exponent, point, arithmetic),
        Expr::Root(radicand, index) => {
            let index = exact::evaluate(index, arithmetic.fuel)?;
            let radicand = evaluate(radicand, point, arithmetic)?;
            rational_power(&radicand, &positive(&index)?.inv(), arithmetic)
        }
        Expr::Call(function, items) => call(*function, items, point, arithmetic),
        Expr::Iterated(iteration) => {
            let (from, to) = exact::range(iteration, &mut |end| {
                constant(end, point, arithmetic)?.ok_or(Stop::Stuck(Stuck::Undefined))
            })?;
            let size = iteration.body_size();
            let sum = iteration.operator == Operator::Sum;
            let mut total = arithmetic.rational(&if sum { RBig::ZERO } else { RBig::ONE })?;
            for index in from..=to {
                arithmetic.fuel.spend(1 + size / 4)?;
                let value = evaluate(&iteration.at(&Expr::integer(index)), point, arithmetic)?;
                total = if sum {
                    arithmetic.add(&total, &value)?
                } else {
                    arithmetic.multiply(&total, &value)?
                };
            }
            Ok(total)
        }
        _ => Err(Stop::Stuck(Stuck::Undefined)),
    }
}

fn positive(index: &RBig) -> Result<RBig, Stop> {
    if is_above_zero(index) { Ok(index.clone()) } else { Err(Stop::Stuck(Stuck::Undefined)) }
}

/// A closed expression's exact value; `None` if it has symbols or is not rational.
fn constant(expr: &Expr, point: &Point<'_>, arithmetic: &mut Arithmetic<'_>) -> Result<Option<RBig>, Stop> {
    if let Expr::Symbol(name) = expr {
        // at integer points `(-1)^n` has an exact exponent
        let known = point.values.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        return Ok(known.filter(|value| value.is_int()).cloned());
    }
    match exact::evaluate(expr, arithmetic.fuel) {
        Ok(value) => Ok(Some(value)),
        Err(Stop::Stuck(_)) => substituted(expr, point, arithmetic),
        Err(stop) => Err(stop),
    }
}

/// The exact value of a simple exponent such as `n + 1` or `2n` where the symbols are whole numbers.
fn substituted(
    expr: &Expr,
    point: &Point<'_>,
    arithmetic: &mut Arithmetic<'_>,
) -> Result<Option<RBig>, Stop> {
    let mut all = Vec::new();
    let items = match expr {
        Expr::Sum(items) | Expr::Product(items) => items,
        Expr::Negate(inner) => return Ok(constant(inner, point, arithmetic)?.map(|value| -value)),
        _ => return Ok(None),
    };
    for item in items {
        match constant(item, point, arithmetic)? {
            Some(value) => all.push(value),
            None => return Ok(None),
        }
    }
    let sum = matches!(expr, Expr::Sum(_));
    Ok(Some(all.into_iter().fold(if sum { RBig::ZERO } else { RBig::ONE }, |total, value| {
        if sum { total + value } else { total * value }
    })))
}

fn power(
    base: &Expr,
    exponent: &Expr,
    point: &Point<'_>,
    arithmetic: &mut Arithmetic<'_>,
) -> Result<Ball, Stop> {
    if *base == Expr::Euler {
        let exponent = evaluate(exponent, point, arithmetic)?;
        return arithmetic.exp(&exponent);
    }
    let exact_exponent = constant(exponent, point, arithmetic)?;
    let base = evaluate(base, point, arithmetic)?;
    if let Some(exponent) = exact_exponent {
        return rational_power(&base, &exponent, arithmetic);
    }
    let exponent = evaluate(exponent, point, arithmetic)?;
    if base.is_real() && base.is_negative() && !point.complex {
        return Err(Stop::Stuck(Stuck::Undefined));
    }
    arithmetic.power_by_logarithm(&base, &exponent)
}

/// A power with a rational exponent; odd roots of negative reals are real.
fn rational_power(base: &Ball, exponent: &RBig, arithmetic: &mut Arithmetic<'_>) -> Result<Ball, Stop> {
    if base.is_exactly_zero() {
        return if is_above_zero(exponent) { Ok(base.clone()) } else { Err(Stop::Stuck(Stuck::Undefined)) };
    }
    let index: usize = exponent.denominator().try_into().map_err(|_| Stuck::TooLarge)?;
    let rooted = match index {
        1 => base.clone(),
        2 => arithmetic.square_root(base)?,
        3..=MAXIMUM_ROOT if base.is_real() && (!base.is_negative() || !index.is_multiple_of(2)) => {
            arithmetic.real_root(base, index)?
        }
        3..=MAXIMUM_ROOT => {
            let fraction = arithmetic.rational(&(RBig::ONE / RBig::from(index)))?;
            arithmetic.power_by_logarithm(base, &fraction)?
        }
        _ => {
            let exponent = arithmetic.rational(exponent)?;
            return arithmetic.power_by_logarithm(base, &exponent);
        }
    };
    arithmetic.power_of_integer(&rooted, exponent.numerator())
}

fn call(
    function: Function,
    items: &[Expr],
    point: &Point<'_>,
    arithmetic: &mut Arithmetic<'_>,
) -> Result<Ball, Stop> {
    // whole-number functions of whole numbers are exact even when they are large
    if matches!(function, Function::Factorial | Function::Binomial | Function::Gcd | Function::Lcm) {
        let mut exact_items = Vec::new();
        for item in items {
            let value = constant(item, point, arithmetic)?.ok_or(Stuck::Undefined)?;
            exact_items.push(Expr::Number(crate::expression::Number { value, decimal: None }));
        }
        let value = exact::evaluate(&Expr::Call(function, exact_items), arithmetic.fuel)?;
        return arithmetic.rational(&value);
    }
    // where a rounding jumps, only the exact argument tells
    if matches!(function, Function::Floor | Function::Ceiling)
        && let Some(Ok(value)) = items.first().map(|item| exact::evaluate(item, arithmetic.fuel))
    {
        let value = if function == Function::Floor { value.floor() } else { value.ceil() };
        return arithmetic.rational(&RBig::from(value));
    }
    let mut values = Vec::with_capacity(items.len());
    for item in items {
        values.push(evaluate(item, point, arithmetic)?);
    }
    let first = values.first().ok_or(Stuck::Undefined)?;
    let one = arithmetic.rational(&RBig::ONE)?;
    match function {
        Function::Sin => Ok(arithmetic.sin_cos(first)?.0),
        Function::Cos => Ok(arithmetic.sin_cos(first)?.1),
        Function::Tan => {
            let (sine, cosine) = arithmetic.sin_cos(first)?;
            arithmetic.divide(&sine, &cosine)
        }
        Function::Cot => {
            let (sine, cosine) = arithmetic.sin_cos(first)?;
            arithmetic.divide(&cosine, &sine)
        }
        Function::Sec => {
            let cosine = arithmetic.sin_cos(first)?.1;
            arithmetic.invert(&cosine)
        }
        Function::Csc => {
            let sine = arithmetic.sin_cos(first)?.0;
            arithmetic.invert(&sine)
        }
        Function::Arctan => arithmetic.angle(first, &one),
        Function::Arcsin | Function::Arccos => {
            let square = arithmetic.multiply(first, first)?;
            let rest = arithmetic.subtract(&one, &square)?;
            if rest.is_real() && rest.is_negative() && !rest.contains_zero() {
                return Err(Stop::Stuck(Stuck::Undefined));
            }
            let leg = arithmetic.square_root(&rest)?;
            if function == Function::Arcsin {
                arithmetic.angle(first, &leg)
            } else {
                arithmetic.angle(&leg, first)
            }
        }
        Function::Sinh | Function::Cosh | Function::Tanh => {
            let forward = arithmetic.exp(first)?;
            let backward = arithmetic.invert(&forward)?;
            let sum = arithmetic.add(&forward, &backward)?;
            let difference = arithmetic.subtract(&forward, &backward)?;
            let half = arithmetic.rational(&(RBig::ONE / RBig::from(2)))?;
            match function {
                Function::Sinh => arithmetic.multiply(&difference, &half),
                Function::Cosh => arithmetic.multiply(&sum, &half),
                _ => arithmetic.divide(&difference, &sum),
            }
        }
        Function::Exp => arithmetic.exp(first),
        Function::Cis => {
            let unit = Arithmetic::imaginary()?;
            let exponent = arithmetic.multiply(first, &unit)?;
            arithmetic.exp(&exponent)
        }
        Function::Ln => arithmetic.ln(first),
        Function::Log => {
            let ten = arithmetic.rational(&RBig::from(10))?;
            let scale = arithmetic.ln(&ten)?;
            let value = arithmetic.ln(first)?;
            arithmetic.divide(&value, &scale)
        }
        Function::LogBase => {
            let second = values.get(1).ok_or(Stuck::Undefined)?;
            let scale = arithmetic.ln(first)?;
            let value = arithmetic.ln(second)?;
            arithmetic.divide(&value, &scale)
        }
        Function::Abs => arithmetic.modulus(first),
        Function::Floor => arithmetic.floor(first),
        Function::Ceiling => {
            let negated = Arithmetic::negate(first.clone());
            let floor = arithmetic.floor(&negated)?;
            Ok(Arithmetic::negate(floor))
        }
        Function::Real => Ok(Arithmetic::parts(first).0),
        Function::ImaginaryPart => Ok(Arithmetic::parts(first).1),
        Function::Max | Function::Min => {
            let mut best = first.clone();
            for value in values.iter().skip(1) {
                let difference = arithmetic.subtract(value, &best)?;
                if !difference.is_real() || difference.contains_zero() {
                    return Err(Stop::Stuck(Stuck::Unclear));
                }
                if difference.is_negative() == (function == Function::Min) {
                    best = value.clone();
                }
            }
            Ok(best)
        }
        Function::Conjugate => Ok(Arithmetic::conjugate(first)),
        // the reader writes these by the others
        Function::Arccot
        | Function::Arcsec
        | Function::Arccsc
        | Function::Arsinh
        | Function::Arcosh
        | Function::Artanh
        | Function::Coth
        | Function::Sech
        | Function::Csch
        | Function::Factorial
        | Function::Binomial
        | Function::Gcd
        | Function::Lcm => Err(Stop::Stuck(Stuck::Undefined)),
    }
}
