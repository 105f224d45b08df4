//! Sets of reals: intervals, unions, solved inequalities, memberships, all as sorted disjoint pieces.

mod conditions;
mod pieces;

use self::pieces::{End, pieces, same_end, united};
use super::Sameness;
use crate::expression::{Bracket, Expr, Function, Joiner, Relation};
use crate::fuel::Fuel;
use crate::scalar;

pub(super) use self::conditions::Conditions;

/// Whether an expression can only be a set of reals.
pub(super) fn is_set_like(expr: &Expr) -> bool {
    match expr {
        Expr::Union(_) | Expr::Intersection(_) | Expr::Without(..) | Expr::Reals | Expr::SetBuilder(_) => {
            true
        }
        Expr::Group(open, close, items) => open != close && items.len() == 2,
        Expr::Chain(first, rest) => match rest.as_slice() {
            [(Relation::NotMember, Expr::Set(_))] => variable(first).is_some(),
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

/// The name whose values a side of a relation bounds: `x`, `|x|` or `|2x - 3|`, but neither a product nor a length `|AB|`.
fn variable(side: &Expr) -> Option<&Expr> {
    match side {
        Expr::Symbol(_) | Expr::Word(_) => Some(side),
        Expr::Call(Function::Abs, items) => match items.as_slice() {
            [only @ Expr::Symbol(_)] => Some(only),
            [sum @ Expr::Sum(_)] => sole_letter(sum),
            _ => None,
        },
        _ => None,
    }
}

/// The only letter of an expression of sums, products and quotients.
fn sole_letter(expr: &Expr) -> Option<&Expr> {
    fn collect<'a>(expr: &'a Expr, found: &mut Option<&'a Expr>) -> bool {
        match expr {
            Expr::Symbol(_) => *found.get_or_insert(expr) == expr,
            Expr::Number(_) | Expr::Pi | Expr::Euler => true,
            Expr::Root(..) => !expr.has_symbols(),
            Expr::Negate(_) | Expr::Sum(_) | Expr::Product(_) | Expr::Quotient(..) => {
                !expr.any_child(&mut |child| !collect(child, found))
            }
            _ => false,
        }
    }
    let mut found = None;
    if collect(expr, &mut found) { found } else { None }
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
