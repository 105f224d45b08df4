//! What may meet what, and when the two are the same.
//!
//! The gold decides: an assignment in the answer unwraps to its value, a missing unit is forgiven and another
//! one converted, lists and sets have no order, tuples have one, an interval equals a solved inequality but
//! never a set, a based numeral keeps its base.

mod assignment;
mod boolean;
mod collection;
mod named;
mod piecewise;
mod quantity;
mod reals;
mod relation;
pub(crate) mod text;

use std::borrow::Cow;

use crate::expression::{Bracket, Expr, Joiner, Number, Relation};
use crate::fuel::Fuel;
use crate::reader::identifier;
use crate::scalar::{self, Sameness};

/// The same where a comma may be no comma of a list: what it lists is compared in order.
pub(crate) fn same_in_order(gold: &Expr, answer: &Expr, fuel: &mut Fuel) -> Sameness {
    let (Expr::List(items, _), Expr::List(others, _)) = (gold, answer) else {
        return same(gold, answer, fuel);
    };
    collection::same_in_order(items, others, fuel)
}

/// Whether the answer says what the gold says.
pub(crate) fn same(gold: &Expr, answer: &Expr, fuel: &mut Fuel) -> Sameness {
    if gold == answer {
        return Sameness::Equal;
    }
    if fuel.spend(1).is_err() {
        return Sameness::Undecided;
    }
    // most answers are values without a mark on them
    if is_plain(gold) && is_plain(answer) && !quantity::one_has_degrees(gold, answer) {
        return scalar::same(gold, answer, fuel);
    }
    if let Some(sameness) = boolean::same(gold, answer) {
        return sameness;
    }
    let (plain_gold, plain_answer) = (named::unqualified(gold), named::unqualified(answer));
    if plain_gold.is_some() || plain_answer.is_some() {
        if let (Some((gold, qualifiers)), Some((answer, others))) = (&plain_gold, &plain_answer)
            && qualifiers != others
        {
            // `2k\pi, k \in \mathbb{Z}` and `2n\pi, n \in \mathbb{Z}`
            return match named::renamed(answer, qualifiers, others) {
                Some(answer) => same(gold, &answer, fuel),
                None => Sameness::Different,
            };
        }
        let gold = plain_gold.as_ref().map_or(gold, |(core, _)| core);
        let answer = plain_answer.as_ref().map_or(answer, |(core, _)| core);
        return same(gold, answer, fuel);
    }
    if let Some(sameness) = named::same_entries(gold, answer, fuel) {
        return sameness;
    }
    if !named::joiners_agree(gold, answer) || named::names_differ(gold, answer) {
        return Sameness::Different;
    }
    let settled_answer = assignment::settle(answer, gold);
    let settled_gold = assignment::settle(gold, &settled_answer);
    let settled_answer = match settled_answer {
        // what the gold was settled to may settle the answer further
        Cow::Borrowed(answer) if !std::ptr::eq(gold, &raw const *settled_gold) => {
            assignment::settle(answer, &settled_gold)
        }
        settled => settled,
    };
    let (gold, answer): (&Expr, &Expr) = (&settled_gold, &settled_answer);
    if gold == answer {
        return Sameness::Equal;
    }
    if is_plain(gold) && is_plain(answer) && !quantity::one_has_degrees(gold, answer) {
        return scalar::same(gold, answer, fuel);
    }
    // `\boxed{5/4}, or \boxed{1.25}`: alternatives that are all the gold are no hedge
    if let Expr::List(items, Joiner::Or) = answer
        && !named::has_several_names(answer)
        && !collection::is_collection(gold)
        && !reals::is_set_like(gold)
        && !reals::is_set_like(answer)
        && !reals::is_plain_interval(gold)
    {
        return items.iter().fold(Sameness::Equal, |all, item| {
            if all == Sameness::Different { all } else { all.and(same(gold, item, fuel)) }
        });
    }
    // sets of reals first: intervals, unions, solved inequalities, memberships
    if let Some(members) = reals::integer_members(gold, fuel) {
        return same(&Expr::Set(members), answer, fuel);
    }
    if let Some(members) = reals::integer_members(answer, fuel) {
        return same(gold, &Expr::Set(members), fuel);
    }
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
        (Expr::Word(word), Expr::Symbol(name)) | (Expr::Symbol(name), Expr::Word(word))
            if identifier::is_name(name) =>
        {
            Sameness::of(text::same_words(name, word))
        }
        // three letters that look like a word may be a product beside one
        (Expr::Word(word), other) | (other, Expr::Word(word))
            if other.is_scalar()
                && other.has_symbols()
                && word.len() <= 3
                && word.bytes().all(|letter| letter.is_ascii_lowercase()) =>
        {
            let letters = word.chars().map(|letter| Expr::Symbol(letter.to_string().into())).collect();
            scalar::equal(&Expr::Product(letters), other, fuel)
        }
        (Expr::Word(gold), Expr::Word(answer)) => Sameness::of(text::same_words(gold, answer)),
        (Expr::Infinity, Expr::Infinity) => Sameness::Equal,
        (Expr::Negate(gold), Expr::Negate(answer)) if **gold == Expr::Infinity => {
            Sameness::of(**answer == Expr::Infinity)
        }
        (Expr::Ratio(_), _) | (_, Expr::Ratio(_)) => collection::same_ratio(gold, answer, fuel),
        // a column of coordinates; where the gold may be an interval, only what cannot be one
        (Expr::Matrix(rows), Expr::Group(open, close, items))
            if collection::is_column(rows, items.len()) && open == close && *open != Bracket::Square =>
        {
            rows.iter().flatten().zip(items).fold(Sameness::Equal, |all, (gold, answer)| {
                if all == Sameness::Different { all } else { all.and(same(gold, answer, fuel)) }
            })
        }
        (Expr::Group(open, close, items), Expr::Matrix(rows))
            if collection::is_column(rows, items.len())
                && open == close
                && (*open == Bracket::Angle
                    || (*open == Bracket::Round && collection::is_surely_tuple(items, fuel))) =>
        {
            items.iter().zip(rows.iter().flatten()).fold(Sameness::Equal, |all, (gold, answer)| {
                if all == Sameness::Different { all } else { all.and(same(gold, answer, fuel)) }
            })
        }
        (Expr::Matrix(_), _) | (_, Expr::Matrix(_)) => collection::same_matrix(gold, answer, fuel),
        _ if has_matrix(gold) || has_matrix(answer) => collection::same_matrix(gold, answer, fuel),
        (Expr::Group(..), Expr::Group(..)) => collection::same_group(gold, answer, fuel),
        // alternatives are no tuple
        (Expr::Group(Bracket::Round, Bracket::Round, items), Expr::List(others, joiner))
            if *joiner != Joiner::Or && collection::is_surely_tuple(items, fuel) =>
        {
            collection::same_in_order(items, others, fuel)
        }
        // `\{(8, -2)\}`: the only solution, where the pair can be no interval
        (Expr::Group(Bracket::Round, Bracket::Round, items), Expr::Set(only))
            if only.len() == 1 && collection::is_surely_tuple(items, fuel) =>
        {
            only.first().map_or(Sameness::Different, |only| same(gold, only, fuel))
        }
        // the only solution, a pair: the braces around it may go
        (Expr::Set(only), Expr::Group(Bracket::Round, Bracket::Round, _))
            if matches!(only.as_slice(), [Expr::Group(Bracket::Round, Bracket::Round, _)]) =>
        {
            only.first().map_or(Sameness::Different, |only| same(only, answer, fuel))
        }
        (Expr::Group(..), _) | (_, Expr::Group(..)) => Sameness::Different,
        (Expr::Cases(rows), other) | (other, Expr::Cases(rows)) if other.is_scalar() => {
            piecewise::same_as_one(rows, other, fuel)
        }
        (Expr::Cases(rows), Expr::Cases(others)) => {
            piecewise::same(rows, others, fuel).unwrap_or_else(|| collection::same_cases(rows, others, fuel))
        }
        (Expr::Word(word), Expr::Number(number)) | (Expr::Number(number), Expr::Word(word)) => {
            Sameness::of(text::number(word).is_some_and(|value| number.value == value))
        }
        (Expr::Word(word), other) | (other, Expr::Word(word)) if other.is_scalar() => {
            let value = text::number(word).map(|value| Expr::Number(Number { value, decimal: None }));
            value.map_or(Sameness::Different, |value| scalar::equal(&value, other, fuel))
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
        _ if quantity::is_quantity(gold)
            || quantity::is_quantity(answer)
            || quantity::one_has_degrees(gold, answer) =>
        {
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
