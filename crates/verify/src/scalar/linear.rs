//! Sums as a constant and other terms.

use dashu_ratio::RBig;

use super::{Stop, exact};
use crate::expression::Expr;
use crate::fuel::Fuel;

/// A sum as its constant and its other terms, each with a coefficient.
pub(super) struct Linear {
    pub(super) constant: RBig,
    pub(super) terms: Vec<(RBig, Expr)>,
}

impl Linear {
    pub(super) fn of(expr: &Expr, fuel: &mut Fuel) -> Result<Self, Stop> {
        let mut linear = Self { constant: RBig::ZERO, terms: Vec::new() };
        linear.collect(expr, RBig::ONE, fuel)?;
        Ok(linear)
    }

    fn collect(&mut self, expr: &Expr, factor: RBig, fuel: &mut Fuel) -> Result<(), Stop> {
        fuel.spend(1)?;
        match exact::evaluate(expr, fuel) {
            Ok(value) => {
                self.constant += value * factor;
                return Ok(());
            }
            Err(stop @ Stop::Fuel) => return Err(stop),
            Err(_) => {}
        }
        match expr {
            Expr::Negate(inner) => self.collect(inner, -factor, fuel),
            Expr::Sum(items) => items.iter().try_for_each(|item| self.collect(item, factor.clone(), fuel)),
            Expr::Quotient(numerator, denominator) => match exact::evaluate(denominator, fuel) {
                Ok(value) if !value.is_zero() => self.collect(numerator, factor / value, fuel),
                _ => {
                    self.terms.push((factor, expr.clone()));
                    Ok(())
                }
            },
            Expr::Product(items) => {
                let mut coefficient = factor;
                let mut rest = Vec::new();
                for item in items {
                    match exact::evaluate(item, fuel) {
                        Ok(value) => coefficient *= value,
                        Err(stop @ Stop::Fuel) => return Err(stop),
                        Err(_) => rest.push(item),
                    }
                }
                if let [only] = rest.as_slice() {
                    return self.collect(only, coefficient, fuel);
                }
                let rest = rest.into_iter().cloned().collect();
                self.terms.push((coefficient, Expr::Product(rest)));
                Ok(())
            }
            other => {
                self.terms.push((factor, other.clone()));
                Ok(())
            }
        }
    }
}
