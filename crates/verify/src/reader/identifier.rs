//! Identifiers: when letters are a product, a word, a name, or a function with its argument.
//!
//! One grammar serves golds and answers alike:
//! * capitals side by side are one name (`AB`, `IV`); a subscript, a prime and a mark such as `\vec` belong to it;
//! * up to three other letters are a product, and what follows (a power, a factorial, a subscript, an argument) binds
//!   to the last of them; alone in their place they are a word if they look like one (`no`, `red`), never an anagram;
//! * longer runs and all letters in `\text{}` are words;
//! * a letter before a bracket is a function if it usually is one (`f`, `P`, `\phi`), or if the bracket holds nothing
//!   but a name, a number or several items; otherwise it is a factor.

use super::Reader;
use crate::compare::text;
use crate::expression::{Expr, Function, Name};
use crate::lexer::ReadError;
use crate::spelling::symbol_name;
use crate::token::Token;

/// Letters that name a function wherever a bracket follows, and whose powers before it are of the function.
const FUNCTIONS: [&str; 10] = ["f", "g", "h", "F", "G", "H", "\\phi", "\\varphi", "\\psi", "\\Phi"];
/// Further letters that name a function wherever a bracket follows.
const CAPITALS: [&str; 9] = ["P", "Q", "E", "D", "W", "\\zeta", "\\Psi", "\\Gamma", "\\mathbb P"];
/// Letters whose argument may have a condition behind a bar.
const CONDITIONAL: [&str; 4] = ["P", "E", "\\mathbb P", "\\mathbb E"];
/// More letters than these are no product.
const MAXIMUM_LETTERS: usize = 6;

impl Reader {
    pub(super) fn symbol(&mut self, name: &Name) -> Result<Expr, ReadError> {
        if let Some(choice) = self.choice_with_scripts(name) {
            return Ok(choice);
        }
        let base = name.clone();
        let mut name = name.clone();
        if self.peek() == Some(&Token::Underscore) {
            name = self.subscripted(&name)?;
        }
        if let Some(applied) = self.application(&base, &name)? {
            return Ok(applied);
        }
        Ok(match &*name {
            "e" => Expr::Euler,
            "i" => Expr::Imaginary,
            _ => Expr::Symbol(symbol_name(&name)),
        })
    }

    /// `f(x)`, `f'(2)`, `f^{-1}(3)`, `P(A \mid B)`, `A(1, 2)`.
    fn application(&mut self, base: &Name, name: &Name) -> Result<Option<Expr>, ReadError> {
        // `E[X]`
        if CONDITIONAL.contains(&&**base) && self.peek() == Some(&Token::OpenSquare) {
            let items = self.bracketed_arguments(true)?;
            return Ok(Some(Expr::Applied(symbol_name(name), items)));
        }
        // most letters stand alone
        if !matches!(self.peek(), Some(Token::OpenRound | Token::Prime | Token::Caret)) {
            return Ok(None);
        }
        let is_function = FUNCTIONS.contains(&&**base);
        if !is_function && self.peek() == Some(&Token::Caret) {
            return Ok(None);
        }
        let start = self.position;
        let mut head = symbol_name(name).to_string();
        while self.accept(&Token::Prime) {
            head.push('\'');
        }
        if is_function && self.peek() == Some(&Token::Caret) {
            self.function_power(&mut head);
        }
        let applied = self.peek() == Some(&Token::OpenRound)
            && !self.base_in_brackets()
            && !matches!(base.as_str(), "e" | "i")
            && (is_function || CAPITALS.contains(&&**base) || self.simple_argument());
        if !applied {
            self.position = start;
            return Ok(None);
        }
        let items = self.bracketed_arguments(CONDITIONAL.contains(&&**base))?;
        let symbol = Expr::Symbol(symbol_name(name));
        if head == *symbol_name(name) && items.iter().any(|item| item.any(&|node| *node == symbol)) {
            // `h(h + 1)` is a product
            let [argument] = items.as_slice() else { return Err(ReadError::NotUnderstood) };
            let argument = self.raised(argument.clone())?;
            return Ok(Some(Expr::Product(vec![symbol, argument])));
        }
        Ok(Some(match (head.as_str(), items.as_slice()) {
            ("\\Gamma", [argument]) if argument.is_scalar() => {
                let less = Expr::Sum(vec![argument.clone(), Expr::integer(-1)]);
                Expr::Call(Function::Factorial, vec![less])
            }
            _ => Expr::Applied(head.into(), items),
        }))
    }

    /// `^{-1}`, `^{(4)}`, `^2` or primes between a function's letter and its bracket; what it was is put back otherwise.
    fn function_power(&mut self, head: &mut String) {
        let start = self.position;
        self.position += 1;
        let braced = self.accept(&Token::OpenBrace);
        let mut power = String::new();
        while let Some(token) = self.peek() {
            match token {
                Token::Minus if braced => power.push('-'),
                Token::OpenRound if braced => power.push('('),
                Token::CloseRound if braced => power.push(')'),
                Token::Prime => power.push('\''),
                Token::Number { digits: Some(digits), .. } => power.push_str(digits),
                _ => break,
            }
            self.position += 1;
            if !braced && !power.ends_with('\'') {
                break;
            }
        }
        let closed = !braced || self.accept(&Token::CloseBrace);
        if closed && !power.is_empty() && self.peek() == Some(&Token::OpenRound) {
            if power.bytes().all(|byte| byte == b'\'') {
                head.push_str(&power);
            } else {
                head.push('^');
                head.push_str(&power);
            }
        } else {
            self.position = start;
        }
    }

    /// Whether the bracket ahead holds one name or number, or several items.
    fn simple_argument(&self) -> bool {
        let lone = matches!(
            self.peek_at(1),
            Some(Token::Symbol(_) | Token::Number { .. } | Token::Word { upright: true, .. })
        ) && self.peek_at(2) == Some(&Token::CloseRound);
        if lone {
            return true;
        }
        let mut depth = 0_usize;
        for offset in 0..64 {
            match self.peek_at(offset) {
                Some(Token::OpenRound | Token::OpenBrace | Token::OpenSquare | Token::OpenSet) => depth += 1,
                Some(Token::CloseRound | Token::CloseBrace | Token::CloseSquare | Token::CloseSet) => {
                    depth -= 1;
                    if depth == 0 {
                        return false;
                    }
                }
                Some(Token::Comma) if depth == 1 => return true,
                None => return false,
                _ => {}
            }
        }
        false
    }

    /// Arguments in round or square brackets; a condition stands behind a symbol `|` of its own.
    pub(super) fn bracketed_arguments(&mut self, conditional: bool) -> Result<Vec<Expr>, ReadError> {
        let closing = if self.accept(&Token::OpenSquare) {
            Token::CloseSquare
        } else {
            self.expect(&Token::OpenRound)?;
            Token::CloseRound
        };
        self.inside(|reader| {
            // a bar starts no absolute value where it may start a condition
            reader.sets = usize::from(conditional);
            let mut items = Vec::new();
            loop {
                if items.len() >= super::MAXIMUM_ITEMS {
                    return Err(ReadError::TooLarge);
                }
                items.push(reader.item()?);
                let joint = match reader.peek() {
                    Some(Token::Comma | Token::Semicolon) => None,
                    Some(Token::Bar | Token::Mid) if conditional => Some("|"),
                    Some(Token::And) => Some("\\land"),
                    Some(Token::Or) => Some("\\lor"),
                    Some(end) if *end == closing => {
                        reader.position += 1;
                        return Ok(items);
                    }
                    _ => return Err(ReadError::NotUnderstood),
                };
                items.extend(joint.map(|name| Expr::Symbol(name.into())));
                reader.position += 1;
            }
        })
    }

    /// `a_{12}`, `x_n`: the subscript is part of the name. Sums in it have an order of their own.
    fn subscripted(&mut self, name: &Name) -> Result<Name, ReadError> {
        self.expect(&Token::Underscore)?;
        let mut terms = vec![String::new()];
        let braced = self.accept(&Token::OpenBrace);
        if braced && self.accept(&Token::CloseBrace) {
            // `5_{}` and the like show nothing
            return Ok(name.clone());
        }
        let mut ordered = false;
        loop {
            let last = terms.last_mut().ok_or(ReadError::NotUnderstood)?;
            match self.peek().cloned() {
                Some(Token::Number { digits: Some(digits), .. }) => last.push_str(&digits),
                Some(Token::Symbol(letter)) => last.push_str(&letter),
                Some(Token::Word { name, .. }) => last.push_str(&name),
                Some(Token::Prefix(name)) => last.push_str(name),
                Some(Token::Function(Function::Max)) => last.push_str("max"),
                Some(Token::Function(Function::Min)) => last.push_str("min"),
                Some(Token::Plus) if braced => terms.push(String::from("+")),
                Some(Token::Minus) if braced => terms.push(String::from("-")),
                Some(Token::Comma) if braced => {
                    last.push(',');
                    ordered = true;
                }
                Some(Token::CloseBrace) if braced && terms.iter().any(|term| !term.is_empty()) => break,
                _ => return Err(ReadError::NotUnderstood),
            }
            self.position += 1;
            if !braced {
                return Ok(format!("{name}_{}", terms.concat()).into());
            }
        }
        self.position += 1;
        if terms.len() > 1 && !ordered {
            if let Some(first) = terms.first_mut()
                && !first.is_empty()
            {
                first.insert(0, '+');
            }
            terms.sort();
        }
        let subscript = terms.concat();
        Ok(format!("{name}_{}", subscript.strip_prefix('+').unwrap_or(&subscript)).into())
    }

    /// Letters where a value is expected: a name, a word, a function of a bracket, or a product.
    pub(super) fn words(&mut self, first: &Name, upright: bool) -> Result<Expr, ReadError> {
        let before = self.tokens.get(..self.position.saturating_sub(1)).unwrap_or(&[]);
        // brackets around the word alone
        let outer = before.iter().rposition(|token| !matches!(token, Token::OpenRound | Token::OpenBrace));
        let starts = outer.and_then(|index| before.get(index)).is_none_or(begins_item);
        let next_is_word = matches!(self.peek(), Some(Token::Word { .. })) && !self.at_remark();
        let is_letter = first.len() == 1;
        if is_letter && !(next_is_word && matches!(first.as_str(), "a" | "A")) {
            return self.symbol(first);
        }
        if !upright && !next_is_word && first.is_ascii() {
            if is_name(first) {
                return self.symbol(first);
            }
            if let [upper, b'C', lower] = first.as_bytes()
                && upper.is_ascii_lowercase()
                && lower.is_ascii_lowercase()
            {
                // `nCk`
                let letter = |byte: &u8| Expr::Symbol(Name::from(char::from(*byte).to_string()));
                return Ok(Expr::Call(Function::Binomial, vec![letter(upper), letter(lower)]));
            }
            let rest = self.tokens.get(self.position..).unwrap_or(&[]);
            let next = rest.iter().find(|token| !matches!(token, Token::CloseRound | Token::CloseBrace));
            let alone = starts && next.is_none_or(ends_item);
            if !(alone && looks_like_a_word(first)) && is_letters(first) {
                return self.letters(first);
            }
        }
        if let Some(figure) = figure(first)
            && let Some(Token::Word { name, upright: false }) = self.peek()
            && is_name(name)
        {
            // `\text{triangle } ABC`
            let name = name.clone();
            self.position += 1;
            return Ok(Expr::Applied(figure.into(), vec![Expr::Symbol(figure_name(figure, &name))]));
        }
        let is_bracketed = match self.peek() {
            Some(Token::OpenRound) => !self.base_in_brackets(),
            Some(Token::OpenSquare) => matches!(first.to_lowercase().as_str(), "var" | "cov"),
            _ => false,
        };
        if upright && is_bracketed {
            let items = self.bracketed_arguments(false)?;
            return Ok(Expr::Applied(first.to_lowercase(), items));
        }
        let leads_in =
            super::list::is_remark(first) || matches!(first.as_str(), "is" | "are" | "so" | "let" | "then");
        if upright && !leads_in && matches!(self.peek(), Some(Token::Symbol(_))) && first.len() > 1 {
            // `\operatorname{rank} A`, `\text{odd } n`
            let argument = self.factor()?;
            return Ok(Expr::Applied(first.to_lowercase(), vec![argument]));
        }
        let mut name = first.to_lowercase();
        let mut count = 1;
        loop {
            // `one hundred and twelve`
            if self.peek() == Some(&Token::And)
                && let Some(Token::Word { name: next, .. }) = self.peek_at(1)
                && text::goes_on(&name, &next.to_lowercase())
            {
                self.position += 1;
            }
            let Some(Token::Word { name: next, .. }) = self.peek() else { break };
            if next == "except" {
                break;
            }
            count += 1;
            if count > 8 {
                return Err(ReadError::NotUnderstood);
            }
            name.push(' ');
            name.push_str(&next.to_lowercase());
            self.position += 1;
        }
        if matches!(name.as_str(), "all real numbers" | "all reals" | "real numbers" | "the real numbers") {
            return Ok(Expr::Reals);
        }
        // letters that may be a product beside one keep their capitals
        let mixed = count == 1 && first.len() <= 3;
        Ok(Expr::Word(if mixed { first.clone() } else { name }))
    }

    /// A product of letters; the last one takes what follows.
    fn letters(&mut self, run: &Name) -> Result<Expr, ReadError> {
        let mut letters = run.chars().map(|letter| Name::from(letter.to_string()));
        let last = letters.next_back().ok_or(ReadError::NotUnderstood)?;
        let mut factors: Vec<Expr> = letters
            .map(|letter| match &*letter {
                "e" => Expr::Euler,
                "i" => Expr::Imaginary,
                _ => Expr::Symbol(letter),
            })
            .collect();
        let last = self.symbol(&last)?;
        factors.push(self.raised(last)?);
        Ok(Expr::Product(factors))
    }

    /// `\angle ABC`, `\triangle ABC`: the figure and its points.
    pub(super) fn figure(&mut self, figure: &str) -> Result<Expr, ReadError> {
        let points = match self.peek() {
            Some(Token::Symbol(name) | Token::Word { name, .. }) => name.clone(),
            Some(Token::Number { digits: Some(digits), .. }) => digits.clone(),
            _ => return Err(ReadError::NotUnderstood),
        };
        self.position += 1;
        let points =
            if self.peek() == Some(&Token::Underscore) { self.subscripted(&points)? } else { points };
        Ok(Expr::Applied(figure.into(), vec![Expr::Symbol(figure_name(figure, &points))]))
    }
}

/// Capitals side by side.
pub(crate) fn is_name(run: &str) -> bool {
    run.len() > 1 && run.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// Few letters, as in a product.
pub(super) fn is_letters(run: &str) -> bool {
    run.is_ascii() && (run.len() <= 3 || (run.len() <= MAXIMUM_LETTERS && !looks_like_a_word(run)))
}

/// Letters that can be pronounced, or start with a capital.
fn looks_like_a_word(run: &str) -> bool {
    let factors = run.bytes().all(|letter| b"abcx".contains(&letter));
    let capital = run.bytes().any(|letter| letter.is_ascii_uppercase());
    !factors && (capital || run.bytes().any(|letter| b"aeiou".contains(&letter)))
}

fn figure(word: &str) -> Option<&'static str> {
    Some(match word {
        "triangle" | "Triangle" => "\\triangle",
        "angle" | "Angle" => "\\angle",
        _ => return None,
    })
}

/// The points of a figure: an angle is the same from its other side.
fn figure_name(figure: &str, points: &Name) -> Name {
    let mut letters: Vec<char> = points.chars().collect();
    if figure == "\\angle" && letters.len() == 3 && letters.first() > letters.last() {
        letters.reverse();
    }
    letters.into_iter().collect()
}

fn begins_item(token: &Token) -> bool {
    matches!(token, Token::Comma | Token::Semicolon | Token::And | Token::Or | Token::OpenSet)
}

fn ends_item(token: &Token) -> bool {
    matches!(
        token,
        Token::Comma | Token::Semicolon | Token::And | Token::Or | Token::CloseSet | Token::Period
    )
}
