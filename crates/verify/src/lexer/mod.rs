//! From text to tokens: LaTeX and plain spellings of the same thing become the same token.

mod command;
mod letters;

use crate::expression::Relation;
use crate::numeral::{self, CommaReading};
use crate::token::Token;

/// More tokens than this are refused.
const MAXIMUM_TOKENS: usize = 4_096;
/// Most answers have no more tokens than this.
const TYPICAL_TOKENS: usize = 11;

/// An answer that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("too long or too deep")]
    TooLarge,
    #[error("not mathematics that is understood")]
    NotUnderstood,
}

/// Tokens of an answer.
#[derive(Debug)]
pub(crate) struct Lexed {
    pub(crate) tokens: Vec<Token>,
    /// Some comma separates either thousands or items.
    pub(crate) ambiguous: bool,
}

/// Cuts normalised text into tokens.
pub(crate) fn lex(text: &str, reading: CommaReading) -> Result<Lexed, ReadError> {
    let mut lexer = Lexer {
        text,
        position: 0,
        tokens: Vec::with_capacity(text.len().min(TYPICAL_TOKENS)),
        braces: Vec::new(),
        brackets: 0,
        reading,
        ambiguous: false,
        aligned: 0,
        bold: 0,
        upright_at: None,
    };
    lexer.run()?;
    lexer.settle_bold();
    Ok(Lexed { tokens: lexer.tokens, ambiguous: lexer.ambiguous })
}

/// What an open brace is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Brace {
    Group,
    /// The argument of `\text` and the like: no tokens for the braces, letters are words.
    Upright,
    /// Braces that only colour or scale: no tokens for them.
    Invisible,
}

struct Lexer<'a> {
    text: &'a str,
    position: usize,
    tokens: Vec<Token>,
    braces: Vec<Brace>,
    brackets: usize,
    reading: CommaReading,
    ambiguous: bool,
    /// Open environments whose rows are one answer.
    aligned: usize,
    /// Bold letters so far.
    bold: usize,
    /// Where a brace opens that holds a unit.
    upright_at: Option<usize>,
}

impl Lexer<'_> {
    fn run(&mut self) -> Result<(), ReadError> {
        while let Some(rest) = self.text.get(self.position..) {
            let Some(character) = rest.chars().next() else { break };
            if self.tokens.len() > MAXIMUM_TOKENS {
                return Err(ReadError::TooLarge);
            }
            self.one(rest, character)?;
        }
        if self.braces.is_empty() { Ok(()) } else { Err(ReadError::NotUnderstood) }
    }

    /// Bold letters are vectors where they are multiplied with a sign, and only bold elsewhere.
    fn settle_bold(&mut self) {
        if self.bold == 0 {
            return;
        }
        let products = self.tokens.iter().any(|token| matches!(token, Token::Times | Token::Cross));
        let vectors = self.bold > 1 && products;
        for token in &mut self.tokens {
            if let Token::Symbol(name) = token
                && let Some(letter) = name.strip_prefix("\\mathbf ")
            {
                *name = if vectors { format!("\\vec {letter}").into() } else { letter.into() };
            }
        }
    }

    /// Whether a value stands right before.
    fn after_value(&self) -> bool {
        matches!(
            self.tokens.last(),
            Some(
                Token::Number { .. }
                    | Token::Symbol(_)
                    | Token::Pi
                    | Token::CloseBrace
                    | Token::CloseRound
                    | Token::Caret
            )
        )
    }

    fn one(&mut self, rest: &str, character: char) -> Result<(), ReadError> {
        let point_number = character == '.' && rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
        if character.is_ascii_digit() || point_number {
            return self.number(rest);
        }
        if character == '\\' {
            return self.command(rest);
        }
        if character.is_alphabetic() {
            return self.letters(rest);
        }
        self.position += character.len_utf8();
        let next = rest.as_bytes().get(1).copied();
        let token = match character {
            ' ' | '\t' | '\n' | '\r' | '~' | '$' | '"' | '`' => return Ok(()),
            '-' if self.hyphenates(rest) => return Ok(()),
            '+' if next == Some(b'-') || rest.starts_with("+/-") => {
                self.position += if next == Some(b'-') { 1 } else { 2 };
                Token::PlusMinus
            }
            '+' => Token::Plus,
            '-' => Token::Minus,
            '*' if next == Some(b'*') => {
                self.position += 1;
                Token::Caret
            }
            '*' => Token::Times,
            '/' => Token::Slash,
            '^' => Token::Caret,
            '_' => Token::Underscore,
            '!' if next == Some(b'=') => {
                self.position += 1;
                Token::Relation(Relation::NotEqual)
            }
            '!' => Token::Bang,
            '\'' => Token::Prime,
            '%' => Token::Percent,
            '(' => self.open(Token::OpenRound),
            ')' => self.close(Token::CloseRound),
            '[' => self.open(Token::OpenSquare),
            ']' => self.close(Token::CloseSquare),
            '{' => {
                // `{-}5`, `x {=} 3`: braces that only set the spacing
                if let [sign @ (b'-' | b'+' | b'=' | b'<' | b'>' | b':'), b'}', ..] =
                    rest.as_bytes().get(1..).unwrap_or(&[])
                {
                    self.position += 2;
                    return self.push(match sign {
                        b'-' => Token::Minus,
                        b'+' => Token::Plus,
                        b'=' => Token::Relation(Relation::Equal),
                        b'<' => Token::Relation(Relation::Less),
                        b'>' => Token::Relation(Relation::Greater),
                        _ => Token::Colon,
                    });
                }
                if self.upright_at.take_if(|at| *at + 1 == self.position).is_some() {
                    self.braces.push(Brace::Upright);
                    return Ok(());
                }
                // `{\cdot}`: braces that only set the spacing
                if lone_operator(rest) {
                    self.braces.push(Brace::Invisible);
                    return Ok(());
                }
                self.braces.push(Brace::Group);
                Token::OpenBrace
            }
            '}' => match self.braces.pop() {
                Some(Brace::Group) => Token::CloseBrace,
                Some(_) => return Ok(()),
                None => return Err(ReadError::NotUnderstood),
            },
            '|' => Token::Bar,
            ',' => Token::Comma,
            ';' => Token::Semicolon,
            ':' => Token::Colon,
            '.' if rest.starts_with("...") => {
                self.position += rest.bytes().take_while(|byte| *byte == b'.').count() - 1;
                Token::Ellipsis
            }
            '.' => Token::Period,
            '&' if self.aligned > 0 => return Ok(()),
            '&' => Token::Ampersand,
            '=' => {
                if next == Some(b'=') {
                    self.position += 1;
                }
                Token::Relation(Relation::Equal)
            }
            '<' | '>' => {
                let equal = next == Some(b'=');
                if equal {
                    self.position += 1;
                }
                Token::Relation(match (character, equal) {
                    ('<', false) => Relation::Less,
                    ('<', true) => Relation::LessEqual,
                    (_, false) => Relation::Greater,
                    (_, true) => Relation::GreaterEqual,
                })
            }
            '€' => Token::Currency("€"),
            '£' => Token::Currency("£"),
            '¥' => Token::Currency("¥"),
            '₹' => Token::Currency("₹"),
            '₩' => Token::Currency("₩"),
            '¢' => return self.push(Token::Word { name: "cent".into(), upright: true }),
            _ => return Err(ReadError::NotUnderstood),
        };
        self.push(token)
    }

    #[expect(clippy::unnecessary_wraps, reason = "every branch of the lexer ends in the same type")]
    fn push(&mut self, token: Token) -> Result<(), ReadError> {
        self.tokens.push(token);
        Ok(())
    }

    fn open(&mut self, token: Token) -> Token {
        self.brackets += 1;
        token
    }

    fn close(&mut self, token: Token) -> Token {
        self.brackets = self.brackets.saturating_sub(1);
        token
    }

    fn number(&mut self, rest: &str) -> Result<(), ReadError> {
        // a single digit after `\frac` or `\sqrt` is its argument, not the start of a longer number
        if self.takes_single_digit() {
            let digit = rest.get(..1).unwrap_or("0");
            let scanned = numeral::scan(digit, CommaReading::List, false).map_err(|_| ReadError::TooLarge)?;
            self.position += 1;
            return self.push(Token::Number { number: scanned.number, digits: scanned.digits });
        }
        // `\log_2 128`: an index takes no more than its digits
        if self.tokens.last() == Some(&Token::Underscore) {
            let length = rest.bytes().take_while(u8::is_ascii_digit).count().clamp(1, 18);
            let digits = rest.get(..length).unwrap_or("0");
            let scanned =
                numeral::scan(digits, CommaReading::List, false).map_err(|_| ReadError::TooLarge)?;
            self.position += length;
            return self.push(Token::Number { number: scanned.number, digits: scanned.digits });
        }
        let grouping = self.brackets == 0;
        let scanned = numeral::scan(rest, self.reading, grouping).map_err(|_| ReadError::TooLarge)?;
        self.ambiguous |= scanned.ambiguous;
        self.position += scanned.length;
        self.push(Token::Number { number: scanned.number, digits: scanned.digits })
    }

    /// Whether the next digit is an unbraced argument of `\frac`.
    fn takes_single_digit(&self) -> bool {
        let last = self.tokens.last();
        if matches!(last, Some(Token::Frac | Token::Binomial)) {
            return true;
        }
        // the second argument: `\frac` and one argument before, either one digit or a braced group
        let mut index = self.tokens.len();
        match last {
            Some(Token::Number { .. } | Token::Symbol(_) | Token::Pi) => index -= 1,
            Some(Token::CloseBrace) => {
                let mut depth = 0_usize;
                loop {
                    if index == 0 {
                        return false;
                    }
                    index -= 1;
                    match self.tokens.get(index) {
                        Some(Token::CloseBrace) => depth += 1,
                        Some(Token::OpenBrace) => {
                            depth -= 1;
                            if depth == 0 {
                                break;
                            }
                        }
                        _ => {}
                    }
                }
            }
            _ => return false,
        }
        index > 0 && matches!(self.tokens.get(index - 1), Some(Token::Frac | Token::Binomial))
    }
}

/// `{\cdot}` and the like.
fn lone_operator(rest: &str) -> bool {
    let Some(name) = rest.strip_prefix("{\\").and_then(|inner| inner.split('}').next()) else { return false };
    matches!(
        name.trim_end(),
        "cdot"
            | "times"
            | "div"
            | "pm"
            | "mp"
            | "le"
            | "leq"
            | "ge"
            | "geq"
            | "ne"
            | "neq"
            | "in"
            | "approx"
            | "colon"
            | "cup"
            | "cap"
            | "equiv"
            | "to"
            | "mid"
            | "lt"
            | "gt"
    )
}
