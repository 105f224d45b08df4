//! What may follow a value: factorials, primes, percent, degrees, bases and units.

use super::Reader;
use crate::expression::{Expr, Function, Name};
use crate::lexer::ReadError;
use crate::token::Token;
use crate::units::Unit;

/// Words after a number that change what is said; they are no names of things counted.
const NOT_THINGS: [&str; 36] = [
    "and",
    "or",
    "not",
    "is",
    "are",
    "was",
    "than",
    "more",
    "less",
    "least",
    "most",
    "about",
    "approximately",
    "around",
    "unknown",
    "maybe",
    "but",
    "if",
    "when",
    "where",
    "for",
    "to",
    "from",
    "plus",
    "minus",
    "times",
    "divided",
    "over",
    "squared",
    "cubed",
    "million",
    "billion",
    "thousand",
    "hundred",
    "dozen",
    "wrong",
];

impl Reader {
    pub(super) fn postfix(&mut self, base: Expr) -> Result<Expr, ReadError> {
        let mut expr = base;
        for _ in 0..4 {
            expr = match self.peek() {
                Some(Token::Bang) => {
                    self.position += 1;
                    if self.peek() == Some(&Token::Bang) {
                        // a double factorial is another function
                        return Err(ReadError::NotUnderstood);
                    }
                    Expr::Call(Function::Factorial, vec![expr])
                }
                Some(Token::Prime) => {
                    self.position += 1;
                    self.postfix_prime(&expr)?
                }
                Some(Token::Percent) => {
                    self.position += 1;
                    Expr::Percent(Box::new(expr))
                }
                Some(Token::Degree) => {
                    self.position += 1;
                    Expr::Degrees(Box::new(expr))
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

    /// Whether `(base 5)` comes next.
    pub(super) fn base_in_brackets(&self) -> bool {
        self.peek() == Some(&Token::OpenRound)
            && matches!(self.peek_at(1), Some(Token::Word { name, .. }) if &**name == "base")
    }

    /// A base after digits: `_5`, `_{5}`, `_{\text{five}}`, `base 5`, `(base 5)`.
    pub(super) fn base_suffix(&mut self, digits: &str) -> Result<Option<Expr>, ReadError> {
        let closers: &[Token] = if self.accept(&Token::Underscore) {
            if self.accept(&Token::OpenBrace) {
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
            Some(Token::Word { name, .. }) => number_word(name),
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

    /// Units and words of things counted at the end of a side.
    pub(super) fn with_unit(&mut self, value: Expr) -> Result<Expr, ReadError> {
        let starts = match self.peek() {
            Some(Token::Word { .. } | Token::Currency(_)) => true,
            Some(Token::Function(Function::Min)) => !value.has_symbols(),
            _ => false,
        };
        if !starts || !value.is_scalar() && !matches!(value, Expr::Quantity(..) | Expr::Degrees(_)) {
            return Ok(value);
        }
        let mut unit = Unit::none();
        let mut power_sign = 1;
        let mut prefix_power = None;
        let mut labels = 0;
        let mut read = 0;
        loop {
            let name: Name = match self.peek() {
                Some(Token::Word { name, .. }) => name.clone(),
                Some(Token::Currency(name)) => Name::from(*name),
                Some(Token::Function(Function::Min)) => "min".into(),
                Some(Token::Symbol(name)) if read > 0 && power_sign < 0 => name.clone(),
                _ => break,
            };
            let lower = name.to_lowercase();
            self.position += 1;
            match lower.as_str() {
                "square" | "sq" => {
                    prefix_power = Some(2);
                    self.accept(&Token::Period);
                    continue;
                }
                "cubic" | "cu" => {
                    prefix_power = Some(3);
                    continue;
                }
                "per" | "an" | "a" | "each" if read > 0 => {
                    power_sign = -1;
                    continue;
                }
                "of" if read > 0 => continue,
                _ => {}
            }
            if NOT_THINGS.contains(&lower.as_str()) {
                return Err(ReadError::NotUnderstood);
            }
            let this = if let Some(this) = Unit::named(&name) {
                this
            } else {
                labels += 1;
                if labels > 2 || !name.chars().all(char::is_alphabetic) {
                    return Err(ReadError::NotUnderstood);
                }
                Unit::label(&name)
            };
            let mut power = prefix_power.take().unwrap_or(1);
            match self.peek() {
                Some(Token::Caret) => {
                    self.position += 1;
                    let Expr::Number(exponent) = self.atom()? else { return Err(ReadError::NotUnderstood) };
                    power = small_power(&exponent.value.to_string()).ok_or(ReadError::NotUnderstood)?;
                }
                Some(Token::Word { name, .. }) if name.eq_ignore_ascii_case("squared") => {
                    self.position += 1;
                    power = 2;
                }
                Some(Token::Word { name, .. }) if name.eq_ignore_ascii_case("cubed") => {
                    self.position += 1;
                    power = 3;
                }
                _ => {}
            }
            read += 1;
            unit = unit.times(&this, power * power_sign).ok_or(ReadError::NotUnderstood)?;
            if read == 1 {
                unit.symbol = this.symbol.clone();
            }
            match self.peek() {
                Some(Token::Slash) => {
                    self.position += 1;
                    power_sign = -1;
                }
                Some(Token::Times) => self.position += 1,
                _ => {}
            }
        }
        if read == 0 || prefix_power.is_some() {
            return Err(ReadError::NotUnderstood);
        }
        match value {
            // `\$5 \text{ dollars}` says it twice, `\$5 \text{ each}` counts
            Expr::Quantity(inner, first) if first == unit || unit.is_label() => {
                Ok(Expr::Quantity(inner, first))
            }
            Expr::Quantity(..) => Err(ReadError::NotUnderstood),
            value => Ok(Expr::Quantity(Box::new(value), unit)),
        }
    }
}

fn small_power(text: &str) -> Option<i8> {
    text.parse().ok().filter(|power: &i8| power.unsigned_abs() <= 6)
}

fn number_word(word: &str) -> Option<u32> {
    const WORDS: [&str; 17] = [
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
        "twelve", "thirteen", "fourteen", "fifteen", "sixteen",
    ];
    let lower = word.to_lowercase();
    WORDS.iter().position(|known| *known == lower).map(|index| index as u32)
}
