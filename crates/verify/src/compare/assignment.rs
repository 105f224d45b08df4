//! Assignments: what an answer wraps around its value, and the value itself.

use std::borrow::Cow;

use super::equation;
use crate::expression::{Bracket, Expr, Function, Joiner, Relation};
use crate::fuel::Fuel;
use crate::scalar::{self, Sameness};

/// Takes wrappings off a side that the other one does not have: `(x, y) = (1, 2)`, `x = 1, x = 2`, `x \in \{1\}`.
pub(super) fn settle<'a>(expr: &'a Expr, other: &Expr) -> Cow<'a, Expr> {
    match expr {
        Expr::List(items, joiner) => {
            settled_list(items, *joiner, other).map_or(Cow::Borrowed(expr), Cow::Owned)
        }
        // `(y = 2, x = 1)`
        Expr::Group(Bracket::Round, Bracket::Round, items)
            if items.iter().any(|item| equation(item).is_some()) =>
        {
            match unwrapped_list(items, other) {
                Some(Unwrapped::Tuple(values)) => {
                    Cow::Owned(Expr::Group(Bracket::Round, Bracket::Round, values))
                }
                _ => Cow::Owned(Expr::List(items.clone(), Joiner::Comma)),
            }
        }
        Expr::Chain(left, rest) => match rest.as_slice() {
            // `x \in \{1, 2\}` is the set
            [(Relation::Member, set @ Expr::Set(_))]
                if (is_name(left) || is_tuple_of_names(left)) && !matches!(other, Expr::Chain(..)) =>
            {
                Cow::Borrowed(set)
            }
            [(Relation::Equal, tuple @ Expr::Group(..))] if is_tuple_of_names(left) => Cow::Borrowed(tuple),
            // `2 = x`
            [(Relation::Equal, name @ (Expr::Symbol(_) | Expr::Applied(..)))] if !left.has_symbols() => {
                Cow::Owned(Expr::Chain(Box::new(name.clone()), vec![(Relation::Equal, (**left).clone())]))
            }
            // `f(x) \equiv x^2 + 1`
            [(Relation::Congruent, value)] if is_head(left) => {
                Cow::Owned(Expr::Chain(left.clone(), vec![(Relation::Equal, value.clone())]))
            }
            _ => Cow::Borrowed(expr),
        },
        // the point `P(8, -2)`
        Expr::Applied(name, items)
            if items.len() > 1
                && name.starts_with(char::is_uppercase)
                && matches!(other, Expr::Group(..)) =>
        {
            Cow::Owned(Expr::Group(Bracket::Round, Bracket::Round, items.clone()))
        }
        // `\{1\} \cup \{2, 3\}`
        Expr::Union(sets) if !matches!(other, Expr::Union(_)) => {
            let members = |set: &Expr| match set {
                Expr::Set(items) => Some(items.clone()),
                _ => None,
            };
            match sets.iter().map(members).collect::<Option<Vec<_>>>() {
                Some(sets) => Cow::Owned(Expr::Set(sets.concat())),
                None => Cow::Borrowed(expr),
            }
        }
        _ => Cow::Borrowed(expr),
    }
}

/// A list without the names before its values, where it has another form.
fn settled_list(items: &[Expr], joiner: Joiner, other: &Expr) -> Option<Expr> {
    // `x = 1, y = 2 \text{ or } x = 2, y = 1`
    if items.iter().all(|item| matches!(item, Expr::List(..))) && is_tuples(other) {
        let pair = Expr::Group(Bracket::Round, Bracket::Round, Vec::new());
        let tuples = items.iter().map(|item| match item {
            Expr::List(parts, Joiner::Comma | Joiner::And) => match unwrapped_list(parts, &pair)? {
                Unwrapped::Tuple(values) => Some(Expr::Group(Bracket::Round, Bracket::Round, values)),
                Unwrapped::Values(_) => None,
            },
            _ => None,
        });
        return Some(Expr::List(tuples.collect::<Option<Vec<_>>>()?, Joiner::Comma));
    }
    // `(x, y) = (1, 2), (2, 1)`
    if let Some((first, rest)) = items.split_first()
        && let Some((names, tuple @ Expr::Group(..))) = equation(first)
        && is_tuple_of_names(names)
    {
        let tuple_of = |item: &Expr| match item {
            Expr::Group(..) => Some(item.clone()),
            item => equation(item).filter(|(left, _)| *left == names).map(|(_, value)| value.clone()),
        };
        let rest = rest.iter().map(tuple_of).collect::<Option<Vec<_>>>()?;
        return Some(Expr::List(std::iter::once(tuple.clone()).chain(rest).collect(), joiner));
    }
    if !items.iter().any(|item| equation(item).is_some()) {
        return None;
    }
    match unwrapped_list(items, other)? {
        Unwrapped::Values(values) => Some(Expr::List(values, joiner)),
        Unwrapped::Tuple(values) if joiner != Joiner::Or => {
            Some(Expr::Group(Bracket::Round, Bracket::Round, values))
        }
        Unwrapped::Tuple(_) => None,
    }
}

/// A list or set of tuples, or one.
fn is_tuples(expr: &Expr) -> bool {
    match expr {
        Expr::List(items, _) | Expr::Set(items) => items.iter().all(|item| matches!(item, Expr::Group(..))),
        _ => false,
    }
}

/// `(x, y)` before `=` or `\in`. Latin letters stand in their order: whether `(y, x) = (1, 2)` means the gold
/// `(1, 2)` or `(2, 1)`, nobody can tell.
fn is_tuple_of_names(expr: &Expr) -> bool {
    let Expr::Group(_, _, names) = expr else { return false };
    let letter = |name: &Expr| match name {
        Expr::Symbol(name) => {
            name.bytes().next().filter(|byte| name.len() == 1 && byte.is_ascii_alphabetic())
        }
        _ => None,
    };
    let letters: Option<Vec<u8>> = names.iter().map(letter).collect();
    names.iter().all(is_name) && letters.is_none_or(|letters| letters.is_sorted())
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
            Some((name @ (Expr::Symbol(_) | Expr::Applied(..)), value)) => {
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
    let tuple = matches!(gold, Expr::Group(Bracket::Round, Bracket::Round, _));
    if !tuple || names.len() != items.len() {
        return None;
    }
    // x before y, r before theta
    let mut named: Vec<(bool, &Expr, Expr)> = Vec::with_capacity(names.len());
    for (name, value) in names.into_iter().zip(values) {
        let Expr::Symbol(letters) = name else { return None };
        if named.iter().any(|(_, known, _)| *known == name) {
            return None;
        }
        named.push((letters.starts_with('\\'), name, value));
    }
    named.sort_by(|(greek, name, _), (other_greek, other, _)| match (name, other) {
        (Expr::Symbol(name), Expr::Symbol(other)) => (greek, name).cmp(&(other_greek, other)),
        _ => std::cmp::Ordering::Equal,
    });
    Some(Unwrapped::Tuple(named.into_iter().map(|(_, _, value)| value).collect()))
}

/// Whether a left side only names a quantity: `x`, `f(x)`, `m + n`, `\text{Area}`, `|AB|`, `P(A \cap B)`.
pub(super) fn is_name(expr: &Expr) -> bool {
    match expr {
        Expr::Symbol(_) | Expr::Word(_) | Expr::Applied(..) | Expr::Iterated(_) => true,
        // Euler's e and the imaginary unit are also names of points and events, but only inside a product
        Expr::Product(items) => {
            items.iter().all(|item| is_name(item) || matches!(item, Expr::Euler | Expr::Imaginary))
        }
        Expr::Sum(items) => items.iter().all(|item| match item {
            Expr::Negate(inner) => is_name(inner),
            // `|x| + |y| = 1` is a curve
            Expr::Call(Function::Abs, _) => false,
            item => is_name(item),
        }),
        Expr::Call(Function::Abs, items) => items.iter().all(|item| match item {
            Expr::Union(sets) | Expr::Intersection(sets) => sets.iter().all(is_name),
            item => is_name(item),
        }),
        Expr::Quotient(above, below) => {
            matches!((&**above, &**below), (Expr::Symbol(_), Expr::Symbol(_)))
        }
        Expr::Ratio(items) => items.iter().all(is_name),
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

/// `204_5 = 54_{10}`: one number in several bases; the one in the gold's base.
fn in_base_of<'a>(gold: &Expr, sides: &[&'a Expr]) -> Option<&'a Expr> {
    let Expr::Based(_, base) = gold else { return None };
    let value = |side: &Expr| match side {
        Expr::Based(digits, base) => u128::from_str_radix(digits, *base).ok(),
        _ => None,
    };
    let first = value(sides.first()?)?;
    let agree = sides.iter().all(|side| value(side) == Some(first));
    agree
        .then(|| sides.iter().find(|side| matches!(side, Expr::Based(_, other) if other == base)).copied())?
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
    if sides.len() > 1 && sides.iter().all(|(side, _)| matches!(side, Expr::Based(..))) {
        let sides: Vec<&Expr> = sides.iter().map(|(side, _)| *side).collect();
        return in_base_of(gold, &sides).cloned();
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

/// A name that may stand before an expression with symbols: `y`, `f(x)`, `\frac{dy}{dx}`, a word.
pub(super) fn is_head(expr: &Expr) -> bool {
    matches!(expr, Expr::Symbol(_) | Expr::Word(_) | Expr::Applied(..))
}

/// Whether the value uses the symbol that is being defined.
fn mentions(value: &Expr, name: &Expr) -> bool {
    match name {
        Expr::Symbol(_) => value.any(&|node| node == name),
        Expr::Applied(head, _) => value.any(&|node| matches!(node, Expr::Applied(other, _) if other == head)),
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
    if !value.is_scalar() {
        return false;
    }
    // a value with no more digits than shown is shown whole
    let scaled = |value: dashu_ratio::RBig| (value / &unit).is_int();
    match scalar::rational(value, fuel) {
        Some(exact) if scaled(exact.clone()) => exact == target,
        _ => scalar::within(value, &target, &unit, fuel),
    }
}
