//! Golds that no answer can be judged against: unreadable ones, and those that contradict themselves.

use std::cmp::Ordering;

use crate::expression::{Bracket, Expr, Relation};
use crate::fuel::Fuel;
use crate::scalar::{self, Sameness};

/// Why no answer can be judged against a gold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GoldFault {
    /// It holds signs of mathematics, and no mathematics that is understood.
    #[error("cannot be read as mathematics: correct its notation, or use the kind `exact` for a plain text")]
    Unreadable,
    /// It says that two different values are equal, or leaves no value: `1 = 2`, `3 < x < 1`.
    #[error("contradicts itself: leave only the answer that counts as correct")]
    Contradictory,
    /// Not even the gold itself can be told to be equal to it.
    #[error("cannot be compared with itself: write its value in a simpler form")]
    Incomparable,
}

/// Whether a text that could not be read was meant to be mathematics.
pub(crate) fn is_mathematical(text: &str) -> bool {
    let words = crate::compare::text::words(text);
    let count = |signs: [char; 2]| words.chars().filter(|sign| signs.contains(sign)).count();
    words.contains(['\\', '^', '_', '=', '<', '>', '+', '*', '{', '}', '|', '$', '≤', '≥', '√'])
        || (words.contains(|sign: char| sign.is_ascii_digit()) && count(['(', '[']) != count([')', ']']))
}

/// Whether a reading cannot be true.
pub(crate) fn contradicts(expr: &Expr) -> bool {
    let mut fuel = Fuel::new();
    match expr {
        Expr::Chain(first, rest) => chain_contradicts(first, rest, &mut fuel),
        // brackets of two kinds make an interval
        Expr::Group(open, close, items) if open != close && *open != Bracket::Angle => match items.as_slice()
        {
            [low, high] if is_exact(low) && is_exact(high) => {
                scalar::order(low, high, &mut fuel).is_some_and(|order| order != Ordering::Less)
            }
            _ => false,
        },
        Expr::List(items, _) => items.iter().any(contradicts),
        _ => false,
    }
}

/// Whether neighbours of a chain, or the constant ends of a bound name, contradict each other.
fn chain_contradicts(first: &Expr, rest: &[(Relation, Expr)], fuel: &mut Fuel) -> bool {
    let mut before = first;
    for (relation, side) in rest {
        if is_exact(before) && is_exact(side) && fails(before, *relation, side, fuel) {
            return true;
        }
        before = side;
    }
    // `3 < x < 1`
    match rest {
        [(one, _), (other, last)] if is_exact(first) && is_exact(last) => {
            let is_strict = |relation: Relation| matches!(relation, Relation::Less | Relation::Greater);
            let order = match (one, other) {
                (Relation::Less | Relation::LessEqual, Relation::Less | Relation::LessEqual) => {
                    scalar::order(first, last, fuel)
                }
                (Relation::Greater | Relation::GreaterEqual, Relation::Greater | Relation::GreaterEqual) => {
                    scalar::order(last, first, fuel)
                }
                _ => None,
            };
            match order {
                Some(Ordering::Greater) => true,
                Some(Ordering::Equal) => is_strict(*one) || is_strict(*other),
                _ => false,
            }
        }
        _ => false,
    }
}

/// Whether a relation between two constants is surely false.
fn fails(left: &Expr, relation: Relation, right: &Expr, fuel: &mut Fuel) -> bool {
    let mut order = || scalar::order(left, right, fuel);
    match relation {
        Relation::Less => order().is_some_and(|order| order != Ordering::Less),
        Relation::LessEqual => order() == Some(Ordering::Greater),
        Relation::Greater => order().is_some_and(|order| order != Ordering::Greater),
        Relation::GreaterEqual => order() == Some(Ordering::Less),
        Relation::Equal => scalar::equal(left, right, fuel) == Sameness::Different,
        Relation::NotEqual => scalar::equal(left, right, fuel) == Sameness::Equal,
        Relation::Approximate
        | Relation::Member
        | Relation::NotMember
        | Relation::Congruent
        | Relation::Parallel
        | Relation::Perpendicular
        | Relation::Similar
        | Relation::Divides
        | Relation::Subset
        | Relation::SubsetEqual
        | Relation::Implies
        | Relation::Equivalent => false,
    }
}

/// Whether an expression is a real constant, exact and without a unit, so that two of them compare for certain.
fn is_exact(expr: &Expr) -> bool {
    let is_other = |node: &Expr| match node {
        Expr::Number(number) => number.decimal.is_some(),
        Expr::Pi
        | Expr::Euler
        | Expr::Negate(_)
        | Expr::Sum(_)
        | Expr::Product(_)
        | Expr::Quotient(..)
        | Expr::Power(..)
        | Expr::Root(..) => false,
        _ => true,
    };
    expr.is_scalar() && !expr.any(&is_other)
}

#[cfg(test)]
mod tests {
    use crate::{Gold, GoldFault, Kind};

    fn fault(gold: &str) -> Option<GoldFault> {
        Gold::parse(Kind::Math, gold).unwrap().fault()
    }

    #[test]
    fn golds_that_cannot_be_true_are_told() {
        for gold in [
            "1 = 2",
            r"\frac73 = 2\frac12",
            "3 < x < 1",
            r"5 \ge x > 7",
            "x < x, 3 > 4",
            "(5, 2]",
            "[3, 3)",
            r"2 \ne 2",
            r"\pi < 3",
        ] {
            assert_eq!(fault(gold), Some(GoldFault::Contradictory), "{gold}");
        }
    }

    #[test]
    fn golds_that_cannot_be_read_are_told() {
        for gold in [r"\frac{1}{", "x^2 +", r"\frac{1", "(1, 2", r"\unknown{3}", "3 = "] {
            assert_eq!(fault(gold), Some(GoldFault::Unreadable), "{gold}");
        }
    }

    #[test]
    fn sound_golds_have_no_fault() {
        for gold in [
            "5",
            r"\frac73 = 2\frac13",
            "1 < x < 3",
            "[2, 2]",
            "(5, 2)",
            "[5, 2]",
            r"\sqrt2 \approx 1.414",
            "0.33 = 1/3",
            r"90^\circ = \frac{\pi}{2}",
            r"1\text{ m} = 100\text{ cm}",
            "x = 1, x = 2",
            r"\text{Paris}",
            "no formula at all, but a text",
            r"\text{Alice and Bob}",
            "3:45 p.m.",
            "July 4, 2024",
            "x = y",
            r"9^{9^{9^9}}",
        ] {
            assert_eq!(fault(gold), None, "{gold}");
        }
    }
}
