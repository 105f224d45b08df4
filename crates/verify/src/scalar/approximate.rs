//! Real values in floating point, to find where an expression changes its branch; nothing is decided by them.

use crate::expression::{Expr, Function, Name};

/// The value at a point, if it is real and finite.
pub(super) fn approximate(expr: &Expr, values: &[(Name, f64)]) -> Option<f64> {
    let all =
        |items: &[Expr]| items.iter().map(|item| approximate(item, values)).collect::<Option<Vec<f64>>>();
    let value = match expr {
        Expr::Number(number) => number.value.to_f64().value(),
        Expr::Symbol(name) => values.iter().find(|(known, _)| known == name)?.1,
        Expr::Pi => std::f64::consts::PI,
        Expr::Euler => std::f64::consts::E,
        Expr::Negate(inner) => -approximate(inner, values)?,
        Expr::Percent(inner) => approximate(inner, values)? / 100.0,
        Expr::Degrees(inner) => approximate(inner, values)?.to_radians(),
        Expr::Sum(items) => all(items)?.into_iter().sum(),
        Expr::Product(items) => all(items)?.into_iter().product(),
        Expr::Quotient(numerator, denominator) => {
            approximate(numerator, values)? / approximate(denominator, values)?
        }
        Expr::Power(base, exponent) => approximate(base, values)?.powf(approximate(exponent, values)?),
        Expr::Root(radicand, index) => {
            let (radicand, index) = (approximate(radicand, values)?, approximate(index, values)?);
            radicand.powf(index.recip())
        }
        Expr::Call(function, items) => call(*function, &all(items)?)?,
        _ => return None,
    };
    value.is_finite().then_some(value)
}

fn call(function: Function, items: &[f64]) -> Option<f64> {
    let first = *items.first()?;
    Some(match function {
        Function::Sin => first.sin(),
        Function::Cos => first.cos(),
        Function::Tan => first.tan(),
        Function::Cot => first.tan().recip(),
        Function::Sec => first.cos().recip(),
        Function::Csc => first.sin().recip(),
        Function::Arcsin => first.asin(),
        Function::Arccos => first.acos(),
        Function::Arctan => first.atan(),
        Function::Sinh => first.sinh(),
        Function::Cosh => first.cosh(),
        Function::Tanh => first.tanh(),
        Function::Exp => first.exp(),
        Function::Ln => first.ln(),
        Function::Log => first.log10(),
        Function::LogBase => items.get(1)?.ln() / first.ln(),
        Function::Abs => first.abs(),
        Function::Floor => first.floor(),
        Function::Ceiling => first.ceil(),
        Function::Max => items.iter().copied().reduce(f64::max)?,
        Function::Min => items.iter().copied().reduce(f64::min)?,
        _ => return None,
    })
}
