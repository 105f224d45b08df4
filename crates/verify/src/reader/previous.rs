//! What the factor before says about the next one.

use crate::expression::{Expr, Function};

/// What the factor before says about the next one.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one token")]
pub(super) struct Previous {
    /// A numeral and nothing else.
    pub(super) number: bool,
    /// A whole number.
    pub(super) integer: bool,
    /// No symbols in it.
    pub(super) numeric: bool,
    /// It stands under a `/`.
    pub(super) divisor: bool,
    /// A function whose argument had no brackets.
    pub(super) bare_call: bool,
    /// It ends in `!`.
    pub(super) factorial: bool,
    /// One letter.
    pub(super) letter: bool,
}

impl Previous {
    pub(super) fn of(factor: Option<&Expr>) -> Self {
        let number = matches!(factor, Some(Expr::Number(_)));
        let integer =
            matches!(factor, Some(Expr::Number(number)) if number.decimal.is_none() && number.value.is_int());
        let numeric = factor.is_some_and(|factor| !factor.has_symbols());
        let bare_call = matches!(factor, Some(Expr::Call(function, items))
            if !matches!(function, Function::Abs | Function::Floor | Function::Ceiling | Function::Factorial | Function::Binomial)
                && items.last().is_some_and(|item| matches!(item, Expr::Product(_) | Expr::Pi | Expr::Symbol(_) | Expr::Number(_))));
        let factorial = matches!(factor, Some(Expr::Call(Function::Factorial, _)));
        let letter = matches!(factor, Some(Expr::Symbol(_)));
        Self { number, integer, numeric, divisor: false, bare_call, factorial, letter }
    }
}
