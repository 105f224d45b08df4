//! What an answer says: one typed tree for scalars, collections, sets of reals, relations and text.

use std::sync::Arc;

use dashu_ratio::RBig;

/// A symbol's or a word's spelling.
pub(crate) type Name = Arc<str>;

/// How a number was written, where that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    /// Digits after the decimal point (after shifting by an exponent it may be negative).
    pub(crate) places: i32,
    /// Digits from the first non-zero one on.
    pub(crate) significant: u32,
}

/// A numeral: its exact value, and its digits if it is a terminating decimal.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Number {
    pub(crate) value: RBig,
    pub(crate) decimal: Option<Decimal>,
}

/// A named function of one or more arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Function {
    Sin,
    Cos,
    Tan,
    Cot,
    Sec,
    Csc,
    Arcsin,
    Arccos,
    Arctan,
    Sinh,
    Cosh,
    Tanh,
    Exp,
    Ln,
    /// Logarithm to base ten, as schools write it.
    Log,
    /// Logarithm to the base given first.
    LogBase,
    Abs,
    Floor,
    Ceiling,
    Factorial,
    Binomial,
    Gcd,
    Lcm,
    Max,
    Min,
    Real,
    ImaginaryPart,
}

/// The shape of a bracket around several items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Bracket {
    Round,
    Square,
    Angle,
}

/// A relation between two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Relation {
    Equal,
    Approximate,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Member,
    Congruent,
}

/// What stands between the items of a bare list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Joiner {
    Comma,
    And,
    Or,
}

/// An answer as a tree.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expr {
    Number(Number),
    /// Digits in a base that was written down.
    Based(Name, u32),
    Symbol(Name),
    /// One or more words.
    Word(Name),
    Pi,
    Euler,
    Imaginary,
    Infinity,
    Negate(Box<Expr>),
    /// A term under `±`.
    PlusMinus(Box<Expr>),
    /// A term under `∓`.
    MinusPlus(Box<Expr>),
    Sum(Vec<Expr>),
    Product(Vec<Expr>),
    Quotient(Box<Expr>, Box<Expr>),
    Power(Box<Expr>, Box<Expr>),
    /// Radicand and index.
    Root(Box<Expr>, Box<Expr>),
    Call(Function, Vec<Expr>),
    Degrees(Box<Expr>),
    Percent(Box<Expr>),
    /// A value with a unit.
    Quantity(Box<Expr>, crate::units::Unit),
    /// Several items in brackets: a tuple or an interval.
    Group(Bracket, Bracket, Vec<Expr>),
    Set(Vec<Expr>),
    /// A set given by a condition.
    SetBuilder(Box<Expr>),
    List(Vec<Expr>, Joiner),
    Union(Vec<Expr>),
    Intersection(Vec<Expr>),
    Without(Box<Expr>, Box<Expr>),
    Reals,
    Matrix(Vec<Vec<Expr>>),
    Chain(Box<Expr>, Vec<(Relation, Expr)>),
    /// A value modulo a modulus.
    Modular(Box<Expr>, Box<Expr>),
    /// Numbers joined by colons.
    Ratio(Vec<Expr>),
}

impl Expr {
    pub(crate) fn integer(value: i64) -> Self {
        Self::Number(Number { value: RBig::from(value), decimal: None })
    }

    /// Whether the predicate holds for this node or any below it.
    pub(crate) fn any(&self, predicate: &dyn Fn(&Expr) -> bool) -> bool {
        predicate(self) || self.children().into_iter().any(|child| child.any(predicate))
    }

    /// The nodes directly below.
    pub(crate) fn children(&self) -> Vec<&Expr> {
        match self {
            Self::Number(_)
            | Self::Based(..)
            | Self::Symbol(_)
            | Self::Word(_)
            | Self::Pi
            | Self::Euler
            | Self::Imaginary
            | Self::Infinity
            | Self::Reals => Vec::new(),
            Self::Negate(inner)
            | Self::PlusMinus(inner)
            | Self::MinusPlus(inner)
            | Self::Degrees(inner)
            | Self::Percent(inner)
            | Self::Quantity(inner, _)
            | Self::SetBuilder(inner) => vec![inner],
            Self::Sum(items)
            | Self::Product(items)
            | Self::Call(_, items)
            | Self::Group(_, _, items)
            | Self::Set(items)
            | Self::List(items, _)
            | Self::Union(items)
            | Self::Intersection(items)
            | Self::Ratio(items) => items.iter().collect(),
            Self::Quotient(left, right)
            | Self::Power(left, right)
            | Self::Root(left, right)
            | Self::Without(left, right)
            | Self::Modular(left, right) => vec![left, right],
            Self::Matrix(rows) => rows.iter().flatten().collect(),
            Self::Chain(first, rest) => {
                std::iter::once(&**first).chain(rest.iter().map(|(_, side)| side)).collect()
            }
        }
    }

    /// Whether a symbol or a word stands anywhere in the tree.
    pub(crate) fn has_symbols(&self) -> bool {
        self.any(&|node| matches!(node, Self::Symbol(_) | Self::Word(_)))
    }

    /// Whether the tree is a number-like expression: nothing structured below it.
    pub(crate) fn is_scalar(&self) -> bool {
        !self.any(&|node| {
            matches!(
                node,
                Self::Word(_)
                    | Self::Based(..)
                    | Self::Infinity
                    | Self::PlusMinus(_)
                    | Self::MinusPlus(_)
                    | Self::Percent(_)
                    | Self::Quantity(..)
                    | Self::Group(..)
                    | Self::Set(_)
                    | Self::SetBuilder(_)
                    | Self::List(..)
                    | Self::Union(_)
                    | Self::Intersection(_)
                    | Self::Without(..)
                    | Self::Reals
                    | Self::Matrix(_)
                    | Self::Chain(..)
                    | Self::Modular(..)
                    | Self::Ratio(_)
            )
        })
    }
}
