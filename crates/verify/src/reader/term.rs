//! Sums, products and powers.

use super::previous::Previous;
use super::{Reader, operator};
use crate::expression::{Expr, Function};
use crate::lexer::ReadError;
use crate::token::Token;
use crate::units::Unit;

impl Reader {
    pub(super) fn sum(&mut self) -> Result<Expr, ReadError> {
        let sign = self.sign();
        let first = signed(sign.as_ref(), self.term()?);
        // most sums have one term
        if !matches!(self.peek(), Some(Token::Plus | Token::Minus | Token::PlusMinus | Token::MinusPlus)) {
            return Ok(first);
        }
        let mut terms = Vec::with_capacity(4);
        terms.push(first);
        while let Some(sign) = self.sign() {
            let term = self.term()?;
            if sign == Token::Minus
                && matches!(terms.as_slice(), [Expr::Reals])
                && matches!(term, Expr::Group(..) | Expr::Set(_))
            {
                // `\mathbb{R} - \{1\}`
                terms = vec![Expr::Without(Box::new(Expr::Reals), Box::new(term))];
                continue;
            }
            terms.push(signed(Some(&sign), term));
        }
        if terms.len() == 1
            && let Some(only) = terms.pop()
        {
            return Ok(only);
        }
        if with_ellipsis(&terms) {
            return Ok(Expr::Applied("+\\cdots+".into(), terms));
        }
        Ok(Expr::Sum(terms))
    }

    /// The sign of the next term, if it has one.
    fn sign(&mut self) -> Option<Token> {
        let sign = self.peek().filter(|token| {
            matches!(token, Token::Plus | Token::Minus | Token::PlusMinus | Token::MinusPlus)
        });
        let sign = sign.cloned()?;
        self.position += 1;
        Some(sign)
    }

    /// Factors with `\cdot`, `/` or nothing between them, read from left to right.
    pub(super) fn term(&mut self) -> Result<Expr, ReadError> {
        let first = self.factor()?;
        if self.ends_term() || matches!(first, Expr::Word(_)) {
            return Ok(first);
        }
        let mut factors = Vec::with_capacity(4);
        factors.push(first);
        let mut divisors: Vec<Expr> = Vec::new();
        let mut previous = Previous::of(factors.first());
        loop {
            // an argument that ends with its bracket ends there
            let last = self.position.checked_sub(1).and_then(|index| self.tokens.get(index));
            previous.bare_call &=
                !matches!(last, Some(Token::CloseRound | Token::CloseBrace | Token::CloseSquare));
            match self.peek() {
                Some(token @ (Token::Times | Token::Cross)) => {
                    let cross = *token == Token::Cross;
                    self.position += 1;
                    let factor = self.factor()?;
                    previous = Previous::of(Some(&factor));
                    match factors.last_mut() {
                        Some(last) if multiplies_vectors(last, &factor, cross) => {
                            let left = std::mem::replace(last, Expr::Pi);
                            *last = operator::vector_product(left, factor, cross);
                        }
                        _ => factors.push(factor),
                    }
                }
                // `10C3`
                Some(Token::Symbol(name))
                    if name == "C"
                        && previous.integer
                        && matches!(self.peek_at(1), Some(Token::Number { digits: Some(_), .. })) =>
                {
                    self.position += 1;
                    let lower = self.atom()?;
                    let upper = factors.pop().ok_or(ReadError::NotUnderstood)?;
                    let choice = Expr::Call(Function::Binomial, vec![upper, lower]);
                    previous = Previous::of(Some(&choice));
                    factors.push(choice);
                }
                // `\sin x / 2` means two things, `\ln 3 / \ln 2` one
                Some(Token::Slash)
                    if previous.bare_call && !matches!(self.peek_at(1), Some(Token::Function(_))) =>
                {
                    return Err(ReadError::NotUnderstood);
                }
                Some(Token::Slash) => {
                    // `5 cm / s` belongs to the unit
                    self.position += 1;
                    let divisor = self.factor()?;
                    previous = Previous { divisor: true, ..Previous::of(Some(&divisor)) };
                    divisors.push(divisor);
                }
                _ if self.starts_factor(previous) => {
                    if previous.divisor && !previous.number {
                        // `a/bc` means two things
                        return Err(ReadError::NotUnderstood);
                    }
                    if let Some(mixed) = self.mixed_fraction(&mut factors, previous)? {
                        previous = Previous::of(Some(&mixed));
                        factors.push(mixed);
                        continue;
                    }
                    // `n2^{n-1}`
                    let raised = previous.letter && self.peek_at(1) == Some(&Token::Caret);
                    if matches!(self.peek(), Some(Token::Number { .. })) && !previous.factorial && !raised {
                        return Err(ReadError::NotUnderstood);
                    }
                    let factor = self.factor()?;
                    previous = Previous { divisor: false, ..Previous::of(Some(&factor)) };
                    factors.push(factor);
                }
                _ => break,
            }
        }
        let numerator = product(factors)?;
        if divisors.is_empty() {
            return Ok(numerator);
        }
        Ok(operator::quotient(numerator, product(divisors)?))
    }

    /// Whether the next token surely is no part of a term.
    fn ends_term(&self) -> bool {
        matches!(
            self.peek(),
            None | Some(
                Token::CloseBrace
                    | Token::CloseRound
                    | Token::CloseSquare
                    | Token::Plus
                    | Token::Minus
                    | Token::Comma
                    | Token::Relation(_)
            )
        )
    }

    /// A whole number and a proper fraction side by side.
    fn mixed_fraction(
        &mut self,
        factors: &mut Vec<Expr>,
        previous: Previous,
    ) -> Result<Option<Expr>, ReadError> {
        if !previous.integer || previous.divisor {
            return Ok(None);
        }
        let fraction = match self.peek() {
            Some(Token::Frac) => {
                let start = self.position;
                let fraction = self.atom()?;
                if !is_integer_fraction(&fraction) || self.peek_is_exponent() {
                    self.position = start;
                    return Ok(None);
                }
                fraction
            }
            Some(Token::Number { .. })
                if self.peek_at(1) == Some(&Token::Slash)
                    && matches!(self.peek_at(2), Some(Token::Number { .. })) =>
            {
                let numerator = self.factor()?;
                self.position += 1;
                let denominator = self.factor()?;
                let fraction = Expr::Quotient(Box::new(numerator), Box::new(denominator));
                if !is_integer_fraction(&fraction) {
                    return Err(ReadError::NotUnderstood);
                }
                fraction
            }
            _ => return Ok(None),
        };
        let Expr::Quotient(numerator, denominator) = &fraction else { return Ok(None) };
        let (Expr::Number(numerator), Expr::Number(denominator)) = (&**numerator, &**denominator) else {
            return Ok(None);
        };
        if numerator.value >= denominator.value {
            // neither a mixed fraction nor surely a product
            return Err(ReadError::NotUnderstood);
        }
        let whole = factors.pop().ok_or(ReadError::NotUnderstood)?;
        // `33\frac13\%`, `1\frac12^\circ`
        let mixed = self.postfix(Expr::Sum(vec![whole, fraction]))?;
        if matches!(self.peek(), Some(Token::Caret)) { self.power(mixed).map(Some) } else { Ok(Some(mixed)) }
    }

    /// Whether a caret comes that raises to a power and is no degree sign.
    fn peek_is_exponent(&self) -> bool {
        let at = 1 + usize::from(self.peek_at(1) == Some(&Token::OpenBrace));
        self.peek() == Some(&Token::Caret) && self.peek_at(at) != Some(&Token::Degree)
    }

    /// A factor: a sign, then a base with its exponents.
    pub(super) fn factor(&mut self) -> Result<Expr, ReadError> {
        if self.accept(&Token::Minus) {
            return self.deeper(|reader| Ok(Expr::Negate(Box::new(reader.factor()?))));
        }
        if self.accept(&Token::Plus) {
            return self.deeper(Self::factor);
        }
        let base = self.atom()?;
        self.raised(base)
    }

    /// A base with its exponents and what else stands behind it.
    pub(super) fn raised(&mut self, base: Expr) -> Result<Expr, ReadError> {
        if !matches!(
            self.peek(),
            Some(Token::Bang | Token::Prime | Token::Percent | Token::Degree | Token::Caret)
        ) {
            return Ok(base);
        }
        let base = self.postfix(base)?;
        self.power(base)
    }

    fn power(&mut self, base: Expr) -> Result<Expr, ReadError> {
        if !self.accept(&Token::Caret) {
            return Ok(base);
        }
        if self.accept(&Token::Degree) {
            return Ok(self.degrees(base));
        }
        if self.peek() == Some(&Token::OpenBrace) {
            let lone = self.peek_at(2) == Some(&Token::CloseBrace);
            match self.peek_at(1) {
                Some(Token::Degree) if lone => {
                    self.position += 3;
                    return Ok(self.degrees(base));
                }
                Some(Token::Prime) if lone => {
                    self.position += 3;
                    return self.postfix_prime(&base);
                }
                _ => {}
            }
        }
        if self.accept(&Token::Prime) {
            return self.postfix_prime(&base);
        }
        if let Some(length) = self.raised_circle(&base) {
            self.position += length;
            return Ok(self.degrees(base));
        }
        let exponent = self.exponent()?;
        let power = Expr::Power(Box::new(base), Box::new(exponent));
        self.postfix(power)
    }

    /// `60^o`: the letter in place of the sign, and how many tokens it takes.
    fn raised_circle(&self, base: &Expr) -> Option<usize> {
        let braced = self.peek() == Some(&Token::OpenBrace);
        let circle = matches!(self.peek_at(usize::from(braced)),
            Some(Token::Symbol(name) | Token::Word { name, .. }) if name == "o");
        let closed = !braced || self.peek_at(2) == Some(&Token::CloseBrace);
        (circle && closed && !base.has_symbols()).then_some(1 + 2 * usize::from(braced))
    }

    pub(super) fn exponent(&mut self) -> Result<Expr, ReadError> {
        self.deeper(|reader| {
            if reader.accept(&Token::Minus) {
                return Ok(Expr::Negate(Box::new(reader.exponent()?)));
            }
            if reader.accept(&Token::Plus) {
                return reader.exponent();
            }
            let base = reader.atom()?;
            if reader.peek() == Some(&Token::Caret) { reader.power(base) } else { Ok(base) }
        })
    }

    /// Whether the next token starts a factor that is multiplied without a sign.
    fn starts_factor(&self, previous: Previous) -> bool {
        match self.peek() {
            Some(Token::OpenRound) => {
                !matches!(self.peek_at(1), Some(Token::Mod | Token::Relation(_)))
                    && !self.base_in_brackets()
                    && !self.qualifier_in_brackets()
            }
            Some(Token::OpenSquare) => {
                // `]2, 3[` closes here
                !matches!(
                    self.peek_at(1),
                    None | Some(Token::Cup | Token::Cap | Token::Comma | Token::CloseBrace | Token::SetMinus)
                )
            }
            Some(Token::Bar) => {
                // the last bar of all closes nothing
                self.bars == 0 && self.sets == 0 && self.position < self.last_bar
            }
            // `2 h 30 min`, `5 \Omega`, `5 \mu\text{m}`
            Some(Token::Symbol(_)) if previous.numeric && self.unit_symbol().is_some() => false,
            Some(Token::Word { name, upright }) => {
                let prose = matches!(
                    &**name,
                    "is" | "not" | "per" | "for" | "the" | "but" | "in" | "if" | "to" | "no"
                );
                let raised = self.peek_at(1) == Some(&Token::Caret);
                // `5 Km` are kilometres, `5\pi Km` is a product
                let behind_sign = self.position.checked_sub(1).and_then(|before| self.tokens.get(before))
                    == Some(&Token::Pi);
                let unit = previous.numeric
                    && !(behind_sign && name.len() <= 2 && !Unit::is_spelled(name))
                    && Unit::named(name).is_some_and(|unit| !raised || unit.may_be_raised());
                let letters = super::identifier::is_letters(name) || super::identifier::is_name(name);
                !prose && !unit && (if *upright { name.len() == 1 && !previous.numeric } else { letters })
            }
            Some(Token::Frac) if previous.numeric && self.unit_fraction().is_some() => false,
            Some(Token::Function(Function::Min)) if previous.numeric => {
                self.peek_at(1) == Some(&Token::OpenRound)
            }
            Some(
                Token::Number { .. }
                | Token::Symbol(_)
                | Token::Pi
                | Token::Frac
                | Token::Sqrt
                | Token::Binomial
                | Token::Function(_)
                | Token::OpenBrace
                | Token::OpenFloor
                | Token::OpenCeiling
                | Token::Iterated(_)
                | Token::Prefix(_)
                | Token::Ellipsis
                | Token::Begin,
            ) => true,
            _ => false,
        }
    }
}

fn signed(sign: Option<&Token>, term: Expr) -> Expr {
    match sign {
        Some(Token::Minus) => Expr::Negate(Box::new(term)),
        Some(Token::PlusMinus) => Expr::PlusMinus(Box::new(term)),
        Some(Token::MinusPlus) => Expr::MinusPlus(Box::new(term)),
        _ => term,
    }
}

fn is_integer_fraction(expr: &Expr) -> bool {
    let whole = |side: &Expr| matches!(side, Expr::Number(number) if number.decimal.is_none() && number.value.is_int());
    matches!(expr, Expr::Quotient(numerator, denominator) if whole(numerator) && whole(denominator))
}

/// Whether a sign between two factors is a product of vectors.
fn multiplies_vectors(left: &Expr, right: &Expr, cross: bool) -> bool {
    let scalar_product = |expr: &Expr| matches!(expr, Expr::Applied(name, _) if name == "\\cdot");
    let (first, second) = (operator::is_vector(left), operator::is_vector(right));
    (first && second) || (cross && ((first && scalar_product(right)) || (second && scalar_product(left))))
}

/// Terms or factors with an ellipsis among them are known as they stand.
fn with_ellipsis(items: &[Expr]) -> bool {
    items.iter().any(|item| matches!(item, Expr::Symbol(name) if name == "\\ldots"))
}

fn product(mut factors: Vec<Expr>) -> Result<Expr, ReadError> {
    if factors.len() > 1 && with_ellipsis(&factors) {
        return Ok(Expr::Applied("\\cdots".into(), factors));
    }
    if factors.len() == 1 {
        return factors.pop().ok_or(ReadError::NotUnderstood);
    }
    Ok(Expr::Product(factors))
}
