//! Points for expressions that mean something at whole numbers only.

use dashu_ratio::RBig;

use super::{MAXIMUM_NUMERAL, Values, numerals, substituted};
use crate::expression::{Bound, Expr, Function, Name};
use crate::fuel::Fuel;
use crate::scalar::exact;

/// Whether a node has a meaning only at whole numbers.
pub(in crate::scalar) fn needs_whole_numbers(expr: &Expr) -> bool {
    match expr {
        Expr::Call(Function::Factorial | Function::Binomial | Function::Gcd | Function::Lcm, items) => {
            items.iter().any(Expr::has_symbols)
        }
        Expr::Power(base, exponent) => {
            exponent.has_symbols() && matches!(**base, Expr::Negate(_) | Expr::Imaginary)
        }
        Expr::Iterated(iteration) => {
            [Some(&iteration.from), iteration.to.as_ref()].into_iter().flatten().any(|bound| match bound {
                Bound::At(end) => end.has_symbols(),
                _ => false,
            })
        }
        _ => false,
    }
}

/// Whether fractions of letters that everyone takes for whole numbers are rounded: `\lfloor n/2 \rfloor`. Who rounds
/// `n + 1/2` does not take `n` for a whole number.
pub(in crate::scalar) fn rounds_whole_numbers(left: &Expr, right: &Expr, names: &[Name]) -> bool {
    let number = |item: &Expr| matches!(item, Expr::Quotient(above, _) if !above.has_symbols());
    let divides = |node: &Expr| match node {
        Expr::Quotient(above, _) => above.has_symbols(),
        Expr::Product(items) => items.iter().any(number) && items.iter().any(Expr::has_symbols),
        Expr::Root(..) | Expr::Call(..) => node.has_symbols(),
        _ => false,
    };
    let rounds = |node: &Expr, fractions: bool| {
        matches!(node, Expr::Call(Function::Floor | Function::Ceiling, items)
            if items.iter().any(|item| item.has_symbols() && item.any(&divides) == fractions))
    };
    let any = |fractions: bool| [left, right].iter().any(|side| side.any(&|node| rounds(node, fractions)));
    names.iter().all(|name| matches!(name.as_str(), "n" | "m" | "k")) && any(true) && !any(false)
}

/// Whole-number points: small ones, and around the numerals of the expressions.
pub(in crate::scalar) fn whole(left: &Expr, right: &Expr, names: &[Name]) -> Vec<Values> {
    let mut pool: Vec<i64> = vec![5, 2, 3, 1, 7, 4, 6, 0, 9, 8, 12, 10];
    for numeral in numerals(left, right) {
        for value in [numeral, numeral + 1, numeral + 3, 2 * numeral, numeral - 1, 2 * numeral - 1] {
            if !pool.contains(&value) && value <= MAXIMUM_NUMERAL {
                pool.push(value);
            }
        }
    }
    let count = pool.len();
    let value = |index: usize| pool.get(index % count).copied().unwrap_or(1);
    let mut points: Vec<Values> = Vec::new();
    let mut push = |at: &dyn Fn(usize) -> i64| {
        points.push(
            names.iter().enumerate().map(|(index, name)| (name.clone(), RBig::from(at(index)))).collect(),
        );
    };
    if [left, right].iter().any(|side| side.any(&has_divisors)) {
        // numbers that share divisors, pair by pair and all together
        const COMPOSITE: [i64; 16] = [6, 12, 10, 15, 30, 4, 8, 9, 18, 20, 24, 36, 45, 60, 35, 42];
        for round in 0..12 {
            push(&|index| {
                COMPOSITE.get((round * 5 + index * 7 + round * index) % COMPOSITE.len()).copied().unwrap_or(6)
            });
        }
    }
    if names.len() == 1 {
        for first in 0..count {
            push(&|_| value(first));
        }
        push(&|_| 15);
        push(&|_| 60);
        return points;
    }
    for first in 0..count {
        // every pair of neighbours and of far ones, in both orders
        push(&|index| value(first + index));
        push(&|index| value(first + 3 * index));
        push(&|index| value(first + (count - 2) * index));
        push(&|index| value(first + 7 * index));
        push(&|index| value(first) + index as i64);
        push(&|index| (value(first) + 4 - 2 * index as i64).max(0));
        push(&|_| value(first));
    }
    points
}

fn has_divisors(expr: &Expr) -> bool {
    matches!(expr, Expr::Call(Function::Gcd | Function::Lcm, _))
}

/// How a point suits the factorials and binomials of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::scalar) enum Suits {
    /// A factorial of what is no natural number, a choice from such a number of things or of broken ones.
    Not,
    /// Some binomial chooses more than there is, or less than nothing, and is zero.
    Barely,
    Well,
}

/// How a point suits an expression: the worst of its parts.
pub(in crate::scalar) fn suits(expr: &Expr, values: &[(Name, RBig)], fuel: &mut Fuel) -> Suits {
    let own = match expr {
        // what stands under a sum's sign has a variable of its own
        Expr::Iterated(_) => return Suits::Well,
        Expr::Call(function @ (Function::Factorial | Function::Binomial), items) => {
            let mut numbers = Vec::with_capacity(2);
            for item in items {
                match exact::evaluate(&substituted(item, values), fuel) {
                    Ok(value) => numbers.push(value),
                    Err(_) => return Suits::Not,
                }
            }
            match (function, numbers.as_slice()) {
                (Function::Binomial, [upper, lower]) if *upper >= RBig::ZERO && lower.is_int() => {
                    if *lower >= RBig::ZERO && lower <= upper { Suits::Well } else { Suits::Barely }
                }
                (Function::Factorial, [argument]) if *argument >= RBig::ZERO => Suits::Well,
                _ => Suits::Not,
            }
        }
        _ => Suits::Well,
    };
    let mut worst = own;
    expr.any_child(&mut |child| {
        worst = worst.min(suits(child, values, fuel));
        worst == Suits::Not
    });
    worst
}
