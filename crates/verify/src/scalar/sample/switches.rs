//! Where branches change: the zeros of what is under a modulus, a root or a logarithm, and points between them.

use dashu_int::IBig;
use dashu_ratio::RBig;

use super::super::approximate::approximate;
use super::{MAXIMUM_NUMERALS, Values, generic};
use crate::expression::{Expr, Function, Name};

/// More places where branches change are not looked at.
const MAXIMUM_SWITCHES: usize = 8;

/// What changes a branch where it is zero, and what jumps where it is whole.
pub(super) fn collect(expr: &Expr, switches: &mut Vec<Expr>, steps: &mut Vec<Expr>) {
    let add = |list: &mut Vec<Expr>, found: &Expr| {
        if list.len() < MAXIMUM_SWITCHES && found.has_symbols() && !list.contains(found) {
            list.push(found.clone());
        }
    };
    match expr {
        Expr::Call(Function::Abs | Function::Ln | Function::Log, items) => {
            for item in items {
                add(switches, item);
            }
        }
        Expr::Call(Function::LogBase, items) => items.iter().skip(1).for_each(|item| add(switches, item)),
        Expr::Call(Function::Max | Function::Min, items) => {
            for pair in items.windows(2) {
                if let [first, second] = pair {
                    let difference = Expr::Sum(vec![first.clone(), Expr::Negate(Box::new(second.clone()))]);
                    add(switches, &difference);
                }
            }
        }
        Expr::Call(Function::Floor | Function::Ceiling, items) => {
            for item in items {
                add(steps, item);
            }
        }
        Expr::Root(radicand, _) => add(switches, radicand),
        Expr::Power(base, exponent) => {
            let whole = matches!(&**exponent, Expr::Number(number) if number.value.is_int());
            if !whole && !matches!(**exponent, Expr::Negate(_)) {
                add(switches, base);
            }
        }
        _ => {}
    }
    expr.any_child(&mut |child| {
        collect(child, switches, steps);
        false
    });
}

/// Places between which signs are looked at: of all sizes, and on both sides of the constants of both expressions.
pub(super) fn grid(left: &Expr, right: &Expr) -> Vec<f64> {
    const GRID: [f64; 43] = [
        -1e15, -1e12, -1e9, -1e7, -1e6, -1e4, -1e3, -331.0, -101.3, -57.1, -31.7, -17.3, -10.6, -7.7, -5.3,
        -3.6, -2.4, -1.7, -1.1, -0.4, -1e-3, 1e-3, 0.07, 0.3, 0.8, 1.3, 1.9, 2.6, 3.4, 4.7, 6.1, 8.3, 11.7,
        19.1, 37.3, 73.9, 211.7, 1_117.0, 1e6, 1e7, 1e9, 1e12, 1e15,
    ];
    fn collect(expr: &Expr, found: &mut Vec<f64>) {
        let value = match expr {
            Expr::Number(number) => number.value.to_f64().value(),
            Expr::Power(base, exponent) => match (&**base, &**exponent) {
                (Expr::Number(base), Expr::Number(exponent)) => {
                    base.value.to_f64().value().powf(exponent.value.to_f64().value())
                }
                _ => 0.0,
            },
            _ => 0.0,
        };
        let known = found.iter().any(|other| (other - value).abs() < 1e-12 * value.abs());
        if found.len() < MAXIMUM_NUMERALS && value != 0.0 && value.abs() < 1e15 && !known {
            found.push(value);
        }
        expr.any_child(&mut |child| {
            collect(child, found);
            false
        });
    }
    let mut constants = Vec::new();
    collect(left, &mut constants);
    collect(right, &mut constants);
    let mut grid = GRID.to_vec();
    for constant in constants {
        for place in [constant, constant.abs().sqrt(), constant.recip()] {
            grid.extend([-1.02, -0.98, 0.98, 1.02].map(|factor| factor * place));
        }
    }
    grid.sort_by(f64::total_cmp);
    grid
}

/// Points in every stretch between zeros of the switches, along each symbol.
pub(super) fn between_switches(switches: &[Expr], grid: &[f64], names: &[Name], points: &mut Vec<Values>) {
    for index in 0..names.len().min(3) {
        for round in 0..if names.len() > 1 { 2 } else { 1 } {
            let base = generic(names, round + 2);
            let mut floats: Vec<(Name, f64)> =
                base.iter().map(|(name, value)| (name.clone(), value.to_f64().value())).collect();
            let mut zeros: Vec<f64> = Vec::new();
            for switch in switches {
                let mut at = |place: f64| {
                    if let Some(entry) = floats.get_mut(index) {
                        entry.1 = place;
                    }
                    approximate(switch, &floats)
                };
                zeros_along(grid, &mut at, &mut zeros);
            }
            zeros.sort_by(f64::total_cmp);
            zeros.dedup_by(|next, kept| (*next - *kept).abs() <= 1e-12 * (1e-3 + kept.abs()));
            thin_out(&mut zeros);
            let (Some(first), Some(last)) = (zeros.first().copied(), zeros.last().copied()) else { continue };
            let outside =
                [first - 1.0 - first.abs() / 2.0, last + 1.0 + last.abs() / 2.0].map(|place| (place, 1.0));
            let inside = zeros.windows(2).filter_map(|pair| match pair {
                [low, high] => Some((low + (high - low) * 0.382, high - low)),
                _ => None,
            });
            for (place, width) in outside.into_iter().chain(inside) {
                let mut values = base.clone();
                if let (Some(entry), Some(place)) = (values.get_mut(index), fraction(place, width)) {
                    entry.1 = place;
                    points.push(values);
                }
            }
        }
    }
}

/// Leaves some of very many zeros, as waves have them: those around the middle, and a few of the others.
fn thin_out(zeros: &mut Vec<f64>) {
    const NEAR: usize = 10;
    const FAR: usize = 6;
    if zeros.len() <= NEAR + FAR {
        return;
    }
    zeros.sort_by(|left, right| left.abs().total_cmp(&right.abs()));
    let step = (zeros.len() - NEAR).div_ceil(FAR);
    let mut index = 0;
    zeros.retain(|_| {
        index += 1;
        index <= NEAR || (index - NEAR).is_multiple_of(step)
    });
    zeros.sort_by(f64::total_cmp);
}

/// Where a function of one place changes its sign or touches zero.
fn zeros_along(grid: &[f64], at: &mut dyn FnMut(f64) -> Option<f64>, zeros: &mut Vec<f64>) {
    let values: Vec<Option<f64>> = grid.iter().map(|place| at(*place)).collect();
    for (places, pair) in grid.windows(2).zip(values.windows(2)) {
        if let ([low, high], [Some(below), Some(above)]) = (places, pair)
            && below.is_sign_negative() != above.is_sign_negative()
        {
            let (mut low, mut high) = (*low, *high);
            for _ in 0..40 {
                let middle = f64::midpoint(low, high);
                match at(middle) {
                    Some(value) if value.is_sign_negative() == below.is_sign_negative() => low = middle,
                    Some(_) => high = middle,
                    None => break,
                }
            }
            zeros.push(f64::midpoint(low, high));
        }
    }
    for (places, triple) in grid.windows(3).zip(values.windows(3)) {
        let ([low, _, high], [Some(before), Some(here), Some(after)]) = (places, triple) else { continue };
        // an exponential that vanishes in floating point touches nothing
        let flat = *here == 0.0 && (*before == 0.0 || *after == 0.0);
        if !flat && here.abs() <= before.abs() && here.abs() <= after.abs() {
            // the least magnitude between the neighbours
            let (mut low, mut high) = (*low, *high);
            for _ in 0..60 {
                let (first, second) = (low + (high - low) * 0.382, low + (high - low) * 0.618);
                match (at(first), at(second)) {
                    (Some(left), Some(right)) if left.abs() < right.abs() => high = second,
                    (Some(_), Some(_)) => low = first,
                    _ => break,
                }
            }
            let place = f64::midpoint(low, high);
            // the bottom is flat, and found to half the digits only
            let known = zeros.iter().any(|zero| (zero - place).abs() <= 1e-6 * (1.0 + place.abs()));
            if !known {
                zeros.push(place);
            }
        }
    }
}

/// A number near a place, nearer than a stretch of this width reaches, with a denominator of its own.
fn fraction(place: f64, width: f64) -> Option<RBig> {
    const LARGEST: f64 = 9e18;
    let mut denominator = 1_009.0;
    while denominator * width < 64.0 && denominator < 1e15 {
        denominator *= 10.0;
    }
    let numerator = (place * denominator).round();
    (numerator.abs() < LARGEST)
        .then(|| RBig::from_parts(IBig::from(numerator as i64), (denominator as u64).into()))
}
