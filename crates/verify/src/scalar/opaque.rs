//! Infinite sums, integrals and limits: values that are not computed, only recognised where they recur.
//!
//! Each becomes a symbol of its own; those with the same ends and the same body share one. What is equal then
//! is equal whatever the values are; what is not stays undecided.

use super::{Sameness, equal};
use crate::expression::{Bound, Expr, Iteration, Name};
use crate::fuel::Fuel;

/// More such values in one comparison are not told apart.
const MAXIMUM_VALUES: usize = 16;

/// Whether a value that is not computed stands in the expression.
pub(super) fn is_in(expr: &Expr) -> bool {
    expr.any(&|node| matches!(node, Expr::Iterated(iteration) if iteration.is_infinite()))
}

/// Equality whatever the values are.
pub(super) fn equal_whatever(left: &Expr, right: &Expr, fuel: &mut Fuel) -> Sameness {
    let mut values = Vec::new();
    collect(left, &mut values);
    collect(right, &mut values);
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
        expr.map(&|node| match node {
            Expr::Iterated(iteration) if iteration.is_infinite() => {
                let index = values.iter().position(|value| **value == **iteration)?;
                let name: Name = format!("\u{1}{}", first.get(index)?).into();
                Some(Expr::Symbol(name))
            }
            _ => None,
        })
    };
    match equal(&named(left), &named(right), fuel) {
        Sameness::Equal => Sameness::Equal,
        _ => Sameness::Undecided,
    }
}

fn collect<'a>(expr: &'a Expr, known: &mut Vec<&'a Iteration>) {
    if let Expr::Iterated(iteration) = expr
        && iteration.is_infinite()
    {
        if !known.iter().any(|value| **value == **iteration) {
            known.push(iteration);
        }
        return;
    }
    expr.any_child(&mut |child| {
        collect(child, known);
        false
    });
}

/// The same operator over the same range of the same body, whatever the variable is called.
fn same(left: &Iteration, right: &Iteration, fuel: &mut Fuel) -> Sameness {
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
