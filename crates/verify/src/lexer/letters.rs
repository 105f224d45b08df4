//! Runs of letters: words, symbols, and what stands for a sign.

use super::{Brace, Lexer, ReadError};
use crate::spelling::{conjunction, keyword};
use crate::token::Token;

impl Lexer<'_> {
    pub(super) fn letters(&mut self, rest: &str) -> Result<(), ReadError> {
        let first = rest.chars().next().unwrap_or(' ');
        let length = rest
            .char_indices()
            .find(|(_, character)| {
                !character.is_alphabetic() || is_ideographic(*character) != is_ideographic(first)
            })
            .map_or(rest.len(), |(index, _)| index);
        let run = rest.get(..length).unwrap_or("");
        // `7万元`: the number's own word, then what is counted
        let run = match run.char_indices().nth(1) {
            Some((second, _))
                if matches!(first, '万' | '萬' | '亿' | '億' | '만' | '억')
                    && matches!(self.tokens.last(), Some(Token::Number { .. })) =>
            {
                run.get(..second).unwrap_or(run)
            }
            _ => run,
        };
        let length = run.len();
        if run.len() > 256 {
            return Err(ReadError::TooLarge);
        }
        self.position += length;
        let upright = self.braces.contains(&Brace::Upright);
        let spaced = self.text.as_bytes().get((self.position - run.len()).saturating_sub(1)) == Some(&b' ')
            && rest.as_bytes().get(run.len()) == Some(&b' ');
        if (upright || spaced || !run.is_ascii())
            && let Some(token) = conjunction(run)
        {
            return self.push(token);
        }
        // `3 \text{ y } 5`
        let behind_number = matches!(self.tokens.last(), Some(Token::Number { .. } | Token::CloseRound));
        if upright && spaced && behind_number && run == "y" {
            return self.push(Token::And);
        }
        let after_number = matches!(self.tokens.last(), Some(Token::Number { .. }));
        if let Some(length) = self.spelled_sign(run, rest, after_number) {
            self.position += length - run.len();
            return Ok(());
        }
        if run.len() > 1
            && let Some(token) = keyword(run)
        {
            return self.push(token);
        }
        if !upright && let Some(letters) = letters_before_a_function(run, rest) {
            self.position -= run.len() - letters;
            for letter in run.get(..letters).unwrap_or("").chars() {
                self.push(Token::Symbol(letter.to_string().into()))?;
            }
            return Ok(());
        }
        if run.len() == 1 && !upright {
            // `(0, 9) U (9, 36)`
            let joins_sets = run == "U"
                && matches!(self.tokens.last(), Some(Token::CloseRound | Token::CloseSquare))
                && rest.get(1..).is_some_and(|after| after.trim_start().starts_with(['(', '[']));
            return self.push(if joins_sets { Token::Cup } else { Token::Symbol(run.into()) });
        }
        // a power or an index without braces takes one letter
        if !upright
            && run.is_ascii()
            && matches!(self.tokens.last(), Some(Token::Caret | Token::Underscore))
            && run.len() <= 4
        {
            self.position -= run.len() - 1;
            return self.push(Token::Symbol(run.get(..1).unwrap_or(run).into()));
        }
        // an ordinal's ending, a counter
        let ending = after_number && matches!(run, "st" | "nd" | "rd" | "th");
        if !upright && run.chars().count() == 1 && !is_ideograph(run) {
            return self.push(Token::Symbol(run.into()));
        }
        if !upright && self.takes_single_digit() {
            // `\frac ab`: each letter is an argument of its own
            let first = run.chars().next().map_or(1, char::len_utf8);
            self.position -= run.len() - first;
            return self.push(Token::Symbol(run.get(..first).unwrap_or(run).into()));
        }
        let word = ending
            || is_ideograph(run)
            || matches!(run, "odd" | "all" | "any" | "the" | "are" | "not" | "yes");
        self.push(Token::Word { name: run.into(), upright: upright || word })
    }

    /// `3 x 10^8`, `US$5`, `5orW`: letters that stand for a sign; how much of the text they take.
    fn spelled_sign(&mut self, run: &str, rest: &str, after_number: bool) -> Option<usize> {
        let after = rest.get(run.len()..).unwrap_or("");
        let (token, length) = match run {
            "x" | "X" if after_number => {
                let power = after.trim_start().strip_prefix("10")?.trim_start();
                if !power.starts_with('^') {
                    return None;
                }
                (Token::Times, run.len())
            }
            "US" if after.starts_with('$') => (Token::Currency("$"), run.len() + 1),
            "US" if after.starts_with("\\$") => (Token::Currency("$"), run.len() + 2),
            "USD" => (Token::Currency("$"), run.len()),
            "EUR" => (Token::Currency("€"), run.len()),
            "GBP" => (Token::Currency("£"), run.len()),
            // `x=1ory=2`
            _ if after_number && run.starts_with("or") && (3..=4).contains(&run.len()) => {
                self.position -= run.len() - 2;
                self.tokens.push(Token::Or);
                return Some(run.len());
            }
            _ => return None,
        };
        self.tokens.push(token);
        Some(length)
    }

    /// A hyphen between two words.
    pub(super) fn hyphenates(&self, rest: &str) -> bool {
        let letters =
            rest.get(1..).is_some_and(|after| after.bytes().take_while(u8::is_ascii_alphabetic).count() > 1);
        letters
            && self.position > 1
            && self.text.as_bytes().get(self.position - 2).is_some_and(u8::is_ascii_alphabetic)
            && matches!(self.tokens.last(), Some(Token::Word { name, upright }) if *upright || name.len() > 3)
    }
}

/// How many letters stand before a function's name and its bracket: `x\ln(x)` without the backslash. `asin(x)` may be
/// either.
fn letters_before_a_function(run: &str, rest: &str) -> Option<usize> {
    if !rest.get(run.len()..)?.starts_with('(') || !run.is_ascii() {
        return None;
    }
    let before = ["sin", "cos", "tan", "log", "ln"].iter().find_map(|name| run.strip_suffix(name))?;
    ((1..=2).contains(&before.len()) && !before.ends_with(['a', 'c', 'o']))
        .then_some(before.len())
        .or_else(|| (run.ends_with("ln") && before.len() == 1).then_some(1))
}

/// Whether letters are of a script that writes no products: one ideograph or syllable is a word.
fn is_ideograph(run: &str) -> bool {
    run.chars().all(is_ideographic)
}

fn is_ideographic(letter: char) -> bool {
    matches!(letter, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}')
}
