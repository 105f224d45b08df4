//! Operators that are no products: derivatives, products of vectors, choices, and functions written by others.

use super::Reader;
use crate::expression::{Expr, Function, Name, Operator};
use crate::lexer::ReadError;
use crate::spelling::symbol_name;
use crate::token::Token;

/// Double factorials of more than this are not multiplied out.
const MAXIMUM_DOUBLE_FACTORIAL: i64 = 100;

impl Reader {
    /// What follows `\nabla`, `\det`, `\angle` and the like.
    pub(super) fn prefixed(&mut self, name: &'static str) -> Result<Expr, ReadError> {
        if matches!(name, "\\angle" | "\\triangle") {
            return self.figure(name);
        }
        let mut name = name.to_owned();
        if name == "\\nabla" {
            match self.peek() {
                Some(Token::Times) => name.push_str("\\cdot"),
                Some(Token::Cross) => name.push_str("\\times"),
                Some(Token::Caret) => {
                    self.position += 1;
                    if !matches!(self.peek(), Some(Token::Number { digits: Some(digits), .. }) if digits == "2")
                    {
                        return Err(ReadError::NotUnderstood);
                    }
                    name.push_str("^2");
                }
                _ => self.position -= 1,
            }
            self.position += 1;
        }
        // a power behind brackets is one of the whole: `\det(A)^2`
        let argument = if self.peek() == Some(&Token::OpenRound) { self.atom()? } else { self.factor()? };
        Ok(Expr::Applied(name.into(), vec![argument]))
    }

    /// `(f \circ g)(x)` after its first bracket.
    pub(super) fn composition(&mut self) -> Result<Option<Expr>, ReadError> {
        let (Some(Token::Symbol(outer)), Some(Token::Degree), Some(Token::Symbol(inner))) =
            (self.peek(), self.peek_at(1), self.peek_at(2))
        else {
            return Ok(None);
        };
        let ends = self.peek_at(3) == Some(&Token::CloseRound) && self.peek_at(4) == Some(&Token::OpenRound);
        if !ends {
            return Ok(None);
        }
        let (outer, inner) = (outer.clone(), inner.clone());
        self.position += 4;
        let items = self.bracketed_arguments(false)?;
        Ok(Some(Expr::Applied(symbol_name(&outer), vec![Expr::Applied(symbol_name(&inner), items)])))
    }

    /// `\max`, `\min_{x}`, `\gcd` as names: before a relation, or over a range.
    pub(super) fn named_extremum(&mut self, function: Function) -> Result<Option<Expr>, ReadError> {
        let name = match function {
            Function::Max => "\\max",
            Function::Min => "\\min",
            Function::Gcd => "\\gcd",
            _ => "\\lcm",
        };
        match self.peek() {
            Some(Token::Relation(_)) | None => Ok(Some(Expr::Symbol(name.into()))),
            Some(Token::Underscore) => {
                self.position += 1;
                let range = self.atom()?;
                let body = self.term()?;
                Ok(Some(Expr::Applied(name.into(), vec![range, body])))
            }
            _ => Ok(None),
        }
    }

    /// Whether `C_3` or `P_3` comes.
    pub(super) fn at_choice(&self) -> bool {
        matches!(self.peek(), Some(Token::Symbol(name)) if matches!(name.as_str(), "C" | "P"))
            && self.peek_at(1) == Some(&Token::Underscore)
    }

    /// `_{10}C_3` after its first underscore.
    pub(super) fn chosen(&mut self) -> Result<Expr, ReadError> {
        let upper = self.atom()?;
        if self.at_choice() { self.choice_of(upper) } else { Err(ReadError::NotUnderstood) }
    }

    /// The `C_3` of a choice.
    pub(super) fn choice_of(&mut self, upper: Expr) -> Result<Expr, ReadError> {
        let ordered = matches!(self.peek(), Some(Token::Symbol(name)) if name == "P");
        self.position += 2;
        let lower = self.atom()?;
        Ok(choice(upper, lower, ordered))
    }

    /// `C_{10}^{3}` and `A_{10}^{3}` as other schools write them.
    pub(super) fn choice_with_scripts(&mut self, name: &Name) -> Option<Expr> {
        if !matches!(name.as_str(), "C" | "A") || self.peek() != Some(&Token::Underscore) {
            return None;
        }
        let start = self.position;
        self.position += 1;
        let upper = self.atom();
        if let Ok(upper) = upper
            && self.accept(&Token::Caret)
            && let Ok(lower) = self.atom()
            && is_choice(&upper, &lower)
        {
            return Some(choice(upper, lower, name == "A"));
        }
        self.position = start;
        None
    }

    /// `n!!`.
    pub(super) fn double_factorial(argument: Expr) -> Result<Expr, ReadError> {
        let Expr::Number(number) = &argument else {
            return Ok(Expr::Applied("!!".into(), vec![argument]));
        };
        let value: i64 = number.value.to_string().parse().map_err(|_| ReadError::NotUnderstood)?;
        if !(0..=MAXIMUM_DOUBLE_FACTORIAL).contains(&value) {
            return Err(ReadError::TooLarge);
        }
        let factors = (1..=value).filter(|factor| factor % 2 == value % 2).map(Expr::integer).collect();
        Ok(Expr::Product(factors))
    }

    /// A sum or product that names its range in words or by one letter: known by name only.
    pub(super) fn over_some_range(&mut self, operator: Operator, range: Expr) -> Result<Expr, ReadError> {
        let name = if operator == Operator::Sum { "\\sum" } else { "\\prod" };
        let body = self.term()?;
        Ok(Expr::Applied(name.into(), vec![range, body]))
    }
}

/// `C_1^2` is the square of a constant.
fn is_choice(upper: &Expr, lower: &Expr) -> bool {
    match (upper, lower) {
        (Expr::Number(upper), Expr::Number(lower)) => upper.value >= lower.value && upper.value >= 3.into(),
        (upper, lower) => upper.has_symbols() && lower.has_symbols(),
    }
}

fn choice(upper: Expr, lower: Expr, ordered: bool) -> Expr {
    let binomial = Expr::Call(Function::Binomial, vec![upper, lower.clone()]);
    if ordered {
        Expr::Product(vec![binomial, Expr::Call(Function::Factorial, vec![lower])])
    } else {
        binomial
    }
}

/// A fraction, or a derivative: `\frac{dy}{dx}`, `\frac{d^2}{dx^2}`.
pub(super) fn quotient(numerator: Expr, denominator: Expr) -> Expr {
    for (mark, name) in [("d", "d/d"), ("\\partial", "\\partial/\\partial")] {
        let leads = matches!(&denominator, Expr::Product(items)
            if items.first().is_some_and(|first| is_mark(first, mark)));
        if leads && has_mark(&numerator, mark) {
            return Expr::Applied(name.into(), vec![numerator, denominator]);
        }
    }
    Expr::Quotient(Box::new(numerator), Box::new(denominator))
}

fn is_mark(expr: &Expr, mark: &str) -> bool {
    match expr {
        Expr::Symbol(name) => name == mark,
        Expr::Power(base, _) => is_mark(base, mark),
        _ => false,
    }
}

fn has_mark(expr: &Expr, mark: &str) -> bool {
    match expr {
        Expr::Product(items) => items.iter().any(|item| has_mark(item, mark)),
        other => is_mark(other, mark),
    }
}

/// Whether a factor is a vector, by the mark on its letter.
pub(super) fn is_vector(expr: &Expr) -> bool {
    match expr {
        Expr::Symbol(name) => name.starts_with("\\vec ") || name.starts_with("\\hat "),
        Expr::Applied(name, _) => name == "\\times",
        Expr::Negate(inner) => is_vector(inner),
        Expr::Sum(items) | Expr::Product(items) => items.iter().any(is_vector),
        _ => false,
    }
}

/// The cross product, whose factors have an order, or the scalar product of two vectors.
pub(super) fn vector_product(left: Expr, right: Expr, cross: bool) -> Expr {
    let name = if cross { "\\times" } else { "\\cdot" };
    if format!("{left:?}") <= format!("{right:?}") {
        return Expr::Applied(name.into(), vec![left, right]);
    }
    let turned = Expr::Applied(name.into(), vec![right, left]);
    if cross { Expr::Negate(Box::new(turned)) } else { turned }
}

/// A function by the ones that are computed.
pub(super) fn rewritten(function: Function, mut arguments: Vec<Expr>) -> Expr {
    let boxed = |expr: Expr| Box::new(expr);
    let one = || Expr::integer(1);
    let half_turn = || Expr::Quotient(Box::new(Expr::Pi), Box::new(Expr::integer(2)));
    let [argument] = arguments.as_slice() else { return Expr::Call(function, arguments) };
    let argument = argument.clone();
    let inverse = || Expr::Quotient(Box::new(Expr::integer(1)), Box::new(argument.clone()));
    let square = || Expr::Power(Box::new(argument.clone()), Box::new(Expr::integer(2)));
    let call = |function: Function, argument: Expr| Expr::Call(function, vec![argument]);
    let root = |radicand: Expr| Expr::Root(Box::new(radicand), Box::new(Expr::integer(2)));
    match function {
        Function::Arccot => {
            Expr::Sum(vec![half_turn(), Expr::Negate(boxed(call(Function::Arctan, argument.clone())))])
        }
        Function::Arcsec => call(Function::Arccos, inverse()),
        Function::Arccsc => call(Function::Arcsin, inverse()),
        Function::Coth => Expr::Quotient(boxed(one()), boxed(call(Function::Tanh, argument))),
        Function::Sech => Expr::Quotient(boxed(one()), boxed(call(Function::Cosh, argument))),
        Function::Csch => Expr::Quotient(boxed(one()), boxed(call(Function::Sinh, argument))),
        Function::Arsinh => {
            let leg = root(Expr::Sum(vec![square(), one()]));
            call(Function::Ln, Expr::Sum(vec![argument, leg]))
        }
        Function::Arcosh => {
            let leg = root(Expr::Sum(vec![square(), Expr::integer(-1)]));
            call(Function::Ln, Expr::Sum(vec![argument, leg]))
        }
        Function::Artanh => {
            let above = Expr::Sum(vec![one(), argument.clone()]);
            let below = Expr::Sum(vec![one(), Expr::Negate(boxed(argument))]);
            let ratio = Expr::Quotient(boxed(above), boxed(below));
            Expr::Quotient(boxed(call(Function::Ln, ratio)), boxed(Expr::integer(2)))
        }
        _ => Expr::Call(function, std::mem::take(&mut arguments)),
    }
}
