//! Equations, inequalities in several variables, congruences.

use super::assignment::{is_head, is_name, value_of_assignment};
use super::equation;
use crate::expression::{Expr, Relation};
use crate::fuel::Fuel;
use crate::scalar::{self, Sameness};

/// Equality where the gold is a chain of relations.
pub(super) fn same(gold: &Expr, answer: &Expr, fuel: &mut Fuel) -> Sameness {
    same_relation(gold, answer, fuel)
}

fn same_relation(gold: &Expr, answer: &Expr, fuel: &mut Fuel) -> Sameness {
    let Some((gold_left, gold_right)) = equation(gold) else {
        return same_chain(gold, answer, fuel);
    };
    let Some((left, right)) = equation(answer) else {
        // the value alone, for an assignment
        if matches!(answer, Expr::Chain(..)) {
            return match value_of_assignment(answer, gold_right, fuel) {
                Some(value) if is_head(gold_left) => super::same(gold_right, &value, fuel),
                _ => Sameness::Different,
            };
        }
        if is_name(gold_left) && !gold_right.any(&|node| node == gold_left) {
            return super::same(gold_right, answer, fuel);
        }
        return Sameness::Different;
    };
    if is_head(gold_left) && is_head(left) {
        let functions = !matches!(gold_left, Expr::Symbol(_)) || !matches!(left, Expr::Symbol(_));
        if gold_left == left || (functions && !matches!(gold_left, Expr::Word(_))) {
            let sameness = super::same(gold_right, right, fuel);
            if sameness == Sameness::Equal {
                return sameness;
            }
        }
    }
    if !gold_right.is_scalar() || !right.is_scalar() || !gold_left.is_scalar() || !left.is_scalar() {
        return Sameness::Different;
    }
    proportional(gold_left, gold_right, left, right, fuel)
}

/// `l1 - r1` and `l2 - r2` differ by a constant factor, or the equations are the same one.
fn proportional(gold_left: &Expr, gold_right: &Expr, left: &Expr, right: &Expr, fuel: &mut Fuel) -> Sameness {
    let difference =
        |left: &Expr, right: &Expr| Expr::Sum(vec![left.clone(), Expr::Negate(Box::new(right.clone()))]);
    let gold = difference(gold_left, gold_right);
    let answer = difference(left, right);
    if !gold.has_symbols() || !answer.has_symbols() {
        return Sameness::Different;
    }
    // gold(p) * answer(q) = gold(q) * answer(p) for all p and q: shift the symbols for the second point
    let shifted_gold = shifted(&gold);
    let shifted_answer = shifted(&answer);
    let first = Expr::Product(vec![gold.clone(), shifted_answer.clone()]);
    let second = Expr::Product(vec![shifted_gold, answer.clone()]);
    let zero = Expr::integer(0);
    if scalar::equal(&gold, &zero, fuel) != Sameness::Different
        || scalar::equal(&answer, &zero, fuel) != Sameness::Different
    {
        return Sameness::Different;
    }
    scalar::equal(&first, &second, fuel)
}

/// The expression with every symbol renamed: an independent point.
fn shifted(expr: &Expr) -> Expr {
    expr.map(&|node| match node {
        Expr::Symbol(name) => Some(Expr::Symbol(format!("{name}*").into())),
        _ => None,
    })
}

/// Chains that are neither equations nor sets of reals: the same relations between the same sides.
fn same_chain(gold: &Expr, answer: &Expr, fuel: &mut Fuel) -> Sameness {
    let Expr::Chain(gold_first, gold_rest) = gold else { return Sameness::Different };
    if gold_rest.iter().all(|(relation, _)| matches!(relation, Relation::Equal | Relation::Approximate)) {
        // `x = 6/4 = 3/2`
        return match value_of_assignment(gold, answer, fuel) {
            Some(value) => super::same(&value, answer, fuel),
            None => Sameness::Different,
        };
    }
    let Expr::Chain(first, rest) = answer else {
        // a membership in a set of integers, say, is the set
        return match gold_rest.as_slice() {
            [(Relation::Member, set)] if is_name(gold_first) => super::same(set, answer, fuel),
            _ => Sameness::Different,
        };
    };
    if let ([(gold_relation, gold_right)], [(relation, right)]) = (gold_rest.as_slice(), rest.as_slice()) {
        return one_relation(gold_first, *gold_relation, gold_right, first, *relation, right, fuel);
    }
    if gold_rest.len() != rest.len() {
        return Sameness::Different;
    }
    let mut all = super::same(gold_first, first, fuel);
    for ((gold_relation, gold_side), (relation, side)) in gold_rest.iter().zip(rest) {
        all = all.and(Sameness::of(gold_relation == relation)).and(super::same(gold_side, side, fuel));
    }
    all
}

fn one_relation(
    gold_left: &Expr,
    gold_relation: Relation,
    gold_right: &Expr,
    left: &Expr,
    relation: Relation,
    right: &Expr,
    fuel: &mut Fuel,
) -> Sameness {
    let straight = Sameness::of(gold_relation == relation)
        .and(super::same(gold_left, left, fuel))
        .and(super::same(gold_right, right, fuel));
    if straight == Sameness::Equal {
        return straight;
    }
    let flipped = match relation {
        Relation::Less => Relation::Greater,
        Relation::LessEqual => Relation::GreaterEqual,
        Relation::Greater => Relation::Less,
        Relation::GreaterEqual => Relation::LessEqual,
        Relation::NotEqual => Relation::NotEqual,
        _ => return straight,
    };
    Sameness::of(gold_relation == flipped)
        .and(super::same(gold_left, right, fuel))
        .and(super::same(gold_right, left, fuel))
}

/// Whether two values, or the last sides of two congruences, agree modulo a number.
pub(super) fn congruent(gold: &Expr, answer: &Expr, modulus: &Expr, fuel: &mut Fuel) -> Sameness {
    let value = |expr: &Expr| match expr {
        Expr::Chain(first, rest) => match rest.as_slice() {
            [(Relation::Congruent | Relation::Equal, side)] => Some((Some((**first).clone()), side.clone())),
            _ => None,
        },
        other => Some((None, other.clone())),
    };
    let (Some((gold_name, gold)), Some((name, answer))) = (value(gold), value(answer)) else {
        return Sameness::Different;
    };
    if let (Some(gold_name), Some(name)) = (gold_name, name)
        && gold_name != name
    {
        return Sameness::Different;
    }
    let (Some(gold), Some(answer), Some(modulus)) =
        (scalar::rational(&gold, fuel), scalar::rational(&answer, fuel), scalar::rational(modulus, fuel))
    else {
        return Sameness::Different;
    };
    if modulus.is_zero() || !modulus.is_int() {
        return Sameness::Different;
    }
    Sameness::of(((gold - answer) / modulus).is_int())
}
