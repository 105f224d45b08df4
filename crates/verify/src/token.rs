//! The reader's alphabet.

use crate::expression::{Function, Name, Number, Operator, Relation};

/// One symbol of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// A numeral; `digits` is its plain run of digits when it has no other sign.
    Number {
        number: Number,
        digits: Option<Name>,
    },
    /// A single letter or a named Greek one.
    Symbol(Name),
    /// Several letters; `upright` when they came from `\text{}` or the like.
    Word {
        name: Name,
        upright: bool,
    },
    Function(Function),
    Pi,
    Infinity,
    Reals,
    EmptySet,
    Plus,
    Minus,
    PlusMinus,
    MinusPlus,
    Times,
    /// `\times`: a product of vectors is another one.
    Cross,
    Slash,
    Caret,
    Underscore,
    Bang,
    Prime,
    Percent,
    Degree,
    Currency(&'static str),
    Frac,
    Over,
    Sqrt,
    Binomial,
    Choose,
    OpenRound,
    CloseRound,
    OpenSquare,
    CloseSquare,
    /// An invisible group.
    OpenBrace,
    CloseBrace,
    OpenSet,
    CloseSet,
    OpenAngle,
    CloseAngle,
    OpenFloor,
    CloseFloor,
    OpenCeiling,
    CloseCeiling,
    Bar,
    Comma,
    Semicolon,
    Colon,
    Period,
    Mid,
    Relation(Relation),
    Cup,
    Cap,
    SetMinus,
    And,
    Or,
    Mod,
    /// `\sum`, `\prod`, `\int`, `\lim`.
    Iterated(Operator),
    Arrow,
    /// `\nabla`, `\det` and the like, which stand before what they are applied to.
    Prefix(&'static str),
    /// `\ldots`, `...`.
    Ellipsis,
    Begin,
    BeginCases,
    End,
    Ampersand,
    RowBreak,
}
