//! Atoms: numbers, symbols, fractions, roots, functions, words.

use super::{MAXIMUM_DEPTH, Reader};
use crate::expression::{Bracket, Expr, Function, Relation};
use crate::lexer::ReadError;
use crate::token::Token;
use crate::units::Unit;

impl Reader {
    pub(super) fn atom(&mut self) -> Result<Expr, ReadError> {
        self.deeper(Self::atom_here)
    }

    fn atom_here(&mut self) -> Result<Expr, ReadError> {
        // a number that can have no base behind it
        if let Some(Token::Number { number, .. }) = self.peek()
            && !matches!(
                self.peek_at(1),
                Some(Token::Underscore | Token::OpenRound | Token::Word { .. } | Token::Symbol(_))
            )
        {
            let number = number.clone();
            self.position += 1;
            return Ok(Expr::Number(number));
        }
        // `{17}`
        if let (Some(Token::OpenBrace), Some(Token::Number { number, .. }), Some(Token::CloseBrace)) =
            (self.peek(), self.peek_at(1), self.peek_at(2))
            && self.depth + 2 <= MAXIMUM_DEPTH
        {
            let number = number.clone();
            self.position += 3;
            return Ok(Expr::Number(number));
        }
        let token = self.peek().cloned().ok_or(ReadError::NotUnderstood)?;
        self.position += 1;
        match token {
            Token::Number { number, digits } => {
                if let Some(digits) = digits
                    && let Some(based) = self.based(&digits)?
                {
                    return Ok(based);
                }
                Ok(Expr::Number(number))
            }
            Token::Symbol(name) => self.symbol(&name),
            Token::Word { name, upright } => self.words(&name, upright),
            Token::Pi => Ok(Expr::Pi),
            Token::Infinity => Ok(Expr::Infinity),
            Token::Reals => self.reals(),
            Token::EmptySet => Ok(Expr::Set(Vec::new())),
            Token::Frac => {
                let numerator = self.argument()?;
                let denominator = self.argument()?;
                Ok(super::operator::quotient(numerator, denominator))
            }
            Token::Prefix(name) => self.prefixed(name),
            Token::Ellipsis => Ok(Expr::Symbol("\\ldots".into())),
            Token::Underscore => self.chosen(),
            Token::Binomial => {
                let upper = self.argument()?;
                let lower = self.argument()?;
                Ok(Expr::Call(Function::Binomial, vec![upper, lower]))
            }
            Token::Sqrt => self.root(),
            Token::Iterated(operator) => self.iterated(operator),
            Token::Caret => self.raised_fraction(),
            Token::Function(function) => self.call(function),
            Token::Currency(name) => {
                let unit = Unit::named(name).ok_or(ReadError::NotUnderstood)?;
                let value = self.factor()?;
                Ok(Expr::Quantity(Box::new(value), Box::new(unit)))
            }
            token => self.bracketed(&token),
        }
    }

    /// An argument of `\frac`: a braced group or one atom.
    fn argument(&mut self) -> Result<Expr, ReadError> {
        match self.peek() {
            Some(
                Token::OpenBrace
                | Token::Number { .. }
                | Token::Symbol(_)
                | Token::Pi
                | Token::Sqrt
                | Token::Frac
                | Token::Word { .. },
            ) => self.atom(),
            _ => Err(ReadError::NotUnderstood),
        }
    }

    /// The reals, or only the positive or negative ones: `\mathbb{R}^+`, `\mathbb{R}_{\ge 0}`.
    fn reals(&mut self) -> Result<Expr, ReadError> {
        let subscript = self.peek() == Some(&Token::Underscore);
        if self.peek() != Some(&Token::Caret) && !subscript {
            return Ok(Expr::Reals);
        }
        self.position += 1;
        let braced = self.accept(&Token::OpenBrace);
        let sign = self.peek().cloned();
        self.position += 1;
        let zero = matches!(self.peek(), Some(Token::Number { number, .. }) if number.value.is_zero());
        self.position += usize::from(zero);
        if braced {
            self.expect(&Token::CloseBrace)?;
        }
        let positive = |bracket| Expr::Group(bracket, Bracket::Round, vec![Expr::integer(0), Expr::Infinity]);
        let negative = |bracket| {
            let items = vec![Expr::Negate(Box::new(Expr::Infinity)), Expr::integer(0)];
            Expr::Group(Bracket::Round, bracket, items)
        };
        Ok(match sign {
            Some(Token::Plus) if !zero => positive(Bracket::Round),
            Some(Token::Minus) if !zero => negative(Bracket::Round),
            Some(Token::Relation(Relation::Greater)) if zero && subscript => positive(Bracket::Round),
            Some(Token::Relation(Relation::GreaterEqual)) if zero && subscript => positive(Bracket::Square),
            Some(Token::Relation(Relation::Less)) if zero && subscript => negative(Bracket::Round),
            Some(Token::Relation(Relation::LessEqual)) if zero && subscript => negative(Bracket::Square),
            Some(Token::Relation(Relation::NotEqual)) if zero && subscript => {
                Expr::Without(Box::new(Expr::Reals), Box::new(Expr::Set(vec![Expr::integer(0)])))
            }
            _ => return Err(ReadError::NotUnderstood),
        })
    }

    /// `^3/_{17}` and `³⁄₁₇`; `^{10}C_3`.
    fn raised_fraction(&mut self) -> Result<Expr, ReadError> {
        let numerator = self.atom()?;
        if self.at_choice() {
            return self.choice_of(numerator);
        }
        self.expect(&Token::Slash)?;
        self.expect(&Token::Underscore)?;
        let denominator = self.atom()?;
        Ok(Expr::Quotient(Box::new(numerator), Box::new(denominator)))
    }

    fn root(&mut self) -> Result<Expr, ReadError> {
        let empty = self.peek_at(1) == Some(&Token::CloseSquare);
        let index = if empty && self.accept(&Token::OpenSquare) {
            self.position += 1;
            Expr::integer(2)
        } else if self.accept(&Token::OpenSquare) {
            let index = self.deeper(Self::sum)?;
            self.expect(&Token::CloseSquare)?;
            index
        } else {
            Expr::integer(2)
        };
        let starts = matches!(
            self.peek(),
            Some(
                Token::OpenBrace
                    | Token::OpenRound
                    | Token::Number { .. }
                    | Token::Symbol(_)
                    | Token::Pi
                    | Token::Frac
                    | Token::Sqrt
            )
        );
        if !starts {
            return Err(ReadError::NotUnderstood);
        }
        let radicand = self.atom()?;
        if index.has_symbols() {
            let exponent = Expr::Quotient(Box::new(Expr::integer(1)), Box::new(index));
            return Ok(Expr::Power(Box::new(radicand), Box::new(exponent)));
        }
        Ok(Expr::Root(Box::new(radicand), Box::new(index)))
    }

    fn call(&mut self, function: Function) -> Result<Expr, ReadError> {
        let several = matches!(function, Function::Gcd | Function::Lcm | Function::Max | Function::Min);
        if several && let Some(named) = self.named_extremum(function)? {
            return Ok(named);
        }
        let mut function = function;
        let mut base = None;
        let mut exponent = None;
        for _ in 0..2 {
            if self.peek() == Some(&Token::Underscore) && base.is_none() {
                if function != Function::Log {
                    return Err(ReadError::NotUnderstood);
                }
                self.position += 1;
                base = Some(self.atom()?);
            }
            if self.peek() == Some(&Token::Caret) && exponent.is_none() {
                self.position += 1;
                exponent = Some(if self.accept(&Token::Minus) {
                    Expr::Negate(Box::new(self.atom()?))
                } else {
                    self.atom()?
                });
            }
        }
        let inverse = Expr::Negate(Box::new(Expr::integer(1)));
        if exponent.as_ref() == Some(&inverse) {
            exponent = None;
            function = match function {
                Function::Sin => Function::Arcsin,
                Function::Cos => Function::Arccos,
                Function::Tan => Function::Arctan,
                Function::Cot => Function::Arccot,
                Function::Sec => Function::Arcsec,
                Function::Csc => Function::Arccsc,
                Function::Sinh => Function::Arsinh,
                Function::Cosh => Function::Arcosh,
                Function::Tanh => Function::Artanh,
                _ => return Err(ReadError::NotUnderstood),
            };
        }
        let mut arguments = self.arguments()?;
        if !several && arguments.len() != 1 {
            return Err(ReadError::NotUnderstood);
        }
        // `\max 5`: the value that is the largest
        if let (Function::Max | Function::Min, [_]) = (function, arguments.as_slice()) {
            let name = if function == Function::Max { "\\max" } else { "\\min" };
            return Ok(Expr::Applied(name.into(), arguments));
        }
        if let Some(base) = base {
            function = Function::LogBase;
            arguments.insert(0, base);
        }
        let call = super::operator::rewritten(function, arguments);
        Ok(match exponent {
            Some(exponent) => Expr::Power(Box::new(call), Box::new(exponent)),
            None => call,
        })
    }

    /// A function's arguments: in brackets, or the factors that follow without any sign.
    fn arguments(&mut self) -> Result<Vec<Expr>, ReadError> {
        let closer = match self.peek() {
            Some(Token::OpenRound) => Some(Token::CloseRound),
            Some(Token::OpenSet) => Some(Token::CloseSet),
            Some(Token::OpenSquare) => Some(Token::CloseSquare),
            _ => None,
        };
        if let Some(closer) = closer {
            self.position += 1;
            let (items, _) = self.deeper(Self::items)?;
            self.expect(&closer)?;
            return Ok(items);
        }
        let mut factors = vec![self.factor()?];
        while matches!(
            self.peek(),
            Some(Token::Symbol(_) | Token::Pi | Token::Frac | Token::Sqrt | Token::OpenBrace | Token::Degree)
        ) && factors.len() < 16
        {
            factors.push(self.factor()?);
        }
        if factors.len() == 1 {
            return Ok(factors);
        }
        Ok(vec![Expr::Product(factors)])
    }
}
