//! Fingerprints: equal answers hash together, so a majority vote is one pass instead of all pairs.

use crate::compare::text;
use crate::expression::Expr;
use crate::fuel::Fuel;
use crate::reader;
use crate::scalar;
use crate::wrapping;

/// A hash that equal answers share; `None` for an answer without text.
///
/// Values are rounded to about a hundred bits at fixed points, sets and lists are sorted, words lose their
/// case. The hash is stable across runs and machines of one verifier version.
///
/// ```
/// use still_verify::fingerprint;
///
/// assert_eq!(fingerprint(r"\frac{\sqrt{6}+\sqrt{2}}{2}"), fingerprint(r"\sqrt{2+\sqrt{3}}"));
/// assert_ne!(fingerprint("41"), fingerprint("42"));
/// ```
pub fn fingerprint(answer: &str) -> Option<u64> {
    let answer = answer.trim();
    if answer.len() > reader::MAXIMUM_LENGTH {
        // too long to be read: only the very same text is the same answer
        return Some(hash(answer));
    }
    let answer = &*wrapping::unwrapped(answer);
    let words = text::words(answer);
    if words.is_empty() {
        return None;
    }
    let key = reader::read(answer)
        .ok()
        .and_then(|readings| {
            let mut fuel = Fuel::new();
            readings.first().and_then(|reading| key(reading, &mut fuel))
        })
        .unwrap_or_else(|| text::dense(&words));
    Some(hash(&key))
}

/// A canonical spelling.
fn key(expr: &Expr, fuel: &mut Fuel) -> Option<String> {
    if expr.is_scalar() {
        let digest = scalar::digest(expr, fuel)?;
        return Some(format!("{digest:?}"));
    }
    let all = |items: &[Expr], fuel: &mut Fuel| {
        items.iter().map(|item| key(item, fuel)).collect::<Option<Vec<String>>>()
    };
    Some(match expr {
        Expr::List(items, _) | Expr::Set(items) => {
            let mut keys = all(items, fuel)?;
            keys.sort();
            if let [only] = keys.as_slice() { only.clone() } else { format!("{{{}}}", keys.join(",")) }
        }
        Expr::Group(open, close, items) => format!("{open:?}{}{close:?}", all(items, fuel)?.join(",")),
        Expr::Matrix(rows) => {
            let rows = rows.iter().map(|row| Some(all(row, fuel)?.join(","))).collect::<Option<Vec<_>>>()?;
            format!("matrix {}", rows.join(";"))
        }
        // an assignment counts by its value, a unit is forgiven
        Expr::Chain(first, rest) => match rest.as_slice() {
            [(crate::expression::Relation::Equal, value)]
                if matches!(**first, Expr::Symbol(_) | Expr::Word(_)) =>
            {
                key(value, fuel)?
            }
            _ => return None,
        },
        Expr::Quantity(inner, _) | Expr::Degrees(inner) => key(inner, fuel)?,
        Expr::Word(name) => name.to_lowercase().to_string(),
        Expr::Based(digits, base) => format!("{digits} base {base}"),
        Expr::Infinity => "infinity".to_owned(),
        Expr::Negate(inner) => format!("-{}", key(inner, fuel)?),
        _ => return None,
    })
}

/// FNV-1a.
fn hash(key: &str) -> u64 {
    key.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
