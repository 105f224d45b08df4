//! Kernels: functions without a residue of their own, as residues that depend on their arguments' residues.
//!
//! Identities of exponents, logarithms, roots, factorials and binomials are rewritten first (`a^{u+v} = a^u a^v`,
//! `\log_b u = \ln u / \ln b`, `\ln 12 = 2\ln 2 + \ln 3`, `(n+1)! = (n+1) n!`): what agrees then agrees for whatever values
//! the kernels have, so it is equal wherever both sides are defined. What does not agree may still be equal.

use std::iter;

use dashu_base::{Inverse, Signed};
use dashu_int::IBig;
use dashu_ratio::RBig;

use super::factors::{factors, positive_parts};
use super::linear::Linear;
use super::modular::{
    IMAGINARY, PRIMES, ROOTED, Residues, add, divide, multiply, negate, product_of_range, raise, rational,
    residue_of_bytes, residue_of_name,
};
use super::{Stop, Stuck, exact, is_above_zero};
use crate::expression::{Expr, Function};
use crate::fuel::Fuel;

/// Whole numbers added to a factorial's argument are multiplied out up to this.
const MAXIMUM_SHIFT: i64 = 64;
/// Binomials with a lower number up to this are polynomials of the upper one.
const MAXIMUM_LOWER: i64 = 256;
/// A name that nobody can write.
const TURN: &str = "\u{1}turn";
/// Indices of roots beyond this are left to numbers.
const MAXIMUM_ROOT: u64 = 64;

impl Residues {
    /// The residue that stands for a node without one of its own.
    pub(super) fn kernel(self, expr: &Expr, fuel: &mut Fuel) -> Result<u64, Stop> {
        let prime = self.prime;
        match expr {
            Expr::Pi => Ok(self.named(b"pi", &[])),
            Expr::Euler => Ok(self.named(b"e", &[])),
            Expr::Imaginary => self.imaginary(),
            Expr::Degrees(inner) => {
                let turn = multiply(self.of(inner, fuel)?, self.named(b"pi", &[]), prime);
                divide(turn, 180, prime)
            }
            Expr::Root(radicand, index) => {
                let index = exact::evaluate(index, fuel)?;
                if !index.is_int() || index.is_zero() || index.is_negative() {
                    return Err(Stop::Stuck(Stuck::NotRational));
                }
                self.rational_power(radicand, &index.inv(), fuel)
            }
            Expr::Call(function, items) => self.call(*function, items, fuel),
            _ => Err(Stop::Stuck(Stuck::NotRational)),
        }
    }

    /// The residue of a kernel with these arguments.
    fn named(self, name: &[u8], arguments: &[u64]) -> u64 {
        let arguments = arguments.iter().flat_map(|argument| iter::once(b'(').chain(argument.to_le_bytes()));
        residue_of_bytes(name.iter().copied().chain(arguments), self.prime)
    }

    fn call(self, function: Function, items: &[Expr], fuel: &mut Fuel) -> Result<u64, Stop> {
        let prime = self.prime;
        let first = items.first().ok_or(Stuck::NotRational)?;
        match function {
            Function::Ln => self.logarithm(first, fuel),
            Function::Log => {
                divide(self.logarithm(first, fuel)?, self.logarithm(&Expr::integer(10), fuel)?, prime)
            }
            Function::LogBase => {
                let argument = items.get(1).ok_or(Stuck::NotRational)?;
                divide(self.logarithm(argument, fuel)?, self.logarithm(first, fuel)?, prime)
            }
            Function::Exp => self.symbolic_power(&Expr::Euler, first, fuel),
            Function::Sin | Function::Cos | Function::Tan | Function::Cot | Function::Sec | Function::Csc => {
                let (sine, cosine) = self.wave(first, fuel)?;
                match function {
                    Function::Sin => Ok(sine),
                    Function::Cos => Ok(cosine),
                    Function::Tan => divide(sine, cosine, prime),
                    Function::Cot => divide(cosine, sine, prime),
                    Function::Sec => divide(1, cosine, prime),
                    _ => divide(1, sine, prime),
                }
            }
            Function::Sinh | Function::Cosh | Function::Tanh => {
                let forward = self.symbolic_power(&Expr::Euler, first, fuel)?;
                let backward = divide(1, forward, prime)?;
                let sum = add(forward, backward, prime);
                let difference = add(forward, negate(backward, prime), prime);
                match function {
                    Function::Sinh => divide(difference, 2, prime),
                    Function::Cosh => divide(sum, 2, prime),
                    _ => divide(difference, sum, prime),
                }
            }
            Function::Arcsin => Ok(self.odd(b"arcsin", self.of(first, fuel)?)),
            Function::Arctan => Ok(self.odd(b"arctan", self.of(first, fuel)?)),
            Function::Arccos => Ok(self.named(b"arccos", &[self.of(first, fuel)?])),
            Function::Abs => Ok(self.even(b"abs", self.of(first, fuel)?)),
            Function::Floor => Ok(self.named(b"floor", &[self.of(first, fuel)?])),
            Function::Ceiling => {
                let opposite = negate(self.of(first, fuel)?, prime);
                Ok(negate(self.named(b"floor", &[opposite]), prime))
            }
            Function::Max | Function::Min | Function::Gcd | Function::Lcm => {
                let mut arguments =
                    items.iter().map(|item| self.of(item, fuel)).collect::<Result<Vec<u64>, Stop>>()?;
                arguments.sort_unstable();
                Ok(self.named(format!("{function:?}").as_bytes(), &arguments))
            }
            Function::Factorial => self.factorial(first, fuel),
            Function::Binomial => self.binomial(first, items.get(1).ok_or(Stuck::NotRational)?, fuel),
            _ => Err(Stop::Stuck(Stuck::NotRational)),
        }
    }

    fn imaginary(self) -> Result<u64, Stop> {
        let index = PRIMES.iter().position(|known| *known == self.prime);
        index.and_then(|index| IMAGINARY.get(index).copied()).ok_or(Stop::Stuck(Stuck::NotRational))
    }

    /// Sine and cosine of an angle.
    fn wave(self, angle: &Expr, fuel: &mut Fuel) -> Result<(u64, u64), Stop> {
        let prime = self.prime;
        if !self.with_turns {
            let angle = self.of(angle, fuel)?;
            return Ok((self.odd(b"sin", angle), self.even(b"cos", angle)));
        }
        // of `e^{iu}` no more is asked than that it is a power of something
        let turn = self.symbolic_power(&Expr::Symbol(TURN.into()), angle, fuel)?;
        let back = divide(1, turn, prime)?;
        let sine =
            divide(add(turn, negate(back, prime), prime), multiply(2, self.imaginary()?, prime), prime)?;
        Ok((sine, divide(add(turn, back, prime), 2, prime)?))
    }

    /// A function with `f(-u) = -f(u)`.
    fn odd(self, name: &[u8], argument: u64) -> u64 {
        let opposite = negate(argument, self.prime);
        if argument == 0 {
            0
        } else if argument <= opposite {
            self.named(name, &[argument])
        } else {
            negate(self.named(name, &[opposite]), self.prime)
        }
    }

    /// A function with `f(-u) = f(u)`.
    fn even(self, name: &[u8], argument: u64) -> u64 {
        self.named(name, &[argument.min(negate(argument, self.prime))])
    }

    fn logarithm(self, argument: &Expr, fuel: &mut Fuel) -> Result<u64, Stop> {
        let prime = self.prime;
        match argument {
            Expr::Euler => return Ok(1),
            Expr::Power(base, exponent) if **base == Expr::Euler => {
                if let Ok(exponent) = exact::evaluate(exponent, fuel) {
                    return rational(&exponent, prime);
                }
            }
            _ => {}
        }
        if let Expr::Power(base, exponent) = argument
            && let Some(power) = self.odd_power(base, exponent, fuel)?
        {
            return Ok(multiply(self.logarithm(base, fuel)?, power, prime));
        }
        if let Expr::Root(radicand, index) = argument
            && let Ok(index) = exact::evaluate(index, fuel)
            && is_above_zero(&index)
        {
            return divide(self.logarithm(radicand, fuel)?, rational(&index, prime)?, prime);
        }
        if let Some(parts) = positive_parts(argument) {
            return parts.into_iter().try_fold(0, |total, (part, above)| {
                let logarithm = self.logarithm(part, fuel)?;
                Ok(add(total, if above { logarithm } else { negate(logarithm, prime) }, prime))
            });
        }
        match exact::evaluate(argument, fuel) {
            Ok(value) if value.is_positive() && !value.is_zero() => {
                let mut total = 0;
                for (factor, power) in factors(&value, fuel)? {
                    let factor = rational(&RBig::from(factor), prime)?;
                    let logarithm = self.named(b"ln", &[factor]);
                    let power = rational(&RBig::from(power), prime)?;
                    total = add(total, multiply(logarithm, power, prime), prime);
                }
                Ok(total)
            }
            Err(Stop::Fuel) => Err(Stop::Fuel),
            _ => Ok(self.named(b"ln", &[self.of(argument, fuel)?])),
        }
    }

    /// The residue of an exponent that a logarithm lets go in front, because the power is positive only where its base is:
    /// an odd number, a fraction, or one with letters in it.
    fn odd_power(self, base: &Expr, exponent: &Expr, fuel: &mut Fuel) -> Result<Option<u64>, Stop> {
        match exact::evaluate(exponent, fuel) {
            Ok(power) => {
                let even = power.is_int() && (power.numerator() % IBig::from(2)).is_zero();
                Ok(if even { None } else { Some(rational(&power, self.prime)?) })
            }
            Err(Stop::Fuel) => Err(Stop::Fuel),
            Err(_) if matches!(base, Expr::Symbol(_)) || !base.has_symbols() => {
                Ok(Some(self.of(exponent, fuel)?))
            }
            Err(_) => Ok(None),
        }
    }

    /// `u^{p/q}` as a whole power times a root to a power below its index.
    pub(super) fn rational_power(self, base: &Expr, exponent: &RBig, fuel: &mut Fuel) -> Result<u64, Stop> {
        let index = u64::try_from(exponent.denominator()).map_err(|_| Stuck::NotRational)?;
        if index > MAXIMUM_ROOT {
            return Err(Stop::Stuck(Stuck::NotRational));
        }
        if index == 1 {
            return self.integer_power(self.of(base, fuel)?, exponent);
        }
        if let Expr::Symbol(name) = base
            && self.with_roots
            && ROOTED.is_multiple_of(index)
        {
            let root = raise(residue_of_name(name.as_bytes(), self.prime), ROOTED / index, self.prime);
            return self.integer_power(root, &RBig::from(exponent.numerator().clone()));
        }
        if let Some(parts) = positive_parts(base) {
            return parts.into_iter().try_fold(1, |product, (part, above)| {
                let power = self.rational_power(
                    part,
                    &if above { exponent.clone() } else { -exponent.clone() },
                    fuel,
                )?;
                Ok(multiply(product, power, self.prime))
            });
        }
        // `(u^a)^{1/q}` is not `u^{a/q}` for negative `u`: the base is taken as it is
        match exact::evaluate(base, fuel) {
            Ok(value) if value.is_positive() && !value.is_zero() => {
                let mut product = 1;
                for (factor, power) in factors(&value, fuel)? {
                    let factor = rational(&RBig::from(factor), self.prime)?;
                    let part = if power == 1 {
                        self.root_power(factor, exponent)?
                    } else {
                        self.root_power(factor, &(exponent * RBig::from(power)))?
                    };
                    product = multiply(product, part, self.prime);
                }
                Ok(product)
            }
            Err(Stop::Fuel) => Err(Stop::Fuel),
            Ok(_) => Err(Stop::Stuck(Stuck::NotRational)),
            Err(_) => self.root_power(self.of(base, fuel)?, exponent),
        }
    }

    fn root_power(self, base: u64, exponent: &RBig) -> Result<u64, Stop> {
        if exponent.is_negative() {
            return divide(1, self.root_power(base, &-exponent.clone())?, self.prime);
        }
        let index = u64::try_from(exponent.denominator()).map_err(|_| Stuck::NotRational)?;
        let root = || self.named(b"root", &[index, base]);
        if let Ok(above) = u64::try_from(exponent.numerator())
            && above < index
        {
            return Ok(raise(root(), above, self.prime));
        }
        let whole = exponent.floor();
        let rest = exponent - RBig::from(whole.clone());
        let power = self.integer_power(base, &RBig::from(whole))?;
        if index == 1 {
            return Ok(power);
        }
        let above = u64::try_from(rest.numerator()).map_err(|_| Stuck::NotRational)?;
        Ok(multiply(power, raise(root(), above, self.prime), self.prime))
    }

    /// `b^{u+v} = b^u b^v`, `b^{2u} = (b^u)^2`, `12^u = 2^{2u} 3^u`, `(ab)^u = a^u b^u`, `(a^u)^v = a^{uv}`, `e^{\ln u} = u`.
    pub(super) fn symbolic_power(self, base: &Expr, exponent: &Expr, fuel: &mut Fuel) -> Result<u64, Stop> {
        if let Some(value) = undone(base, exponent) {
            return self.of(value, fuel);
        }
        if !matches!(base, Expr::Euler) && exponent.has_symbols() {
            match base {
                Expr::Product(items) if base.has_symbols() => {
                    return items.iter().try_fold(1, |product, item| {
                        Ok(multiply(product, self.symbolic_power(item, exponent, fuel)?, self.prime))
                    });
                }
                Expr::Quotient(above, below) if base.has_symbols() => {
                    let above = self.symbolic_power(above, exponent, fuel)?;
                    return divide(above, self.symbolic_power(below, exponent, fuel)?, self.prime);
                }
                Expr::Power(inner, power) if power.has_symbols() => {
                    let powers = Expr::Product(vec![(**power).clone(), exponent.clone()]);
                    return self.symbolic_power(inner, &powers, fuel);
                }
                _ => {}
            }
        }
        let linear = Linear::of(exponent, fuel)?;
        let bases = match exact::evaluate(base, fuel) {
            Ok(value) if !value.is_zero() => {
                let mut bases = Vec::new();
                if value.is_negative() {
                    bases.push((Expr::integer(-1), RBig::ONE));
                }
                let magnitude = if value.is_negative() { -value } else { value };
                for (factor, power) in factors(&magnitude, fuel)? {
                    let number = crate::expression::Number { value: RBig::from(factor), decimal: None };
                    bases.push((Expr::Number(number), RBig::from(power)));
                }
                bases
            }
            Err(Stop::Fuel) => return Err(Stop::Fuel),
            _ => vec![(base.clone(), RBig::ONE)],
        };
        let mut product = 1;
        for (base, power) in bases {
            let constant = &linear.constant * &power;
            if !constant.is_zero() {
                let part = self.rational_power(&base, &constant, fuel)?;
                product = multiply(product, part, self.prime);
            }
            let unit = &base;
            let base = self.of(&base, fuel)?;
            for (coefficient, term) in &linear.terms {
                let coefficient = coefficient * &power;
                if let Some(value) = undone(unit, term)
                    && coefficient.is_int()
                {
                    let value = self.of(value, fuel)?;
                    product = multiply(product, self.integer_power(value, &coefficient)?, self.prime);
                    continue;
                }
                let term = self.of(term, fuel)?;
                let index = rational(&RBig::from(coefficient.denominator().clone()), self.prime)?;
                let kernel = self.named(b"power", &[base, term, index]);
                let whole = RBig::from(coefficient.numerator().clone());
                product = multiply(product, self.integer_power(kernel, &whole)?, self.prime);
            }
        }
        Ok(product)
    }

    /// `(n + k)!` by `n!`.
    fn factorial(self, argument: &Expr, fuel: &mut Fuel) -> Result<u64, Stop> {
        let shift = whole_shift(&Linear::of(argument, fuel)?.constant);
        let argument = self.of(argument, fuel)?;
        self.shifted_factorial(argument, shift)
    }

    /// The factorial of a residue that has this whole number in it.
    fn shifted_factorial(self, argument: u64, shift: i64) -> Result<u64, Stop> {
        let prime = self.prime;
        let step = |by: i64| Ok::<u64, Stop>(add(argument, rational(&RBig::from(by), prime)?, prime));
        let base = step(-shift)?;
        let mut value = self.named(b"factorial", &[base]);
        for index in 0..shift {
            value = multiply(value, step(-index)?, prime);
        }
        for index in shift..0 {
            value = divide(value, step(-index)?, prime)?;
        }
        Ok(value)
    }

    fn binomial(self, upper: &Expr, lower: &Expr, fuel: &mut Fuel) -> Result<u64, Stop> {
        let prime = self.prime;
        let (upper_linear, lower_linear) = (Linear::of(upper, fuel)?, Linear::of(lower, fuel)?);
        let upper = self.of(upper, fuel)?;
        if let Some(steps) = exact::evaluate(lower, fuel).ok().and_then(|lower| exact::small(&lower))
            && (0..=MAXIMUM_LOWER).contains(&steps)
        {
            let mut product = 1;
            for step in 0..steps {
                let step = rational(&RBig::from(step), prime)?;
                product = multiply(product, add(upper, negate(step, prime), prime), prime);
            }
            return divide(product, product_of_range(1, steps as u64, prime, fuel)?, prime);
        }
        let lower = self.of(lower, fuel)?;
        let rest = add(upper, negate(lower, prime), prime);
        let rest_shift = whole_shift(&(&upper_linear.constant - &lower_linear.constant));
        let above = self.shifted_factorial(upper, whole_shift(&upper_linear.constant))?;
        let below = self.shifted_factorial(lower, whole_shift(&lower_linear.constant))?;
        let beside = self.shifted_factorial(rest, rest_shift)?;
        divide(above, multiply(below, beside, prime), prime)
    }
}

/// The `u` of `e^{\ln u}`, `10^{\log u}` and `b^{\log_b u}`.
fn undone<'a>(base: &Expr, exponent: &'a Expr) -> Option<&'a Expr> {
    let Expr::Call(function, items) = exponent else { return None };
    match (function, items.as_slice()) {
        (Function::Ln, [value]) if *base == Expr::Euler => Some(value),
        (Function::Log, [value]) if *base == Expr::integer(10) => Some(value),
        (Function::LogBase, [own, value]) if own == base => Some(value),
        _ => None,
    }
}

/// The whole number to take out of a factorial's argument.
fn whole_shift(constant: &RBig) -> i64 {
    exact::small(constant).filter(|shift| shift.abs() <= MAXIMUM_SHIFT).unwrap_or(0)
}
