//! Commands: a backslash with a name or a sign.

use super::{Brace, Lexer, ReadError};
use crate::expression::{Function, Operator, Relation};
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
            "frac" | "dfrac" | "tfrac" | "cfrac" | "nicefrac" | "sfrac" | "flatfrac" => Token::Frac,
            "left" | "right" => {
                if self.text.get(self.position..).is_some_and(|text| text.starts_with('.')) {
                    self.position += 1;
                }
                return Ok(());
            }
            "text" | "textbf" | "textit" | "textrm" | "textsf" | "texttt" | "textnormal" | "mathrm"
            | "mbox" | "hbox" | "operatorname" | "emph" | "mathnormal" | "textup" | "textsc" | "textsl"
            | "mathop" => {
                return self.upright(name);
            }
            "over" => Token::Over,
            "sqrt" => Token::Sqrt,
            "root" => {
                self.tokens.push(Token::Sqrt);
                Token::OpenSquare
            }
            "of" => Token::CloseSquare,
            "binom" | "dbinom" | "tbinom" => Token::Binomial,
            "choose" => Token::Choose,
            "pi" => Token::Pi,
            "infty" | "infin" => Token::Infinity,
            "emptyset" | "varnothing" => Token::EmptySet,
            "cdot" | "ast" | "cdotp" | "centerdot" => Token::Times,
            "times" => Token::Cross,
            "div" => Token::Slash,
            "pm" => Token::PlusMinus,
            "mp" => Token::MinusPlus,
            "deg" if !self.after_value() => Token::Prefix("\\deg"),
            "circ" | "degree" | "degrees" | "deg" => Token::Degree,
            "det" => Token::Prefix("\\det"),
            "dim" => Token::Prefix("\\dim"),
            "ker" => Token::Prefix("\\ker"),
            "nabla" => Token::Prefix("\\nabla"),
            "neg" | "lnot" => Token::Prefix("\\neg"),
            "angle" | "measuredangle" => Token::Prefix("\\angle"),
            "triangle" | "bigtriangleup" => Token::Prefix("\\triangle"),
            "partial" => Token::Symbol("\\partial".into()),
            "imath" => Token::Symbol("i".into()),
            "jmath" => Token::Symbol("j".into()),
            "top" => Token::Symbol("\\top".into()),
            "ldots" | "dots" | "cdots" | "dotsc" | "dotsb" | "dotsm" | "hdots" => Token::Ellipsis,
            "prime" => Token::Prime,
            "le" | "leq" | "leqslant" | "leqq" => Token::Relation(Relation::LessEqual),
            "ge" | "geq" | "geqslant" | "geqq" => Token::Relation(Relation::GreaterEqual),
            "lt" => Token::Relation(Relation::Less),
            "gt" => Token::Relation(Relation::Greater),
            "ne" | "neq" => Token::Relation(Relation::NotEqual),
            "approx" | "simeq" | "doteq" | "thickapprox" => Token::Relation(Relation::Approximate),
            "equiv" => Token::Relation(Relation::Congruent),
            "in" | "isin" => Token::Relation(Relation::Member),
            "parallel" => Token::Relation(Relation::Parallel),
            "perp" | "bot" => Token::Relation(Relation::Perpendicular),
            "sim" => Token::Relation(Relation::Similar),
            "subset" | "subsetneq" => Token::Relation(Relation::Subset),
            "subseteq" => Token::Relation(Relation::SubsetEqual),
            "implies" | "Rightarrow" | "Longrightarrow" => Token::Relation(Relation::Implies),
            "iff" | "Leftrightarrow" | "Longleftrightarrow" => Token::Relation(Relation::Equivalent),
            "forall" => {
                self.tokens.push(Token::Word { name: "for".into(), upright: true });
                Token::Word { name: "all".into(), upright: true }
            }
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
            "lbrace" => self.open(Token::OpenSet),
            "rbrace" => self.close(Token::CloseSet),
            "lbrack" => self.open(Token::OpenSquare),
            "rbrack" => self.close(Token::CloseSquare),
            "langle" => self.open(Token::OpenAngle),
            "rangle" => self.close(Token::CloseAngle),
            "lfloor" => Token::OpenFloor,
            "rfloor" => Token::CloseFloor,
            "lceil" => Token::OpenCeiling,
            "rceil" => Token::CloseCeiling,
            "lvert" | "rvert" | "vert" | "lVert" | "rVert" | "Vert" => Token::Bar,
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
            | "middle" | "strut" | "therefore" | "checkmark" | "scriptscriptstyle" | "Huge" | "huge"
            | "LARGE" | "mathstrut" | "thinspace" | "enspace" | "space" | "bm" | "boldsymbol" | "hfill"
            | "large" | "Large" | "normalsize" | "small" | "bfseries" | "noindent" | "negthinspace"
            | "nobreakspace" | "nonumber" | "ensuremath" | "allowbreak" | "cr" | "smash" | "mathopen"
            | "mathclose" | "mathbin" | "mathrel" | "mathord" | "mathpunct" | "mathinner" | "num"
            | "unit" | "si" | "qty" | "SI" => {
                return self.styled(name);
            }
            "rm" | "bf" | "it" | "tt" | "sf" | "cal" | "em" => return self.switched(name),
            // falling and rising powers are no powers
            "underline" | "overline"
                if matches!(
                    self.tokens.as_slice(),
                    [.., Token::Caret] | [.., Token::Caret, Token::OpenBrace]
                ) =>
            {
                return Err(ReadError::NotUnderstood);
            }
            "boxed" | "fbox" | "framebox" | "underline" | "mathtt" | "underbrace" | "vec"
            | "overrightarrow" | "hat" | "bar" | "overline" | "widehat" | "tilde" | "mathcal"
            | "mathfrak" | "mathscr" | "mathbf" | "pmb" | "mathit" | "mathsf" => {
                return self.decorated(name);
            }
            "hspace" | "vspace" | "phantom" | "hphantom" | "vphantom" | "label" | "tag" => {
                return self.skip_argument();
            }
            "color" | "textcolor" | "colorbox" => {
                self.skip_argument()?;
                return self.styled(name);
            }
            _ => match function(name) {
                Some(function) => Token::Function(function),
                None if is_greek(name) => Token::Symbol(format!("\\{name}").into()),
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
            '{' => {
                let token = self.open(Token::OpenSet);
                self.push(token)
            }
            '}' => {
                let token = self.close(Token::CloseSet);
                self.push(token)
            }
            '|' => self.push(Token::Bar),
            '$' => self.push(Token::Currency("$")),
            '%' => self.push(Token::Percent),
            '\\' => {
                self.skip_row_distance();
                if self.aligned == 0 {
                    return self.push(Token::RowBreak);
                }
                // a row that goes on with a relation belongs to the one before
                let rest = self.text.get(self.position..).unwrap_or("").trim_start_matches([' ', '&', '\n']);
                let goes_on = rest.starts_with(['=', '<', '>']) || rest.starts_with("\\end");
                if goes_on { Ok(()) } else { self.push(Token::Comma) }
            }
            '&' => self.push(Token::And),
            '#' => self.push(Token::Symbol("#".into())),
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
        let braced = self.opens_brace();
        let start = self.position + usize::from(braced);
        let rest = self.text.get(start..).unwrap_or("");
        let content = if braced {
            rest.split('}').next().unwrap_or("")
        } else {
            rest.chars().next().and_then(|first| rest.get(..first.len_utf8())).unwrap_or("")
        };
        let end = start + content.len() + usize::from(braced);
        let letters = !content.is_empty() && content.bytes().all(|byte| byte.is_ascii_alphabetic());
        match name {
            "bar" | "hat" | "tilde" | "widehat" | "overline" | "vec" | "overrightarrow" => {
                if !letters || content.len() > 8 {
                    // the conjugate of a whole expression
                    return if braced && matches!(name, "bar" | "overline") {
                        self.push(Token::Function(Function::Conjugate))
                    } else {
                        Err(ReadError::NotUnderstood)
                    };
                }
                self.position = end;
                let name = match name {
                    "overline" => "bar",
                    "widehat" => "hat",
                    "overrightarrow" => "vec",
                    other => other,
                };
                if matches!(name, "bar") && content.len() > 1 {
                    // a segment by its end points
                    return self.push(Token::Symbol(content.into()));
                }
                self.push(Token::Symbol(format!("\\{name} {content}").into()))
            }
            "mathbf" | "boldsymbol" | "bm" | "pmb" if letters && content.len() == 1 => {
                self.position = end;
                self.bold += 1;
                self.push(Token::Symbol(format!("\\mathbf {content}").into()))
            }
            _ if !braced => match name {
                "mathbf" | "boxed" | "mathit" | "mathsf" | "mathtt" | "pmb" | "bm" | "boldsymbol" => Ok(()),
                _ => Err(ReadError::NotUnderstood),
            },
            _ => {
                self.position += 1;
                let words = content.split(' ').all(|word| word.chars().all(char::is_alphabetic));
                let word = content.chars().count() > 1 && words;
                self.braces.push(if name == "mathbf" && word { Brace::Upright } else { Brace::Invisible });
                Ok(())
            }
        }
    }

    /// `\displaystyle{...}`, `\qty{5}{cm}`: braces behind a style only hold what it applies to.
    fn styled(&mut self, name: &str) -> Result<(), ReadError> {
        if !self.opens_brace() {
            return Ok(());
        }
        let inner = self.text.get(self.position + 1..).unwrap_or("");
        if matches!(name, "qty" | "SI") {
            let length = inner.find('}').ok_or(ReadError::NotUnderstood)?;
            self.upright_at = Some(self.position + length + 2);
        }
        self.position += 1;
        let upright = matches!(name, "unit" | "si");
        self.braces.push(if upright { Brace::Upright } else { Brace::Invisible });
        Ok(())
    }

    /// `{\rm cm}`: the braces around a switch of the font are its own.
    #[expect(clippy::unnecessary_wraps, reason = "every branch of the lexer ends in the same type")]
    fn switched(&mut self, name: &str) -> Result<(), ReadError> {
        if self.tokens.last() == Some(&Token::OpenBrace)
            && let Some(brace @ Brace::Group) = self.braces.last_mut()
        {
            *brace = if name == "rm" { Brace::Upright } else { Brace::Invisible };
            self.tokens.pop();
        }
        Ok(())
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
                "e" | "i" | "d" => Some(Token::Symbol(trimmed.into())),
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
            "pmatrix" | "bmatrix" | "Bmatrix" | "matrix" | "smallmatrix" | "psmallmatrix"
            | "bsmallmatrix" => {}
            "pmatrix*" | "bmatrix*" | "matrix*" | "Bmatrix*" => {
                // `[r]`: how the columns are set
                let rest = self.text.get(self.position..).unwrap_or("");
                if token == Token::Begin
                    && let Some((option, _)) = rest.strip_prefix('[').and_then(|inner| inner.split_once(']'))
                {
                    self.position += option.len() + 2;
                }
            }
            "array" => {
                if token == Token::Begin {
                    self.skip_argument()?;
                    // `\left\{ \begin{array}`: answers by cases, or a system
                    if self.tokens.last() == Some(&Token::OpenSet) {
                        self.tokens.pop();
                        self.brackets = self.brackets.saturating_sub(1);
                        return self.push(Token::BeginCases);
                    }
                }
            }
            "cases" | "dcases" | "rcases" => {
                return self.push(if token == Token::Begin { Token::BeginCases } else { token });
            }
            "aligned" | "align" | "align*" | "gathered" | "gather" | "gather*" | "split" | "equation"
            | "equation*" => {
                if token == Token::Begin {
                    self.aligned += 1;
                } else {
                    self.aligned = self.aligned.saturating_sub(1);
                }
                return Ok(());
            }
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
