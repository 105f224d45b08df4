//! Points at which two expressions are compared, so that every branch of either is reached.
//!
//! Generic points have unrelated denominators and all patterns of signs. Where a modulus, a maximum, a root or a
//! logarithm changes its branch is found in floating point; points come from between those places. Roundings get whole
//! numbers, halves, the places where their arguments are whole, and numbers around every numeral of the expressions;
//! factorials, binomials and divisors get whole numbers, small ones and around the numerals.

use dashu_int::IBig;
use dashu_ratio::RBig;

use super::approximate::approximate;
use super::exact;
use crate::expression::{Bound, Expr, Function, Name, Number};
use crate::fuel::Fuel;

/// Generic points there are.
pub(super) const ROUNDS: usize = 8;
/// More places where branches change are not looked at.
const MAXIMUM_SWITCHES: usize = 8;
/// More points at branches are not taken.
const MAXIMUM_POINTS: usize = 96;
/// Numerals of the expressions beyond this many, or this large, bring no points.
const MAXIMUM_NUMERALS: usize = 6;
const MAXIMUM_NUMERAL: i64 = 1_000_000;

/// The values of the symbols at one point.
pub(super) type Values = Vec<(Name, RBig)>;

/// Whether a node has a meaning only at whole numbers.
pub(super) fn needs_whole_numbers(expr: &Expr) -> bool {
    match expr {
        Expr::Call(Function::Factorial | Function::Binomial | Function::Gcd | Function::Lcm, items) => {
            items.iter().any(Expr::has_symbols)
        }
        Expr::Power(base, exponent) => exponent.has_symbols() && matches!(**base, Expr::Negate(_)),
        Expr::Iterated(iteration) => {
            [Some(&iteration.from), iteration.to.as_ref()].into_iter().flatten().any(|bound| match bound {
                Bound::At(end) => end.has_symbols(),
                _ => false,
            })
        }
        _ => false,
    }
}

/// The expression with numbers for its symbols.
pub(super) fn substituted(expr: &Expr, values: &[(Name, RBig)]) -> Expr {
    expr.map(&|node| match node {
        Expr::Symbol(name) => values
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| Expr::Number(Number { value: value.clone(), decimal: None })),
        _ => None,
    })
}

/// A generic point: all signs alike in the first two rounds, mixed in the next ones.
pub(super) fn generic(names: &[Name], round: usize) -> Values {
    const NUMERATORS: [i64; ROUNDS] = [1_709, 1_213, 2_331, 2_917, 577, 887, 40_009, 61];
    const STEPS: [i64; ROUNDS] = [613, 389, 97, 1_471, 811, 241, 7_001, 29];
    let pick = |values: &[i64], default: i64| values.get(round).copied().unwrap_or(default);
    let sign = |index: usize| match round {
        0 | 6 => 1,
        1 => -1,
        2 => [1, -1][index % 2],
        3 => [-1, 1][index % 2],
        4 => [1, 1, -1, -1][index % 4],
        5 => [-1, 1, 1, -1][index % 4],
        _ => [-1, -1, 1][index % 3],
    };
    let at = |index: usize| {
        let numerator = sign(index) * (pick(&NUMERATORS, 1_009) + pick(&STEPS, 7) * index as i64);
        RBig::from_parts(IBig::from(numerator), (997 + 12 * index as u64).into())
    };
    names.iter().enumerate().map(|(index, name)| (name.clone(), at(index))).collect()
}

/// Points to confirm by what other reasons make sure.
pub(super) fn confirming(names: &[Name], whole: bool) -> Vec<Values> {
    let point = |start: i64, step: i64, below: u64| {
        let at = |index: usize| RBig::from_parts(IBig::from(start + step * index as i64), below.into());
        names.iter().enumerate().map(|(index, name)| (name.clone(), at(index))).collect()
    };
    let largest = 2 * names.len() as i64 + 9;
    if whole {
        vec![point(largest, -2, 1), point(largest + 1, -1, 1)]
    } else {
        vec![point(5, 3, 7), point(2, 1, 3), point(11, 5, 2), point(largest, -2, 1)]
    }
}

/// Points at and between the places where a branch of either expression changes.
pub(super) fn at_branches(left: &Expr, right: &Expr, names: &[Name]) -> Vec<Values> {
    let mut switches = Vec::new();
    let mut steps = Vec::new();
    collect(left, &mut switches, &mut steps);
    collect(right, &mut switches, &mut steps);
    let mut points = Vec::new();
    if !switches.is_empty() {
        between_switches(&switches, names, &mut points);
    }
    if !steps.is_empty() {
        at_steps(left, right, &steps, names, &mut points);
    }
    points.truncate(MAXIMUM_POINTS);
    points
}

/// What changes a branch where it is zero, and what jumps where it is whole.
fn collect(expr: &Expr, switches: &mut Vec<Expr>, steps: &mut Vec<Expr>) {
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

/// Points in every stretch between zeros of the switches, along each symbol.
fn between_switches(switches: &[Expr], names: &[Name], points: &mut Vec<Values>) {
    const GRID: [f64; 33] = [
        -1e6, -1e4, -1e3, -331.0, -101.3, -57.1, -31.7, -17.3, -10.6, -7.7, -5.3, -3.6, -2.4, -1.7, -1.1,
        -0.4, 0.07, 0.3, 0.8, 1.3, 1.9, 2.6, 3.4, 4.7, 6.1, 8.3, 11.7, 19.1, 37.3, 73.9, 211.7, 1_117.0, 1e6,
    ];
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
                zeros_along(&GRID, &mut at, &mut zeros);
            }
            zeros.sort_by(f64::total_cmp);
            zeros.dedup_by(|next, kept| (*next - *kept).abs() <= 1e-9 * (1.0 + kept.abs()));
            let (Some(first), Some(last)) = (zeros.first().copied(), zeros.last().copied()) else { continue };
            let outside = [first - 1.0 - first.abs() / 2.0, last + 1.0 + last.abs() / 2.0];
            let inside = zeros.windows(2).filter_map(|pair| match pair {
                [low, high] => Some(low + (high - low) * 0.382),
                _ => None,
            });
            for place in outside.into_iter().chain(inside) {
                let mut values = base.clone();
                if let (Some(entry), Some(place)) = (values.get_mut(index), fraction(place)) {
                    entry.1 = place;
                    points.push(values);
                }
            }
        }
    }
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
        if here.abs() <= before.abs() && here.abs() <= after.abs() {
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
            zeros.push(f64::midpoint(low, high));
        }
    }
}

/// A number near a place, with a denominator of its own.
fn fraction(place: f64) -> Option<RBig> {
    const DENOMINATOR: f64 = 1_009.0;
    let numerator = (place * DENOMINATOR).round();
    (numerator.abs() < 1e15).then(|| RBig::from_parts(IBig::from(numerator as i64), 1_009_u64.into()))
}

/// Points where roundings jump, and beside them.
fn at_steps(left: &Expr, right: &Expr, steps: &[Expr], names: &[Name], points: &mut Vec<Values>) {
    let mut places: Vec<RBig> = Vec::new();
    let half = |value: i64| RBig::from_parts(IBig::from(2 * value + 1), 2_u8.into());
    for value in [0, 1, -1, 2, 3, 4, 5, -3, 6, 7, 9, -4] {
        places.push(RBig::from(value));
    }
    for value in [0, -1, 2, -5] {
        places.push(half(value));
    }
    for numeral in numerals(left, right) {
        for value in [numeral, numeral - 1, numeral + 1, 2 * numeral, 2 * numeral - 1, -numeral] {
            places.push(RBig::from(value));
        }
        places.push(half(numeral));
    }
    places.push(RBig::from(1_234_567));
    places.push(half(-98_765));
    let mut fuel = Fuel::new();
    for (index, name) in names.iter().enumerate().take(3) {
        let mut along = places.clone();
        for step in steps {
            along.extend(whole_places(step, name, names, &mut fuel));
        }
        for (number, place) in along.into_iter().enumerate() {
            let at = |other: usize| RBig::from((number as i64 * 3 + other as i64 * 5) % 11 + 1);
            points.push(
                names
                    .iter()
                    .enumerate()
                    .map(|(other, name)| {
                        (name.clone(), if other == index { place.clone() } else { at(other) })
                    })
                    .collect(),
            );
        }
    }
}

/// Where an argument that is linear in a symbol is a small whole number, the others being whole.
fn whole_places(step: &Expr, name: &Name, names: &[Name], fuel: &mut Fuel) -> Vec<RBig> {
    let mut value_at = |place: i64| {
        let values: Values = names
            .iter()
            .map(|other| (other.clone(), RBig::from(if other == name { place } else { 2 })))
            .collect();
        exact::evaluate(&substituted(step, &values), fuel).ok()
    };
    let (Some(zero), Some(one), Some(two)) = (value_at(0), value_at(1), value_at(2)) else {
        return Vec::new();
    };
    let slope = &one - &zero;
    if slope.is_zero() || &two - &one != slope {
        return Vec::new();
    }
    (-2..=3).map(|whole| (RBig::from(whole) - &zero) / &slope).collect()
}

/// Whole-number points: small ones, and around the numerals of the expressions.
pub(super) fn whole(left: &Expr, right: &Expr, names: &[Name]) -> Vec<Values> {
    let mut pool: Vec<i64> = vec![5, 2, 3, 1, 7, 4, 6, 0, 9, 8, 12, 10];
    for numeral in numerals(left, right) {
        for value in [numeral, numeral + 1, numeral + 3, 2 * numeral] {
            if !pool.contains(&value) && value <= MAXIMUM_NUMERAL {
                pool.push(value);
            }
        }
    }
    let count = pool.len();
    let value = |index: usize| pool.get(index % count).copied().unwrap_or(1);
    let mut points: Vec<Values> = Vec::new();
    let mut push = |at: &dyn Fn(usize) -> i64| {
        points.push(
            names.iter().enumerate().map(|(index, name)| (name.clone(), RBig::from(at(index)))).collect(),
        );
    };
    if names.len() == 1 {
        for first in 0..count {
            push(&|_| value(first));
        }
        push(&|_| 15);
        push(&|_| 60);
        return points;
    }
    for first in 0..count {
        // every pair of neighbours and of far ones, in both orders
        push(&|index| value(first + index));
        push(&|index| value(first + 3 * index));
        push(&|index| value(first + (count - 2) * index));
        push(&|index| value(first + 7 * index));
        push(&|index| value(first) + index as i64);
        push(&|index| (value(first) + 4 - 2 * index as i64).max(0));
        push(&|_| value(first));
    }
    points
}

/// Whether all factorials are of natural numbers and all binomials choose no more than there is.
pub(super) fn is_natural(expr: &Expr, values: &[(Name, RBig)], fuel: &mut Fuel) -> bool {
    let natural = match expr {
        // what stands under a sum's sign has a variable of its own
        Expr::Iterated(_) => return true,
        Expr::Call(function @ (Function::Factorial | Function::Binomial), items) => {
            let mut numbers = Vec::with_capacity(2);
            for item in items {
                match exact::evaluate(&substituted(item, values), fuel) {
                    Ok(value) => numbers.push(value),
                    Err(_) => return false,
                }
            }
            match (function, numbers.as_slice()) {
                (Function::Binomial, [upper, lower]) => *lower >= RBig::ZERO && lower <= upper,
                (_, [argument]) => *argument >= RBig::ZERO,
                _ => false,
            }
        }
        _ => true,
    };
    natural && !expr.any_child(&mut |child| !is_natural(child, values, fuel))
}

/// The whole numerals above one of both expressions, the largest first.
fn numerals(left: &Expr, right: &Expr) -> Vec<i64> {
    fn collect(expr: &Expr, found: &mut Vec<i64>) {
        if let Expr::Number(number) = expr {
            let parts = [number.value.numerator().clone(), IBig::from(number.value.denominator().clone())];
            for part in parts {
                if let Ok(value) = i64::try_from(&part)
                    && (2..=MAXIMUM_NUMERAL).contains(&value)
                    && !found.contains(&value)
                {
                    found.push(value);
                }
            }
        }
        expr.any_child(&mut |child| {
            collect(child, found);
            false
        });
    }
    let mut found = Vec::new();
    collect(left, &mut found);
    collect(right, &mut found);
    found.sort_unstable_by_key(|value| std::cmp::Reverse(*value));
    found.truncate(MAXIMUM_NUMERALS);
    found
}
