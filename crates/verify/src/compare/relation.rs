//! Assignments, equations, congruences.

use std::borrow::Cow;

use super::equation;
use crate::expression::{Bracket, Expr, Function, Relation};
use crate::fuel::Fuel;
use crate::scalar::{self, Sameness};

/// Takes wrappings off an answer that the gold does not have: `(x, y) = (1, 2)`, `x = 1, x = 2`, `x \in \{1\}`.
pub(super) fn settle<'a>(answer: &'a Expr, gold: &Expr) -> Cow<'a, Expr> {
    match answer {
        Expr::List(items, joiner) if items.iter().any(|item| equation(item).is_some()) => {
            match unwrapped_list(items, gold) {
                Some(Unwrapped::Values(values)) => Cow::Owned(Expr::List(values, *joiner)),
                Some(Unwrapped::Tuple(values)) => {
                    Cow::Owned(Expr::Group(Bracket::Round, Bracket::Round, values))
                }
                None => Cow::Borrowed(answer),
            }
        }
        Expr::Chain(left, rest) => match rest.as_slice() {
            // `x \in \{1, 2\}` is the set
            [(Relation::Member, set @ Expr::Set(_))] if is_name(left) && !matches!(gold, Expr::Chain(..)) => {
                Cow::Borrowed(set)
            }
            [(Relation::Equal, tuple @ Expr::Group(..))] if matches!(&**left, Expr::Group(_, _, names) if names.iter().all(is_name)) => {
                Cow::Borrowed(tuple)
            }
            _ => Cow::Borrowed(answer),
        },
        _ => Cow::Borrowed(answer),
    }
}

enum Unwrapped {
    Values(Vec<Expr>),
    Tuple(Vec<Expr>),
}

/// `x = 1, x = 2` and `x = 1, 2` are lists of values; `x = 1, y = 2` is a tuple where the gold is one.
fn unwrapped_list(items: &[Expr], gold: &Expr) -> Option<Unwrapped> {
    let mut names: Vec<&Expr> = Vec::new();
    let mut values = Vec::new();
    for item in items {
        match equation(item) {
            Some((name @ Expr::Symbol(_), value)) => {
                names.push(name);
                values.push(value.clone());
            }
            Some(_) => return None,
            None => values.push(item.clone()),
        }
    }
    let first = names.first()?;
    if names.iter().all(|name| name == first) {
        // `1, x = 2` is no way to list the values of x
        return equation(items.first()?).map(|_| Unwrapped::Values(values));
    }
    let ascending = names.windows(2).all(|pair| match pair {
        [Expr::Symbol(before), Expr::Symbol(after)] => before < after,
        _ => false,
    });
    let tuple = matches!(gold, Expr::Group(Bracket::Round, Bracket::Round, _));
    (tuple && ascending && names.len() == items.len()).then_some(Unwrapped::Tuple(values))
}

/// Whether a left side only names a quantity: `x`, `f(x)`, `m + n`, `\text{Area}`, `|AB|`, `P(A \cap B)`.
pub(super) fn is_name(expr: &Expr) -> bool {
    match expr {
        Expr::Symbol(_) | Expr::Word(_) => true,
        // Euler's e and the imaginary unit are also names of points and events, but only inside a product
        Expr::Product(items) => {
            let value_of_function = matches!(items.as_slice(), [Expr::Symbol(head), Expr::Number(_)]
                if matches!(&**head, "f" | "g" | "h" | "F" | "G" | "P" | "Q"));
            value_of_function
                || items.iter().all(|item| {
                    is_name(item) || matches!(item, Expr::Euler | Expr::Imaginary) || is_argument(item)
                })
        }
        Expr::Sum(items) => items.iter().all(|item| match item {
            Expr::Negate(inner) => is_name(inner),
            item => is_name(item),
        }),
        Expr::Call(Function::Abs, items) => items.iter().all(is_name),
        Expr::Power(base, exponent) => {
            // an inverse function's name
            matches!(**base, Expr::Symbol(_))
                && matches!(&**exponent, Expr::Negate(inner) if **inner == Expr::integer(1))
        }
        Expr::Call(function, items) => {
            matches!(
                function,
                Function::Sin
                    | Function::Cos
                    | Function::Tan
                    | Function::Gcd
                    | Function::Lcm
                    | Function::Max
                    | Function::Min
            ) && items.iter().all(is_name)
        }
        _ => false,
    }
}

/// An argument of a function: `f(3)` names a value.
fn is_argument(expr: &Expr) -> bool {
    match expr {
        Expr::Group(_, _, items) => items.iter().all(|item| is_name(item) || matches!(item, Expr::Number(_))),
        _ => false,
    }
}

/// The value that a chain of equalities gives to a name, if it gives one.
pub(super) fn value_of_assignment(chain: &Expr, gold: &Expr, fuel: &mut Fuel) -> Option<Expr> {
    let Expr::Chain(first, rest) = chain else { return None };
    if !rest.iter().all(|(relation, _)| matches!(relation, Relation::Equal | Relation::Approximate)) {
        return None;
    }
    let named = is_name(first);
    let mut sides: Vec<(&Expr, bool)> = Vec::new();
    if !named {
        sides.push((first, false));
    }
    sides.extend(rest.iter().map(|(relation, side)| (side, *relation == Relation::Approximate)));
    let gold_has_symbols = gold.has_symbols();
    if named && gold_has_symbols && !is_head(first) {
        return None;
    }
    // the exact side counts; an approximation behind it must agree with it
    let last_exact = sides.iter().rposition(|(_, approximate)| !approximate);
    let index = last_exact.unwrap_or(0);
    let (value, approximate) = *sides.get(index)?;
    if approximate && sides.len() > 1 {
        return None;
    }
    if named && mentions(value, first) {
        return None;
    }
    for (position, (side, side_approximate)) in sides.iter().enumerate() {
        if position == index {
            continue;
        }
        if side.has_symbols() && named && !value.has_symbols() {
            // `A = \pi r^2 = 9\pi`: the formula on the way
            continue;
        }
        let agrees = if *side_approximate {
            approximates(value, side, fuel)
        } else {
            super::same(value, side, fuel) == Sameness::Equal
        };
        if !agrees {
            return None;
        }
    }
    Some(value.clone())
}

/// A name that may stand before an expression with symbols: `y`, `f(x)`, a word.
fn is_head(expr: &Expr) -> bool {
    match expr {
        Expr::Symbol(_) | Expr::Word(_) => true,
        Expr::Product(items) => match items.as_slice() {
            [Expr::Symbol(_), argument] => matches!(argument, Expr::Symbol(_) | Expr::Group(..)),
            [Expr::Power(..), Expr::Symbol(_)] => items.first().is_some_and(is_name),
            _ => false,
        },
        _ => false,
    }
}

/// Whether the value uses the symbol that is being defined.
fn mentions(value: &Expr, name: &Expr) -> bool {
    match name {
        Expr::Symbol(_) => value.any(&|node| node == name),
        Expr::Product(items) => items
            .first()
            .is_some_and(|head| matches!(head, Expr::Symbol(_)) && value.any(&|node| node == head)),
        _ => false,
    }
}

/// Whether a decimal behind `\approx` is the value to its own last digit.
fn approximates(value: &Expr, side: &Expr, fuel: &mut Fuel) -> bool {
    let decimal = match side {
        Expr::Number(number) => number,
        Expr::Negate(inner) => match &**inner {
            Expr::Number(number) => number,
            _ => return false,
        },
        _ => return false,
    };
    let places = decimal.decimal.map_or(0, |decimal| decimal.places);
    let Ok(places) = usize::try_from(places) else { return false };
    let unit = dashu_ratio::RBig::from_parts(dashu_int::IBig::ONE, crate::numeral::power_of_ten(places));
    let target = match side {
        Expr::Negate(_) => -decimal.value.clone(),
        _ => decimal.value.clone(),
    };
    value.is_scalar() && scalar::within(value, &target, &unit, fuel)
}

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
    map(expr, &|node| match node {
        Expr::Symbol(name) => Some(Expr::Symbol(format!("{name}*").into())),
        _ => None,
    })
}

/// Rebuilds a scalar expression with some nodes replaced.
pub(super) fn map(expr: &Expr, change: &dyn Fn(&Expr) -> Option<Expr>) -> Expr {
    if let Some(changed) = change(expr) {
        return changed;
    }
    let boxed = |inner: &Expr| Box::new(map(inner, change));
    let all = |items: &[Expr]| items.iter().map(|item| map(item, change)).collect::<Vec<_>>();
    match expr {
        Expr::Negate(inner) => Expr::Negate(boxed(inner)),
        Expr::PlusMinus(inner) => Expr::PlusMinus(boxed(inner)),
        Expr::MinusPlus(inner) => Expr::MinusPlus(boxed(inner)),
        Expr::Degrees(inner) => Expr::Degrees(boxed(inner)),
        Expr::Percent(inner) => Expr::Percent(boxed(inner)),
        Expr::Quantity(inner, unit) => Expr::Quantity(boxed(inner), unit.clone()),
        Expr::Sum(items) => Expr::Sum(all(items)),
        Expr::Product(items) => Expr::Product(all(items)),
        Expr::Call(function, items) => Expr::Call(*function, all(items)),
        Expr::Group(open, close, items) => Expr::Group(*open, *close, all(items)),
        Expr::Quotient(left, right) => Expr::Quotient(boxed(left), boxed(right)),
        Expr::Power(left, right) => Expr::Power(boxed(left), boxed(right)),
        Expr::Root(left, right) => Expr::Root(boxed(left), boxed(right)),
        other => other.clone(),
    }
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
