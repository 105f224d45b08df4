//! Rational functions modulo two 61-bit primes (Schwartz and Zippel): settles numbers too large to write out
//! and identities between polynomials without expanding either.

use dashu_base::Signed;
use dashu_int::{IBig, UBig};
use dashu_ratio::RBig;

use super::{Stop, Stuck, exact, is_above_zero};
use crate::expression::{Expr, Function, Operator};
use crate::fuel::Fuel;

/// Two primes just below 2^61, drawn by chance: no short expression vanishes modulo both. Both leave the remainder one
/// when divided by four, so that minus one has a square root.
pub(crate) const PRIMES: [u64; 2] = [2_299_212_397_845_971_417, 2_295_339_076_245_783_677];
/// `2^122` divided by each of [`PRIMES`], for Barrett's reduction.
const RECIPROCALS: [u128; 2] = [(1 << 122) / PRIMES[0] as u128, (1 << 122) / PRIMES[1] as u128];
/// A square root of minus one modulo each of [`PRIMES`].
pub(super) const IMAGINARY: [u64; 2] = [246_985_089_355_892_208, 131_308_235_748_628_348];
/// Factorials of more than this are not multiplied out.
const MAXIMUM_FACTORIAL: u64 = 100_000;

/// The value of an expression without symbols modulo a prime, where it is rational.
pub(crate) fn evaluate(expr: &Expr, prime: u64, fuel: &mut Fuel) -> Result<u64, Stop> {
    Residues { prime, with_kernels: false, with_roots: false, with_turns: false }.of(expr, fuel)
}

/// Evaluation modulo one prime. Symbols stand for residues that depend on their names; with kernels, so do functions of
/// whatever has no residue: what is equal whatever values they have is equal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Residues {
    pub(super) prime: u64,
    pub(super) with_kernels: bool,
    /// Letters are powers, so that roots of them have residues: letters under a root are taken for positive.
    pub(super) with_roots: bool,
    /// Sines and cosines are sums of powers with the angle as exponent (Euler), so that multiple angles and sums of angles
    /// agree with what they expand to; else they are kernels, which agree wherever their angles do.
    pub(super) with_turns: bool,
}

/// Letters are this power of the residues of their names, and have roots of the divisors.
pub(super) const ROOTED: u64 = 12;

impl Residues {
    pub(super) fn of(self, expr: &Expr, fuel: &mut Fuel) -> Result<u64, Stop> {
        let prime = self.prime;
        fuel.spend(1)?;
        match expr {
            Expr::Number(number) => rational(&number.value, prime),
            Expr::Symbol(name) => {
                let residue = residue_of_name(name.as_bytes(), prime);
                Ok(if self.with_roots { raise(residue, ROOTED, prime) } else { residue })
            }
            Expr::Negate(inner) => Ok(negate(self.of(inner, fuel)?, prime)),
            Expr::Percent(inner) => divide(self.of(inner, fuel)?, 100, prime),
            Expr::Sum(items) => {
                items.iter().try_fold(0, |total, item| Ok(add(total, self.of(item, fuel)?, prime)))
            }
            Expr::Product(items) => {
                items.iter().try_fold(1, |total, item| Ok(multiply(total, self.of(item, fuel)?, prime)))
            }
            Expr::Quotient(numerator, denominator) => {
                let numerator = self.of(numerator, fuel)?;
                divide(numerator, self.of(denominator, fuel)?, prime)
            }
            Expr::Power(base, exponent) => match exact::evaluate(exponent, fuel) {
                Ok(exponent) if exponent.is_int() => self.whole_power(base, &exponent, fuel),
                Ok(exponent) if self.with_kernels => self.rational_power(base, &exponent, fuel),
                Err(Stop::Stuck(_)) if self.with_kernels => self.symbolic_power(base, exponent, fuel),
                Err(stop @ Stop::Fuel) => Err(stop),
                _ => Err(Stop::Stuck(Stuck::NotRational)),
            },
            Expr::Call(Function::Factorial, items) => match small_argument(items.first(), fuel) {
                Ok(argument) => product_of_range(1, argument, prime, fuel),
                Err(Stop::Stuck(_)) if self.with_kernels => self.kernel(expr, fuel),
                Err(stop) => Err(stop),
            },
            Expr::Call(Function::Binomial, items) => {
                match (small_argument(items.first(), fuel), small_argument(items.get(1), fuel)) {
                    (Ok(upper), Ok(lower)) => {
                        if lower > upper {
                            return Ok(0);
                        }
                        let steps = lower.min(upper - lower);
                        let numerator = product_of_range(upper - steps + 1, upper, prime, fuel)?;
                        divide(numerator, product_of_range(1, steps, prime, fuel)?, prime)
                    }
                    (Err(Stop::Fuel), _) | (_, Err(Stop::Fuel)) => Err(Stop::Fuel),
                    _ if self.with_kernels => self.kernel(expr, fuel),
                    _ => Err(Stop::Stuck(Stuck::NotRational)),
                }
            }
            Expr::Iterated(iteration) => {
                let (from, to) = exact::range(iteration, &mut |end| exact::evaluate(end, fuel))?;
                let size = iteration.body_size();
                let sum = iteration.operator == Operator::Sum;
                let mut total = u64::from(!sum);
                for index in from..=to {
                    fuel.spend(1 + size / 4)?;
                    let value = self.of(&iteration.at(&Expr::integer(index)), fuel)?;
                    total = if sum { add(total, value, prime) } else { multiply(total, value, prime) };
                }
                Ok(total)
            }
            _ => match exact::evaluate(expr, fuel) {
                Ok(value) => rational(&value, prime),
                Err(Stop::Stuck(Stuck::NotRational)) if self.with_kernels => self.kernel(expr, fuel),
                Err(stop) => Err(stop),
            },
        }
    }

    /// A whole power; of a root, and of what roots are factors of, as a power of the radicand.
    fn whole_power(self, base: &Expr, exponent: &RBig, fuel: &mut Fuel) -> Result<u64, Stop> {
        let prime = self.prime;
        match base {
            Expr::Root(radicand, index) if self.with_kernels => {
                if let Ok(index) = exact::evaluate(index, fuel)
                    && is_above_zero(&index)
                {
                    return self.rational_power(radicand, &(exponent / index), fuel);
                }
            }
            Expr::Product(items) if self.with_kernels => {
                return items.iter().try_fold(1, |product, item| {
                    Ok(multiply(product, self.whole_power(item, exponent, fuel)?, prime))
                });
            }
            Expr::Quotient(above, below) if self.with_kernels => {
                let above = self.whole_power(above, exponent, fuel)?;
                return divide(above, self.whole_power(below, exponent, fuel)?, prime);
            }
            _ => {}
        }
        self.integer_power(self.of(base, fuel)?, exponent)
    }

    pub(super) fn integer_power(self, base: u64, exponent: &RBig) -> Result<u64, Stop> {
        if base == 0 {
            return if is_above_zero(exponent) { Ok(0) } else { Err(Stop::Stuck(Stuck::Undefined)) };
        }
        // Fermat: exponents count modulo prime - 1
        let reduced = remainder(exponent.numerator(), self.prime - 1);
        Ok(raise(base, reduced, self.prime))
    }
}

pub(super) fn small_argument(item: Option<&Expr>, fuel: &mut Fuel) -> Result<u64, Stop> {
    let value = exact::evaluate(item.ok_or(Stuck::NotRational)?, fuel)?;
    let value = exact::small(&value).ok_or(Stuck::NotRational)?;
    u64::try_from(value).map_err(|_| Stop::Stuck(Stuck::NotRational))
}

pub(super) fn product_of_range(from: u64, to: u64, prime: u64, fuel: &mut Fuel) -> Result<u64, Stop> {
    if to.saturating_sub(from) > MAXIMUM_FACTORIAL || to >= prime {
        return Err(Stop::Stuck(Stuck::TooLarge));
    }
    fuel.spend(to.saturating_sub(from) / 64)?;
    Ok((from..=to).fold(1, |product, factor| multiply(product, factor, prime)))
}

pub(super) fn rational(value: &RBig, prime: u64) -> Result<u64, Stop> {
    let numerator = remainder(value.numerator(), prime);
    divide(numerator, magnitude_remainder(value.denominator(), prime), prime)
}

/// The non-negative remainder of an integer.
fn remainder(value: &IBig, modulus: u64) -> u64 {
    let rest = if let Ok(small) = i64::try_from(value) {
        small.unsigned_abs() % modulus
    } else {
        magnitude_remainder(&value.clone().into_parts().1, modulus)
    };
    if value.is_negative() && rest != 0 { modulus - rest } else { rest }
}

fn magnitude_remainder(value: &UBig, modulus: u64) -> u64 {
    match u64::try_from(value) {
        Ok(small) => small % modulus,
        Err(_) => u64::try_from(value % UBig::from(modulus)).unwrap_or(0),
    }
}

pub(super) fn residue_of_name(name: &[u8], prime: u64) -> u64 {
    residue_of_bytes(name.iter().copied(), prime)
}

pub(super) fn residue_of_bytes(bytes: impl Iterator<Item = u8>, prime: u64) -> u64 {
    // FNV-1a, then a finaliser: any fixed function of the name serves
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in bytes {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^= hash >> 31;
    hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^= hash >> 29;
    2 + hash % (prime - 3)
}

/// A prime that depends on a text, so that the text cannot have been made to suit it.
pub(super) fn drawn_prime(text: &[u8]) -> u64 {
    let start = residue_of_name(text, 1 << 60);
    let mut candidate = (1 << 60) + (start | 1);
    while !is_prime(candidate) {
        candidate += 2;
    }
    candidate
}

/// Deterministic Miller-Rabin for 64-bit numbers.
fn is_prime(number: u64) -> bool {
    let (mut odd, mut twos) = (number - 1, 0);
    while odd.is_multiple_of(2) {
        odd /= 2;
        twos += 1;
    }
    [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37].into_iter().all(|witness| {
        let mut power = raise(witness, odd, number);
        if power == 1 || power == number - 1 {
            return true;
        }
        (1..twos).any(|_| {
            power = multiply(power, power, number);
            power == number - 1
        })
    })
}

pub(super) fn add(left: u64, right: u64, prime: u64) -> u64 {
    let sum = left + right;
    if sum >= prime { sum - prime } else { sum }
}

pub(super) fn negate(value: u64, prime: u64) -> u64 {
    if value == 0 { 0 } else { prime - value }
}

pub(super) fn multiply(left: u64, right: u64, prime: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    let reciprocal = match prime {
        prime if prime == PRIMES[0] => RECIPROCALS[0],
        prime if prime == PRIMES[1] => RECIPROCALS[1],
        _ => return (product % u128::from(prime)) as u64,
    };
    // Barrett: the quotient is at most two too small
    let quotient = ((product >> 60) * reciprocal) >> 62;
    let mut rest = (product - quotient * u128::from(prime)) as u64;
    while rest >= prime {
        rest -= prime;
    }
    rest
}

pub(super) fn raise(base: u64, exponent: u64, prime: u64) -> u64 {
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

pub(super) fn divide(numerator: u64, denominator: u64, prime: u64) -> Result<u64, Stop> {
    if denominator == 0 {
        return Err(Stop::Stuck(Stuck::Undefined));
    }
    if denominator == 1 {
        return Ok(numerator);
    }
    Ok(multiply(numerator, inverse(denominator, prime), prime))
}

/// The inverse of a residue that is not zero (Euclid's algorithm, extended).
fn inverse(value: u64, prime: u64) -> u64 {
    let (mut above, mut rest) = (prime, value);
    // modulo the prime, `rest = value * factor` holds in every row; factors stay below the prime in magnitude
    let (mut factor_above, mut factor) = (0_i64, 1_i64);
    while rest > 1 {
        let quotient = above / rest;
        (above, rest) = (rest, above - quotient * rest);
        (factor_above, factor) = (factor, factor_above - quotient as i64 * factor);
    }
    if factor < 0 { prime - factor.unsigned_abs() } else { factor as u64 }
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
    fn the_moduli_are_prime_and_have_a_root_of_minus_one() {
        for (prime, imaginary) in PRIMES.into_iter().zip(IMAGINARY) {
            assert!(is_prime(prime), "{prime}");
            assert_eq!(multiply(imaginary, imaginary, prime), prime - 1);
        }
        assert!(!is_prime(PRIMES[0] - 2) || !is_prime(PRIMES[0] - 4));
        assert!(!is_prime(2_147_483_647 * 536_870_909));
    }

    #[test]
    fn inverses_are_those_of_fermat() {
        for prime in [PRIMES[0], PRIMES[1], drawn_prime(b"x"), 13] {
            let drawn = (0..500_u64).map(|index| residue_of_name(&index.to_le_bytes(), prime));
            for value in [1, 2, 3, prime / 2, prime - 2, prime - 1].into_iter().chain(drawn) {
                let value = value % prime;
                assert_eq!(inverse(value, prime), raise(value, prime - 2, prime), "{value} {prime}");
            }
        }
    }

    #[test]
    fn remainders_of_small_and_large_numbers_are_not_negative() {
        for text in ["0", "-1", "-9223372036854775808", "9223372036854775807", "-18446744073709551617"] {
            let value: IBig = text.parse().unwrap();
            for modulus in [7, PRIMES[0]] {
                let expected = ((&value % IBig::from(modulus)) + IBig::from(modulus)) % IBig::from(modulus);
                assert_eq!(IBig::from(remainder(&value, modulus)), expected, "{text} {modulus}");
            }
        }
    }

    #[test]
    fn products_are_reduced_as_by_division() {
        for prime in PRIMES {
            let values = [0, 1, 2, 3, 1 << 30, (1 << 60) - 1, 1 << 60, prime / 2, prime - 2, prime - 1];
            let drawn = (0..500_u64).map(|index| residue_of_name(&index.to_le_bytes(), prime));
            let values: Vec<u64> = values.into_iter().chain(drawn).collect();
            for left in &values {
                for right in &values {
                    let expected = u128::from(*left) * u128::from(*right) % u128::from(prime);
                    assert_eq!(
                        u128::from(multiply(*left, *right, prime)),
                        expected,
                        "{left} {right} {prime}"
                    );
                }
            }
        }
    }

    #[test]
    fn drawn_primes_depend_on_what_they_are_drawn_for() {
        let drawn: Vec<u64> = ["x", "y", "x+1"].map(|text| drawn_prime(text.as_bytes())).to_vec();
        assert!(drawn.iter().all(|prime| is_prime(*prime) && *prime > 1 << 60));
        assert!(drawn[0] != drawn[1] && drawn[1] != drawn[2]);
    }
}
