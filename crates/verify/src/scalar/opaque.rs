//! Values that are not computed, only recognised where they recur: infinite sums, integrals and limits, functions
//! and operators known by name alone, real parts and conjugates of unknowns.
//!
//! Each becomes a symbol of its own; those that are the same, argument by argument, share one. What is equal then is
//! equal whatever the values are.

use super::{Sameness, equal};
use crate::compare;
use crate::expression::{Bound, Expr, Function, Iteration, Name};
use crate::fuel::Fuel;

/// More such values in one comparison are not told apart.
const MAXIMUM_VALUES: usize = 16;
/// Letters that are never factors before a bracket.
const NEVER_FACTORS: [&str; 7] = ["f", "g", "F", "G", "\\phi", "\\psi", "\\Phi"];

/// Whether a value that is not computed stands in the expression.
pub(super) fn is_in(expr: &Expr) -> bool {
    expr.any(&is_opaque_itself)
}

/// Whether a node is not computed, or has a body that is not: that may depend on the sum's own variable.
fn is_opaque(expr: &Expr) -> bool {
    is_opaque_itself(expr) || matches!(expr, Expr::Iterated(iteration) if is_in(&iteration.body))
}

/// Whether a node is not computed, whatever stands below it.
fn is_opaque_itself(expr: &Expr) -> bool {
    match expr {
        Expr::Applied(..) => true,
        Expr::Iterated(iteration) => iteration.is_infinite(),
        Expr::Call(Function::Real | Function::ImaginaryPart | Function::Conjugate, items) => {
            items.iter().any(Expr::has_symbols)
        }
        _ => false,
    }
}

/// Equality whatever the values are.
pub(super) fn equal_whatever(left: &Expr, right: &Expr, fuel: &mut Fuel) -> Sameness {
    let (left, right) = (multiplied(left, right), multiplied(right, left));
    let mut values = Vec::new();
    collect(&left, &mut values);
    collect(&right, &mut values);
    if values.len() > MAXIMUM_VALUES {
        return Sameness::Undecided;
    }
    // the first of its equals stands for all of them
    let mut first = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        let earlier = (0..index).find(|earlier| {
            values.get(*earlier).is_some_and(|other| same(other, value, fuel) == Sameness::Equal)
        });
        first.push(earlier.unwrap_or(index));
    }
    let named = |expr: &Expr| {
        expr.map(&|node| {
            if !is_opaque(node) {
                return None;
            }
            let index = values.iter().position(|value| *value == node)?;
            let name: Name = format!("\u{1}{}", first.get(index)?).into();
            Some(Expr::Symbol(name))
        })
    };
    let computable = values.iter().any(|value| matches!(value, Expr::Iterated(_)));
    let (left, right) = (named(&left), named(&right));
    // what stands in a relation is not replaced
    if is_in(&left) || is_in(&right) {
        return Sameness::of(left == right);
    }
    match equal(&left, &right, fuel) {
        Sameness::Equal => Sameness::Equal,
        Sameness::Different if !computable => Sameness::Different,
        _ => Sameness::Undecided,
    }
}

/// `P(1 + r)` is a product beside an expression in which `P` stands alone, `C(n, k)` a binomial beside one without it.
/// An application that is the whole of a side is one, and so is what usually names a function.
fn multiplied(expr: &Expr, other: &Expr) -> Expr {
    if matches!(expr, Expr::Applied(name, items) if items.len() == 1 && name != "C") {
        return expr.clone();
    }
    let is_choice = |node: &Expr| matches!(node, Expr::Applied(name, pair) if name == "C" && pair.len() == 2);
    expr.map(&|node| {
        // `P(1 + r)^n` as a product is `P` times the power
        let (node, exponent) = match node {
            Expr::Power(base, exponent) if matches!(**base, Expr::Applied(..)) => (&**base, Some(exponent)),
            node => (node, None),
        };
        let Expr::Applied(name, items) = node else { return None };
        let raised = |base: Expr| match exponent {
            Some(exponent) => Expr::Power(Box::new(base), exponent.clone()),
            None => base,
        };
        if is_choice(node) && items.iter().all(Expr::is_scalar) && !other.any(&is_choice) {
            return Some(raised(Expr::Call(Function::Binomial, items.clone())));
        }
        let [argument @ (Expr::Sum(_) | Expr::Product(_))] = items.as_slice() else { return None };
        let letter = Expr::Symbol(name.clone());
        let alone = name.chars().count() == 1
            && !NEVER_FACTORS.contains(&name.as_str())
            && argument.is_scalar()
            && other.any(&|node| *node == letter);
        alone.then(|| Expr::Product(vec![letter, raised(argument.clone())]))
    })
}

fn collect<'a>(expr: &'a Expr, known: &mut Vec<&'a Expr>) {
    if is_opaque(expr) {
        if !known.contains(&expr) {
            known.push(expr);
        }
        return;
    }
    expr.any_child(&mut |child| {
        collect(child, known);
        false
    });
}

fn same(left: &Expr, right: &Expr, fuel: &mut Fuel) -> Sameness {
    match (left, right) {
        (Expr::Iterated(left), Expr::Iterated(right)) => same_iteration(left, right, fuel),
        (Expr::Applied(name, left), Expr::Applied(other, right)) if name == other => {
            same_arguments(left, right, fuel)
        }
        (Expr::Call(function, left), Expr::Call(other, right)) if function == other => {
            same_arguments(left, right, fuel)
        }
        _ => Sameness::Different,
    }
}

fn same_arguments(left: &[Expr], right: &[Expr], fuel: &mut Fuel) -> Sameness {
    if left.len() != right.len() {
        return Sameness::Different;
    }
    left.iter().zip(right).fold(Sameness::Equal, |all, (left, right)| match all {
        Sameness::Different => all,
        _ if left == right => all,
        _ if left.is_scalar() && right.is_scalar() => all.and(equal(left, right, fuel)),
        _ => all.and(compare::same(left, right, fuel)),
    })
}

/// The same operator over the same range of the same body, whatever the variable is called.
pub(super) fn same_iteration(left: &Iteration, right: &Iteration, fuel: &mut Fuel) -> Sameness {
    if left.operator != right.operator {
        return Sameness::Different;
    }
    let ends = same_bound(Some(&left.from), Some(&right.from), fuel).and(same_bound(
        left.to.as_ref(),
        right.to.as_ref(),
        fuel,
    ));
    if ends != Sameness::Equal {
        return ends;
    }
    let variable = Expr::Symbol("\u{1}".into());
    let (left, right) = (left.at(&variable), right.at(&variable));
    equal(&left, &right, fuel)
}

fn same_bound(left: Option<&Bound>, right: Option<&Bound>, fuel: &mut Fuel) -> Sameness {
    match (left, right) {
        (Some(Bound::At(left)), Some(Bound::At(right))) => equal(left, right, fuel),
        (left, right) => Sameness::of(left == right),
    }
}
