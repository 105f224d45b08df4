//! Rational functions modulo two 61-bit primes (Schwartz and Zippel): settles numbers too large to write out
//! and identities between polynomials without expanding either.

use dashu_base::Signed;
use dashu_int::{IBig, UBig};
use dashu_ratio::RBig;

use super::{Stop, Stuck, exact, is_above_zero};
use crate::expression::{Expr, Function, Operator};
use crate::fuel::Fuel;

/// The largest primes below 2^61 (a Mersenne prime) and the two before it.
pub(crate) const PRIMES: [u64; 2] = [(1 << 61) - 1, (1 << 61) - 31];
/// Factorials of more than this are not multiplied out.
const MAXIMUM_FACTORIAL: u64 = 100_000;

/// The value modulo a prime, symbols standing for residues that depend on their names.
pub(crate) fn evaluate(expr: &Expr, prime: u64, fuel: &mut Fuel) -> Result<u64, Stop> {
    fuel.spend(1)?;
    match expr {
        Expr::Number(number) => rational(&number.value, prime),
        Expr::Symbol(name) => Ok(residue_of_name(name, prime)),
        Expr::Negate(inner) => Ok(negate(evaluate(inner, prime, fuel)?, prime)),
        Expr::Percent(inner) => divide(evaluate(inner, prime, fuel)?, 100, prime),
        Expr::Sum(items) => {
            items.iter().try_fold(0, |total, item| Ok(add(total, evaluate(item, prime, fuel)?, prime)))
        }
        Expr::Product(items) => {
            items.iter().try_fold(1, |total, item| Ok(multiply(total, evaluate(item, prime, fuel)?, prime)))
        }
        Expr::Quotient(numerator, denominator) => {
            let numerator = evaluate(numerator, prime, fuel)?;
            divide(numerator, evaluate(denominator, prime, fuel)?, prime)
        }
        Expr::Power(base, exponent) => {
            let exponent = exact::evaluate(exponent, fuel)?;
            if !exponent.is_int() {
                return Err(Stop::Stuck(Stuck::NotRational));
            }
            let base = evaluate(base, prime, fuel)?;
            if base == 0 {
                return if is_above_zero(&exponent) { Ok(0) } else { Err(Stop::Stuck(Stuck::Undefined)) };
            }
            // Fermat: exponents count modulo prime - 1
            let reduced = remainder(exponent.numerator(), prime - 1);
            Ok(raise(base, reduced, prime))
        }
        Expr::Call(Function::Factorial, items) => {
            let argument = small_argument(items.first(), fuel)?;
            product_of_range(1, argument, prime, fuel)
        }
        Expr::Call(Function::Binomial, items) => {
            let upper = small_argument(items.first(), fuel)?;
            let lower = small_argument(items.get(1), fuel)?;
            if lower > upper {
                return Ok(0);
            }
            let steps = lower.min(upper - lower);
            let numerator = product_of_range(upper - steps + 1, upper, prime, fuel)?;
            divide(numerator, product_of_range(1, steps, prime, fuel)?, prime)
        }
        Expr::Iterated(iteration) => {
            let (from, to) = exact::range(iteration, &mut |end| exact::evaluate(end, fuel))?;
            let size = iteration.body_size();
            let sum = iteration.operator == Operator::Sum;
            let mut total = u64::from(!sum);
            for index in from..=to {
                fuel.spend(1 + size / 4)?;
                let value = evaluate(&iteration.at(&Expr::integer(index)), prime, fuel)?;
                total = if sum { add(total, value, prime) } else { multiply(total, value, prime) };
            }
            Ok(total)
        }
        _ => {
            let value = exact::evaluate(expr, fuel)?;
            rational(&value, prime)
        }
    }
}

fn small_argument(item: Option<&Expr>, fuel: &mut Fuel) -> Result<u64, Stop> {
    let value = exact::evaluate(item.ok_or(Stuck::NotRational)?, fuel)?;
    let value = exact::small(&value).ok_or(Stuck::NotRational)?;
    u64::try_from(value).map_err(|_| Stop::Stuck(Stuck::NotRational))
}

fn product_of_range(from: u64, to: u64, prime: u64, fuel: &mut Fuel) -> Result<u64, Stop> {
    if to.saturating_sub(from) > MAXIMUM_FACTORIAL || to >= prime {
        return Err(Stop::Stuck(Stuck::TooLarge));
    }
    fuel.spend(to.saturating_sub(from) / 64)?;
    Ok((from..=to).fold(1, |product, factor| multiply(product, factor, prime)))
}

fn rational(value: &RBig, prime: u64) -> Result<u64, Stop> {
    let numerator = remainder(value.numerator(), prime);
    let denominator = remainder(&IBig::from(value.denominator().clone()), prime);
    divide(numerator, denominator, prime)
}

/// The non-negative remainder of an integer.
fn remainder(value: &IBig, modulus: u64) -> u64 {
    let magnitude = value.clone().into_parts().1;
    let rest = u64::try_from(magnitude % UBig::from(modulus)).unwrap_or(0);
    if value.is_negative() && rest != 0 { modulus - rest } else { rest }
}

fn residue_of_name(name: &str, prime: u64) -> u64 {
    // FNV-1a, then a finaliser: any fixed function of the name serves
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in name.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^= hash >> 31;
    hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^= hash >> 29;
    2 + hash % (prime - 3)
}

fn add(left: u64, right: u64, prime: u64) -> u64 {
    let sum = left + right;
    if sum >= prime { sum - prime } else { sum }
}

fn negate(value: u64, prime: u64) -> u64 {
    if value == 0 { 0 } else { prime - value }
}

fn multiply(left: u64, right: u64, prime: u64) -> u64 {
    (u128::from(left) * u128::from(right) % u128::from(prime)) as u64
}

fn raise(base: u64, exponent: u64, prime: u64) -> u64 {
    let (mut result, mut square, mut rest) = (1, base, exponent);
    while rest > 0 {
        if rest & 1 == 1 {
            result = multiply(result, square, prime);
        }
        square = multiply(square, square, prime);
        rest >>= 1;
    }
    result
}

fn divide(numerator: u64, denominator: u64, prime: u64) -> Result<u64, Stop> {
    if denominator == 0 {
        return Err(Stop::Stuck(Stuck::Undefined));
    }
    Ok(multiply(numerator, raise(denominator, prime - 2, prime), prime))
}

/// The fraction with these residues modulo [`PRIMES`] whose terms are at most the square root of half the primes'
/// product, about 2^60.5, if there is one; there are never two (Wang 1981, rational reconstruction).
pub(crate) fn fraction([first, second]: [u64; 2]) -> Option<RBig> {
    let [one, other] = PRIMES;
    let modulus = i128::from(one) * i128::from(other);
    let largest = (modulus / 2).isqrt();
    // the residue modulo the product (Garner)
    let step = divide(add(second, negate(first % other, other), other), one % other, other).ok()?;
    let residue = i128::from(first) + i128::from(one) * i128::from(step);
    // Euclid: `rest = residue * factor` modulo the product holds in every row
    let (mut above, mut rest) = (modulus, residue);
    let (mut factor_above, mut factor) = (0_i128, 1_i128);
    while rest > largest {
        let quotient = above / rest;
        (above, rest) = (rest, above % rest);
        (factor_above, factor) = (factor, factor_above - quotient * factor);
    }
    if factor.abs() > largest {
        return None;
    }
    let numerator = IBig::from(rest * factor.signum());
    Some(RBig::from_parts(numerator, UBig::from(factor.unsigned_abs())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_found_again_from_their_residues() {
        for (numerator, denominator) in
            [(0_i64, 1_u64), (1, 1), (-1, 1), (355, 113), (-17, 1 << 60), (1 << 60, (1 << 60) - 1)]
        {
            let value = RBig::from_parts(IBig::from(numerator), UBig::from(denominator));
            let residues = PRIMES.map(|prime| rational(&value, prime).unwrap());
            assert_eq!(fraction(residues), Some(value), "{numerator}/{denominator}");
        }
    }

    #[test]
    fn the_moduli_are_prime() {
        // deterministic Miller-Rabin for 64-bit numbers
        for prime in PRIMES {
            let (mut odd, mut twos) = (prime - 1, 0);
            while odd % 2 == 0 {
                odd /= 2;
                twos += 1;
            }
            for witness in [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37] {
                let mut power = raise(witness, odd, prime);
                if power == 1 || power == prime - 1 {
                    continue;
                }
                let composite = (1..twos).all(|_| {
                    power = multiply(power, power, prime);
                    power != prime - 1
                });
                assert!(!composite, "{prime} is prime");
            }
        }
    }
}
