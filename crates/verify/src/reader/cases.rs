//! Answers by cases: values with the conditions under which they hold.

use super::{MAXIMUM_ITEMS, Reader};
use crate::expression::{Expr, Joiner, Name};
use crate::lexer::ReadError;
use crate::token::Token;

/// Words that introduce a condition or only join its parts.
const FILLERS: [&str; 8] = ["if", "for", "when", "where", "is", "are", "as", "an"];
/// Words for whatever the other rows leave.
const OTHERWISE: [&str; 4] = ["otherwise", "else", "elsewhere", "other"];

impl Reader {
    /// The rows of a `cases` environment that was just opened.
    pub(super) fn cases(&mut self) -> Result<Expr, ReadError> {
        let mut rows = Vec::new();
        while self.peek() != Some(&Token::End) {
            if rows.len() >= MAXIMUM_ITEMS {
                return Err(ReadError::TooLarge);
            }
            if rows.is_empty() && self.at_system() {
                return self.system().ok_or(ReadError::NotUnderstood);
            }
            let value = self.inside(Self::side)?;
            self.accept(&Token::Comma);
            self.expect(&Token::Ampersand)?;
            let condition = self.condition()?;
            while self.accept(&Token::Comma) || self.accept(&Token::Period) || self.accept(&Token::Semicolon)
            {
            }
            rows.push((value, condition));
            if !self.accept(&Token::RowBreak) && self.peek() != Some(&Token::End) {
                return Err(ReadError::NotUnderstood);
            }
        }
        self.expect(&Token::End)?;
        if rows.is_empty() { Err(ReadError::NotUnderstood) } else { Ok(Expr::Cases(rows)) }
    }

    /// Whether the first row has a relation and no condition behind an ampersand.
    fn at_system(&self) -> bool {
        let row = self.tokens.get(self.position..).unwrap_or(&[]);
        let length = row.iter().position(|token| {
            matches!(token, Token::RowBreak | Token::End | Token::Begin | Token::BeginCases)
        });
        let Some(row) = length.and_then(|length| row.get(..length)) else { return false };
        let relation = row.iter().position(|token| matches!(token, Token::Relation(_)));
        let conditions = row
            .windows(2)
            .any(|pair| matches!(pair, [Token::Ampersand, next] if !matches!(next, Token::Relation(_))));
        relation.is_some() && !conditions
    }

    /// Rows that are equations and have no conditions: all of them hold.
    fn system(&mut self) -> Option<Expr> {
        let mut items = Vec::new();
        while self.peek() != Some(&Token::End) {
            items.push(self.inside(Self::item).ok().filter(|item| matches!(item, Expr::Chain(..)))?);
            while self.accept(&Token::Comma) || self.accept(&Token::Period) || self.accept(&Token::Semicolon)
            {
            }
            if items.len() > MAXIMUM_ITEMS
                || (!self.accept(&Token::RowBreak) && self.peek() != Some(&Token::End))
            {
                return None;
            }
        }
        self.position += 1;
        (items.len() > 1).then_some(Expr::List(items, Joiner::And))
    }

    /// A condition in signs is read like an answer; one in words is kept as words.
    fn condition(&mut self) -> Result<Expr, ReadError> {
        while matches!(self.peek(), Some(Token::Word { name, .. }) if FILLERS.contains(&&**name)) {
            self.position += 1;
        }
        let row = self.tokens.get(self.position..).unwrap_or(&[]);
        let length = row
            .iter()
            .position(|token| matches!(token, Token::RowBreak | Token::End))
            .ok_or(ReadError::NotUnderstood)?;
        let row = row.get(..length).unwrap_or(&[]);
        if !row.iter().any(|token| matches!(token, Token::Word { .. })) {
            return self.inside(Self::item);
        }
        let mut words = String::new();
        for token in row {
            let name: &Name = match token {
                Token::Word { name, .. } if FILLERS.contains(&&**name) => continue,
                Token::Word { name, .. } | Token::Symbol(name) => name,
                Token::Comma | Token::Period => continue,
                _ => return Err(ReadError::NotUnderstood),
            };
            if !words.is_empty() {
                words.push(' ');
            }
            words.push_str(if OTHERWISE.contains(&&**name) { "otherwise" } else { name });
        }
        self.position += length;
        Ok(Expr::Word(words.into()))
    }
}
