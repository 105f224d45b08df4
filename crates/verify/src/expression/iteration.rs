//! Sums, products, integrals and limits over a bound variable.

use super::{Expr, Name};

/// What is done over a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Operator {
    Sum,
    Product,
    Integral,
    Limit,
}

/// An end of a range, or where a limit goes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Bound {
    At(Expr),
    PlusInfinity,
    MinusInfinity,
}

/// A sum, product, integral or limit over a bound variable.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Iteration {
    pub(crate) operator: Operator,
    pub(crate) variable: Name,
    pub(crate) from: Bound,
    /// None for limits.
    pub(crate) to: Option<Bound>,
    /// An integral's body contains its differential as a product with the symbol `d`.
    pub(crate) body: Expr,
}

impl Iteration {
    /// Whether the value needs more than finitely many terms, or terms that only have names.
    pub(crate) fn is_infinite(&self) -> bool {
        // the index of a name can run through numbers only where the names are known
        let indexed = |node: &Expr| {
            matches!(node, Expr::Symbol(name)
                if name.split_once('_').is_some_and(|(_, index)| index.contains(&*self.variable)))
        };
        !matches!(
            (self.operator, &self.from, &self.to),
            (Operator::Sum | Operator::Product, Bound::At(_), Some(Bound::At(_)))
        ) || self.body.any(&indexed)
    }

    pub(super) fn map(&self, change: &dyn Fn(&Expr) -> Option<Expr>) -> Self {
        let end = |bound: &Bound| match bound {
            Bound::At(expr) => Bound::At(expr.map(change)),
            other => other.clone(),
        };
        let (variable, body) = match change(&Expr::Symbol(self.variable.clone())) {
            Some(Expr::Symbol(name)) => (name, self.body.map(change)),
            // the body's symbol of that name is another one
            Some(_) => (self.variable.clone(), self.body.clone()),
            None => (self.variable.clone(), self.body.map(change)),
        };
        Self { operator: self.operator, variable, from: end(&self.from), to: self.to.as_ref().map(end), body }
    }

    /// Nodes of the body.
    pub(crate) fn body_size(&self) -> u64 {
        fn size(expr: &Expr) -> u64 {
            let mut total = 1;
            expr.any_child(&mut |child| {
                total += size(child);
                false
            });
            total
        }
        size(&self.body)
    }

    /// The body with the variable replaced.
    pub(crate) fn at(&self, value: &Expr) -> Expr {
        self.body.map(&|node| match node {
            Expr::Symbol(name) if *name == self.variable => Some(value.clone()),
            // `F_k`: the index stands in the name
            Expr::Symbol(name) => {
                let (head, index) = name.split_once('_')?;
                if !index.contains(&*self.variable) {
                    return None;
                }
                let written = match value {
                    Expr::Symbol(other) => other.to_string(),
                    other => format!("({other:?})"),
                };
                Some(Expr::Symbol(format!("{head}_{}", index.replace(&*self.variable, &written)).into()))
            }
            _ => None,
        })
    }

    pub(super) fn bounds(&self) -> impl Iterator<Item = &Expr> {
        std::iter::once(&self.from).chain(&self.to).filter_map(|bound| match bound {
            Bound::At(expr) => Some(expr),
            _ => None,
        })
    }
}
