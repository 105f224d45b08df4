//! A value's digest for majority votes: equal expressions have equal digests.

use super::ball::Arithmetic;
use super::evaluate::{self, Point};
use super::{Stop, Stuck, modular, symbols, with_constants};
use crate::expression::{Expr, Name, Number};
use crate::fuel::Fuel;

use dashu_int::IBig;
use dashu_ratio::RBig;

/// Values at fixed points, rounded to a hundred bits; `None` where they cannot be had.
pub(crate) fn digest(expr: &Expr, fuel: &mut Fuel) -> Option<Vec<[(String, isize); 2]>> {
    let names = symbols(expr, expr);
    let rounds = if names.is_empty() { 1 } else { 2 };
    let mut out = Vec::new();
    for round in 0..rounds {
        // the point depends on the symbols' names only, never on their order in this spelling
        let values: Vec<(Name, RBig)> =
            names.iter().map(|name| (name.clone(), value_of(name, round))).collect();
        let result = with_constants(|cache| {
            let mut arithmetic = Arithmetic::new(256, cache, fuel);
            evaluate::evaluate(expr, &Point { values: &values, complex: true }, &mut arithmetic)
        });
        match result {
            Ok(ball) => out.push(ball.digest()),
            Err(Stop::Stuck(Stuck::Undefined)) => {
                out.push([(String::from("undefined"), 0), (String::new(), 0)]);
            }
            Err(Stop::Stuck(Stuck::TooLarge)) => return digest_of_residues(expr, fuel),
            Err(_) => return None,
        }
    }
    Some(out)
}

/// Stands for a value with a number too large to write on the way to it. The value itself may be small (a large
/// number times zero, or over itself): a fraction of small terms is found again from its residues.
fn digest_of_residues(expr: &Expr, fuel: &mut Fuel) -> Option<Vec<[(String, isize); 2]>> {
    let mut residue = |prime| modular::evaluate(expr, prime, fuel).ok();
    let [first, second] = modular::PRIMES.map(&mut residue);
    let residues = [first?, second?];
    let Some(fraction) = modular::fraction(residues) else {
        return Some(vec![residues.map(|residue| (format!("modulo {residue}"), 0))]);
    };
    let fraction = Expr::Number(Number { value: fraction, decimal: None });
    digest(&fraction, fuel)
}

fn value_of(name: &str, round: usize) -> RBig {
    let hash = name.bytes().fold(17_u64, |hash, byte| (hash * 131 + u64::from(byte)) % 7_919);
    RBig::from_parts(IBig::from(1_009 + hash + 733 * round as u64), 1_013_u64.into())
}
