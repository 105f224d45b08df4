//! Sets of reals as pieces: read from what describes them, sorted, joined and intersected.

use std::cmp::Ordering;

use super::{Sameness, sole_letter};
use crate::expression::{Bracket, Expr, Function, Joiner, Relation};
use crate::fuel::Fuel;
use crate::scalar;

/// More pieces than this are not compared.
const MAXIMUM_PIECES: usize = 64;

/// An end of a piece.
#[derive(Debug, Clone)]
pub(super) enum End {
    MinusInfinity,
    At(Expr),
    PlusInfinity,
}

/// An interval; a point has equal closed ends.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) low: End,
    pub(super) low_closed: bool,
    pub(super) high: End,
    pub(super) high_closed: bool,
}

/// The pieces of a set, in no order; `None` if it is no set of reals.
pub(super) fn pieces(expr: &Expr, fuel: &mut Fuel, depth: usize) -> Option<Vec<Piece>> {
    if depth > 16 {
        return None;
    }
    match expr {
        Expr::Reals => Some(vec![all_reals()]),
        Expr::SetBuilder(condition) => pieces(condition, fuel, depth + 1),
        Expr::Group(open, close, items) => {
            let [low, high] = items.as_slice() else { return None };
            let (low, high) = (end(low)?, end(high)?);
            if order(&low, &high, fuel)? != Ordering::Less {
                return None;
            }
            let closed =
                |bracket: &Bracket, end: &End| *bracket == Bracket::Square && matches!(end, End::At(_));
            let (low_closed, high_closed) = (closed(open, &low), closed(close, &high));
            Some(vec![Piece { low, low_closed, high, high_closed }])
        }
        Expr::Set(items) => items.iter().map(point).collect(),
        Expr::Union(items) => {
            let mut all = Vec::new();
            for item in items {
                all.extend(pieces(item, fuel, depth + 1)?);
                if all.len() > MAXIMUM_PIECES {
                    return None;
                }
            }
            Some(all)
        }
        Expr::Intersection(items) => {
            let mut all = vec![all_reals()];
            for item in items {
                let next = pieces(item, fuel, depth + 1)?;
                all = intersected(&all, &next, fuel)?;
            }
            Some(all)
        }
        Expr::Without(left, right) => {
            let left = pieces(left, fuel, depth + 1)?;
            let right = united(pieces(right, fuel, depth + 1)?, fuel)?;
            intersected(&left, &complement(&right), fuel)
        }
        Expr::Chain(first, rest) => match rest.as_slice() {
            [(Relation::Member, set)] => pieces(set, fuel, depth + 1),
            [(Relation::NotMember, set)] => {
                let outside = united(pieces(set, fuel, depth + 1)?, fuel)?;
                Some(complement(&outside))
            }
            [(Relation::Equal, value)] => Some(vec![point(value)?]),
            [(relation, right)] => half_line(first, *relation, right, fuel),
            [(left_relation, middle), (right_relation, right)] => {
                let low = half_line(first, *left_relation, middle, fuel)?;
                let high = half_line(middle, *right_relation, right, fuel)?;
                intersected(&low, &high, fuel)
            }
            _ => None,
        },
        Expr::List(items, joiner) => {
            let sets = items.iter().map(|item| pieces(item, fuel, depth + 1)).collect::<Option<Vec<_>>>()?;
            if *joiner == Joiner::Or {
                return Some(sets.into_iter().flatten().collect());
            }
            let mut all = vec![all_reals()];
            for set in &sets {
                all = intersected(&all, set, fuel)?;
            }
            // `x < 1, x > 3` lists two parts of the solution
            if all.is_empty() && *joiner == Joiner::Comma {
                return Some(sets.into_iter().flatten().collect());
            }
            Some(all)
        }
        _ => None,
    }
}

fn end(expr: &Expr) -> Option<End> {
    match expr {
        Expr::Infinity => Some(End::PlusInfinity),
        Expr::Negate(inner) if **inner == Expr::Infinity => Some(End::MinusInfinity),
        other if other.is_scalar() && !other.has_symbols() => Some(End::At(other.clone())),
        _ => None,
    }
}

fn all_reals() -> Piece {
    Piece { low: End::MinusInfinity, low_closed: false, high: End::PlusInfinity, high_closed: false }
}

fn point(value: &Expr) -> Option<Piece> {
    let at = end(value).filter(|end| matches!(end, End::At(_)))?;
    Some(Piece { low: at.clone(), low_closed: true, high: at, high_closed: true })
}

fn half_line(left: &Expr, relation: Relation, right: &Expr, fuel: &mut Fuel) -> Option<Vec<Piece>> {
    let (name, value, relation) = if left.has_symbols() {
        (left, right, relation)
    } else {
        (right, left, relation.flipped().unwrap_or(relation))
    };
    if let Expr::Call(Function::Abs, items) = name {
        return around_zero(items.first()?, relation, value, fuel);
    }
    let at = end(value)?;
    let finite = matches!(at, End::At(_));
    Some(match relation {
        Relation::Less | Relation::LessEqual => vec![Piece {
            low: End::MinusInfinity,
            low_closed: false,
            high: at,
            high_closed: relation == Relation::LessEqual && finite,
        }],
        Relation::Greater | Relation::GreaterEqual => vec![Piece {
            low: at,
            low_closed: relation == Relation::GreaterEqual && finite,
            high: End::PlusInfinity,
            high_closed: false,
        }],
        Relation::NotEqual if finite => complement(&[point(value)?]),
        _ => return None,
    })
}

/// `|x| < a`, `|2x - 3| < a` and their kin, for a positive bound.
fn around_zero(inner: &Expr, relation: Relation, bound: &Expr, fuel: &mut Fuel) -> Option<Vec<Piece>> {
    let high = end(bound).filter(|end| matches!(end, End::At(_)))?;
    if order(&End::At(Expr::integer(0)), &high, fuel)? != Ordering::Less {
        return None;
    }
    let negative = Expr::Negate(Box::new(bound.clone()));
    let (low, high) = if matches!(inner, Expr::Symbol(_)) {
        (End::At(negative), high)
    } else {
        let (slope, offset) = linear(inner, fuel)?;
        let solved = |side: Expr| {
            let rest = Expr::Sum(vec![side, Expr::Negate(Box::new(offset.clone()))]);
            End::At(Expr::Quotient(Box::new(rest), Box::new(slope.clone())))
        };
        let ends = (solved(negative), solved(bound.clone()));
        match scalar::order(&slope, &Expr::integer(0), fuel)? {
            Ordering::Greater => ends,
            Ordering::Less => (ends.1, ends.0),
            Ordering::Equal => return None,
        }
    };
    let closed = matches!(relation, Relation::LessEqual | Relation::Greater);
    let inside = Piece { low, low_closed: closed, high, high_closed: closed };
    match relation {
        Relation::Less | Relation::LessEqual => Some(vec![inside]),
        Relation::Greater | Relation::GreaterEqual => Some(complement(&[inside])),
        _ => None,
    }
}

/// Slope and offset of an expression that is linear in its only letter.
fn linear(expr: &Expr, fuel: &mut Fuel) -> Option<(Expr, Expr)> {
    let letter = sole_letter(expr)?;
    let at = |value: i64| expr.map(&|node| (node == letter).then(|| Expr::integer(value)));
    let offset = at(0);
    let slope = Expr::Sum(vec![at(1), Expr::Negate(Box::new(offset.clone()))]);
    let line = Expr::Sum(vec![Expr::Product(vec![slope.clone(), letter.clone()]), offset.clone()]);
    (scalar::equal(expr, &line, fuel) == Sameness::Equal).then_some((slope, offset))
}

pub(super) fn same_end(left: &End, right: &End, fuel: &mut Fuel) -> Sameness {
    match (left, right) {
        (End::At(left), End::At(right)) => scalar::same(left, right, fuel),
        (End::MinusInfinity, End::MinusInfinity) | (End::PlusInfinity, End::PlusInfinity) => Sameness::Equal,
        _ => Sameness::Different,
    }
}

/// Whether sorted disjoint pieces are surely the same.
pub(super) fn same_pieces(left: &[Piece], right: &[Piece], fuel: &mut Fuel) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).all(|(first, second)| {
            first.low_closed == second.low_closed
                && first.high_closed == second.high_closed
                && same_end(&first.low, &second.low, fuel) == Sameness::Equal
                && same_end(&first.high, &second.high, fuel) == Sameness::Equal
        })
}

fn order(left: &End, right: &End, fuel: &mut Fuel) -> Option<Ordering> {
    Some(match (left, right) {
        (End::MinusInfinity, End::MinusInfinity) | (End::PlusInfinity, End::PlusInfinity) => Ordering::Equal,
        (End::MinusInfinity, _) | (_, End::PlusInfinity) => Ordering::Less,
        (_, End::MinusInfinity) | (End::PlusInfinity, _) => Ordering::Greater,
        (End::At(left), End::At(right)) => scalar::order(left, right, fuel)?,
    })
}

/// What lies outside sorted disjoint pieces.
pub(super) fn complement(sorted: &[Piece]) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut low = End::MinusInfinity;
    let mut low_closed = false;
    for piece in sorted {
        if !matches!(piece.low, End::MinusInfinity) {
            out.push(Piece {
                low: low.clone(),
                low_closed,
                high: piece.low.clone(),
                high_closed: !piece.low_closed,
            });
        }
        low = piece.high.clone();
        low_closed = !piece.high_closed;
    }
    if !matches!(low, End::PlusInfinity) {
        out.push(Piece { low, low_closed, high: End::PlusInfinity, high_closed: false });
    }
    out
}

fn intersected(left: &[Piece], right: &[Piece], fuel: &mut Fuel) -> Option<Vec<Piece>> {
    let mut out = Vec::new();
    for first in left {
        for second in right {
            let (low, low_closed) = match order(&first.low, &second.low, fuel)? {
                Ordering::Less => (&second.low, second.low_closed),
                Ordering::Greater => (&first.low, first.low_closed),
                Ordering::Equal => (&first.low, first.low_closed && second.low_closed),
            };
            let (high, high_closed) = match order(&first.high, &second.high, fuel)? {
                Ordering::Less => (&first.high, first.high_closed),
                Ordering::Greater => (&second.high, second.high_closed),
                Ordering::Equal => (&first.high, first.high_closed && second.high_closed),
            };
            let keep = match order(low, high, fuel)? {
                Ordering::Less => true,
                Ordering::Equal => low_closed && high_closed,
                Ordering::Greater => false,
            };
            if keep {
                out.push(Piece { low: low.clone(), low_closed, high: high.clone(), high_closed });
            }
            if out.len() > MAXIMUM_PIECES {
                return None;
            }
        }
    }
    Some(out)
}

/// Sorts pieces and joins those that touch.
pub(super) fn united(mut pieces: Vec<Piece>, fuel: &mut Fuel) -> Option<Vec<Piece>> {
    // insertion sort: the order can fail, and there are few pieces
    for index in 1..pieces.len() {
        let mut at = index;
        while at > 0 {
            let (before, this) = (pieces.get(at - 1)?, pieces.get(at)?);
            let swap = match order(&before.low, &this.low, fuel)? {
                Ordering::Greater => true,
                Ordering::Equal => this.low_closed && !before.low_closed,
                Ordering::Less => false,
            };
            if !swap {
                break;
            }
            pieces.swap(at - 1, at);
            at -= 1;
        }
    }
    let mut out: Vec<Piece> = Vec::new();
    for piece in pieces {
        if let Some(last) = out.last_mut() {
            let touches = match order(&last.high, &piece.low, fuel)? {
                Ordering::Greater => true,
                Ordering::Equal => last.high_closed || piece.low_closed,
                Ordering::Less => false,
            };
            if touches {
                match order(&last.high, &piece.high, fuel)? {
                    Ordering::Less => {
                        last.high = piece.high;
                        last.high_closed = piece.high_closed;
                    }
                    Ordering::Equal => last.high_closed |= piece.high_closed,
                    Ordering::Greater => {}
                }
                continue;
            }
        }
        out.push(piece);
    }
    Some(out)
}
