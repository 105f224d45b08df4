//! Lists of named values, compared name by name, and what qualifies an answer.

use super::assignment::is_name;
use super::{Sameness, equation, same};
use crate::expression::{Bracket, Expr, Joiner, Relation};
use crate::fuel::Fuel;

/// Longer lists are not compared by name.
const MAXIMUM_NAMES: usize = 64;

/// Names with their values.
type Entries<'a> = Vec<(&'a Expr, &'a Expr)>;

/// Compares two lists of named values: every name of the gold with its value in the answer. `None` where one of them is
/// no such list.
pub(super) fn same_entries(gold: &Expr, answer: &Expr, fuel: &mut Fuel) -> Option<Sameness> {
    let (gold, answer) = (entries(gold)?, entries(answer)?);
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

/// Whether both sides name their values, all of a side alike, but not alike on both sides.
pub(super) fn names_differ(gold: &Expr, answer: &Expr) -> bool {
    match (sole_name(gold), sole_name(answer)) {
        (Some(gold), Some(answer)) => gold != answer,
        _ => is_named_otherwise(gold, answer) || is_named_otherwise(answer, gold),
    }
}

/// Whether `(x, y) = (1, 2)` stands beside values of other names: `a = 1, b = 2`.
fn is_named_otherwise(tuple: &Expr, values: &Expr) -> bool {
    let (Some((Expr::Group(_, _, names), Expr::Group(..))), Some(entries)) =
        (equation(tuple), entries(values))
    else {
        return false;
    };
    names.iter().all(is_name) && entries.iter().any(|(name, _)| !names.contains(name))
}

fn sole_name(expr: &Expr) -> Option<&Expr> {
    let Expr::List(items, _) = expr else { return None };
    let mut names = items.iter().filter_map(equation).map(|(name, _)| name);
    let first = names.next().filter(|name| matches!(name, Expr::Symbol(_) | Expr::Applied(..)))?;
    names.all(|name| name == first).then_some(first)
}

/// The entries of a list whose names are all different.
fn entries(expr: &Expr) -> Option<Entries<'_>> {
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
    let distinct = entries
        .iter()
        .enumerate()
        .all(|(index, (name, _))| entries.iter().take(index).all(|(earlier, _)| earlier != name));
    distinct.then_some(entries)
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
