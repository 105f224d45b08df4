//! Decimals beside exact values: when a rounded decimal stands for an exact value, and when it does not.

use dashu_base::BitTest;
use dashu_int::{IBig, UBig};
use dashu_ratio::RBig;

use super::{Sameness, equal, rational, within};
use crate::expression::{Decimal, Expr, Number};
use crate::fuel::Fuel;
use crate::numeral::power_of_ten;

/// An exact gold is matched by a decimal with at least this many significant digits, all of them right.
const SIGNIFICANT_DIGITS: u32 = 6;
/// From this many digits on, the last one may be cut off instead of rounded.
const CUT_DIGITS: u32 = 8;
/// From this many digits on, the last ones may be the noise of binary floating point.
const FLOAT_DIGITS: u32 = 16;
/// Exponents of ten beyond this are left to exact arithmetic.
const MAXIMUM_SHIFT: usize = 1_000;
/// A gold with this many digits may be the rounding of an exact answer that never ends.
const GOLD_DIGITS: u32 = 4;

/// Whether an answer equals the gold, with tolerance only between a rounded decimal and an exact value.
pub(crate) fn same(gold: &Expr, answer: &Expr, fuel: &mut Fuel) -> Sameness {
    match (literal(gold), literal(answer)) {
        (None, None) => equal(gold, answer, fuel),
        (Some((gold_value, gold_digits)), Some((value, digits))) => {
            if gold_value == value {
                return Sameness::Equal;
            }
            let unrounded =
                gold_digits.significant >= SIGNIFICANT_DIGITS && digits.places >= gold_digits.places + 3;
            Sameness::of(unrounded && rounds_to(answer, &gold_value, gold_digits, false, fuel))
        }
        (None, Some((value, digits))) => {
            let exact = equal(gold, answer, fuel);
            if exact == Sameness::Equal || gold.has_symbols() || digits.significant < SIGNIFICANT_DIGITS {
                return exact;
            }
            let gold_rational = rational(gold, fuel);
            if value.is_int() || gold_rational.as_ref().is_some_and(RBig::is_int) {
                return exact;
            }
            if digits.significant >= FLOAT_DIGITS {
                // printed from binary floating point: the digits behind the fifteenth are noise
                let places = digits.places - (digits.significant - FLOAT_DIGITS) as i32 - 1;
                let digits = Decimal { places, significant: FLOAT_DIGITS };
                return if rounds_to(gold, &value, digits, true, fuel) { Sameness::Equal } else { exact };
            }
            let ends = gold_rational.is_some_and(|gold| terminates(gold.denominator()));
            let cut = digits.significant >= CUT_DIGITS && !ends;
            if rounds_to(gold, &value, digits, cut, fuel) { Sameness::Equal } else { exact }
        }
        (Some((value, digits)), None) => {
            let exact = equal(gold, answer, fuel);
            if exact == Sameness::Equal || answer.has_symbols() || digits.significant < GOLD_DIGITS {
                return exact;
            }
            let ends = rational(answer, fuel).is_some_and(|answer| terminates(answer.denominator()));
            if !ends && rounds_to(answer, &value, digits, false, fuel) { Sameness::Equal } else { exact }
        }
    }
}

/// A decimal as written, possibly with a sign.
fn literal(expr: &Expr) -> Option<(RBig, Decimal)> {
    match expr {
        Expr::Number(number) => number.decimal.map(|decimal| (number.value.clone(), decimal)),
        Expr::Negate(inner) => literal(inner).map(|(value, decimal)| (-value, decimal)),
        Expr::Product(items) => match items.as_slice() {
            [Expr::Number(mantissa), Expr::Power(base, exponent)] if **base == Expr::integer(10) => {
                scientific(mantissa, exponent)
            }
            _ => None,
        },
        _ => None,
    }
}

/// `8.99 \times 10^{-7}` is the decimal 0.000000899.
fn scientific(mantissa: &Number, exponent: &Expr) -> Option<(RBig, Decimal)> {
    let decimal = mantissa.decimal?;
    let (exponent, negative) = match exponent {
        Expr::Number(exponent) => (exponent, false),
        Expr::Negate(inner) => match &**inner {
            Expr::Number(exponent) => (exponent, true),
            _ => return None,
        },
        _ => return None,
    };
    let shift: usize = exponent.value.to_string().parse().ok().filter(|shift| *shift <= MAXIMUM_SHIFT)?;
    let power = RBig::from(power_of_ten(shift));
    let (value, places) = if negative {
        (&mantissa.value / power, decimal.places + shift as i32)
    } else {
        (&mantissa.value * power, decimal.places - shift as i32)
    };
    Some((value, Decimal { places, ..decimal }))
}

/// Whether the value rounds (or, if allowed, is cut) to the decimal.
fn rounds_to(value: &Expr, decimal: &RBig, digits: Decimal, cut: bool, fuel: &mut Fuel) -> bool {
    let Ok(places) = usize::try_from(digits.places) else { return false };
    let unit = RBig::from_parts(IBig::ONE, power_of_ten(places));
    let bound = if cut { unit } else { unit / RBig::from(2) };
    within(value, decimal, &bound, fuel)
}

/// Whether a fraction with this denominator is a terminating decimal: a product of twos and fives.
fn terminates(denominator: &UBig) -> bool {
    let rest = denominator >> denominator.trailing_zeros().unwrap_or(0);
    // the only power of five that can have so many bits
    let fives = (rest.bit_len() as f64 / 5_f64.log2()) as usize;
    rest == UBig::from(5_u8).pow(fives)
}

#[cfg(test)]
mod tests {
    use dashu_int::UBig;

    use super::terminates;

    #[test]
    fn products_of_twos_and_fives_terminate() {
        let (two, five) = (UBig::from(2_u8), UBig::from(5_u8));
        for (twos, fives) in (0..40).flat_map(|twos| (0..40).map(move |fives| (twos, fives))) {
            let product = two.pow(twos) * five.pow(fives);
            assert!(terminates(&product), "2^{twos} 5^{fives}");
            for other in [3_u8, 7, 13] {
                assert!(!terminates(&(&product * UBig::from(other))), "{other} 2^{twos} 5^{fives}");
            }
        }
        assert!((0..2_000).step_by(37).all(|fives| terminates(&five.pow(fives))));
    }
}
