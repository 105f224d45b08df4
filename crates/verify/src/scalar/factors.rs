//! Factors: the primes of a number, and the positive parts of a product.

use dashu_base::Signed;
use dashu_int::{IBig, UBig};
use dashu_ratio::RBig;

use super::Stop;
use crate::expression::Expr;
use crate::fuel::Fuel;

/// Prime factors beyond this are not looked for.
const MAXIMUM_FACTOR: u64 = 1_000;

/// Numbers of more bits than this are not factored.
const MAXIMUM_FACTORED_BITS: usize = 512;

/// The factors of a product or a quotient of different letters and positive numbers, and whether they stand above the
/// line: letters under a logarithm or a root are taken for positive where they stand together as alone.
pub(super) fn positive_parts(expr: &Expr) -> Option<Vec<(&Expr, bool)>> {
    fn collect<'a>(expr: &'a Expr, above: bool, parts: &mut Vec<(&'a Expr, bool)>) -> Option<()> {
        match expr {
            Expr::Product(items) => items.iter().try_for_each(|item| collect(item, above, parts)),
            Expr::Quotient(numerator, denominator) => {
                collect(numerator, above, parts)?;
                collect(denominator, !above, parts)
            }
            Expr::Symbol(_) if parts.iter().all(|(part, _)| *part != expr) => {
                parts.push((expr, above));
                Some(())
            }
            Expr::Number(number) if number.value.is_positive() && !number.value.is_zero() => {
                parts.push((expr, above));
                Some(())
            }
            _ => None,
        }
    }
    if !matches!(expr, Expr::Product(_) | Expr::Quotient(..)) {
        return None;
    }
    let mut parts = Vec::new();
    collect(expr, true, &mut parts)?;
    Some(parts)
}

/// Prime factors of a positive fraction with their powers; a large rest counts as prime.
pub(super) fn factors(value: &RBig, fuel: &mut Fuel) -> Result<Vec<(UBig, i64)>, Stop> {
    let mut out = Vec::new();
    for (part, sign) in [(IBig::from(value.denominator().clone()), -1), (value.numerator().clone(), 1)] {
        let mut rest = part.into_parts().1;
        fuel.spend_bits(2 * dashu_base::BitTest::bit_len(&rest))?;
        let mut factor =
            if dashu_base::BitTest::bit_len(&rest) > MAXIMUM_FACTORED_BITS { u64::MAX } else { 2 };
        while factor <= MAXIMUM_FACTOR && rest != UBig::ONE {
            if let Ok(small) = u64::try_from(&rest)
                && factor * factor > small
            {
                break;
            }
            let divisor = UBig::from(factor);
            let mut power = 0;
            while (&rest % &divisor) == UBig::ZERO {
                fuel.spend(1)?;
                rest /= &divisor;
                power += sign;
            }
            if power != 0 {
                out.push((divisor, power));
            }
            factor += if factor == 2 { 1 } else { 2 };
        }
        fuel.spend(factor.min(MAXIMUM_FACTOR) / 16)?;
        if rest != UBig::ONE {
            out.push((rest, sign));
        }
    }
    Ok(out)
}
