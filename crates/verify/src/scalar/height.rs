//! How large the numbers are that go into an expression: the more bits, the closer two different values may be.

use dashu_base::BitTest;

use crate::expression::{Expr, Function};

/// Heights beyond this are all alike: nothing is settled by numbers there.
const MAXIMUM_HEIGHT: i64 = 1 << 24;

/// A measure of the bits behind the smallest and largest part of the value.
pub(super) fn of(expr: &Expr) -> i64 {
    match expr {
        Expr::Number(number) => {
            number.value.numerator().bit_len().max(number.value.denominator().bit_len()) as i64
        }
        Expr::Product(items) => {
            items.iter().map(of).fold(0, |total, height| (total + height).min(MAXIMUM_HEIGHT))
        }
        Expr::Quotient(numerator, denominator) => (of(numerator) + of(denominator)).min(MAXIMUM_HEIGHT),
        Expr::Power(base, exponent) => {
            let times = whole(exponent).unwrap_or(1).max(1);
            of(base).saturating_mul(times).max(of(exponent)).min(MAXIMUM_HEIGHT)
        }
        Expr::Call(Function::Factorial, items) => {
            let argument = items.first().and_then(whole).unwrap_or(1);
            argument.saturating_mul(8).clamp(4, MAXIMUM_HEIGHT)
        }
        Expr::Euler | Expr::Pi => 2,
        other => {
            let mut height = 0;
            other.any_child(&mut |child| {
                height = of(child).max(height);
                false
            });
            height
        }
    }
}

/// The magnitude of a whole exponent, rounded up.
fn whole(exponent: &Expr) -> Option<i64> {
    match exponent {
        Expr::Number(number) => {
            let value = number.value.ceil();
            let value = i64::try_from(&value).unwrap_or(MAXIMUM_HEIGHT);
            Some(value.abs().min(MAXIMUM_HEIGHT))
        }
        Expr::Negate(inner) => whole(inner),
        // what an exponent has inside counts by its bits
        other if !other.has_symbols() => Some(1 << of(other).clamp(0, 24)),
        _ => None,
    }
}

/// The bits of all numerals as they are written.
pub(super) fn written(expr: &Expr) -> u64 {
    let own = match expr {
        Expr::Number(number) => number.value.numerator().bit_len() + number.value.denominator().bit_len() - 1,
        _ => 0,
    };
    let mut total = own as u64;
    expr.any_child(&mut |child| {
        total += written(child);
        false
    });
    total
}
