//! Exponential, logarithm, trigonometry and rounding of balls.

use dashu_base::Abs;
use dashu_float::round::mode::HalfEven;
use dashu_int::IBig;
use dashu_ratio::RBig;

use super::ball::{Arithmetic, Ball, EXACT, Real, error_sum, magnitude, zero};
use super::{Stop, Stuck};

impl Arithmetic<'_> {
    pub(crate) fn exp(&mut self, value: &Ball) -> Result<Ball, Stop> {
        self.pay(150)?;
        if value.magnitude() > 22 {
            return Err(Stop::Stuck(Stuck::TooLarge));
        }
        if value.error > -8 {
            return Err(Stop::Stuck(Stuck::Unclear));
        }
        let modulus = self.context.exp(value.re.repr(), Some(&mut *self.cache))?.value();
        let size = magnitude(&modulus);
        let carried = if value.error <= EXACT { EXACT } else { value.error + size + 2 };
        let error = error_sum(carried, self.rounding(size + 1));
        if value.is_real() {
            return Self::finish(modulus, zero(), error);
        }
        self.pay(120)?;
        let (sine, cosine) = self.context.sin_cos(value.im.repr(), Some(&mut *self.cache));
        let re = self.multiply_reals(&modulus, &cosine?.value())?;
        let im = self.multiply_reals(&modulus, &sine?.value())?;
        Self::finish(re, im, error + 2)
    }

    /// The principal logarithm.
    pub(crate) fn ln(&mut self, value: &Ball) -> Result<Ball, Stop> {
        self.pay(280)?;
        if value.contains_zero() {
            return Err(Stop::Stuck(if value.error <= EXACT { Stuck::Undefined } else { Stuck::Unclear }));
        }
        let carried = if value.error <= EXACT { EXACT } else { value.error - value.magnitude() + 3 };
        if value.is_real() {
            let positive = value.re.clone().abs();
            let modulus = self.context.ln(positive.repr(), Some(&mut *self.cache))?.value();
            let size = magnitude(&modulus);
            let im = if value.is_negative() {
                self.cache.pi::<2, HalfEven>(self.precision).value()
            } else {
                zero()
            };
            let error = error_sum(carried, self.rounding(size.max(magnitude(&im))));
            return Self::finish(modulus, im, error);
        }
        self.pay(280)?;
        let first = self.multiply_reals(&value.re, &value.re)?;
        let second = self.multiply_reals(&value.im, &value.im)?;
        let squares = self.add_reals(&first, &second)?;
        let doubled = self.context.ln(squares.repr(), Some(&mut *self.cache))?.value();
        let half = Real::ONE >> 1;
        let modulus = self.multiply_reals(&doubled, &half)?;
        let argument = self.context.atan2(value.im.repr(), value.re.repr(), Some(&mut *self.cache))?.value();
        // |z| near one: the logarithm is small, its error is that of |z|^2
        let error = error_sum(carried, self.rounding(magnitude(&modulus).max(magnitude(&argument)).max(2)));
        Self::finish(modulus, argument, error)
    }

    pub(crate) fn power_by_logarithm(&mut self, base: &Ball, exponent: &Ball) -> Result<Ball, Stop> {
        let logarithm = self.ln(base)?;
        let product = self.multiply(&logarithm, exponent)?;
        self.exp(&product)
    }

    /// Sine and cosine.
    pub(crate) fn sin_cos(&mut self, value: &Ball) -> Result<(Ball, Ball), Stop> {
        if !value.is_real() {
            return self.complex_sin_cos(value);
        }
        self.pay(130)?;
        if value.magnitude() > 64 {
            return Err(Stop::Stuck(Stuck::TooLarge));
        }
        let (sine, cosine) = self.context.sin_cos(value.re.repr(), Some(&mut *self.cache));
        let error = error_sum(value.error, self.rounding(1));
        let exact = value.is_exactly_zero();
        Ok((
            Self::finish(sine?.value(), zero(), if exact { EXACT } else { error })?,
            Self::finish(cosine?.value(), zero(), if exact { EXACT } else { error })?,
        ))
    }

    fn complex_sin_cos(&mut self, value: &Ball) -> Result<(Ball, Ball), Stop> {
        let unit = Self::imaginary()?;
        let rotated = self.multiply(value, &unit)?;
        let forward = self.exp(&rotated)?;
        let backward = self.invert(&forward)?;
        let half = self.rational(&RBig::from_parts(IBig::ONE, 2_u8.into()))?;
        let sum = self.add(&forward, &backward)?;
        let difference = self.subtract(&forward, &backward)?;
        let cosine = self.multiply(&sum, &half)?;
        let minus_unit = Self::negate(unit);
        let halved = self.multiply(&difference, &half)?;
        Ok((self.multiply(&halved, &minus_unit)?, cosine))
    }

    /// The angle of the point `(x, y)`, both real.
    pub(crate) fn angle(&mut self, y: &Ball, x: &Ball) -> Result<Ball, Stop> {
        self.pay(300)?;
        if !y.is_real() || !x.is_real() {
            return Err(Stop::Stuck(Stuck::Undefined));
        }
        if y.contains_zero() && x.contains_zero() {
            return Err(Stop::Stuck(Stuck::Unclear));
        }
        let angle = self.context.atan2(y.re.repr(), x.re.repr(), Some(&mut *self.cache))?.value();
        let carried = error_sum(y.error, x.error);
        let size = y.magnitude().max(x.magnitude());
        let carried = if carried <= EXACT { EXACT } else { carried - size + 3 };
        let error = error_sum(carried, self.rounding(2));
        Self::finish(angle, zero(), error)
    }

    pub(crate) fn modulus(&mut self, value: &Ball) -> Result<Ball, Stop> {
        if value.is_real() {
            return Self::finish(value.re.clone().abs(), zero(), value.error);
        }
        let (re, im) = Self::parts(value);
        let first = self.multiply(&re, &re)?;
        let second = self.multiply(&im, &im)?;
        let squares = self.add(&first, &second)?;
        self.square_root(&squares)
    }

    /// The largest whole number not above the value; unclear where the value may be whole.
    pub(crate) fn floor(&mut self, value: &Ball) -> Result<Ball, Stop> {
        if !value.is_real() || value.magnitude() > 4_096 {
            return Err(Stop::Stuck(Stuck::Undefined));
        }
        let floor = value.re.floor();
        if value.error <= EXACT {
            return self.rational(&RBig::from(floor.to_int().value()));
        }
        let fraction = &value.re - &floor;
        let near_below = magnitude(&fraction) <= value.error + 1;
        let near_above = magnitude(&(Real::ONE - fraction)) <= value.error + 1;
        if near_below || near_above {
            return Err(Stop::Stuck(Stuck::Unclear));
        }
        let whole = floor.to_int().value();
        self.rational(&RBig::from(whole))
    }
}
