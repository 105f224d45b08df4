//! Points at which two expressions are compared, so that every branch of either is reached.
//!
//! Generic points have unrelated denominators and all patterns of signs. Where a modulus, a maximum, a root or a
//! logarithm changes its branch is found in floating point; points come from between those places. Roundings get whole
//! numbers, halves, the places where their arguments are whole, and numbers around every numeral of the expressions;
//! factorials, binomials and divisors get whole numbers, small ones and around the numerals.

mod span;
mod switches;
mod whole;

use dashu_int::IBig;
use dashu_ratio::RBig;

use self::switches::{between_switches, collect, grid};
use super::exact;
use crate::expression::{Expr, Function, Name, Number};
use crate::fuel::Fuel;

pub(super) use self::span::Span;
pub(super) use self::whole::{Suits, needs_whole_numbers, rounds_whole_numbers, suits, whole};

/// Generic points there are.
pub(super) const ROUNDS: usize = 8;
/// More points at branches are not taken.
const MAXIMUM_POINTS: usize = 96;
/// Numerals of the expressions beyond this many, or this large, bring no points.
const MAXIMUM_NUMERALS: usize = 6;
const MAXIMUM_NUMERAL: i64 = 1_000_000;

/// The values of the symbols at one point.
pub(super) type Values = Vec<(Name, RBig)>;

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

/// Whether a modulus is taken of letters that everyone takes for complex numbers: `|z|^2` is not `z^2`.
pub(super) fn has_complex_letters(left: &Expr, right: &Expr, names: &[Name]) -> bool {
    let modulus =
        |node: &Expr| matches!(node, Expr::Call(Function::Abs, items) if items.iter().any(Expr::has_symbols));
    names.iter().all(|name| matches!(name.as_str(), "z" | "w"))
        && [left, right].iter().any(|side| side.any(&modulus))
}

/// A complex value for each letter.
pub(super) fn complex(names: &[Name], round: usize) -> Vec<(Expr, Expr)> {
    let real = generic(names, round);
    let imaginary = generic(names, round + 3);
    let number = |value: RBig| Expr::Number(Number { value, decimal: None });
    real.into_iter()
        .zip(imaginary)
        .map(|((name, real), (_, imaginary))| {
            let imaginary = Expr::Product(vec![number(imaginary), Expr::Imaginary]);
            (Expr::Symbol(name), Expr::Sum(vec![number(real), imaginary]))
        })
        .collect()
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
        between_switches(&switches, &grid(left, right), names, &mut points);
    }
    if [left, right].iter().any(|side| side.any(&has_power_of_letters)) {
        at_whole_bases(names, &mut points);
    }
    if !steps.is_empty() {
        at_steps(left, right, &steps, names, &mut points);
    }
    points.truncate(MAXIMUM_POINTS);
    points
}

/// Whether letters stand both in the base and in the exponent of a power, which then has values at negative whole numbers.
fn has_power_of_letters(expr: &Expr) -> bool {
    matches!(expr, Expr::Power(base, exponent) if base.has_symbols() && exponent.has_symbols())
}

/// Whole points of all signs.
fn at_whole_bases(names: &[Name], points: &mut Vec<Values>) {
    for start in [-2_i64, -3, 2, -1, 3] {
        let at = |index: usize| RBig::from(if index.is_multiple_of(2) { start } else { 5 - start });
        points.push(names.iter().enumerate().map(|(index, name)| (name.clone(), at(index))).collect());
    }
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
