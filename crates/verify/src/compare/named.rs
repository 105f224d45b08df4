//! Lists of named values, compared name by name, and what qualifies an answer.

use super::assignment::{is_head, is_name};
use super::{Sameness, equation, same};
use crate::expression::{Bracket, Expr, Joiner, Relation};
use crate::fuel::Fuel;

/// Longer lists are not compared by name.
const MAXIMUM_NAMES: usize = 64;

/// Names with their values.
type Entries<'a> = Vec<(&'a Expr, &'a Expr)>;

/// Compares two lists of named values: every name of the gold with its value in the answer; values without names stand in
/// the order of the gold's. `None` where the gold is no such list, or the answer something else.
pub(super) fn same_entries(gold: &Expr, answer: &Expr, fuel: &mut Fuel) -> Option<Sameness> {
    let Some(gold) = entries(gold) else { return loses_names(gold, answer).then_some(Sameness::Different) };
    let Some(answer) = entries(answer) else {
        let values = match answer {
            Expr::List(values, Joiner::Comma | Joiner::And) => Some(values),
            Expr::Set(items) if !matches!(items.as_slice(), [Expr::Group(..)]) => None,
            _ => return None,
        };
        // `x_1` and `x_2` are the roots of an equation, in any order
        if is_indexed(&gold) || values.is_some_and(|values| values.iter().any(is_relation)) {
            return None;
        }
        let Some(values) = values.filter(|values| values.len() == gold.len()) else {
            return Some(Sameness::Different);
        };
        return Some(gold.iter().zip(values).fold(Sameness::Equal, |all, ((_, value), other)| {
            if all == Sameness::Different { all } else { all.and(same(value, other, fuel)) }
        }));
    };
    if gold.len() != answer.len() {
        return Some(Sameness::Different);
    }
    let mut all = Sameness::Equal;
    for (name, value) in &gold {
        let Some((_, other)) = answer.iter().find(|(other, _)| same_name(name, other, fuel)) else {
            return Some(Sameness::Different);
        };
        all = all.and(same(value, other, fuel));
    }
    Some(all)
}

fn is_relation(expr: &Expr) -> bool {
    matches!(expr, Expr::Chain(..))
}

/// Whether one side gives values to several names, and the other one is a set of values, or about one name.
fn loses_names(gold: &Expr, answer: &Expr) -> bool {
    let alternatives = matches!(gold, Expr::List(_, Joiner::Or)) && has_several_names(gold);
    let is_set = |expr: &Expr| match expr {
        Expr::Set(items) => !items.iter().any(|item| matches!(item, Expr::Group(..))),
        Expr::Chain(_, rest) => matches!(rest.as_slice(), [(_, Expr::Set(items))]
            if !items.iter().any(|item| matches!(item, Expr::Group(..)))),
        _ => false,
    };
    (alternatives && !matches!(answer, Expr::List(..)))
        || (is_set(gold) && entries(answer).is_some_and(|entries| !is_indexed(&entries)))
}

/// Whether the names are one letter with different indices.
fn is_indexed(entries: &Entries<'_>) -> bool {
    let first = entries.first().and_then(|(name, _)| stem(name));
    first.is_some() && entries.iter().all(|(name, _)| stem(name) == first)
}

/// The letter of a name with an index.
fn stem(name: &Expr) -> Option<&str> {
    match name {
        Expr::Symbol(name) => name.split_once('_').map(|(stem, _)| stem),
        _ => None,
    }
}

/// Whether both sides are lists that name their values, and do not use the same names.
pub(super) fn names_differ(gold: &Expr, answer: &Expr) -> bool {
    let (gold, answer) = (heads(gold), heads(answer));
    let lacks = |names: &[&Expr], others: &[&Expr]| {
        names.iter().any(|name| !others.iter().any(|other| is_same_head(name, other)))
    };
    !gold.is_empty() && !answer.is_empty() && (lacks(&gold, &answer) || lacks(&answer, &gold))
}

/// Whether the equations of a list are about several names.
pub(super) fn has_several_names(list: &Expr) -> bool {
    let names = heads(list);
    names.iter().any(|name| names.first().is_some_and(|first| !is_same_head(first, name)))
}

/// The names that the equations of a list are about.
fn heads(expr: &Expr) -> Vec<&Expr> {
    let Expr::List(items, _) = expr else { return Vec::new() };
    let names = items.iter().filter_map(equation).map(|(name, _)| name);
    names.filter(|name| is_head(name)).collect()
}

/// Whether two names are one; a function's argument may be called otherwise, and `x_1` and `x_2` are values of `x`.
fn is_same_head(name: &Expr, other: &Expr) -> bool {
    let letters = |items: &[Expr]| items.iter().all(|item| matches!(item, Expr::Symbol(_)));
    match (name, other) {
        (Expr::Applied(name, items), Expr::Applied(other, others)) if letters(items) && letters(others) => {
            name == other
        }
        (Expr::Symbol(letter), Expr::Symbol(other_letter)) => {
            letter == other_letter
                || stem(name) == Some(other_letter.as_str())
                || stem(other) == Some(letter.as_str())
        }
        _ => name == other,
    }
}

/// The entries of a list whose names are all different, of `(x, y) = (1, 2)`, or of `a = b = 1`.
fn entries(expr: &Expr) -> Option<Entries<'_>> {
    if let Expr::Chain(first, rest) = expr {
        let sides: Vec<&Expr> = std::iter::once(&**first).chain(rest.iter().map(|(_, side)| side)).collect();
        if rest.iter().any(|(relation, _)| *relation != Relation::Equal) {
            return None;
        }
        if let [Expr::Group(_, _, names), Expr::Group(_, _, values)] = sides.as_slice() {
            let named = names.len() == values.len() && names.iter().all(is_name);
            return named.then(|| names.iter().zip(values).collect()).filter(is_distinct);
        }
        let (value, names) = sides.split_last()?;
        let letters = names.iter().all(|name| matches!(name, Expr::Symbol(_) | Expr::Applied(..)));
        return (letters && names.len() > 1 && !value.has_symbols())
            .then(|| names.iter().map(|name| (*name, *value)).collect())
            .filter(is_distinct);
    }
    let (Expr::List(items, Joiner::Comma | Joiner::And) | Expr::Group(Bracket::Round, Bracket::Round, items)) =
        expr
    else {
        return None;
    };
    if !(2..=MAXIMUM_NAMES).contains(&items.len()) {
        return None;
    }
    let entries: Entries<'_> = items
        .iter()
        .map(|item| {
            let (left, right) = equation(item)?;
            if !left.has_symbols() && is_name(right) {
                return Some((right, left));
            }
            is_name(left).then_some((left, right))
        })
        .collect::<Option<_>>()?;
    Some(entries).filter(is_distinct)
}

fn is_distinct(entries: &Entries<'_>) -> bool {
    entries
        .iter()
        .enumerate()
        .all(|(index, (name, _))| entries.iter().take(index).all(|(earlier, _)| earlier != name))
}

fn same_name(gold: &Expr, answer: &Expr, fuel: &mut Fuel) -> bool {
    gold == answer
        || (!matches!((gold, answer), (Expr::Symbol(_) | Expr::Word(_), Expr::Symbol(_) | Expr::Word(_)))
            && gold.is_scalar()
            && answer.is_scalar()
            && same(gold, answer, fuel) == Sameness::Equal)
}

/// Whether lists say the same by what joins their items: values that all hold are no alternatives.
pub(super) fn joiners_agree(gold: &Expr, answer: &Expr) -> bool {
    let (Expr::List(items, joiner), Expr::List(others, other)) = (gold, answer) else { return true };
    if (*joiner == Joiner::Or) == (*other == Joiner::Or) {
        return true;
    }
    // `Alice, Bob` are both
    if [items, others].iter().all(|items| items.iter().all(|item| matches!(item, Expr::Word(_)))) {
        return false;
    }
    let explicit = *joiner == Joiner::And || *other == Joiner::And;
    let named = |items: &[Expr]| {
        let names: Vec<&Expr> = items.iter().filter_map(equation).map(|(name, _)| name).collect();
        names.iter().any(|name| Some(name) != names.first())
    };
    let unknown = |items: &[Expr]| items.iter().any(Expr::has_symbols);
    !(named(items) || named(others) || (explicit && (unknown(items) || unknown(others))))
}

/// An answer without `k \in \mathbb{Z}` and the like beside it; `None` if it has nothing of the kind.
pub(super) fn unqualified(expr: &Expr) -> Option<(Expr, Vec<&Expr>)> {
    let Expr::List(items, joiner) = expr else { return None };
    let is_qualifier = |item: &&Expr| {
        matches!(item, Expr::Chain(left, rest)
            if matches!(**left, Expr::Symbol(_))
                && matches!(rest.as_slice(), [(Relation::Member, Expr::Symbol(_) | Expr::Reals)]))
    };
    let (qualifiers, mut rest): (Vec<&Expr>, Vec<&Expr>) = items.iter().partition(is_qualifier);
    let orders = rest.iter().any(|item| match item {
        Expr::Chain(_, sides) => sides.iter().any(|(relation, _)| *relation != Relation::Equal),
        _ => false,
    });
    if qualifiers.is_empty() || rest.is_empty() || orders {
        return None;
    }
    let core = match rest.as_slice() {
        [_] => rest.swap_remove(0).clone(),
        _ => Expr::List(rest.into_iter().cloned().collect(), *joiner),
    };
    Some((core, qualifiers))
}

/// The answer with its qualified letter called as the gold's, if both qualify one letter alike.
pub(super) fn renamed(answer: &Expr, gold: &[&Expr], own: &[&Expr]) -> Option<Expr> {
    let letter = |qualifiers: &[&'_ Expr]| match qualifiers {
        [Expr::Chain(left, rest)] => Some(((**left).clone(), rest.clone())),
        _ => None,
    };
    let ((gold, range), (own, own_range)) = (letter(gold)?, letter(own)?);
    if range != own_range || answer.any(&|node| *node == gold) {
        return None;
    }
    let change = |expr: &Expr| expr.map(&|node| (*node == own).then(|| gold.clone()));
    let within = |expr: &Expr| match expr {
        Expr::Chain(first, rest) => Expr::Chain(
            Box::new(change(first)),
            rest.iter().map(|(relation, side)| (*relation, change(side))).collect(),
        ),
        other => change(other),
    };
    Some(match answer {
        Expr::List(items, joiner) => Expr::List(items.iter().map(within).collect(), *joiner),
        other => within(other),
    })
}

/// Ratios of names: `AB:BC = 2:3` is `BC:AB = 3:2`. The answer's values in the order of the gold's names.
pub(super) fn reordered(gold_names: &[Expr], names: &[Expr], values: &[Expr]) -> Option<Vec<Expr>> {
    if gold_names.len() != names.len() || names.len() != values.len() {
        return None;
    }
    gold_names
        .iter()
        .map(|name| names.iter().position(|other| other == name).and_then(|index| values.get(index).cloned()))
        .collect()
}
