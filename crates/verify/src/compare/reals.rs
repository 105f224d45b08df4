//! Sets of reals: intervals, unions, solved inequalities, memberships, all as sorted disjoint pieces.

use std::cmp::Ordering;

use super::Sameness;
use crate::expression::{Bracket, Expr, Function, Joiner, Relation};
use crate::fuel::Fuel;
use crate::scalar;

/// More pieces than this are not compared.
const MAXIMUM_PIECES: usize = 64;

/// An end of a piece.
#[derive(Debug, Clone)]
enum End {
    MinusInfinity,
    At(Expr),
    PlusInfinity,
}

/// An interval; a point has equal closed ends.
#[derive(Debug, Clone)]
struct Piece {
    low: End,
    low_closed: bool,
    high: End,
    high_closed: bool,
}

/// Whether an expression can only be a set of reals.
pub(super) fn is_set_like(expr: &Expr) -> bool {
    match expr {
        Expr::Union(_) | Expr::Intersection(_) | Expr::Without(..) | Expr::Reals | Expr::SetBuilder(_) => {
            true
        }
        Expr::Group(open, close, items) => open != close && items.len() == 2,
        Expr::Chain(first, rest) => match rest.as_slice() {
            [(Relation::Member | Relation::NotMember, set)] => {
                variable(first).is_some() && (is_set_like(set) || is_plain_interval(set))
            }
            [(relation, right)] => relation.is_order() && one_variable(first, right),
            [(left_relation, middle), (right_relation, right)] => {
                left_relation.is_order()
                    && right_relation.is_order()
                    && one_variable(first, middle)
                    && !right.has_symbols()
            }
            _ => false,
        },
        Expr::List(items, _) => items.iter().any(is_inequality),
        _ => false,
    }
}

fn is_inequality(expr: &Expr) -> bool {
    matches!(expr, Expr::Chain(_, rest) if rest.iter().any(|(relation, _)| relation.is_order()))
        && is_set_like(expr)
}

/// Two items in equal brackets: an interval, or a pair, as the other side says.
pub(super) fn is_plain_interval(expr: &Expr) -> bool {
    matches!(expr, Expr::Group(open, close, items)
        if items.len() == 2 && *open == *close && *open != Bracket::Angle)
}

/// One side a lone symbol, the other without symbols.
fn one_variable(left: &Expr, right: &Expr) -> bool {
    (variable(left).is_some() && !right.has_symbols()) || (variable(right).is_some() && !left.has_symbols())
}

/// The name whose values a side of a relation bounds: `x` or `|x|`, but neither a product nor a length `|AB|`.
fn variable(side: &Expr) -> Option<&Expr> {
    match side {
        Expr::Symbol(_) | Expr::Word(_) => Some(side),
        Expr::Call(Function::Abs, items) => match items.as_slice() {
            [only @ Expr::Symbol(_)] => Some(only),
            _ => None,
        },
        _ => None,
    }
}

/// The names that the relations of a set bound, each once; those of a set's own condition are nobody else's.
pub(super) fn names(expr: &Expr) -> Vec<&Expr> {
    let mut out = Vec::new();
    collect_names(expr, &mut out);
    out
}

fn collect_names<'a>(expr: &'a Expr, out: &mut Vec<&'a Expr>) {
    match expr {
        Expr::Chain(first, rest) => {
            for name in
                std::iter::once(&**first).chain(rest.iter().map(|(_, side)| side)).filter_map(variable)
            {
                if !out.contains(&name) {
                    out.push(name);
                }
            }
        }
        Expr::List(items, _) | Expr::Union(items) | Expr::Intersection(items) => {
            for item in items {
                collect_names(item, out);
            }
        }
        _ => {}
    }
}

/// Conditions on several names: each name's set, or the same relations in any order.
fn same_by_name(gold: &Expr, answer: &Expr, fuel: &mut Fuel) -> Sameness {
    let (Expr::List(items, joiner), Expr::List(others, other_joiner)) = (gold, answer) else {
        return Sameness::Different;
    };
    let alternatives = *joiner == Joiner::Or;
    if alternatives != (*other_joiner == Joiner::Or) {
        return Sameness::Different;
    }
    let (gold_names, names) = (names(gold), names(answer));
    let separable = |items: &[Expr]| {
        items
            .iter()
            .all(|item| is_set_like(item) && matches!(item, Expr::Chain(..)) && self::names(item).len() == 1)
    };
    if alternatives || !separable(items) || !separable(others) {
        return super::collection::same_relations(items, others, fuel);
    }
    if gold_names.len() != names.len() || !gold_names.iter().all(|name| names.contains(name)) {
        return Sameness::Different;
    }
    gold_names.iter().fold(Sameness::Equal, |all, name| {
        let of = |items: &[Expr]| {
            let items = items.iter().filter(|item| self::names(item).contains(name)).cloned();
            Expr::List(items.collect(), Joiner::And)
        };
        if all == Sameness::Different { all } else { all.and(same_sets(&of(items), &of(others), fuel)) }
    })
}

/// The integers of a bounded set that is given by a condition over them.
pub(super) fn integer_members(expr: &Expr, fuel: &mut Fuel) -> Option<Vec<Expr>> {
    const MAXIMUM_INTEGERS: i64 = 256;
    let Expr::Intersection(sets) = expr else { return None };
    let [Expr::Symbol(integers), set @ Expr::SetBuilder(_)] = sets.as_slice() else { return None };
    let pieces = united(pieces(set, fuel, 0)?, fuel)?;
    let mut members = Vec::new();
    for piece in &pieces {
        let (End::At(low), End::At(high)) = (&piece.low, &piece.high) else { return None };
        let (low, high) = (scalar::rational(low, fuel)?, scalar::rational(high, fuel)?);
        let first = if piece.low_closed { low.ceil() } else { low.floor() + dashu_int::IBig::ONE };
        let last = if piece.high_closed { high.floor() } else { high.ceil() - dashu_int::IBig::ONE };
        let (first, last) = (i64::try_from(&first).ok()?, i64::try_from(&last).ok()?);
        // whether zero is natural, nobody can tell
        if (integers == "\\mathbb N" && first < 1) || last.saturating_sub(first) > MAXIMUM_INTEGERS {
            return None;
        }
        members.extend((first..=last).map(Expr::integer));
    }
    Some(members)
}

/// The sets of conditions; one in words holds for what the others leave. And what none of them holds for.
pub(super) struct Conditions {
    sets: Vec<Vec<Piece>>,
    rest: Vec<Piece>,
}

impl Conditions {
    pub(super) fn of<'a>(conditions: impl Iterator<Item = &'a Expr>, fuel: &mut Fuel) -> Option<Self> {
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
    pub(super) fn runs(&self, index: usize) -> Vec<Expr> {
        self.sets.get(index).into_iter().flatten().flat_map(runs).collect()
    }

    /// Whether some condition holds for every number.
    pub(super) fn cover_all(&self) -> bool {
        self.rest.is_empty()
    }

    /// The other's condition that holds for the same numbers.
    pub(super) fn position_in(&self, index: usize, other: &Self, fuel: &mut Fuel) -> Option<usize> {
        let set = self.sets.get(index)?;
        other.sets.iter().position(|candidate| {
            set.len() == candidate.len()
                && set.iter().zip(candidate).all(|(first, second)| {
                    first.low_closed == second.low_closed
                        && first.high_closed == second.high_closed
                        && same_end(&first.low, &second.low, fuel) == Sameness::Equal
                        && same_end(&first.high, &second.high, fuel) == Sameness::Equal
                })
        })
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

pub(super) fn same(gold: &Expr, answer: &Expr, fuel: &mut Fuel) -> Sameness {
    let (gold_names, names) = (names(gold), names(answer));
    let mixed = |expr: &Expr| matches!(expr, Expr::List(items, _) if items.iter().any(|item| !is_set_like(item) && !is_plain_interval(item)));
    if gold_names.len() > 1 || names.len() > 1 || mixed(gold) || mixed(answer) {
        return same_by_name(gold, answer, fuel);
    }
    if let ([gold_name], [name]) = (gold_names.as_slice(), names.as_slice())
        && gold_name != name
    {
        return Sameness::Different;
    }
    same_sets(gold, answer, fuel)
}

fn same_sets(gold: &Expr, answer: &Expr, fuel: &mut Fuel) -> Sameness {
    // ends with symbols cannot be ordered: the same brackets around the same items
    if let (Expr::Group(open, close, items), Expr::Group(other_open, other_close, others)) = (gold, answer) {
        return Sameness::of((open, close) == (other_open, other_close))
            .and(super::collection::same_in_order(items, others, fuel));
    }
    // sets known by name: in any order
    match (gold, answer) {
        (Expr::Union(sets), Expr::Union(others)) | (Expr::Intersection(sets), Expr::Intersection(others))
            if sets.iter().any(|set| matches!(set, Expr::Symbol(_) | Expr::Applied(..))) =>
        {
            return super::collection::same_relations(sets, others, fuel);
        }
        (Expr::Without(left, right), Expr::Without(other_left, other_right))
            if matches!(**left, Expr::Symbol(_)) =>
        {
            return super::same(left, other_left, fuel).and(super::same(right, other_right, fuel));
        }
        _ => {}
    }
    let interval = |expr: &Expr| is_set_like(expr) || is_plain_interval(expr);
    // `(0, 9) \text{ or } (9, 36)`
    let alternatives = matches!(answer, Expr::List(items, Joiner::Or) if items.iter().all(interval));
    let comparable = interval(answer) || alternatives;
    if !comparable {
        return Sameness::Different;
    }
    let (Some(gold), Some(answer)) = (pieces(gold, fuel, 0), pieces(answer, fuel, 0)) else {
        return Sameness::Different;
    };
    let (Some(gold), Some(answer)) = (united(gold, fuel), united(answer, fuel)) else {
        return Sameness::Undecided;
    };
    if gold.len() != answer.len() {
        return Sameness::Different;
    }
    let mut all = Sameness::Equal;
    for (gold, answer) in gold.iter().zip(&answer) {
        all = all
            .and(Sameness::of(gold.low_closed == answer.low_closed && gold.high_closed == answer.high_closed))
            .and(same_end(&gold.low, &answer.low, fuel))
            .and(same_end(&gold.high, &answer.high, fuel));
    }
    all
}

fn same_end(left: &End, right: &End, fuel: &mut Fuel) -> Sameness {
    match (left, right) {
        (End::At(left), End::At(right)) => scalar::same(left, right, fuel),
        (End::MinusInfinity, End::MinusInfinity) | (End::PlusInfinity, End::PlusInfinity) => Sameness::Equal,
        _ => Sameness::Different,
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

/// The pieces of a set, in no order; `None` if it is no set of reals.
fn pieces(expr: &Expr, fuel: &mut Fuel, depth: usize) -> Option<Vec<Piece>> {
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

fn half_line(left: &Expr, relation: Relation, right: &Expr, fuel: &mut Fuel) -> Option<Vec<Piece>> {
    let (name, value, relation) = if left.has_symbols() {
        (left, right, relation)
    } else {
        (right, left, relation.flipped().unwrap_or(relation))
    };
    if matches!(name, Expr::Call(Function::Abs, _)) {
        return around_zero(relation, value, fuel);
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

/// `|x| < a` and its kin, for a positive bound.
fn around_zero(relation: Relation, bound: &Expr, fuel: &mut Fuel) -> Option<Vec<Piece>> {
    let high = end(bound).filter(|end| matches!(end, End::At(_)))?;
    if order(&End::At(Expr::integer(0)), &high, fuel)? != Ordering::Less {
        return None;
    }
    let low = End::At(Expr::Negate(Box::new(bound.clone())));
    let closed = matches!(relation, Relation::LessEqual | Relation::Greater);
    let inside = Piece { low, low_closed: closed, high, high_closed: closed };
    match relation {
        Relation::Less | Relation::LessEqual => Some(vec![inside]),
        Relation::Greater | Relation::GreaterEqual => Some(complement(&[inside])),
        _ => None,
    }
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
fn complement(sorted: &[Piece]) -> Vec<Piece> {
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
fn united(mut pieces: Vec<Piece>, fuel: &mut Fuel) -> Option<Vec<Piece>> {
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
