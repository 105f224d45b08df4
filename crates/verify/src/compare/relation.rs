//! Equations, inequalities in several variables, congruences.

use super::assignment::{is_head, is_name, value_of_assignment};
use super::{equation, named};
use dashu_base::Signed;
use dashu_ratio::RBig;

use crate::expression::{Expr, Number, Relation};
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
        if !gold_left.has_symbols() && !gold_right.has_symbols() {
            // `7/3 = 2 1/3`
            return match value_of_assignment(gold, answer, fuel) {
                Some(value) => super::same(&value, answer, fuel),
                None => Sameness::Different,
            };
        }
        if is_name(gold_left) && !gold_right.any(&|node| node == gold_left) {
            return super::same(gold_right, answer, fuel);
        }
        return Sameness::Different;
    };
    if let (Expr::Ratio(gold_names), Expr::Ratio(names)) = (gold_left, left) {
        return match right {
            Expr::Ratio(values) => match named::reordered(gold_names, names, values) {
                Some(values) => super::same(gold_right, &Expr::Ratio(values), fuel),
                None => Sameness::Different,
            },
            _ => Sameness::of(gold_names == names).and(super::same(gold_right, right, fuel)),
        };
    }
    if let Some((ratio, quotient)) = ratio_and_quotient((gold_left, gold_right), (left, right)) {
        let [ratio_left, ratio_right] = ratio.map(as_quotient);
        let [left, right] = quotient;
        return super::same(left, &ratio_left, fuel).and(super::same(right, &ratio_right, fuel));
    }
    if is_head(gold_left) && is_head(left) {
        let sameness = same_definition(gold_left, gold_right, left, right, fuel);
        if sameness == Sameness::Equal {
            return sameness;
        }
    }
    if !gold_right.is_scalar() || !right.is_scalar() || !gold_left.is_scalar() || !left.is_scalar() {
        return Sameness::Different;
    }
    proportional(gold_left, gold_right, left, right, fuel)
}

/// `AB : CD = 1 : 2` beside `\frac{AB}{CD} = \frac{1}{2}`: the sides of the ratio, and of the other equation.
fn ratio_and_quotient<'a>(
    gold: (&'a Expr, &'a Expr),
    answer: (&'a Expr, &'a Expr),
) -> Option<([&'a Expr; 2], [&'a Expr; 2])> {
    let is_ratio = |side: &Expr| matches!(side, Expr::Ratio(parts) if parts.len() == 2);
    let is_quotient = |side: &Expr| matches!(side, Expr::Quotient(..));
    if is_ratio(gold.0) && is_quotient(answer.0) {
        Some(([gold.0, gold.1], [answer.0, answer.1]))
    } else if is_ratio(answer.0) && is_quotient(gold.0) {
        Some(([answer.0, answer.1], [gold.0, gold.1]))
    } else {
        None
    }
}

fn as_quotient(side: &Expr) -> Expr {
    match side {
        Expr::Ratio(parts) => match parts.as_slice() {
            [first, second] => Expr::Quotient(Box::new(first.clone()), Box::new(second.clone())),
            _ => side.clone(),
        },
        other => other.clone(),
    }
}

/// Two definitions: of one name, of a function whatever its argument is called, or `y` for a function.
fn same_definition(
    gold_left: &Expr,
    gold_right: &Expr,
    left: &Expr,
    right: &Expr,
    fuel: &mut Fuel,
) -> Sameness {
    if gold_left == left {
        return super::same(gold_right, right, fuel);
    }
    let letters = |items: &[Expr]| items.iter().all(|item| matches!(item, Expr::Symbol(_)));
    match (gold_left, left) {
        (Expr::Applied(name, arguments), Expr::Applied(other, others)) => {
            if name != other || arguments.len() != others.len() {
                return Sameness::Different;
            }
            let defines = letters(arguments)
                && letters(others)
                && arguments.iter().all(|argument| gold_right.any(&|node| node == argument));
            if !defines {
                return super::same(gold_left, left, fuel).and(super::same(gold_right, right, fuel));
            }
            // a letter of the gold's in the answer is another one
            let renamed = right.map(&|node| {
                if let Some(index) = others.iter().position(|other| other == node) {
                    return arguments.get(index).cloned();
                }
                arguments.contains(node).then(|| Expr::Symbol(format!("{node:?}\u{1}").into()))
            });
            super::same(gold_right, &renamed, fuel)
        }
        // `y = 2x + 3` and `f(x) = 2x + 3`
        (Expr::Applied(_, arguments), Expr::Symbol(name))
        | (Expr::Symbol(name), Expr::Applied(_, arguments))
            if name == "y" && letters(arguments) && gold_right.has_symbols() =>
        {
            super::same(gold_right, right, fuel)
        }
        _ => Sameness::Different,
    }
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
        // whatever it is, it is another value at another point
        Expr::Applied(name, items) => {
            Some(Expr::Applied(format!("{name}*").into(), items.iter().map(shifted).collect()))
        }
        Expr::Iterated(iteration) if iteration.is_infinite() => {
            Some(Expr::Applied("*".into(), vec![node.clone()]))
        }
        _ => None,
    })
}

/// Chains that are neither equations nor sets of reals: the same relations between the same sides.
fn same_chain(gold: &Expr, answer: &Expr, fuel: &mut Fuel) -> Sameness {
    let Expr::Chain(gold_first, gold_rest) = gold else { return Sameness::Different };
    if gold_rest.iter().all(|(relation, _)| matches!(relation, Relation::Equal | Relation::Approximate)) {
        if let Expr::Chain(first, rest) = answer
            && gold_rest.len() == rest.len()
            && [gold_rest, rest]
                .iter()
                .all(|rest| rest.iter().all(|(relation, _)| *relation == Relation::Equal))
        {
            // `a = b = c` in any order
            let sides = |first: &Expr, rest: &[(Relation, Expr)]| {
                std::iter::once(first).chain(rest.iter().map(|(_, side)| side)).cloned().collect::<Vec<_>>()
            };
            let (gold, answer) = (sides(gold_first, gold_rest), sides(first, rest));
            if super::collection::same_relations(&gold, &answer, fuel) == Sameness::Equal {
                return Sameness::Equal;
            }
        }
        // `a = b = 1` says more than `a = 1`
        if let Expr::Chain(first, rest) = answer
            && lacks_names((gold_first, gold_rest), (first, rest))
        {
            return Sameness::Different;
        }
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
    let straight = same_sides(gold_first, gold_rest, first, rest, fuel);
    if straight == Sameness::Equal {
        return straight;
    }
    match turned(first, rest) {
        Some((first, rest)) => same_sides(gold_first, gold_rest, &first, &rest, fuel),
        None => straight,
    }
}

fn same_sides(
    gold_first: &Expr,
    gold_rest: &[(Relation, Expr)],
    first: &Expr,
    rest: &[(Relation, Expr)],
    fuel: &mut Fuel,
) -> Sameness {
    let mut all = super::same(gold_first, first, fuel);
    for ((gold_relation, gold_side), (relation, side)) in gold_rest.iter().zip(rest) {
        all = all.and(Sameness::of(gold_relation == relation)).and(super::same(gold_side, side, fuel));
    }
    all
}

/// Whether one chain gives a value to several names, and the other one not to all of them.
fn lacks_names(gold: (&Expr, &[(Relation, Expr)]), answer: (&Expr, &[(Relation, Expr)])) -> bool {
    fn names<'a>(chain: (&'a Expr, &'a [(Relation, Expr)])) -> Vec<&'a Expr> {
        let sides = std::iter::once(chain.0).chain(chain.1.iter().map(|(_, side)| side));
        sides.filter(|side| matches!(side, Expr::Symbol(_) | Expr::Applied(..))).collect()
    }
    let (gold, answer) = (names(gold), names(answer));
    gold.len() > 1 && gold.iter().any(|name| !answer.contains(name))
}

/// A chain read from its other end.
fn turned(first: &Expr, rest: &[(Relation, Expr)]) -> Option<(Expr, Vec<(Relation, Expr)>)> {
    let relations = rest.iter().rev().map(|(relation, _)| relation.flipped()).collect::<Option<Vec<_>>>()?;
    let mut sides = std::iter::once(first).chain(rest.iter().map(|(_, side)| side)).rev().cloned();
    let last = sides.next()?;
    Some((last, relations.into_iter().zip(sides).collect()))
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
    let Some(flipped) = relation.flipped() else { return straight };
    let crossed = Sameness::of(gold_relation == flipped)
        .and(super::same(gold_left, right, fuel))
        .and(super::same(gold_right, left, fuel));
    if crossed == Sameness::Equal {
        return crossed;
    }
    if !relation.is_order() || ![gold_left, gold_right, left, right].iter().all(|side| side.is_scalar()) {
        return straight;
    }
    // `x + y < 5` and `y < 5 - x`: the same difference of the sides, or its negative
    let difference =
        |left: &Expr, right: &Expr| Expr::Sum(vec![left.clone(), Expr::Negate(Box::new(right.clone()))]);
    let gold = difference(gold_left, gold_right);
    let answer = difference(left, right);
    // a constant factor, which turns the relation where it is negative
    let factor = scalar::constant_ratio(&gold, &answer, fuel).unwrap_or(RBig::ONE);
    let wanted = if factor.is_negative() { flipped } else { relation };
    if gold_relation != wanted || factor.is_zero() {
        return Sameness::Different;
    }
    let factor = Expr::Number(Number { value: factor, decimal: None });
    scalar::equal(&gold, &Expr::Product(vec![factor, answer]), fuel)
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
