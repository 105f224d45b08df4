//! What an answer says: one typed tree for scalars, collections, sets of reals, relations and text.

mod iteration;

use dashu_ratio::RBig;

pub(crate) use self::iteration::{Bound, Iteration, Operator};

/// A symbol's or a word's spelling.
pub(crate) type Name = compact_str::CompactString;

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
    Arccot,
    Arcsec,
    Arccsc,
    Sinh,
    Cosh,
    Tanh,
    Coth,
    Sech,
    Csch,
    Arsinh,
    Arcosh,
    Artanh,
    Exp,
    /// `cis x` is `e^{ix}`.
    Cis,
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
    Conjugate,
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
    NotMember,
    Congruent,
    Parallel,
    Perpendicular,
    Similar,
    Divides,
    Subset,
    SubsetEqual,
    Implies,
    Equivalent,
}

impl Relation {
    /// Whether it orders two values, or tells them apart.
    pub(crate) const fn is_order(self) -> bool {
        matches!(self, Self::Less | Self::LessEqual | Self::Greater | Self::GreaterEqual | Self::NotEqual)
    }

    /// The relation read from its other side, if it has a name.
    pub(crate) fn flipped(self) -> Option<Self> {
        Some(match self {
            Self::Less => Self::Greater,
            Self::LessEqual => Self::GreaterEqual,
            Self::Greater => Self::Less,
            Self::GreaterEqual => Self::LessEqual,
            Self::Equal
            | Self::NotEqual
            | Self::Approximate
            | Self::Parallel
            | Self::Perpendicular
            | Self::Similar
            | Self::Congruent
            | Self::Equivalent => self,
            Self::Member
            | Self::NotMember
            | Self::Divides
            | Self::Subset
            | Self::SubsetEqual
            | Self::Implies => return None,
        })
    }
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
    /// A function or operator that is only known by name, applied: equal to itself alone, argument by argument.
    Applied(Name, Vec<Expr>),
    Degrees(Box<Expr>),
    Percent(Box<Expr>),
    /// A value with a unit.
    Quantity(Box<Expr>, Box<crate::units::Unit>),
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
    Iterated(Box<Iteration>),
    /// Values, each with the condition under which it holds.
    Cases(Vec<(Expr, Expr)>),
}

impl Expr {
    pub(crate) fn integer(value: i64) -> Self {
        Self::Number(Number { value: RBig::from(value), decimal: None })
    }

    /// Whether the predicate holds for this node or any below it.
    pub(crate) fn any(&self, predicate: &dyn Fn(&Expr) -> bool) -> bool {
        predicate(self) || self.any_child(&mut |child| child.any(predicate))
    }

    /// Whether the predicate holds for a node directly below; later ones are not visited then.
    pub(crate) fn any_child<'a>(&'a self, predicate: &mut dyn FnMut(&'a Expr) -> bool) -> bool {
        match self {
            Self::Number(_)
            | Self::Based(..)
            | Self::Symbol(_)
            | Self::Word(_)
            | Self::Pi
            | Self::Euler
            | Self::Imaginary
            | Self::Infinity
            | Self::Reals => false,
            Self::Negate(inner)
            | Self::PlusMinus(inner)
            | Self::MinusPlus(inner)
            | Self::Degrees(inner)
            | Self::Percent(inner)
            | Self::Quantity(inner, _)
            | Self::SetBuilder(inner) => predicate(inner),
            Self::Sum(items)
            | Self::Product(items)
            | Self::Call(_, items)
            | Self::Applied(_, items)
            | Self::Group(_, _, items)
            | Self::Set(items)
            | Self::List(items, _)
            | Self::Union(items)
            | Self::Intersection(items)
            | Self::Ratio(items) => items.iter().any(predicate),
            Self::Quotient(left, right)
            | Self::Power(left, right)
            | Self::Root(left, right)
            | Self::Without(left, right)
            | Self::Modular(left, right) => predicate(left) || predicate(right),
            Self::Matrix(rows) => rows.iter().flatten().any(predicate),
            Self::Chain(first, rest) => predicate(first) || rest.iter().any(|(_, side)| predicate(side)),
            Self::Iterated(iteration) => {
                iteration.bounds().any(&mut *predicate) || predicate(&iteration.body)
            }
            Self::Cases(rows) => {
                rows.iter().any(|(value, condition)| predicate(value) || predicate(condition))
            }
        }
    }

    /// Whether a free symbol or a word stands anywhere in the tree.
    pub(crate) fn has_symbols(&self) -> bool {
        self.has_symbols_besides(&mut Vec::new())
    }

    fn has_symbols_besides<'a>(&'a self, bound: &mut Vec<&'a Name>) -> bool {
        match self {
            Self::Symbol(name) => !bound.contains(&name),
            Self::Word(_) | Self::Applied(..) => true,
            Self::Iterated(iteration) => {
                if iteration.bounds().any(|end| end.has_symbols_besides(bound)) {
                    return true;
                }
                bound.push(&iteration.variable);
                let found = iteration.body.has_symbols_besides(bound);
                bound.pop();
                found
            }
            other => other.any_child(&mut |child| child.has_symbols_besides(bound)),
        }
    }

    /// Rebuilds a scalar expression with some nodes replaced; collections of other kinds stay as they are.
    ///
    /// A bound variable is renamed with the rest, and never replaced by anything but a symbol.
    pub(crate) fn map(&self, change: &dyn Fn(&Expr) -> Option<Expr>) -> Expr {
        if let Some(changed) = change(self) {
            return changed;
        }
        let boxed = |inner: &Expr| Box::new(inner.map(change));
        let all = |items: &[Expr]| items.iter().map(|item| item.map(change)).collect::<Vec<_>>();
        match self {
            Self::Negate(inner) => Self::Negate(boxed(inner)),
            Self::PlusMinus(inner) => Self::PlusMinus(boxed(inner)),
            Self::MinusPlus(inner) => Self::MinusPlus(boxed(inner)),
            Self::Degrees(inner) => Self::Degrees(boxed(inner)),
            Self::Percent(inner) => Self::Percent(boxed(inner)),
            Self::Quantity(inner, unit) => Self::Quantity(boxed(inner), unit.clone()),
            Self::Sum(items) => Self::Sum(all(items)),
            Self::Product(items) => Self::Product(all(items)),
            Self::Call(function, items) => Self::Call(*function, all(items)),
            Self::Applied(name, items) => Self::Applied(name.clone(), all(items)),
            Self::Group(open, close, items) => Self::Group(*open, *close, all(items)),
            Self::Quotient(left, right) => Self::Quotient(boxed(left), boxed(right)),
            Self::Power(left, right) => Self::Power(boxed(left), boxed(right)),
            Self::Root(left, right) => Self::Root(boxed(left), boxed(right)),
            Self::Iterated(iteration) => Self::Iterated(Box::new(iteration.map(change))),
            other => other.clone(),
        }
    }

    /// Whether the tree is a number-like expression: nothing structured below it.
    pub(crate) fn is_scalar(&self) -> bool {
        match self {
            Self::Number(_)
            | Self::Symbol(_)
            | Self::Pi
            | Self::Euler
            | Self::Imaginary
            | Self::Applied(..) => true,
            Self::Negate(_)
            | Self::Sum(_)
            | Self::Product(_)
            | Self::Quotient(..)
            | Self::Power(..)
            | Self::Root(..)
            | Self::Call(..)
            | Self::Degrees(_)
            | Self::Iterated(_) => !self.any_child(&mut |child| !child.is_scalar()),
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
            | Self::Cases(_) => false,
        }
    }
}
