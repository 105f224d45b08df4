//! Lists: commas, semicolons, "and" and "or", and what qualifies the items.

use super::{MAXIMUM_ITEMS, Reader};
use crate::expression::{Expr, Joiner, Relation};
use crate::lexer::ReadError;
use crate::token::Token;

/// Words that open a remark on the items before it.
const REMARKS: [&str; 5] = ["for", "where", "with", "when", "any"];

/// Whether a word opens a remark.
pub(super) fn is_remark(word: &str) -> bool {
    REMARKS.contains(&word)
}

/// What stands between two items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Separator {
    Comma,
    Semicolon,
    And,
    Or,
}

impl Reader {
    /// Items with commas, semicolons, "and" or "or" between them.
    pub(super) fn list(&mut self) -> Result<Expr, ReadError> {
        let start = self.position;
        let first = self.item()?;
        if !self.at_separator() && !self.at_remark() && !self.qualifier_in_brackets() {
            return Ok(first);
        }
        let (items, joiner) = self.items_from(first, start)?;
        Ok(match items.len() {
            1 => items.into_iter().next().ok_or(ReadError::NotUnderstood)?,
            _ => Expr::List(items, joiner),
        })
    }

    pub(super) fn items(&mut self) -> Result<(Vec<Expr>, Joiner), ReadError> {
        let start = self.position;
        let first = self.item()?;
        self.items_from(first, start)
    }

    /// Whether another item follows.
    pub(super) fn at_separator(&self) -> bool {
        match self.peek() {
            Some(Token::Comma | Token::Semicolon | Token::And | Token::Or) => true,
            Some(Token::Ampersand) => self.depth == 0,
            _ => false,
        }
    }

    /// The items whose first one was read, from this place on.
    pub(super) fn items_from(&mut self, first: Expr, start: usize) -> Result<(Vec<Expr>, Joiner), ReadError> {
        let mut implies = self.implies_without_brackets(&first, start);
        let mut items = vec![first];
        let mut separators = Vec::new();
        loop {
            let mut separator = None;
            loop {
                let next = match self.peek() {
                    Some(Token::Comma) if separator.is_none() => Separator::Comma,
                    Some(Token::Semicolon) if separator.is_none() => Separator::Semicolon,
                    Some(Token::And) => Separator::And,
                    Some(Token::Ampersand) if self.depth == 0 => Separator::And,
                    Some(Token::Or) => Separator::Or,
                    _ => break,
                };
                if separator != Some(Separator::Or) {
                    separator = Some(next);
                }
                self.position += 1;
            }
            if self.at_remark() || (self.qualifier_in_brackets() && separator.is_none()) {
                let qualifier = self.remark()?;
                items.extend(qualifier);
                separators.resize(items.len() - 1, Separator::Comma);
                continue;
            }
            let Some(separator) = separator else { break };
            if items.len() >= MAXIMUM_ITEMS {
                return Err(ReadError::TooLarge);
            }
            separators.push(separator);
            let start = self.position;
            let item = self.item()?;
            implies |= self.implies_without_brackets(&item, start);
            items.push(item);
        }
        // `p \land q \to r`: nobody can tell which sign binds closer
        if implies && separators.iter().any(|separator| matches!(separator, Separator::And | Separator::Or)) {
            return Err(ReadError::NotUnderstood);
        }
        let count = items.len();
        spread(&mut items);
        if items.len() != count {
            return Ok((items, Joiner::Comma));
        }
        Ok(grouped(items, &separators))
    }

    /// Whether an item that was read from this place on is an implication without brackets around it.
    fn implies_without_brackets(&self, item: &Expr, start: usize) -> bool {
        let implication = |rest: &[(Relation, Expr)]| {
            rest.iter().any(|(relation, _)| matches!(relation, Relation::Implies | Relation::Equivalent))
        };
        matches!(item, Expr::Chain(_, rest) if implication(rest)) && self.brackets != (start, self.position)
    }

    /// Whether a remark such as `\text{ for all } x \in \mathbb{R}` comes.
    pub(super) fn at_remark(&self) -> bool {
        matches!(self.peek(), Some(Token::Word { name, upright: true }) if REMARKS.contains(&&**name))
    }

    /// Whether `(k \in \mathbb{Z})` comes.
    pub(super) fn qualifier_in_brackets(&self) -> bool {
        self.peek() == Some(&Token::OpenRound)
            && matches!(self.peek_at(1), Some(Token::Symbol(_)))
            && self.peek_at(2) == Some(&Token::Relation(Relation::Member))
    }

    /// A remark: what a letter ranges over is kept, any constant or all reals say nothing.
    fn remark(&mut self) -> Result<Option<Expr>, ReadError> {
        if self.accept(&Token::OpenRound) {
            let qualifier = self.deeper(Self::item)?;
            self.expect(&Token::CloseRound)?;
            return Ok(Some(qualifier));
        }
        while let Some(Token::Word { name, upright: true }) = self.peek() {
            let known = REMARKS.contains(&name.as_str())
                || matches!(
                    name.as_str(),
                    "all"
                        | "every"
                        | "each"
                        | "some"
                        | "a"
                        | "an"
                        | "is"
                        | "real"
                        | "arbitrary"
                        | "constant"
                        | "constants"
                        | "integer"
                        | "integers"
                        | "number"
                        | "numbers"
                        | "reals"
                );
            if !known {
                return Err(ReadError::NotUnderstood);
            }
            self.position += 1;
        }
        if self.peek().is_none() {
            return Ok(None);
        }
        let qualifier = self.deeper(Self::item)?;
        let silent = match &qualifier {
            Expr::Symbol(_) | Expr::Reals => true,
            Expr::Chain(left, rest) => {
                matches!(**left, Expr::Symbol(_))
                    && matches!(rest.as_slice(), [(Relation::Member, Expr::Reals)])
            }
            _ => false,
        };
        while matches!(self.peek(), Some(Token::Word { name, .. })
            if matches!(name.as_str(), "is" | "a" | "an" | "any" | "constant" | "real" | "arbitrary" | "number"))
        {
            self.position += 1;
        }
        Ok((!silent).then_some(qualifier))
    }
}

/// `n \equiv 1, 3 \pmod 4` and `x \ne 1, 2`: what stands on one item holds for its neighbours.
fn spread(items: &mut Vec<Expr>) {
    if let Some(all) = progression(items) {
        *items = all;
        return;
    }
    let plain = |item: &Expr| item.is_scalar();
    if let [first, .., Expr::Modular(value, modulus)] = items.as_mut_slice()
        && plain(value)
        && let Expr::Chain(name, rest) = &*first
        && let [(Relation::Congruent, _)] = rest.as_slice()
    {
        let (name, modulus) = (name.clone(), modulus.clone());
        for item in items {
            let value = match &*item {
                Expr::Chain(_, rest) => rest.first().map(|(_, side)| side.clone()),
                Expr::Modular(value, _) => Some((**value).clone()),
                other => plain(other).then(|| other.clone()),
            };
            if let Some(value) = value {
                let congruence = Expr::Chain(name.clone(), vec![(Relation::Congruent, value)]);
                *item = Expr::Modular(Box::new(congruence), modulus.clone());
            }
        }
        return;
    }
    if let Some((Expr::Chain(name, rest), others)) = items.split_first_mut()
        && let [(Relation::NotEqual, _)] = rest.as_slice()
        && others.iter().all(plain)
    {
        for item in others {
            *item = Expr::Chain(name.clone(), vec![(Relation::NotEqual, item.clone())]);
        }
    }
}

/// `1, 3, 5, \ldots, 99` written out, where the items before the ellipsis show the step.
fn progression(items: &[Expr]) -> Option<Vec<Expr>> {
    const MAXIMUM_WRITTEN_OUT: i64 = 100;
    let at = items.iter().position(|item| matches!(item, Expr::Symbol(name) if name == "\\ldots"))?;
    let whole = |item: &Expr| match item {
        Expr::Number(number) => number.value.to_string().parse::<i64>().ok(),
        Expr::Negate(inner) => match &**inner {
            Expr::Number(number) => number.value.to_string().parse::<i64>().ok().map(|value| -value),
            _ => None,
        },
        _ => None,
    };
    let before = items.get(..at)?.iter().map(whole).collect::<Option<Vec<i64>>>()?;
    let [last] = items.get(at + 1..)? else { return None };
    let last = whole(last)?;
    let (first, second) = (*before.first()?, *before.get(1)?);
    let step = second.checked_sub(first)?;
    let even =
        before.windows(2).all(|pair| matches!(pair, [low, high] if high.checked_sub(*low) == Some(step)));
    let distance = last.checked_sub(first)?;
    if !even || step == 0 || distance % step != 0 || !(0..MAXIMUM_WRITTEN_OUT).contains(&(distance / step)) {
        return None;
    }
    Some((0..=distance / step).map(|index| Expr::integer(first + index * step)).collect())
}

/// Items under their separators: `x=1, y=2 \text{ or } x=2, y=1` and `p=5, q=2; p=7, q=2` are lists of lists.
fn grouped(items: Vec<Expr>, separators: &[Separator]) -> (Vec<Expr>, Joiner) {
    let any = |wanted: Separator| separators.contains(&wanted);
    let (outer, joiner) = match (any(Separator::Or), any(Separator::Semicolon)) {
        (true, _) => (Separator::Or, Joiner::Or),
        (false, true) => (Separator::Semicolon, Joiner::Comma),
        (false, false) => {
            return (items, if any(Separator::And) { Joiner::And } else { Joiner::Comma });
        }
    };
    let mut groups: Vec<(Vec<Expr>, Joiner)> = vec![(Vec::new(), Joiner::Comma)];
    let before = std::iter::once(None).chain(separators.iter().map(|separator| Some(*separator)));
    for (item, separator) in items.iter().zip(before) {
        if separator == Some(outer) {
            groups.push((Vec::new(), Joiner::Comma));
        }
        if let Some((group, joiner)) = groups.last_mut() {
            if separator == Some(Separator::And) {
                *joiner = Joiner::And;
            }
            group.push(item.clone());
        }
    }
    let relations = |group: &[Expr]| group.iter().all(|item| matches!(item, Expr::Chain(..)));
    let nested = groups.iter().any(|(_, joiner)| *joiner == Joiner::And)
        || (groups.len() > 1 && groups.iter().all(|(group, _)| group.len() > 1 && relations(group)));
    if !nested {
        return (items, joiner);
    }
    let lists = groups.into_iter().map(|(mut group, joiner)| {
        if group.len() == 1 { group.swap_remove(0) } else { Expr::List(group, joiner) }
    });
    (lists.collect(), joiner)
}
