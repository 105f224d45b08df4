//! Conditions of answers by cases, as sets of reals.

use super::pieces::{End, Piece, complement, pieces, same_pieces, united};
use crate::expression::Expr;
use crate::fuel::Fuel;

/// The sets of conditions; one in words holds for what the others leave. And what none of them holds for.
pub(in crate::compare) struct Conditions {
    sets: Vec<Vec<Piece>>,
    rest: Vec<Piece>,
}

impl Conditions {
    pub(in crate::compare) fn of<'a>(
        conditions: impl Iterator<Item = &'a Expr>,
        fuel: &mut Fuel,
    ) -> Option<Self> {
        let mut known = Vec::new();
        let mut all = Vec::new();
        for condition in conditions {
            let set = match condition {
                Expr::Word(name) if name == "otherwise" => None,
                condition => Some(united(pieces(condition, fuel, 0)?, fuel)?),
            };
            all.extend(set.clone().into_iter().flatten());
            known.push(set);
        }
        let mut rest = complement(&united(all, fuel)?);
        let words = known.iter().filter(|set| set.is_none()).count();
        if words > 1 {
            return None;
        }
        let sets = known.into_iter().map(|set| set.unwrap_or_else(|| rest.clone())).collect();
        if words > 0 {
            rest.clear();
        }
        Some(Self { sets, rest })
    }

    /// Expressions in a free symbol that run through the numbers for which a condition holds.
    pub(in crate::compare) fn runs(&self, index: usize) -> Vec<Expr> {
        self.sets.get(index).into_iter().flatten().flat_map(runs).collect()
    }

    /// Whether some condition holds for every number.
    pub(in crate::compare) fn cover_all(&self) -> bool {
        self.rest.is_empty()
    }

    /// The other's condition that holds for the same numbers.
    pub(in crate::compare) fn position_in(
        &self,
        index: usize,
        other: &Self,
        fuel: &mut Fuel,
    ) -> Option<usize> {
        let set = self.sets.get(index)?;
        other.sets.iter().position(|candidate| same_pieces(set, candidate, fuel))
    }
}

/// Expressions in a free symbol that run through a piece, and its closed ends.
fn runs(piece: &Piece) -> Vec<Expr> {
    let free = || Expr::Symbol("\u{1}t".into());
    let square = || Expr::Power(Box::new(free()), Box::new(Expr::integer(2)));
    let inside = match (&piece.low, &piece.high) {
        (End::At(low), End::At(high)) => {
            let width = Expr::Sum(vec![high.clone(), Expr::Negate(Box::new(low.clone()))]);
            let below = Expr::Sum(vec![Expr::integer(1), square()]);
            Expr::Sum(vec![low.clone(), Expr::Quotient(Box::new(width), Box::new(below))])
        }
        (End::At(low), _) => Expr::Sum(vec![low.clone(), square()]),
        (_, End::At(high)) => Expr::Sum(vec![high.clone(), Expr::Negate(Box::new(square()))]),
        _ => free(),
    };
    let mut out = vec![inside];
    for (end, closed) in [(&piece.low, piece.low_closed), (&piece.high, piece.high_closed)] {
        if let (End::At(end), true) = (end, closed) {
            out.push(end.clone());
        }
    }
    out
}
