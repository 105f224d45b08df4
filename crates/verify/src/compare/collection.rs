//! Lists, sets, tuples, matrices, ratios, and answers under `±`.

use std::cmp::Ordering;

use super::{Sameness, same};
use crate::expression::{Bracket, Expr};
use crate::fuel::Fuel;
use crate::scalar;

/// A comparison of more pairs than this is not made.
const MAXIMUM_MEMBERS: usize = 128;
/// Members or rows beyond this many are not searched for equals.
const MAXIMUM_DISTINCT: usize = 32;

/// Whether an answer has several values.
pub(super) fn is_collection(expr: &Expr) -> bool {
    matches!(expr, Expr::List(..) | Expr::Set(_)) || has_sign(expr)
}

fn has_sign(expr: &Expr) -> bool {
    expr.any(&|node| matches!(node, Expr::PlusMinus(_) | Expr::MinusPlus(_)))
}

/// The members of a collection, signs written out; `None` where signs are ambiguous.
fn members(expr: &Expr) -> Option<Vec<Expr>> {
    let items: Vec<&Expr> = match expr {
        Expr::List(items, _) | Expr::Set(items) => items.iter().collect(),
        other => vec![other],
    };
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        if has_sign(item) {
            out.extend(both_signs(item)?);
        } else {
            out.push(item.clone());
        }
    }
    Some(out)
}

/// The two values of an expression under one `±` (and any `∓` that go with it).
fn both_signs(expr: &Expr) -> Option<[Expr; 2]> {
    if count(expr, &|node| matches!(node, Expr::PlusMinus(_))) > 1 {
        return None;
    }
    let with = |plus: bool| {
        expr.map(&|node| match node {
            Expr::PlusMinus(inner) => {
                Some(if plus { (**inner).clone() } else { Expr::Negate(inner.clone()) })
            }
            Expr::MinusPlus(inner) => {
                Some(if plus { Expr::Negate(inner.clone()) } else { (**inner).clone() })
            }
            _ => None,
        })
    };
    Some([with(true), with(false)])
}

fn count(expr: &Expr, predicate: &dyn Fn(&Expr) -> bool) -> usize {
    let mut total = usize::from(predicate(expr));
    expr.any_child(&mut |child| {
        total += count(child, predicate);
        false
    });
    total
}

/// The same members, in any order, each once.
pub(super) fn same_members(gold: &Expr, answer: &Expr, fuel: &mut Fuel) -> Sameness {
    if let (Expr::Quantity(gold, gold_unit), Expr::Quantity(answer, unit)) = (gold, answer) {
        return Sameness::of(gold_unit == unit).and(same_members(gold, answer, fuel));
    }
    let braced = matches!((gold, answer), (Expr::Set(_), Expr::Set(_)));
    let (Some(gold), Some(answer)) = (members(gold), members(answer)) else { return Sameness::Different };
    let (mut gold, mut answer) = (gold, answer);
    if gold.len() != answer.len() && braced {
        // a set has each member once
        gold = distinct(gold, fuel);
        answer = distinct(answer, fuel);
    }
    if gold.len() != answer.len() {
        return Sameness::Different;
    }
    if gold.len() > MAXIMUM_MEMBERS {
        return Sameness::Undecided;
    }
    let mut left: Vec<&Expr> = answer.iter().collect();
    let mut all = Sameness::Equal;
    for member in &gold {
        let mut undecided = false;
        let is_set = |expr: &Expr| matches!(expr, Expr::Set(_));
        let found = left.iter().position(|candidate| match same(member, candidate, fuel) {
            // a member is no set of itself
            Sameness::Equal => is_set(member) == is_set(candidate),
            Sameness::Different => false,
            Sameness::Undecided => {
                undecided = true;
                false
            }
        });
        match found {
            Some(index) => {
                left.remove(index);
            }
            None if undecided => all = all.and(Sameness::Undecided),
            None => return Sameness::Different,
        }
    }
    all
}

/// The same relations, in any order.
pub(super) fn same_relations(gold: &[Expr], answer: &[Expr], fuel: &mut Fuel) -> Sameness {
    if gold.len() != answer.len() || gold.len() > MAXIMUM_DISTINCT {
        return Sameness::Different;
    }
    let mut left: Vec<&Expr> = answer.iter().collect();
    for relation in gold {
        let Some(index) = left.iter().position(|other| same(relation, other, fuel) == Sameness::Equal) else {
            return Sameness::Different;
        };
        left.remove(index);
    }
    Sameness::Equal
}

/// Members without those that surely equal an earlier one.
fn distinct(members: Vec<Expr>, fuel: &mut Fuel) -> Vec<Expr> {
    let mut out: Vec<Expr> = Vec::with_capacity(members.len());
    for member in members {
        let known = out.len() < MAXIMUM_DISTINCT
            && out.iter().any(|kept| same(kept, &member, fuel) == Sameness::Equal);
        if !known {
            out.push(member);
        }
    }
    out
}

/// Answers by cases: the same values under the same conditions, in any order.
pub(super) fn same_cases(gold: &[(Expr, Expr)], answer: &[(Expr, Expr)], fuel: &mut Fuel) -> Sameness {
    if gold.len() != answer.len() || gold.len() > MAXIMUM_DISTINCT {
        return Sameness::Different;
    }
    let mut left: Vec<&(Expr, Expr)> = answer.iter().collect();
    for (value, condition) in gold {
        let found = left.iter().position(|(other, other_condition)| {
            same(condition, other_condition, fuel).and(same(value, other, fuel)) == Sameness::Equal
        });
        match found {
            Some(index) => left.remove(index),
            None => return Sameness::Different,
        };
    }
    Sameness::Equal
}

pub(super) fn same_in_order(gold: &[Expr], answer: &[Expr], fuel: &mut Fuel) -> Sameness {
    if gold.len() != answer.len() {
        return Sameness::Different;
    }
    gold.iter().zip(answer).fold(Sameness::Equal, |all, (gold, answer)| {
        if all == Sameness::Different { all } else { all.and(same(gold, answer, fuel)) }
    })
}

/// Tuples and intervals: the same brackets around the same items.
pub(super) fn same_group(gold: &Expr, answer: &Expr, fuel: &mut Fuel) -> Sameness {
    let (Expr::Group(open, close, items), Expr::Group(other_open, other_close, others)) = (gold, answer)
    else {
        return Sameness::Different;
    };
    // longer tuples and vectors are written with any bracket, pairs may be intervals
    let brackets = (open, close) == (other_open, other_close)
        || (items.len() > 2 && open == close && other_open == other_close)
        || (items.len() == 2
            && [(open, close), (other_open, other_close)].contains(&(&Bracket::Angle, &Bracket::Angle))
            && [(open, close), (other_open, other_close)].contains(&(&Bracket::Round, &Bracket::Round)));
    if !brackets {
        return Sameness::Different;
    }
    same_in_order(items, others, fuel)
}

/// Whether round brackets around these items cannot be an open interval.
pub(super) fn is_surely_tuple(items: &[Expr], fuel: &mut Fuel) -> bool {
    match items {
        [first, second] => {
            first.is_scalar()
                && second.is_scalar()
                && !first.has_symbols()
                && !second.has_symbols()
                && matches!(scalar::order(first, second, fuel), Some(Ordering::Greater | Ordering::Equal))
        }
        _ => true,
    }
}

/// `a : b` and `c : d` are the same ratio; a ratio of two is also a fraction.
pub(super) fn same_ratio(gold: &Expr, answer: &Expr, fuel: &mut Fuel) -> Sameness {
    match (gold, answer) {
        (Expr::Ratio(gold), Expr::Ratio(answer)) => {
            if gold.len() != answer.len() {
                return Sameness::Different;
            }
            let (Some(gold_first), Some(first)) = (gold.first(), answer.first()) else {
                return Sameness::Different;
            };
            gold.iter().zip(answer).fold(Sameness::Equal, |all, (gold, answer)| {
                let left = Expr::Product(vec![gold_first.clone(), answer.clone()]);
                let right = Expr::Product(vec![gold.clone(), first.clone()]);
                let zero = |expr: &Expr, fuel: &mut Fuel| {
                    scalar::rational(expr, fuel).is_some_and(|value| value.is_zero())
                };
                if !left.is_scalar() || !right.is_scalar() || zero(&left, fuel) || zero(&right, fuel) {
                    return Sameness::Different;
                }
                all.and(scalar::equal(&left, &right, fuel))
            })
        }
        (Expr::Ratio(parts), other) | (other, Expr::Ratio(parts)) => match parts.as_slice() {
            [first, second] if first.is_scalar() && second.is_scalar() && other.is_scalar() => {
                let quotient = Expr::Quotient(Box::new(first.clone()), Box::new(second.clone()));
                scalar::equal(&quotient, other, fuel)
            }
            _ => Sameness::Different,
        },
        _ => Sameness::Different,
    }
}

/// Whether rows are a column of so many entries.
pub(super) fn is_column(rows: &[Vec<Expr>], count: usize) -> bool {
    rows.len() == count && count > 1 && rows.iter().all(|row| row.len() == 1)
}

/// Matrices cell by cell; a factor in front is multiplied in, `[[a, b], [c, d]]` is read row by row.
pub(super) fn same_matrix(gold: &Expr, answer: &Expr, fuel: &mut Fuel) -> Sameness {
    let (Some(gold), Some(answer)) = (matrix(gold), matrix(answer)) else { return Sameness::Different };
    if gold.len() != answer.len() {
        return Sameness::Different;
    }
    gold.iter().zip(&answer).fold(Sameness::Equal, |all, (gold, answer)| {
        if all == Sameness::Different { all } else { all.and(same_in_order(gold, answer, fuel)) }
    })
}

fn matrix(expr: &Expr) -> Option<Vec<Vec<Expr>>> {
    match expr {
        Expr::Matrix(rows) => Some(rows.clone()),
        Expr::Negate(inner) => Some(scaled(&Expr::integer(-1), &matrix(inner)?)),
        Expr::Product(items) => {
            let (matrices, factors): (Vec<&Expr>, Vec<&Expr>) =
                items.iter().partition(|item| item.any(&|node| matches!(node, Expr::Matrix(_))));
            let [only] = matrices.as_slice() else { return None };
            let factor = Expr::Product(factors.into_iter().cloned().collect());
            Some(scaled(&factor, &matrix(only)?))
        }
        Expr::Quotient(numerator, denominator) => {
            let factor = Expr::Quotient(Box::new(Expr::integer(1)), denominator.clone());
            Some(scaled(&factor, &matrix(numerator)?))
        }
        Expr::Power(base, exponent) => {
            let transposed = matches!(&**exponent, Expr::Symbol(name) if matches!(&**name, "T" | "\\top"))
                || matches!(&**exponent, Expr::Word(name) if &**name == "T");
            if matches!(&**exponent, Expr::Negate(inner) if **inner == Expr::integer(1)) {
                return inverse(&matrix(base)?);
            }
            if !transposed {
                return None;
            }
            let rows = match &**base {
                Expr::Group(_, _, items) => vec![items.clone()],
                other => matrix(other)?,
            };
            let width = rows.first()?.len();
            Some(
                (0..width)
                    .map(|column| rows.iter().filter_map(|row| row.get(column).cloned()).collect())
                    .collect(),
            )
        }
        Expr::Group(Bracket::Square, Bracket::Square, rows) => rows
            .iter()
            .map(|row| match row {
                Expr::Group(Bracket::Square, Bracket::Square, items) => Some(items.clone()),
                Expr::Number(_) | Expr::Negate(_) | Expr::Quotient(..) => Some(vec![row.clone()]),
                _ => None,
            })
            .collect::<Option<Vec<_>>>()
            .filter(|rows| rows.iter().all(|row| row.len() > 1)),
        _ => None,
    }
}

/// The inverse of a matrix of two rows.
fn inverse(rows: &[Vec<Expr>]) -> Option<Vec<Vec<Expr>>> {
    let [first, second] = rows else { return None };
    let ([a, b], [c, d]) = (first.as_slice(), second.as_slice()) else { return None };
    let product = |left: &Expr, right: &Expr| Expr::Product(vec![left.clone(), right.clone()]);
    let negated = |expr: &Expr| Expr::Negate(Box::new(expr.clone()));
    let determinant = Expr::Sum(vec![product(a, d), negated(&product(b, c))]);
    let over = |expr: Expr| Expr::Quotient(Box::new(expr), Box::new(determinant.clone()));
    Some(vec![vec![over(d.clone()), over(negated(b))], vec![over(negated(c)), over(a.clone())]])
}

fn scaled(factor: &Expr, rows: &[Vec<Expr>]) -> Vec<Vec<Expr>> {
    rows.iter()
        .map(|row| row.iter().map(|cell| Expr::Product(vec![factor.clone(), cell.clone()])).collect())
        .collect()
}

/// The only member of a set of one; any other value is its own.
pub(super) fn sole_member(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::Set(items) => match items.as_slice() {
            [only] => Some(only),
            _ => None,
        },
        other => Some(other),
    }
}
