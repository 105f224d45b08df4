//! Sums and products over a range, definite integrals, limits.

use super::Reader;
use crate::expression::{Bound, Expr, Iteration, Name, Operator, Relation};
use crate::lexer::ReadError;
use crate::token::Token;

/// More terms under one integral sign are refused.
const MAXIMUM_INTEGRANDS: usize = 64;

impl Reader {
    /// What follows `\sum`, `\prod`, `\int` or `\lim`.
    pub(super) fn iterated(&mut self, operator: Operator) -> Result<Expr, ReadError> {
        if matches!(operator, Operator::Sum | Operator::Product) {
            // `\sum_{i} a_i`
            let braced = self.peek_at(1) == Some(&Token::OpenBrace);
            let end = 2 + 2 * usize::from(braced);
            if self.peek() == Some(&Token::Underscore)
                && matches!(self.peek_at(end - 1 - usize::from(braced)), Some(Token::Symbol(_)))
                && (!braced || self.peek_at(end - 1) == Some(&Token::CloseBrace))
                && self.peek_at(end) != Some(&Token::Caret)
            {
                self.position += 1;
                let range = self.atom()?;
                return self.over_some_range(operator, range);
            }
        }
        let iteration = self.deeper(|reader| match operator {
            Operator::Sum | Operator::Product => reader.over_range(operator),
            Operator::Integral => reader.integral(),
            Operator::Limit => reader.limit(),
        })?;
        Ok(Expr::Iterated(Box::new(iteration)))
    }

    /// `_{k=1}^{n} body`, in either order of the ends; the body is one term.
    fn over_range(&mut self, operator: Operator) -> Result<Iteration, ReadError> {
        let mut start = None;
        let mut to = None;
        for _ in 0..2 {
            if start.is_none() && self.accept(&Token::Underscore) {
                self.expect(&Token::OpenBrace)?;
                let variable = self.variable()?;
                self.expect(&Token::Relation(Relation::Equal))?;
                let from = self.sum()?;
                self.expect(&Token::CloseBrace)?;
                start = Some((variable, bound(from)?));
            } else if to.is_none() && self.accept(&Token::Caret) {
                to = Some(bound(self.upper_end()?)?);
            }
        }
        let (Some((variable, from)), Some(to)) = (start, to) else { return Err(ReadError::NotUnderstood) };
        let body = as_symbol(self.term()?, &variable);
        Ok(Iteration { operator, variable, from, to: Some(to), body })
    }

    /// The upper end of a range; an underscore behind its letter starts the lower one.
    fn upper_end(&mut self) -> Result<Expr, ReadError> {
        if let (Some(Token::Symbol(name)), Some(Token::Underscore)) = (self.peek(), self.peek_at(1)) {
            let name = name.clone();
            self.position += 1;
            return Ok(Expr::Symbol(name));
        }
        if let (Some(Token::Number { number, .. }), Some(Token::Underscore)) = (self.peek(), self.peek_at(1))
        {
            let number = number.clone();
            self.position += 1;
            return Ok(Expr::Number(number));
        }
        self.exponent()
    }

    /// `_a^b f(x) dx`: terms up to the one with the differential.
    fn integral(&mut self) -> Result<Iteration, ReadError> {
        let (mut from, mut to) = (None, None);
        for _ in 0..2 {
            if from.is_none() && self.accept(&Token::Underscore) {
                // an atom: in `_0^1` the caret belongs to the other end
                from = Some(bound(self.atom()?)?);
            } else if to.is_none() && self.accept(&Token::Caret) {
                to = Some(bound(self.upper_end()?)?);
            }
        }
        let (Some(from), Some(to)) = (from, to) else { return Err(ReadError::NotUnderstood) };
        let mut terms = Vec::new();
        while terms.len() < MAXIMUM_INTEGRANDS {
            let negative = self.accept(&Token::Minus);
            if !negative && !self.accept(&Token::Plus) && !terms.is_empty() {
                break;
            }
            let term = self.term()?;
            let variable = differential(&term);
            terms.push(if negative { Expr::Negate(Box::new(term)) } else { term });
            if let Some(variable) = variable {
                let body = Expr::Sum(terms);
                return Ok(Iteration { operator: Operator::Integral, variable, from, to: Some(to), body });
            }
        }
        Err(ReadError::NotUnderstood)
    }

    /// `_{x \to a} body`.
    fn limit(&mut self) -> Result<Iteration, ReadError> {
        self.expect(&Token::Underscore)?;
        self.expect(&Token::OpenBrace)?;
        let variable = self.variable()?;
        self.expect(&Token::Arrow)?;
        let from = bound(self.sum()?)?;
        self.expect(&Token::CloseBrace)?;
        let body = self.term()?;
        Ok(Iteration { operator: Operator::Limit, variable, from, to: None, body })
    }

    fn variable(&mut self) -> Result<Name, ReadError> {
        let Some(Token::Symbol(name)) = self.peek() else { return Err(ReadError::NotUnderstood) };
        let name = name.clone();
        self.position += 1;
        Ok(name)
    }
}

/// In a sum over `i` the letter is no imaginary unit.
fn as_symbol(body: Expr, variable: &Name) -> Expr {
    let constant = match variable.as_str() {
        "i" => Expr::Imaginary,
        "e" => Expr::Euler,
        _ => return body,
    };
    body.map(&|node| (*node == constant).then(|| Expr::Symbol(variable.clone())))
}

fn bound(expr: Expr) -> Result<Bound, ReadError> {
    match expr {
        Expr::Infinity => Ok(Bound::PlusInfinity),
        Expr::Negate(inner) if *inner == Expr::Infinity => Ok(Bound::MinusInfinity),
        expr if expr.is_scalar() => Ok(Bound::At(expr)),
        _ => Err(ReadError::NotUnderstood),
    }
}

/// The variable of the differential in a term: `d` and a symbol side by side.
fn differential(term: &Expr) -> Option<Name> {
    if let Expr::Product(items) = term {
        let found = items.windows(2).find_map(|pair| match pair {
            [Expr::Symbol(d), Expr::Symbol(variable)] if *d == "d" => Some(variable.clone()),
            _ => None,
        });
        if found.is_some() {
            return found;
        }
    }
    let mut found = None;
    term.any_child(&mut |child| {
        found = differential(child);
        found.is_some()
    });
    found
}
