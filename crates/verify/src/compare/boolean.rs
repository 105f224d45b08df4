//! Statements and sets of letters: two of them are the same if their truth tables are.

use super::Sameness;
use crate::expression::{Expr, Joiner, Relation};

/// A table of more letters has more rows than a word has bits.
const MAXIMUM_LETTERS: usize = 6;
/// In which rows each letter holds.
const COLUMNS: [u64; MAXIMUM_LETTERS] = [
    0xaaaa_aaaa_aaaa_aaaa,
    0xcccc_cccc_cccc_cccc,
    0xf0f0_f0f0_f0f0_f0f0,
    0xff00_ff00_ff00_ff00,
    0xffff_0000_ffff_0000,
    0xffff_ffff_0000_0000,
];

/// Whether an expression combines statements, or sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algebra {
    Statements,
    Sets,
}

/// Compares two statements, or two sets, made of letters alone; `None` for anything else.
pub(super) fn same(gold: &Expr, answer: &Expr) -> Option<Sameness> {
    let algebra = algebra(gold)?;
    if self::algebra(answer)? != algebra {
        return None;
    }
    let mut letters = Vec::new();
    let (gold, answer) = (table(gold, algebra, &mut letters)?, table(answer, algebra, &mut letters)?);
    Some(Sameness::of(gold == answer))
}

/// What the outermost operation is of.
fn algebra(expr: &Expr) -> Option<Algebra> {
    match expr {
        Expr::List(_, Joiner::And | Joiner::Or) => Some(Algebra::Statements),
        Expr::Chain(_, rest)
            if matches!(rest.as_slice(), [(Relation::Implies | Relation::Equivalent, _)]) =>
        {
            Some(Algebra::Statements)
        }
        Expr::Applied(name, _) if name == "\\neg" => Some(Algebra::Statements),
        Expr::Union(_) | Expr::Intersection(_) | Expr::Without(..) => Some(Algebra::Sets),
        _ => None,
    }
}

/// The rows in which an expression holds.
fn table<'a>(expr: &'a Expr, algebra: Algebra, letters: &mut Vec<&'a Expr>) -> Option<u64> {
    let mut all = |items: &'a [Expr], start: u64, join: fn(u64, u64) -> u64| {
        items.iter().try_fold(start, |rows, item| Some(join(rows, table(item, algebra, letters)?)))
    };
    match (expr, algebra) {
        // sets that have names of their own overlap as they do
        (Expr::Symbol(name), _) if !name.starts_with("\\mathbb") => {
            let at = letters.iter().position(|known| *known == expr).unwrap_or_else(|| {
                letters.push(expr);
                letters.len() - 1
            });
            COLUMNS.get(at).copied()
        }
        (Expr::List(items, Joiner::And), Algebra::Statements)
        | (Expr::Intersection(items), Algebra::Sets) => all(items, u64::MAX, |rows, more| rows & more),
        (Expr::List(items, Joiner::Or), Algebra::Statements) | (Expr::Union(items), Algebra::Sets) => {
            all(items, 0, |rows, more| rows | more)
        }
        (Expr::Without(left, right), Algebra::Sets) => {
            Some(table(left, algebra, letters)? & !table(right, algebra, letters)?)
        }
        (Expr::Power(base, exponent), Algebra::Sets) if matches!(&**exponent, Expr::Symbol(name) if matches!(name.as_str(), "c" | "C")) => {
            Some(!table(base, algebra, letters)?)
        }
        (Expr::Applied(name, items), Algebra::Statements) if name == "\\neg" => match items.as_slice() {
            [inner] => Some(!table(inner, algebra, letters)?),
            _ => None,
        },
        (Expr::Chain(left, rest), Algebra::Statements) => {
            let [(relation, right)] = rest.as_slice() else { return None };
            let (left, right) = (table(left, algebra, letters)?, table(right, algebra, letters)?);
            match relation {
                Relation::Implies => Some(!left | right),
                Relation::Equivalent => Some(!(left ^ right)),
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::{Outcome, equivalent};

    #[test]
    fn statements_and_sets_are_compared_by_their_tables() {
        for (gold, answer, same) in [
            (r"p \to q", r"\neg p \lor q", true),
            (r"p \to q", r"\neg q \to \neg p", true),
            (r"p \to q", r"q \to p", false),
            (r"(r \to q) \land s", r"s \land (r \to q)", true),
            (r"(r \to q) \land s", r"r \to (q \land s)", false),
            (r"\neg(p \land q)", r"\neg p \lor \neg q", true),
            (r"p \land q", r"p \lor q", false),
            (r"p \iff q", r"(p \to q) \land (q \to p)", true),
            (r"A \cup (B \cap C)", r"(A \cup B) \cap (A \cup C)", true),
            (r"A \cup (B \cap C)", r"(A \cup B) \cap C", false),
            (r"(A \cup B) \setminus C", r"(B \cup A) \setminus C", true),
            (r"A \setminus B", r"B \setminus A", false),
            (r"A \setminus B", r"A \cap B^c", true),
        ] {
            assert_eq!(equivalent(gold, answer) == Outcome::Correct, same, "{gold} and {answer}");
        }
        // which of the two signs binds closer, readers do not agree
        assert_ne!(equivalent(r"p \land q \to r", r"p \land (q \to r)"), Outcome::Correct);
    }
}
