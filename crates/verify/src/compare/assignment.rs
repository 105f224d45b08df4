//! Assignments: what an answer wraps around its value, and the value itself.

use std::borrow::Cow;

use super::equation;
use crate::expression::{Bracket, Expr, Function, Joiner, Relation};
use crate::fuel::Fuel;
use crate::scalar::{self, Sameness};

/// Takes wrappings off an answer that the gold does not have: `(x, y) = (1, 2)`, `x = 1, x = 2`, `x \in \{1\}`.
pub(super) fn settle<'a>(answer: &'a Expr, gold: &Expr) -> Cow<'a, Expr> {
    match answer {
        Expr::List(items, joiner) if items.iter().any(|item| equation(item).is_some()) => {
            match unwrapped_list(items, gold) {
                Some(Unwrapped::Values(values)) => Cow::Owned(Expr::List(values, *joiner)),
                Some(Unwrapped::Tuple(values)) if *joiner != Joiner::Or => {
                    Cow::Owned(Expr::Group(Bracket::Round, Bracket::Round, values))
                }
                _ => Cow::Borrowed(answer),
            }
        }
        Expr::Chain(left, rest) => match rest.as_slice() {
            // `x \in \{1, 2\}` is the set
            [(Relation::Member, set @ Expr::Set(_))]
                if (is_name(left) || is_tuple_of_names(left)) && !matches!(gold, Expr::Chain(..)) =>
            {
                Cow::Borrowed(set)
            }
            [(Relation::Equal, tuple @ Expr::Group(..))] if is_tuple_of_names(left) => Cow::Borrowed(tuple),
            _ => Cow::Borrowed(answer),
        },
        Expr::Product(items) => match items.as_slice() {
            // the point `P(8, -2)`
            [Expr::Symbol(_), tuple @ Expr::Group(..)] if matches!(gold, Expr::Group(..)) => {
                Cow::Borrowed(tuple)
            }
            // the binomial `C(20, 10)`
            [Expr::Symbol(name), Expr::Group(Bracket::Round, Bracket::Round, pair)]
                if name == "C" && pair.len() == 2 && gold.is_scalar() =>
            {
                Cow::Owned(Expr::Call(Function::Binomial, pair.clone()))
            }
            _ => Cow::Borrowed(answer),
        },
        // `\{1\} \cup \{2, 3\}`
        Expr::Union(sets) if !matches!(gold, Expr::Union(_)) => {
            let members = |set: &Expr| match set {
                Expr::Set(items) => Some(items.clone()),
                _ => None,
            };
            match sets.iter().map(members).collect::<Option<Vec<_>>>() {
                Some(sets) => Cow::Owned(Expr::Set(sets.concat())),
                None => Cow::Borrowed(answer),
            }
        }
        _ => Cow::Borrowed(answer),
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

/// The tuple that a gold such as `x = 1, y = 2` stands for beside an answer that is one.
pub(super) fn tuple_beside(gold: &Expr, answer: &Expr) -> Option<Expr> {
    match gold {
        Expr::List(items, Joiner::Comma | Joiner::And) => match unwrapped_list(items, answer)? {
            Unwrapped::Tuple(values) => Some(Expr::Group(Bracket::Round, Bracket::Round, values)),
            Unwrapped::Values(_) => None,
        },
        _ => None,
    }
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
        Expr::Quotient(above, below) => {
            matches!((&**above, &**below), (Expr::Symbol(_), Expr::Symbol(_)))
        }
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
    let plain = |item: &Expr| is_name(item) || matches!(item, Expr::Number(_));
    match expr {
        Expr::Group(_, _, items) => items.iter().all(plain),
        // `P(X = 3)`
        Expr::Chain(first, rest) => plain(first) && rest.iter().all(|(_, side)| plain(side)),
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

/// A name that may stand before an expression with symbols: `y`, `f(x)`, a word.
pub(super) fn is_head(expr: &Expr) -> bool {
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
