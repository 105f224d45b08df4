//! What may meet what, and when the two are the same.
//!
//! The gold decides: an assignment in the answer unwraps to its value, a missing unit is forgiven and another
//! one converted, lists and sets have no order, tuples have one, an interval equals a solved inequality but
//! never a set, a based numeral keeps its base.

mod assignment;
mod collection;
mod quantity;
mod reals;
mod relation;
pub(crate) mod text;

use dashu_ratio::RBig;

use crate::expression::{Bracket, Expr, Joiner, Relation};
use crate::fuel::Fuel;
use crate::scalar::{self, Sameness};

/// Whether the answer says what the gold says.
pub(crate) fn same(gold: &Expr, answer: &Expr, fuel: &mut Fuel) -> Sameness {
    if gold == answer {
        return Sameness::Equal;
    }
    if fuel.spend(1).is_err() {
        return Sameness::Undecided;
    }
    // most answers are values without a mark on them
    if is_plain(gold) && is_plain(answer) {
        return scalar::same(gold, answer, fuel);
    }
    let answer = assignment::settle(answer, gold);
    let answer: &Expr = &answer;
    // `\boxed{5/4}, or \boxed{1.25}`: alternatives that are all the gold are no hedge
    if let Expr::List(items, Joiner::Or) = answer
        && !collection::is_collection(gold)
        && !reals::is_set_like(gold)
        && !reals::is_set_like(answer)
        && !reals::is_plain_interval(gold)
    {
        return items.iter().fold(Sameness::Equal, |all, item| {
            if all == Sameness::Different { all } else { all.and(same(gold, item, fuel)) }
        });
    }
    if let Some(gold) = assignment::tuple_beside(gold, answer) {
        return same(&gold, answer, fuel);
    }
    // sets of reals first: intervals, unions, solved inequalities, memberships
    if reals::is_set_like(gold) || (reals::is_plain_interval(gold) && reals::is_set_like(answer)) {
        return reals::same(gold, answer, fuel);
    }
    match (gold, answer) {
        (Expr::Chain(..), _) => relation::same(gold, answer, fuel),
        (_, Expr::Chain(..)) => match assignment::value_of_assignment(answer, gold, fuel) {
            Some(value) => same(gold, &value, fuel),
            None => Sameness::Different,
        },
        (Expr::Modular(left, modulus), Expr::Modular(right, other)) => {
            same(modulus, other, fuel).and(relation::congruent(left, right, modulus, fuel))
        }
        (Expr::Based(digits, base), Expr::Based(other, other_base)) => {
            Sameness::of(digits.eq_ignore_ascii_case(other) && base == other_base)
        }
        (Expr::Word(gold), Expr::Word(answer)) => Sameness::of(text::same_words(gold, answer)),
        (Expr::Infinity, Expr::Infinity) => Sameness::Equal,
        (Expr::Negate(gold), Expr::Negate(answer)) if **gold == Expr::Infinity => {
            Sameness::of(**answer == Expr::Infinity)
        }
        (Expr::Ratio(_), _) | (_, Expr::Ratio(_)) => collection::same_ratio(gold, answer, fuel),
        (Expr::Matrix(_), _) | (_, Expr::Matrix(_)) => collection::same_matrix(gold, answer, fuel),
        _ if has_matrix(gold) || has_matrix(answer) => collection::same_matrix(gold, answer, fuel),
        (Expr::Group(..), Expr::Group(..)) => collection::same_group(gold, answer, fuel),
        (Expr::Group(Bracket::Round, Bracket::Round, items), Expr::List(others, _))
            if collection::is_surely_tuple(items, fuel) =>
        {
            collection::same_in_order(items, others, fuel)
        }
        // `\{(8, -2)\}`: the only solution, where the pair can be no interval
        (Expr::Group(Bracket::Round, Bracket::Round, items), Expr::Set(only))
            if only.len() == 1 && collection::is_surely_tuple(items, fuel) =>
        {
            only.first().map_or(Sameness::Different, |only| same(gold, only, fuel))
        }
        (Expr::Group(..), _) | (_, Expr::Group(..)) => Sameness::Different,
        (Expr::Cases(rows), Expr::Cases(others)) => collection::same_cases(rows, others, fuel),
        (Expr::Word(word), Expr::Number(number)) | (Expr::Number(number), Expr::Word(word)) => {
            Sameness::of(text::number(word).is_some_and(|value| number.value == RBig::from(value)))
        }
        // a value and the set of only that value
        (Expr::Set(_), other) | (other, Expr::Set(_)) if !collection::is_collection(other) => {
            let (Some(left), Some(right)) = (collection::sole_member(gold), collection::sole_member(answer))
            else {
                return Sameness::Different;
            };
            same(left, right, fuel)
        }
        _ if collection::is_collection(gold) || collection::is_collection(answer) => {
            collection::same_members(gold, answer, fuel)
        }
        _ if quantity::is_quantity(gold) || quantity::is_quantity(answer) => {
            quantity::same(gold, answer, fuel)
        }
        _ if gold.is_scalar() && answer.is_scalar() => scalar::same(gold, answer, fuel),
        _ => Sameness::Different,
    }
}

/// A scalar that is no quantity.
fn is_plain(expr: &Expr) -> bool {
    expr.is_scalar() && !quantity::is_quantity(expr)
}

fn has_matrix(expr: &Expr) -> bool {
    expr.any(&|node| matches!(node, Expr::Matrix(_)))
}

/// Whether the expression is an equation, and its two sides.
fn equation(expr: &Expr) -> Option<(&Expr, &Expr)> {
    match expr {
        Expr::Chain(left, rest) => match rest.as_slice() {
            [(Relation::Equal, right)] => Some((left, right)),
            _ => None,
        },
        _ => None,
    }
}
