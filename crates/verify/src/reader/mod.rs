//! The reader: a Pratt parser that consumes the whole answer or refuses it.
//!
//! A fragment is never taken for the answer. Where a spelling is ambiguous (`1/ab`, `2\frac{3}{2}`), it is
//! refused rather than guessed. Depth, tokens and digits are bounded.

mod atom;
mod bracket;
mod cases;
pub(crate) mod identifier;
mod iterated;
mod list;
mod operator;
mod previous;
mod quantity;
mod suffix;
mod term;
mod value_name;
mod wording;

use std::mem::discriminant;

pub(crate) use self::quantity::scales;

use crate::compare::text;
use crate::expression::{Expr, Number, Relation};
use crate::lexer::{self, ReadError};
use crate::normal;
use crate::numeral::CommaReading;
use crate::token::Token;

/// Nesting beyond this is refused.
const MAXIMUM_DEPTH: usize = 64;
/// More items in one collection are refused.
const MAXIMUM_ITEMS: usize = 512;
/// Longer answers are refused unread.
pub(crate) const MAXIMUM_LENGTH: usize = 16_384;

/// Reads an answer in every way its commas allow: one reading, or two.
pub(crate) fn read(text: &str) -> Result<Vec<Expr>, ReadError> {
    if text.len() > MAXIMUM_LENGTH {
        return Err(ReadError::TooLarge);
    }
    if let Some(integer) = integer(text) {
        return Ok(vec![integer]);
    }
    if let Some(value) = spelled(text) {
        return Ok(vec![value]);
    }
    let text = normal::normalise(text);
    let lexed = lexer::lex(&text, CommaReading::Thousands)?;
    let first = Reader::new(lexed.tokens).answer();
    if !lexed.ambiguous {
        return first.map(|expr| vec![expr]);
    }
    let second = Reader::new(lexer::lex(&text, CommaReading::List)?.tokens).answer();
    match (first, second) {
        (Ok(first), Ok(second)) => Ok(vec![first, second]),
        (Ok(only), Err(_)) | (Err(_), Ok(only)) => Ok(vec![only]),
        (Err(error), Err(_)) => Err(error),
    }
}

/// A number in words that go on behind an "and", or change their sign: `three and a half`, `minus five`.
fn spelled(text: &str) -> Option<Expr> {
    let inside = text.strip_prefix("\\text{").and_then(|inside| inside.strip_suffix('}')).unwrap_or(text);
    let inside = inside.trim().trim_end_matches('.');
    let starts = ["minus ", "negative ", "half a ", "a dozen", "负", "負"];
    let is_spelled = starts.iter().any(|start| inside.starts_with(start)) || inside.ends_with(" and a half");
    if !is_spelled {
        return None;
    }
    text::number(inside).map(|value| Expr::Number(Number { value, decimal: None }))
}

/// A short run of digits, perhaps with a minus sign, and nothing else: what the whole way would read it to.
fn integer(text: &str) -> Option<Expr> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !(1..=18).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = Expr::integer(digits.parse().ok()?);
    Some(if digits.len() == text.len() { number } else { Expr::Negate(Box::new(number)) })
}

/// Reads an answer whose only comma is a decimal one: `0,75`, but not `1,234` or `3, 5`.
pub(crate) fn read_decimal_comma(text: &str) -> Option<Expr> {
    if text.len() > MAXIMUM_LENGTH {
        return None;
    }
    let (before, after) = text.split_once(',')?;
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    let zero = before.bytes().rev().take_while(u8::is_ascii_digit).eq(*b"0");
    // `[0, 5]` is no 0.5
    let is_open = [("(", ")"), ("[", "]"), ("\\{", "\\}"), ("\\langle", "\\rangle")]
        .iter()
        .any(|(open, close)| before.matches(open).count() > before.matches(close).count());
    let decimal = !is_open
        && before.ends_with(|last: char| last.is_ascii_digit())
        && (digits != 3 || zero)
        && digits > 0
        && !after.contains(',');
    if !decimal {
        return None;
    }
    let text = normal::normalise(text);
    Reader::new(lexer::lex(&text, CommaReading::Decimal).ok()?.tokens).answer().ok()
}

struct Reader {
    tokens: Vec<Token>,
    position: usize,
    depth: usize,
    /// Open absolute values around the position.
    bars: usize,
    /// Open `\{` around the position, in which a bar may start a condition.
    sets: usize,
    /// Where the last bar stands: it cannot open anything.
    last_bar: usize,
    /// Where the brackets that were closed last open and end.
    brackets: (usize, usize),
}

impl Reader {
    fn new(mut tokens: Vec<Token>) -> Self {
        // a sentence's end is no part of the answer
        while tokens.last().is_some_and(|last| {
            matches!(last, Token::Period | Token::Comma | Token::Semicolon | Token::Colon)
        }) {
            tokens.pop();
        }
        let last_bar = tokens.iter().rposition(|token| *token == Token::Bar).unwrap_or(0);
        Self { tokens, position: 0, depth: 0, bars: 0, sets: 0, last_bar, brackets: (0, 0) }
    }

    fn answer(mut self) -> Result<Expr, ReadError> {
        if self.tokens.is_empty() {
            return Err(ReadError::NotUnderstood);
        }
        if matches!(self.peek(), Some(Token::Relation(Relation::Equal | Relation::Approximate))) {
            // `\approx 1.414`, `= 5`: what is named stands elsewhere
            self.position += 1;
        }
        let mut expr = self.list()?;
        if self.accept(&Token::Over) {
            expr = Expr::Quotient(Box::new(expr), Box::new(self.deeper(Self::sum)?));
        }
        // `{45.}`: periods before the closing braces of the answer were skipped on the way
        if self.position == self.tokens.len() { Ok(expr) } else { Err(ReadError::NotUnderstood) }
    }

    fn peek(&self) -> Option<&Token> {
        self.peek_at(0)
    }

    fn peek_at(&self, offset: usize) -> Option<&Token> {
        self.tokens.get(self.position + offset)
    }

    fn accept(&mut self, token: &Token) -> bool {
        let accepted =
            self.peek().is_some_and(|next| discriminant(next) == discriminant(token) && next == token);
        if accepted {
            self.position += 1;
        }
        accepted
    }

    fn expect(&mut self, token: &Token) -> Result<(), ReadError> {
        if self.accept(token) { Ok(()) } else { Err(ReadError::NotUnderstood) }
    }

    /// Runs one level deeper, or refuses.
    fn deeper<T>(&mut self, body: impl FnOnce(&mut Self) -> Result<T, ReadError>) -> Result<T, ReadError> {
        if self.depth >= MAXIMUM_DEPTH {
            return Err(ReadError::TooLarge);
        }
        self.depth += 1;
        let result = body(self);
        self.depth -= 1;
        result
    }

    /// One item: a chain of relations, a congruence, a ratio, or a plain side.
    fn item(&mut self) -> Result<Expr, ReadError> {
        let first = self.ratio()?;
        if self.at_end_of_item() {
            return Ok(first);
        }
        let mut rest = Vec::new();
        loop {
            match self.peek() {
                Some(Token::Relation(relation)) => {
                    let relation = *relation;
                    self.position += 1;
                    // `2 <= x`, and `= \pm 3`
                    rest.push((relation, self.ratio()?));
                }
                // `p \to q`
                Some(Token::Arrow) => {
                    self.position += 1;
                    rest.push((Relation::Implies, self.ratio()?));
                }
                // `x &= 1`
                Some(Token::Ampersand) if matches!(self.peek_at(1), Some(Token::Relation(_))) => {
                    self.position += 1;
                }
                // `\sqrt2\ (\approx 1.414)`
                Some(Token::OpenRound) if matches!(self.peek_at(1), Some(Token::Relation(_))) => {
                    let Some(Token::Relation(relation)) = self.peek_at(1) else { break };
                    let relation = *relation;
                    self.position += 2;
                    rest.push((relation, self.ratio()?));
                    self.expect(&Token::CloseRound)?;
                }
                // `3 \mid n`
                Some(Token::Mid | Token::Bar) if self.sets == 0 && self.bars == 0 && rest.is_empty() => {
                    let start = self.position;
                    self.position += 1;
                    let side = self.side();
                    if let Ok(side) = side
                        && !matches!(self.peek(), Some(Token::Relation(_)))
                    {
                        rest.push((Relation::Divides, side));
                    } else if bracket::is_head_of_set(&first) {
                        // `x | 3 < x`, the braces gone
                        self.position = start + 1;
                        return Self::built_set(&first, self.inside(Self::item)?);
                    } else {
                        self.position = start;
                        break;
                    }
                }
                _ => break,
            }
        }
        let mut expr = if rest.is_empty() { first } else { chain(first, rest) };
        if let Expr::Word(name) = &expr {
            if self.accept(&Token::Colon) {
                // `\text{Answer: } 5`
                let value = self.item()?;
                return Ok(if matches!(value, Expr::Chain(..)) {
                    value
                } else {
                    chain(expr, vec![(Relation::Equal, value)])
                });
            }
            if self.starts_named_value(name) {
                let name = name.clone();
                return self.named_value(&name);
            }
        }
        let bracketed = self.peek() == Some(&Token::OpenRound) && self.peek_at(1) == Some(&Token::Mod);
        if bracketed || self.peek() == Some(&Token::Mod) {
            self.position += 1 + usize::from(bracketed);
            let modulus = self.term()?;
            if bracketed {
                self.expect(&Token::CloseRound)?;
            }
            expr = Expr::Modular(Box::new(expr), Box::new(modulus));
        }
        Ok(expr)
    }

    /// Sides with colons or "to" between them, or one side.
    fn ratio(&mut self) -> Result<Expr, ReadError> {
        let first = self.side()?;
        if matches!(first, Expr::Word(_)) || !self.at_ratio() {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.at_ratio() {
            self.position += 1;
            parts.push(self.side()?);
        }
        Ok(Expr::Ratio(parts))
    }

    /// Whether the item surely ends here: what most items end with.
    fn at_end_of_item(&self) -> bool {
        matches!(
            self.peek(),
            None | Some(
                Token::CloseBrace | Token::CloseRound | Token::CloseSquare | Token::CloseSet | Token::Comma
            )
        )
    }

    /// Whether `:` or "to" continues a ratio.
    fn at_ratio(&self) -> bool {
        match self.peek() {
            Some(Token::Colon) => self.sets == 0,
            Some(Token::Word { name, .. }) => name == "to",
            _ => false,
        }
    }

    /// One side of a relation: sums joined by set operations, with a unit at the end.
    fn side(&mut self) -> Result<Expr, ReadError> {
        let mut expr = self.sum()?;
        if self.at_end_of_item() {
            return Ok(expr);
        }
        let mut differences = 0;
        loop {
            match self.peek() {
                Some(Token::Cup) => {
                    self.position += 1;
                    let next = self.sum()?;
                    match &mut expr {
                        Expr::Union(items) => items.push(next),
                        _ => expr = Expr::Union(vec![expr, next]),
                    }
                }
                Some(Token::Cap) => {
                    self.position += 1;
                    let next = self.sum()?;
                    match &mut expr {
                        Expr::Intersection(items) => items.push(next),
                        _ => expr = Expr::Intersection(vec![expr, next]),
                    }
                }
                Some(Token::SetMinus) if differences < 8 => {
                    self.position += 1;
                    differences += 1;
                    expr = Expr::Without(Box::new(expr), Box::new(self.sum()?));
                }
                Some(Token::Word { name, .. }) if name == "except" && expr == Expr::Reals => {
                    self.position += 1;
                    let without = self.sum()?;
                    expr = Expr::Without(Box::new(expr), Box::new(Expr::Set(vec![without])));
                }
                _ => break,
            }
        }
        let expr = self.with_unit(expr)?;
        Ok(self.with_smaller_unit(expr))
    }
}

/// A chain; `x \in S` and `a = b` alike.
fn chain(first: Expr, rest: Vec<(Relation, Expr)>) -> Expr {
    Expr::Chain(Box::new(first), rest)
}
