//! Commands: a backslash with a name or a sign.

use super::{Brace, Lexer, ReadError};
use crate::expression::{Operator, Relation};
use crate::spelling::{function, is_greek};
use crate::token::Token;

impl Lexer<'_> {
    pub(super) fn command(&mut self, rest: &str) -> Result<(), ReadError> {
        let tail = rest.get(1..).unwrap_or("");
        let length = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        if length == 0 {
            return self.escaped(tail);
        }
        self.position += 1 + length;
        let name = tail.get(..length).unwrap_or("");
        let token = match name {
            "frac" | "dfrac" | "tfrac" | "cfrac" => Token::Frac,
            "left" | "right" => {
                if self.text.get(self.position..).is_some_and(|text| text.starts_with('.')) {
                    self.position += 1;
                }
                return Ok(());
            }
            "text" | "textbf" | "textit" | "textrm" | "textsf" | "texttt" | "textnormal" | "mathrm"
            | "mbox" | "hbox" | "operatorname" | "emph" | "mathnormal" | "textup" => {
                return self.upright(name);
            }
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
            "circ" | "degree" | "degrees" | "deg" => Token::Degree,
            "prime" => Token::Prime,
            "le" | "leq" | "leqslant" | "leqq" => Token::Relation(Relation::LessEqual),
            "ge" | "geq" | "geqslant" | "geqq" => Token::Relation(Relation::GreaterEqual),
            "lt" => Token::Relation(Relation::Less),
            "gt" => Token::Relation(Relation::Greater),
            "ne" | "neq" => Token::Relation(Relation::NotEqual),
            "approx" | "simeq" | "doteq" | "thickapprox" => Token::Relation(Relation::Approximate),
            "equiv" => Token::Relation(Relation::Congruent),
            "in" => Token::Relation(Relation::Member),
            "notin" => Token::Relation(Relation::NotMember),
            "not" => return self.negated(),
            "sum" => Token::Iterated(Operator::Sum),
            "prod" => Token::Iterated(Operator::Product),
            "int" => Token::Iterated(Operator::Integral),
            "lim" => Token::Iterated(Operator::Limit),
            "to" | "rightarrow" | "longrightarrow" => Token::Arrow,
            "Pr" => Token::Symbol("P".into()),
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
        let Some(character) = tail.chars().next() else {
            // `45\ ` after its last space was trimmed
            self.position += 1;
            return Ok(());
        };
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
            '\\' => {
                self.skip_row_distance();
                self.push(Token::RowBreak)
            }
            '&' => self.push(Token::And),
            _ => Err(ReadError::NotUnderstood),
        }
    }

    /// `\not\in`, `\not=`.
    fn negated(&mut self) -> Result<(), ReadError> {
        let rest = self.text.get(self.position..).unwrap_or("").trim_start();
        let (relation, spelling) = [(Relation::NotMember, "\\in"), (Relation::NotEqual, "=")]
            .into_iter()
            .find(|(_, spelling)| rest.starts_with(spelling))
            .ok_or(ReadError::NotUnderstood)?;
        self.position = self.text.len() - rest.len() + spelling.len();
        self.push(Token::Relation(relation))
    }

    /// `\\[4pt]`: the distance to the next row.
    fn skip_row_distance(&mut self) {
        let rest = self.text.get(self.position..).unwrap_or("");
        let Some((distance, _)) = rest.strip_prefix('[').and_then(|inner| inner.split_once(']')) else {
            return;
        };
        let unit = distance.trim_start_matches(|sign: char| sign.is_ascii_digit() || ".- ".contains(sign));
        if matches!(unit, "pt" | "em" | "ex" | "mm" | "cm" | "in") && unit.len() < distance.len() {
            self.position += distance.len() + 2;
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
            "cases" | "dcases" | "rcases" => {
                return self.push(if token == Token::Begin { Token::BeginCases } else { token });
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
