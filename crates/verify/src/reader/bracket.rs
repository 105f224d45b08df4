//! Brackets: groups, tuples, intervals, sets, absolute values, matrices.

use super::{MAXIMUM_ITEMS, Reader};
use crate::expression::{Bracket, Expr, Function, Joiner, Relation};
use crate::lexer::ReadError;
use crate::token::Token;

impl Reader {
    /// What follows an opening bracket that was just consumed.
    pub(super) fn bracketed(&mut self, opening: &Token) -> Result<Expr, ReadError> {
        match opening {
            // a closing square bracket opens `]2, 3[`
            Token::OpenRound | Token::CloseSquare => self.group(Bracket::Round),
            Token::OpenSquare => self.group(Bracket::Square),
            Token::OpenAngle => self.group(Bracket::Angle),
            Token::OpenBrace => self.invisible_group(),
            Token::OpenSet => self.set(),
            Token::Bar => {
                self.bars += 1;
                let inner = self.deeper(Self::side);
                self.bars -= 1;
                let inner = inner?;
                self.expect(&Token::Bar)?;
                Ok(Expr::Call(Function::Abs, vec![inner]))
            }
            Token::OpenFloor => self.enclosed(Function::Floor, &Token::CloseFloor),
            Token::OpenCeiling => self.enclosed(Function::Ceiling, &Token::CloseCeiling),
            Token::Begin => self.matrix(),
            Token::BeginCases => self.cases(),
            _ => Err(ReadError::NotUnderstood),
        }
    }

    fn enclosed(&mut self, function: Function, closing: &Token) -> Result<Expr, ReadError> {
        let inner = self.deeper(Self::sum)?;
        self.expect(closing)?;
        Ok(Expr::Call(function, vec![inner]))
    }

    /// Takes brackets out of the state, so that bars inside are their own.
    pub(super) fn inside<T>(
        &mut self,
        body: impl FnOnce(&mut Self) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let (bars, sets) = (self.bars, self.sets);
        self.bars = 0;
        self.sets = 0;
        let result = self.deeper(body);
        self.bars = bars;
        self.sets = sets;
        result
    }

    fn group(&mut self, open: Bracket) -> Result<Expr, ReadError> {
        let start = self.position - 1;
        if let Some(composed) = self.composition()? {
            return Ok(composed);
        }
        let (items, joiner) = self.inside(Self::items)?;
        while self.accept(&Token::Period) {}
        let close = match self.peek() {
            Some(Token::CloseRound) => Bracket::Round,
            Some(Token::CloseSquare) => Bracket::Square,
            Some(Token::CloseAngle) => Bracket::Angle,
            // `]2, 3[` and `[2, 3[`
            Some(Token::OpenSquare) if items.len() == 2 => Bracket::Round,
            _ => return Err(ReadError::NotUnderstood),
        };
        self.position += 1;
        self.brackets = (start, self.position);
        if items.len() == 1 {
            if open != close || open == Bracket::Angle {
                return Err(ReadError::NotUnderstood);
            }
            let inner = items.into_iter().next().ok_or(ReadError::NotUnderstood)?;
            if open == Bracket::Round {
                // `(204)_5`
                if let Expr::Number(number) = &inner
                    && self.peek() == Some(&Token::Underscore)
                {
                    let digits = number.value.to_string();
                    return self.base_suffix(&digits)?.ok_or(ReadError::NotUnderstood);
                }
                return Ok(inner);
            }
            // `[[1, 2], [3, 4]]` keeps its outer bracket, `[x + 1]` is a group
            return Ok(match inner {
                Expr::Group(..) => Expr::Group(open, close, vec![inner]),
                _ => inner,
            });
        }
        if items.len() > 2 && open != close {
            return Err(ReadError::NotUnderstood);
        }
        // `(q \lor r) \land p`: brackets around statements are no tuple
        if joiner != Joiner::Comma {
            return match (open, close) {
                (Bracket::Round, Bracket::Round) | (Bracket::Square, Bracket::Square) => {
                    Ok(Expr::List(items, joiner))
                }
                _ => Err(ReadError::NotUnderstood),
            };
        }
        Ok(Expr::Group(open, close, items))
    }

    fn invisible_group(&mut self) -> Result<Expr, ReadError> {
        if self.accept(&Token::CloseBrace) {
            // `{}_{10}C_3`; an empty group before anything else is not understood
            return match self.peek() {
                Some(Token::Underscore | Token::Caret) => self.deeper(Self::atom),
                _ => Err(ReadError::NotUnderstood),
            };
        }
        let start = self.position;
        let mut expr = self.deeper(Self::item)?;
        if self.at_separator() {
            let (items, joiner) = self.deeper(|reader| reader.items_from(expr, start))?;
            let relations = items.iter().any(|item| matches!(item, Expr::Chain(..) | Expr::List(..)));
            let set = joiner == Joiner::Comma && !relations;
            expr = if set { Expr::Set(items) } else { Expr::List(items, joiner) };
        } else if matches!(self.peek(), Some(Token::Bar | Token::Mid | Token::Colon)) && is_head_of_set(&expr)
        {
            // `{x | 3 < x}`
            self.position += 1;
            expr = Self::built_set(&expr, self.inside(Self::list)?)?;
        } else if self.accept(&Token::Over) {
            let denominator = self.deeper(Self::sum)?;
            expr = Expr::Quotient(Box::new(expr), Box::new(denominator));
        } else if self.accept(&Token::Choose) {
            let lower = self.deeper(Self::sum)?;
            expr = Expr::Call(Function::Binomial, vec![expr, lower]);
        }
        while self.accept(&Token::Period) {}
        self.expect(&Token::CloseBrace)?;
        Ok(expr)
    }

    fn set(&mut self) -> Result<Expr, ReadError> {
        if self.accept(&Token::CloseSet) {
            return Ok(Expr::Set(Vec::new()));
        }
        let bars = std::mem::take(&mut self.bars);
        self.sets += 1;
        let items = self.deeper(Self::items);
        self.sets -= 1;
        self.bars = bars;
        let (items, _) = items?;
        if matches!(self.peek(), Some(Token::Bar | Token::Mid | Token::Colon)) {
            self.position += 1;
            // `\{x \in \mathbb{R} : ...\}` or `\{x : ...\}`
            let [head] = items.as_slice() else { return Err(ReadError::NotUnderstood) };
            let condition = self.inside(Self::list)?;
            self.expect(&Token::CloseSet)?;
            return Self::built_set(head, condition);
        }
        self.expect(&Token::CloseSet)?;
        Ok(Expr::Set(items))
    }

    /// The set of what fulfils a condition, over the reals or the integers.
    pub(super) fn built_set(head: &Expr, condition: Expr) -> Result<Expr, ReadError> {
        if !is_head_of_set(head) {
            return Err(ReadError::NotUnderstood);
        }
        let built = Expr::SetBuilder(Box::new(condition));
        Ok(match head {
            Expr::Chain(_, rest) => match rest.as_slice() {
                [(_, set @ Expr::Symbol(_))] => Expr::Intersection(vec![set.clone(), built]),
                _ => built,
            },
            _ => built,
        })
    }

    fn matrix(&mut self) -> Result<Expr, ReadError> {
        let mut rows = vec![Vec::new()];
        let mut count = 0;
        loop {
            match self.peek() {
                Some(Token::End) => break,
                Some(Token::RowBreak) => {
                    self.position += 1;
                    if self.peek() != Some(&Token::End) {
                        rows.push(Vec::new());
                    }
                    continue;
                }
                Some(Token::Ampersand) => {
                    self.position += 1;
                }
                _ => {}
            }
            count += 1;
            if count > MAXIMUM_ITEMS {
                return Err(ReadError::TooLarge);
            }
            let cell = self.inside(Self::item)?;
            rows.last_mut().ok_or(ReadError::NotUnderstood)?.push(cell);
            if !matches!(self.peek(), Some(Token::Ampersand | Token::RowBreak | Token::End)) {
                return Err(ReadError::NotUnderstood);
            }
        }
        self.expect(&Token::End)?;
        let width = rows.first().map_or(0, Vec::len);
        if width == 0 || rows.iter().any(|row| row.len() != width) {
            return Err(ReadError::NotUnderstood);
        }
        Ok(Expr::Matrix(rows))
    }
}

/// `x`, `x \in \mathbb{R}`, `x \in \mathbb{Z}` before the condition of a set.
pub(super) fn is_head_of_set(head: &Expr) -> bool {
    match head {
        Expr::Symbol(_) => true,
        Expr::Chain(first, rest) => {
            matches!(**first, Expr::Symbol(_))
                && match rest.as_slice() {
                    [(Relation::Member, Expr::Reals)] => true,
                    [(Relation::Member, Expr::Symbol(name))] => {
                        matches!(name.as_str(), "\\mathbb Z" | "\\mathbb N")
                    }
                    _ => false,
                }
        }
        _ => false,
    }
}
