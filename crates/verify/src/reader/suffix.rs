//! What may follow a value: factorials, primes, percent, degrees and bases.

use super::Reader;
use crate::compare::text;
use crate::expression::{Expr, Function, Name, Number};
use crate::lexer::ReadError;
use crate::token::Token;
use crate::units::Unit;

impl Reader {
    pub(super) fn postfix(&mut self, base: Expr) -> Result<Expr, ReadError> {
        let mut expr = base;
        for _ in 0..4 {
            expr = match self.peek() {
                Some(Token::Bang) => {
                    self.position += 1;
                    if self.accept(&Token::Bang) {
                        Self::double_factorial(expr)?
                    } else {
                        Expr::Call(Function::Factorial, vec![expr])
                    }
                }
                Some(Token::Prime) => {
                    self.position += 1;
                    self.postfix_prime(&expr)?
                }
                Some(Token::Percent) => {
                    self.position += 1;
                    Expr::Percent(Box::new(expr))
                }
                // `f \circ g`
                Some(Token::Degree)
                    if matches!(expr, Expr::Symbol(_))
                        && matches!(self.peek_at(1), Some(Token::Symbol(_) | Token::Function(_))) =>
                {
                    self.position += 1;
                    let inner = self.factor()?;
                    Expr::Applied("\\circ".into(), vec![expr, inner])
                }
                Some(Token::Degree) => {
                    self.position += 1;
                    self.degrees(expr)
                }
                _ => return Ok(expr),
            };
        }
        Ok(expr)
    }

    #[expect(clippy::unused_self, reason = "reads like its neighbours")]
    pub(super) fn postfix_prime(&self, base: &Expr) -> Result<Expr, ReadError> {
        match base {
            Expr::Symbol(name) => Ok(Expr::Symbol(format!("{name}'").into())),
            _ => Err(ReadError::NotUnderstood),
        }
    }

    /// Degrees of an angle, with minutes and seconds, or of a temperature where its scale follows.
    pub(super) fn degrees(&mut self, value: Expr) -> Expr {
        let scale = match self.peek() {
            Some(Token::Symbol(name) | Token::Word { name, .. }) => match name.as_str() {
                "C" | "Celsius" | "celsius" => Unit::named("celsius"),
                "F" | "Fahrenheit" | "fahrenheit" => Unit::named("fahrenheit"),
                _ => None,
            },
            _ => None,
        };
        if let Some(unit) = scale {
            self.position += 1;
            return Expr::Quantity(Box::new(value), Box::new(unit));
        }
        let mut parts = vec![value];
        for (primes, divisor) in [(1, 60), (2, 3_600)] {
            if let Some((number, length)) = self.primed_number(primes) {
                self.position += length;
                let number = Expr::Number(number);
                parts.push(Expr::Quotient(Box::new(number), Box::new(Expr::integer(divisor))));
            }
        }
        Expr::Degrees(Box::new(if parts.len() == 1 { parts.swap_remove(0) } else { Expr::Sum(parts) }))
    }

    /// `30'` and `30^{\prime}` ahead: the number, and how many tokens it takes.
    fn primed_number(&self, primes: usize) -> Option<(Number, usize)> {
        let Some(Token::Number { number, .. }) = self.peek() else { return None };
        let mut length = 1;
        let raised = self.peek_at(length) == Some(&Token::Caret);
        length += usize::from(raised);
        let braced = raised && self.peek_at(length) == Some(&Token::OpenBrace);
        length += usize::from(braced);
        let found = (0..3).take_while(|index| self.peek_at(length + index) == Some(&Token::Prime)).count();
        length += found;
        if braced && self.peek_at(length) != Some(&Token::CloseBrace) {
            return None;
        }
        (found == primes).then(|| (number.clone(), length + usize::from(braced)))
    }

    /// Whether `(base 5)` comes next.
    pub(super) fn base_in_brackets(&self) -> bool {
        self.peek() == Some(&Token::OpenRound)
            && matches!(self.peek_at(1), Some(Token::Word { name, .. }) if &**name == "base")
    }

    /// A numeral in a base: `204_5`, `1A_{16}`.
    pub(super) fn based(&mut self, digits: &str) -> Result<Option<Expr>, ReadError> {
        let mut all = digits.to_owned();
        let mut length = 0;
        while length < 32 {
            match self.peek_at(length) {
                Some(Token::Symbol(name) | Token::Word { name, .. })
                    if name.bytes().all(|byte| byte.is_ascii_alphabetic()) =>
                {
                    all.push_str(name);
                }
                Some(Token::Number { digits: Some(more), .. }) if length > 0 => all.push_str(more),
                _ => break,
            }
            length += 1;
        }
        if length > 0 && self.peek_at(length) == Some(&Token::Underscore) {
            let start = self.position;
            self.position += length;
            if let Ok(Some(based)) = self.base_suffix(&all.to_lowercase()) {
                return Ok(Some(based));
            }
            self.position = start;
            return Ok(None);
        }
        self.base_suffix(digits)
    }

    /// A base after digits: `_5`, `_{5}`, `_{\text{five}}`, `base 5`, `(base 5)`.
    pub(super) fn base_suffix(&mut self, digits: &str) -> Result<Option<Expr>, ReadError> {
        let closers: &[Token] = if self.accept(&Token::Underscore) {
            if self.accept(&Token::OpenBrace) {
                if self.accept(&Token::CloseBrace) {
                    return Ok(None);
                }
                if self.accept(&Token::OpenRound) {
                    &[Token::CloseRound, Token::CloseBrace]
                } else {
                    &[Token::CloseBrace]
                }
            } else if self.accept(&Token::OpenRound) {
                &[Token::CloseRound]
            } else {
                &[]
            }
        } else if self.base_in_brackets() {
            self.position += 2;
            &[Token::CloseRound]
        } else if matches!(self.peek(), Some(Token::Word { name, .. }) if &**name == "base") {
            self.position += 1;
            &[]
        } else {
            return Ok(None);
        };
        if matches!(self.peek(), Some(Token::Word { name, .. }) if &**name == "base") {
            self.position += 1;
        }
        let base = match self.peek() {
            Some(Token::Number { digits: Some(base), .. }) => base.parse().ok(),
            Some(Token::Word { name, .. }) => {
                text::number(name).and_then(|base| base.to_string().parse().ok())
            }
            _ => None,
        };
        let base: u32 = base.ok_or(ReadError::NotUnderstood)?;
        self.position += 1;
        for closer in closers {
            self.expect(closer)?;
        }
        if !(2..=36).contains(&base) || !digits.chars().all(|digit| digit.is_digit(base)) {
            return Err(ReadError::NotUnderstood);
        }
        let trimmed = digits.trim_start_matches('0');
        Ok(Some(Expr::Based(Name::from(if trimmed.is_empty() { "0" } else { trimmed }), base)))
    }
}
