//! Values behind their names: `\text{remainder } 12`, `最大值为5`.

use super::wording::{ENDS_OF_NAMES, FOREIGN_NAMES, NO_NAMES, NO_SIGNS, SAME_LY, SAME_OF};
use super::{Reader, chain};
use crate::expression::{Expr, Name, Relation};
use crate::lexer::ReadError;
use crate::token::Token;

/// Whether a word or several may name the value behind them.
fn names_a_value(name: &str) -> bool {
    if name.is_ascii() {
        return !name.split(' ').any(changes) && !is_of_another(name);
    }
    FOREIGN_NAMES.contains(&name) || (name.ends_with(ENDS_OF_NAMES) && !name.contains(NO_SIGNS))
}

/// Whether a word changes what is said of the value behind it.
fn changes(word: &str) -> bool {
    NO_NAMES.contains(&word) || (word.len() > 4 && word.ends_with("ly") && !SAME_LY.contains(&word))
}

/// `the square of`, but `a total of`.
fn is_of_another(name: &str) -> bool {
    let Some(before) = name.strip_suffix(" of") else { return name == "of" };
    let mut words = before.rsplit(' ');
    let last = words.next().unwrap_or("");
    !SAME_OF.contains(&last) || words.next().is_some_and(|word| word == "absolute")
}

impl Reader {
    /// Whether a number stands behind a word that may name it: `\text{remainder } 12`.
    pub(super) fn starts_named_value(&self, name: &Name) -> bool {
        matches!(
            self.peek(),
            Some(
                Token::Number { .. }
                    | Token::Minus
                    | Token::Frac
                    | Token::Sqrt
                    | Token::Currency(_)
                    | Token::Symbol(_)
                    | Token::Pi
                    | Token::OpenRound
            )
        ) && names_a_value(name)
            && name.chars().all(|letter| letter.is_alphabetic() || letter == ' ')
    }

    /// The value behind its name; words before a letter are known as they stand.
    pub(super) fn named_value(&mut self, name: &Name) -> Result<Expr, ReadError> {
        let value = self.item()?;
        let announced = ["is", "are", "equals", "be", "get", "have"]
            .iter()
            .any(|verb| name.strip_suffix(verb).is_some_and(|rest| rest.is_empty() || rest.ends_with(' ')));
        let announced = announced && name.split(' ').count() <= 6;
        if announced || (!value.has_symbols() && name.split(' ').count() <= 3) {
            return Ok(match value {
                Expr::Chain(..) => value,
                value => chain(Expr::Word(name.clone()), vec![(Relation::Equal, value)]),
            });
        }
        if matches!(value, Expr::Chain(..)) || name.split(' ').count() > 2 {
            return Err(ReadError::NotUnderstood);
        }
        Ok(Expr::Applied(name.clone(), vec![value]))
    }
}
