//! From text to tokens: LaTeX and plain spellings of the same thing become the same token.

use crate::expression::Relation;
use crate::numeral::{self, CommaReading};
use crate::spelling::{function, is_greek, keyword};
use crate::token::{Spanned, Token};

/// More tokens than this are refused.
const MAXIMUM_TOKENS: usize = 4_096;

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
    pub(crate) tokens: Vec<Spanned>,
    /// Some comma separates either thousands or items.
    pub(crate) ambiguous: bool,
}

/// Cuts normalised text into tokens.
pub(crate) fn lex(text: &str, reading: CommaReading) -> Result<Lexed, ReadError> {
    let mut lexer = Lexer {
        text,
        position: 0,
        tokens: Vec::new(),
        braces: Vec::new(),
        brackets: 0,
        reading,
        ambiguous: false,
    };
    lexer.run()?;
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
    tokens: Vec<Spanned>,
    braces: Vec<Brace>,
    brackets: usize,
    reading: CommaReading,
    ambiguous: bool,
}

impl Lexer<'_> {
    fn run(&mut self) -> Result<(), ReadError> {
        let mut spaced = false;
        while let Some(rest) = self.text.get(self.position..) {
            let Some(character) = rest.chars().next() else { break };
            if self.tokens.len() > MAXIMUM_TOKENS {
                return Err(ReadError::TooLarge);
            }
            let before = self.tokens.len();
            self.one(rest, character)?;
            match self.tokens.get_mut(before) {
                Some(token) => {
                    token.spaced = spaced;
                    spaced = false;
                }
                None => spaced = true,
            }
        }
        if self.braces.is_empty() { Ok(()) } else { Err(ReadError::NotUnderstood) }
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
            ' ' | '\t' | '\n' | '\r' | '~' | '$' => return Ok(()),
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
            '.' => Token::Period,
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
        self.tokens.push(Spanned { token, spaced: false });
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
        let grouping = self.brackets == 0;
        let scanned = numeral::scan(rest, self.reading, grouping).map_err(|_| ReadError::TooLarge)?;
        self.ambiguous |= scanned.ambiguous;
        self.position += scanned.length;
        self.push(Token::Number { number: scanned.number, digits: scanned.digits })
    }

    /// Whether the next digit is an unbraced argument of `\frac`.
    fn takes_single_digit(&self) -> bool {
        let last = self.tokens.last().map(|spanned| &spanned.token);
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
                    match self.tokens.get(index).map(|spanned| &spanned.token) {
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
        index > 0
            && matches!(
                self.tokens.get(index - 1).map(|spanned| &spanned.token),
                Some(Token::Frac | Token::Binomial)
            )
    }

    fn letters(&mut self, rest: &str) -> Result<(), ReadError> {
        let length = rest
            .char_indices()
            .find(|(_, character)| !character.is_alphabetic())
            .map_or(rest.len(), |(index, _)| index);
        let run = rest.get(..length).unwrap_or("");
        if run.len() > 256 {
            return Err(ReadError::TooLarge);
        }
        self.position += length;
        let upright = self.braces.contains(&Brace::Upright);
        if let Some(token) = keyword(run) {
            return self.push(token);
        }
        if run.chars().count() == 1 && !upright {
            return self.push(Token::Symbol(run.into()));
        }
        self.push(Token::Word { name: run.into(), upright })
    }

    fn command(&mut self, rest: &str) -> Result<(), ReadError> {
        let tail = rest.get(1..).unwrap_or("");
        let length = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        if length == 0 {
            return self.escaped(tail);
        }
        self.position += 1 + length;
        let name = tail.get(..length).unwrap_or("");
        let token = match name {
            "frac" | "dfrac" | "tfrac" | "cfrac" => Token::Frac,
            "over" => Token::Over,
            "sqrt" => Token::Sqrt,
            "binom" | "dbinom" | "tbinom" => Token::Binomial,
            "choose" => Token::Choose,
            "pi" => Token::Pi,
            "infty" | "infin" => Token::Infinity,
            "emptyset" | "varnothing" => Token::EmptySet,
            "cdot" | "times" | "ast" | "cdotp" => Token::Times,
            "div" => Token::Slash,
            "pm" => Token::PlusMinus,
            "mp" => Token::MinusPlus,
            "circ" | "degree" | "degrees" => Token::Degree,
            "prime" => Token::Prime,
            "le" | "leq" | "leqslant" | "leqq" => Token::Relation(Relation::LessEqual),
            "ge" | "geq" | "geqslant" | "geqq" => Token::Relation(Relation::GreaterEqual),
            "lt" => Token::Relation(Relation::Less),
            "gt" => Token::Relation(Relation::Greater),
            "ne" | "neq" => Token::Relation(Relation::NotEqual),
            "approx" | "simeq" | "doteq" | "thickapprox" => Token::Relation(Relation::Approximate),
            "equiv" => Token::Relation(Relation::Congruent),
            "in" => Token::Relation(Relation::Member),
            "cup" | "bigcup" => Token::Cup,
            "cap" | "bigcap" => Token::Cap,
            "setminus" | "backslash" | "smallsetminus" => Token::SetMinus,
            "lor" | "vee" => Token::Or,
            "land" | "wedge" => Token::And,
            "lbrace" => Token::OpenSet,
            "rbrace" => Token::CloseSet,
            "lbrack" => self.open(Token::OpenSquare),
            "rbrack" => self.close(Token::CloseSquare),
            "langle" => self.open(Token::OpenAngle),
            "rangle" => self.close(Token::CloseAngle),
            "lfloor" => Token::OpenFloor,
            "rfloor" => Token::CloseFloor,
            "lceil" => Token::OpenCeiling,
            "rceil" => Token::CloseCeiling,
            "lvert" | "rvert" | "vert" => Token::Bar,
            "mid" => Token::Mid,
            "colon" => Token::Colon,
            "bmod" | "mod" | "pmod" | "pod" => Token::Mod,
            "mathbb" | "Bbb" => return self.blackboard(),
            "begin" => return self.environment(Token::Begin),
            "end" => return self.environment(Token::End),
            "euro" => Token::Currency("€"),
            "pounds" => Token::Currency("£"),
            "yen" => Token::Currency("¥"),
            "left" | "right" => {
                if self.text.get(self.position..).is_some_and(|text| text.starts_with('.')) {
                    self.position += 1;
                }
                return Ok(());
            }
            "displaystyle" | "textstyle" | "scriptstyle" | "limits" | "nolimits" | "quad" | "qquad"
            | "big" | "Big" | "bigg" | "Bigg" | "bigl" | "bigr" | "Bigl" | "Bigr" | "biggl" | "biggr"
            | "middle" | "rm" | "bf" | "it" | "strut" | "mathstrut" | "thinspace" | "enspace" | "space"
            | "bm" | "boldsymbol" | "hfill" | "large" | "Large" | "normalsize" | "small" | "bfseries"
            | "noindent" | "negthinspace" | "nobreakspace" | "nonumber" | "ensuremath" => return Ok(()),
            "boxed" | "fbox" | "underline" | "vec" | "overrightarrow" | "hat" | "bar" | "overline"
            | "widehat" | "tilde" | "mathcal" | "mathfrak" | "mathscr" | "mathbf" | "pmb" | "mathit"
            | "mathsf" => {
                return self.decorated(name);
            }
            "text" | "textbf" | "textit" | "textrm" | "textsf" | "texttt" | "textnormal" | "mathrm"
            | "mbox" | "hbox" | "operatorname" | "emph" | "mathnormal" | "textup" => {
                return self.upright(name);
            }
            "hspace" | "vspace" | "phantom" | "hphantom" | "label" | "tag" | "color" | "textcolor" => {
                return self.skip_argument();
            }
            _ => match function(name) {
                Some(function) => Token::Function(function),
                None if is_greek(name) => Token::Symbol(format!("\\{name}").into()),
                None if matches!(name, "angle" | "triangle" | "measuredangle") => {
                    Token::Symbol(format!("\\{name}").into())
                }
                None => return Err(ReadError::NotUnderstood),
            },
        };
        self.push(token)
    }

    fn escaped(&mut self, tail: &str) -> Result<(), ReadError> {
        let Some(character) = tail.chars().next() else { return Err(ReadError::NotUnderstood) };
        self.position += 1 + character.len_utf8();
        match character {
            ',' | ';' | ':' | '!' | ' ' | '\n' | '\t' | '(' | ')' | '[' | ']' | '/' | '-' | '>' | '_' => {
                Ok(())
            }
            '{' => self.push(Token::OpenSet),
            '}' => self.push(Token::CloseSet),
            '|' => self.push(Token::Bar),
            '$' => self.push(Token::Currency("$")),
            '%' => self.push(Token::Percent),
            '\\' => self.push(Token::RowBreak),
            '&' => self.push(Token::And),
            _ => Err(ReadError::NotUnderstood),
        }
    }

    fn skip_spaces(&mut self) {
        while self.text.as_bytes().get(self.position) == Some(&b' ') {
            self.position += 1;
        }
    }

    fn opens_brace(&mut self) -> bool {
        self.skip_spaces();
        self.text.as_bytes().get(self.position) == Some(&b'{')
    }

    /// `\mathbf{x}`: the decoration goes; `\bar{x}` and `\hat{x}` are other symbols than `x`.
    fn decorated(&mut self, name: &str) -> Result<(), ReadError> {
        if !self.opens_brace() {
            return match name {
                "mathbf" | "boxed" | "mathit" | "mathsf" | "pmb" => Ok(()),
                _ => Err(ReadError::NotUnderstood),
            };
        }
        match name {
            "bar" | "hat" | "tilde" | "widehat" | "overline" | "vec" | "overrightarrow" => {
                let start = self.position + 1;
                let content = self.text.get(start..).and_then(|text| text.split('}').next()).unwrap_or("");
                let simple = !content.is_empty()
                    && content.len() <= 8
                    && content.bytes().all(|byte| byte.is_ascii_alphabetic());
                if !simple {
                    return Err(ReadError::NotUnderstood);
                }
                self.position = start + content.len() + 1;
                if matches!(name, "overline" | "vec" | "overrightarrow") && content.len() > 1 {
                    // a segment or a vector by its end points
                    return self.push(Token::Symbol(content.into()));
                }
                self.push(Token::Symbol(format!("\\{name} {content}").into()))
            }
            _ => {
                self.position += 1;
                let start = self.position;
                let content = self.text.get(start..).and_then(|text| text.split('}').next()).unwrap_or("");
                let word = content.chars().count() > 1 && content.chars().all(char::is_alphabetic);
                self.braces.push(if name == "mathbf" && word { Brace::Upright } else { Brace::Invisible });
                Ok(())
            }
        }
    }

    fn upright(&mut self, name: &str) -> Result<(), ReadError> {
        if name == "operatorname" && self.text.get(self.position..).is_some_and(|text| text.starts_with('*'))
        {
            self.position += 1;
        }
        if !self.opens_brace() {
            // `\mathrm e`: the next letter as it is
            return Ok(());
        }
        let start = self.position + 1;
        let content = self.text.get(start..).and_then(|text| text.split('}').next()).unwrap_or("");
        if matches!(name, "mathrm" | "operatorname") {
            let trimmed = content.trim();
            let token = match trimmed {
                "e" | "i" => Some(Token::Symbol(trimmed.into())),
                _ => function(trimmed).map(Token::Function),
            };
            if let Some(token) = token {
                self.position = start + content.len() + 1;
                return self.push(token);
            }
        }
        self.position = start;
        self.braces.push(Brace::Upright);
        Ok(())
    }

    fn blackboard(&mut self) -> Result<(), ReadError> {
        let braced = self.opens_brace();
        let start = self.position + usize::from(braced);
        let letter = self.text.get(start..start + 1).ok_or(ReadError::NotUnderstood)?;
        self.position = start + 1 + usize::from(braced);
        match letter {
            "R" => self.push(Token::Reals),
            _ => self.push(Token::Symbol(format!("\\mathbb {letter}").into())),
        }
    }

    fn environment(&mut self, token: Token) -> Result<(), ReadError> {
        let rest = self.text.get(self.position..).unwrap_or("");
        let name = rest.strip_prefix('{').and_then(|text| text.split('}').next()).unwrap_or("");
        self.position += name.len() + 2;
        match name {
            "pmatrix" | "bmatrix" | "matrix" | "smallmatrix" | "psmallmatrix" | "bsmallmatrix" => {}
            "array" => {
                if token == Token::Begin {
                    self.skip_argument()?;
                }
            }
            "aligned" | "align" | "align*" | "gathered" | "equation" | "equation*" => return Ok(()),
            _ => return Err(ReadError::NotUnderstood),
        }
        self.push(token)
    }

    fn skip_argument(&mut self) -> Result<(), ReadError> {
        if !self.opens_brace() {
            return Err(ReadError::NotUnderstood);
        }
        let rest = self.text.get(self.position..).unwrap_or("");
        let length = rest.find('}').ok_or(ReadError::NotUnderstood)?;
        self.position += length + 1;
        Ok(())
    }
}
