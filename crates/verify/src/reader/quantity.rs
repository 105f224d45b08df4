//! Units, words of things counted and words that multiply, behind a value.

use super::Reader;
use super::wording::{KILO, NO_COUNTERS, NOT_THINGS};
use crate::compare::text;
use crate::expression::{Expr, Function, Name, Number};
use crate::lexer::ReadError;
use crate::token::Token;
use crate::units::Unit;

impl Reader {
    /// `5 million`: the value with the words multiplied in.
    fn scaled(&mut self, value: Expr) -> Expr {
        let mut value = value;
        while let Some(Token::Word { name, .. }) = self.peek()
            && let Some(factor) = multiplier(name)
        {
            self.position += 1;
            value = match value {
                Expr::Quantity(inner, unit) => {
                    Expr::Quantity(Box::new(Expr::Product(vec![*inner, factor])), unit)
                }
                value => Expr::Product(vec![value, factor]),
            };
        }
        value
    }

    /// `2 hours 30 minutes`: one value in the first unit.
    pub(super) fn with_smaller_unit(&mut self, value: Expr) -> Expr {
        let Expr::Quantity(inner, unit) = value else { return value };
        let start = self.position;
        self.accept(&Token::And);
        if unit.is_label() || !matches!(self.peek(), Some(Token::Number { .. })) {
            self.position = start;
            return Expr::Quantity(inner, unit);
        }
        let next = self.deeper(Self::term).and_then(|next| self.with_unit(next));
        match next {
            Ok(Expr::Quantity(other, smaller))
                if smaller.converts_to(&unit) && smaller.factor < unit.factor =>
            {
                let factor = Expr::Number(Number { value: &smaller.factor / &unit.factor, decimal: None });
                let sum = Expr::Sum(vec![*inner, Expr::Product(vec![factor, *other])]);
                Expr::Quantity(Box::new(sum), unit)
            }
            _ => {
                self.position = start;
                Expr::Quantity(inner, unit)
            }
        }
    }

    /// `\frac{\text{m}}{\text{s}^2}`: the unit, and how many tokens it takes.
    pub(super) fn unit_fraction(&self) -> Option<(Unit, usize)> {
        if self.peek() != Some(&Token::Frac) {
            return None;
        }
        let (mut unit, mut length) = (Unit::none(), 1);
        for sign in [1, -1] {
            let [Some(Token::OpenBrace), Some(Token::Word { name, upright: true })] =
                [self.peek_at(length), self.peek_at(length + 1)]
            else {
                return None;
            };
            length += 2;
            let mut power = 1;
            if let [Some(Token::Caret), Some(Token::Number { digits: Some(digits), .. })] =
                [self.peek_at(length), self.peek_at(length + 1)]
            {
                power = digits.parse().ok().filter(|power| (1..=6).contains(power))?;
                length += 2;
            }
            if self.peek_at(length) != Some(&Token::CloseBrace) {
                return None;
            }
            length += 1;
            unit = unit.times(&Unit::named(name)?, sign * power)?;
        }
        Some((unit, length))
    }

    /// Units and words of things counted at the end of a side.
    pub(super) fn with_unit(&mut self, value: Expr) -> Result<Expr, ReadError> {
        let starts = match self.peek() {
            Some(Token::Word { name, .. }) => {
                !matches!(name.as_str(), "to" | "except" | "where" | "with" | "when") && !self.at_remark()
            }
            Some(Token::Currency(_)) => true,
            Some(Token::Function(Function::Min)) => !value.has_symbols(),
            Some(Token::Frac) => self.unit_fraction().is_some(),
            Some(Token::Symbol(_)) => !value.has_symbols() && self.unit_symbol().is_some(),
            _ => false,
        };
        if !starts || !value.is_scalar() && !matches!(value, Expr::Quantity(..) | Expr::Degrees(_)) {
            return Ok(value);
        }
        if let Some((unit, length)) = self.unit_fraction() {
            if matches!(value, Expr::Quantity(..)) {
                return Err(ReadError::NotUnderstood);
            }
            self.position += length;
            return Ok(Expr::Quantity(Box::new(value), Box::new(unit)));
        }
        if let (Some(Token::Word { name: basis, .. }), Some(Token::Word { name: points, .. })) =
            (self.peek(), self.peek_at(1))
            && basis == "basis"
            && points.starts_with("point")
        {
            self.position += 2;
            return Ok(Expr::Quotient(Box::new(value), Box::new(Expr::integer(10_000))));
        }
        let value = self.scaled(value);
        if !matches!(
            self.peek(),
            Some(Token::Word { .. } | Token::Currency(_) | Token::Function(_) | Token::Symbol(_))
        ) {
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
                Some(Token::Symbol(_)) => match self.unit_symbol() {
                    Some((name, length)) => {
                        self.position += length - 1;
                        name
                    }
                    None => break,
                },
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
                "of" | "the" => continue,
                _ => {}
            }
            // `in.^2`
            if self.peek() == Some(&Token::Period) && self.peek_at(1) == Some(&Token::Caret) {
                self.position += 1;
            }
            // `5 ten-thousandths` counts no things
            if NOT_THINGS.contains(&lower.as_str())
                || text::number(&lower).is_some()
                || multiplier(&lower).is_some()
            {
                return Err(ReadError::NotUnderstood);
            }
            let this = if let Some(this) = Unit::named(&name) {
                this
            } else {
                labels += 1;
                // `7 k` counts no things either
                let is_letter = name.len() == 1;
                let counter = KILO.iter().find_map(|unit| name.strip_prefix(unit)).unwrap_or(&name);
                let is_counter = name.is_ascii() || !NO_COUNTERS.iter().any(|sign| counter.contains(sign));
                if labels > 2 || is_letter || !is_counter || !name.chars().all(char::is_alphabetic) {
                    return Err(ReadError::NotUnderstood);
                }
                Unit::label(&name)
            };
            let mut power = prefix_power.take().unwrap_or(1);
            match self.peek() {
                Some(Token::Caret) => {
                    self.position += 1;
                    power = small_power(&self.exponent()?).ok_or(ReadError::NotUnderstood)?;
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
                unit.symbol.clone_from(&this.symbol);
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
            Expr::Quantity(inner, first) if *first == unit || unit.is_label() => {
                Ok(Expr::Quantity(inner, first))
            }
            Expr::Quantity(..) => Err(ReadError::NotUnderstood),
            value => Ok(Expr::Quantity(Box::new(value), Box::new(unit))),
        }
    }

    /// A letter ahead that is a unit where it stands behind a number, as a word, and how many tokens it takes.
    pub(super) fn unit_symbol(&self) -> Option<(Name, usize)> {
        let Some(Token::Symbol(name)) = self.peek() else { return None };
        let next = self.peek_at(1);
        match name.as_str() {
            "h" if matches!(next, Some(Token::Number { .. })) => {
                let minutes = match self.peek_at(2) {
                    Some(Token::Function(Function::Min)) => true,
                    Some(Token::Word { name, .. }) => Unit::named(name).is_some(),
                    _ => false,
                };
                minutes.then(|| ("h".into(), 1))
            }
            "\\Omega" if next.is_none_or(|next| matches!(next, Token::CloseRound | Token::Comma)) => {
                Some(("Ω".into(), 1))
            }
            "\\mu" => match next {
                Some(Token::Word { name, upright: true }) => {
                    let name: Name = format!("μ{name}").into();
                    Unit::named(&name).map(|_| (name, 2))
                }
                _ => None,
            },
            _ => None,
        }
    }
}

fn small_power(exponent: &Expr) -> Option<i8> {
    match exponent {
        Expr::Number(number) => {
            number.value.to_string().parse().ok().filter(|power: &i8| power.unsigned_abs() <= 6)
        }
        Expr::Negate(inner) => small_power(inner).map(|power| -power),
        _ => None,
    }
}

/// Whether a word in lower case multiplies the number before it, or divides it.
pub(crate) fn scales(word: &str) -> bool {
    multiplier(word).is_some()
}

/// The number a word multiplies by.
fn multiplier(word: &str) -> Option<Expr> {
    let lower = word.to_lowercase();
    let singular = lower.strip_suffix('s').unwrap_or(&lower);
    let whole = match singular {
        "dozen" => 12,
        "score" => 20,
        "gross" | "gros" => 144,
        "hundred" | "百" | "백" => 100,
        "thousand" | "千" | "천" => 1_000,
        "myriad" | "万" | "萬" | "만" => 10_000,
        "lakh" => 100_000,
        "million" | "mln" | "mio" => 1_000_000,
        "crore" => 10_000_000,
        "亿" | "億" | "억" => 100_000_000,
        "billion" | "bn" | "milliard" => 1_000_000_000,
        "trillion" => 1_000_000_000_000,
        _ => 0,
    };
    if whole > 0 {
        return Some(Expr::integer(whole));
    }
    let part = match singular {
        "half" | "halve" => 2,
        "third" => 3,
        "quarter" | "fourth" => 4,
        "fifth" => 5,
        "sixth" => 6,
        "seventh" => 7,
        "eighth" => 8,
        "ninth" => 9,
        "tenth" => 10,
        "hundredth" => 100,
        "thousandth" | "permille" | "permil" | "promille" => 1_000,
        "millionth" => 1_000_000,
        "billionth" => 1_000_000_000,
        "bp" => 10_000,
        _ => return None,
    };
    Some(Expr::Quotient(Box::new(Expr::integer(1)), Box::new(Expr::integer(part))))
}
