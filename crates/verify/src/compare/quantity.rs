//! Values with units, percentages, angles.

use std::cmp::Ordering;

use super::Sameness;
use crate::expression::{Decimal, Expr, Number};
use crate::fuel::Fuel;
use crate::scalar;
use crate::units::Unit;

use dashu_ratio::RBig;

/// Whether a unit, a percent sign or a degree sign stands on the whole value.
pub(super) fn is_quantity(expr: &Expr) -> bool {
    match expr {
        Expr::Quantity(..) | Expr::Percent(_) | Expr::Degrees(_) => true,
        Expr::Negate(inner) => is_quantity(inner),
        _ => false,
    }
}

/// What stands on a value.
#[derive(Debug, Clone, PartialEq)]
enum Mark {
    None,
    Percent,
    Degrees,
    Unit(Unit),
}

/// The value and what stands on it.
fn split(expr: &Expr) -> (Expr, Mark) {
    match expr {
        Expr::Quantity(inner, unit) => {
            let (value, mark) = split(inner);
            // `5^\circ \text{ C}` and the like are not angles
            match mark {
                Mark::None if unit.is_angle() => (value, Mark::Degrees),
                Mark::None => (value, Mark::Unit((**unit).clone())),
                _ => (expr.clone(), Mark::None),
            }
        }
        Expr::Percent(inner) => ((**inner).clone(), Mark::Percent),
        Expr::Degrees(inner) => ((**inner).clone(), Mark::Degrees),
        Expr::Negate(inner) => {
            let (value, mark) = split(inner);
            (Expr::Negate(Box::new(value)), mark)
        }
        other => (other.clone(), Mark::None),
    }
}

/// A hundredth of the value; a decimal stays one, with its digits.
fn hundredth(value: &Expr) -> Expr {
    match value {
        Expr::Number(number) => Expr::Number(Number {
            value: &number.value / RBig::from(100),
            decimal: number.decimal.map(|decimal| Decimal { places: decimal.places + 2, ..decimal }),
        }),
        Expr::Negate(inner) => Expr::Negate(Box::new(hundredth(inner))),
        other => Expr::Quotient(Box::new(other.clone()), Box::new(Expr::integer(100))),
    }
}

pub(super) fn same(gold: &Expr, answer: &Expr, fuel: &mut Fuel) -> Sameness {
    let (gold_value, gold_mark) = split(gold);
    let (value, mark) = split(answer);
    if !gold_value.is_scalar() || !value.is_scalar() {
        return Sameness::Different;
    }
    let plain = |fuel: &mut Fuel| scalar::same(&gold_value, &value, fuel);
    match (&gold_mark, &mark) {
        // only the value's own factor of a hundred is forgiven, in either direction of the sign
        (Mark::Percent, Mark::None) | (Mark::None, Mark::Percent) => {
            // a gold of one or less that is no percentage is no number of hundredths
            let hundredths = gold_mark == Mark::Percent
                || scalar::order(&gold_value, &Expr::integer(1), fuel) == Some(Ordering::Greater);
            let whole = if hundredths { plain(fuel) } else { Sameness::Different };
            if whole == Sameness::Equal {
                return whole;
            }
            match gold_mark {
                Mark::Percent => scalar::same(&hundredth(&gold_value), &value, fuel),
                _ => scalar::same(&gold_value, &hundredth(&value), fuel),
            }
        }
        (Mark::Degrees, Mark::None) if value.any(&|node| matches!(node, Expr::Degrees(_))) => {
            // `180^\circ - 60^\circ`
            scalar::equal(gold, &value, fuel)
        }
        // `90^\circ` and `\frac{\pi}{2}`
        (Mark::Degrees, Mark::None) if value.any(&|node| *node == Expr::Pi) && !value.has_symbols() => {
            scalar::equal(gold, &value, fuel)
        }
        (Mark::Degrees, Mark::Unit(unit)) if unit.is_radians() => scalar::equal(gold, &value, fuel),
        (Mark::Unit(unit), Mark::Degrees) if unit.is_radians() => scalar::equal(&gold_value, answer, fuel),
        (Mark::None, Mark::Degrees) => {
            let whole = plain(fuel);
            if whole == Sameness::Equal { whole } else { scalar::equal(&gold_value, answer, fuel) }
        }
        (Mark::None, Mark::None) if one_has_degrees(&gold_value, &value) => {
            scalar::same(&without_degrees(&gold_value), &without_degrees(&value), fuel)
        }
        (Mark::None, Mark::Unit(unit)) if gold_value.has_symbols() && !value.has_symbols() => {
            without_unit(&value, unit, &gold_value, fuel)
        }
        (Mark::None, Mark::None | Mark::Unit(_)) | (_, Mark::None) => match &gold_mark {
            Mark::Unit(unit) => without_unit(&gold_value, unit, &value, fuel),
            _ => plain(fuel),
        },
        (Mark::Percent, Mark::Percent) | (Mark::Degrees, Mark::Degrees) => plain(fuel),
        (Mark::Unit(gold_unit), Mark::Unit(unit)) => converted(&gold_value, gold_unit, &value, unit, fuel),
        _ => Sameness::Different,
    }
}

/// Whether terms of one side alone are marked as degrees, and no pi says that the other one's are not.
pub(super) fn one_has_degrees(gold: &Expr, answer: &Expr) -> bool {
    let marked =
        |expr: &Expr| matches!(expr, Expr::Sum(items) if items.iter().any(is_quantity)) && expr.has_symbols();
    let unmarked = |expr: &Expr| !expr.any(&|node| matches!(node, Expr::Degrees(_) | Expr::Pi));
    (marked(gold) && unmarked(answer)) || (marked(answer) && unmarked(gold))
}

/// A sum without the degree signs on its terms.
fn without_degrees(expr: &Expr) -> Expr {
    let plain = |item: &Expr| match item {
        Expr::Degrees(inner) => (**inner).clone(),
        Expr::Negate(inner) => match &**inner {
            Expr::Degrees(inner) => Expr::Negate(inner.clone()),
            _ => item.clone(),
        },
        other => other.clone(),
    };
    match expr {
        Expr::Sum(items) => Expr::Sum(items.iter().map(plain).collect()),
        other => plain(other),
    }
}

/// An answer without a unit, or with a letter that is the gold's unit.
fn without_unit(gold: &Expr, unit: &Unit, value: &Expr, fuel: &mut Fuel) -> Sameness {
    if let Expr::Product(items) = value
        && let Some((Expr::Symbol(letter), rest)) = items.split_last()
        && !rest.is_empty()
        && !gold.has_symbols()
    {
        let value = Expr::Product(rest.to_vec());
        if let Some(letter) = Unit::named(letter) {
            return converted(gold, unit, &value, &letter, fuel);
        }
        if *letter == unit.symbol {
            return scalar::same(gold, &value, fuel);
        }
    }
    scalar::same(gold, value, fuel)
}

fn converted(gold: &Expr, gold_unit: &Unit, value: &Expr, unit: &Unit, fuel: &mut Fuel) -> Sameness {
    if !gold_unit.converts_to(unit) {
        return Sameness::Different;
    }
    if gold_unit.factor == unit.factor {
        return scalar::same(gold, value, fuel);
    }
    let factor: RBig = &unit.factor / &gold_unit.factor;
    let factor = Expr::Number(crate::expression::Number { value: factor, decimal: None });
    scalar::equal(gold, &Expr::Product(vec![factor, value.clone()]), fuel)
}
