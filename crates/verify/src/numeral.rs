//! Numerals: digits with separators, decimals, exponents, repeating decimals.

use std::str::FromStr;

use dashu_int::{IBig, UBig};
use dashu_ratio::RBig;

use crate::expression::{Decimal, Name, Number};

/// More digits than this are refused.
pub(crate) const MAXIMUM_DIGITS: usize = 4_000;
/// Exponents of scientific notation beyond this are refused.
const MAXIMUM_EXPONENT: i32 = 4_000;

/// Whether a comma between groups of three digits separates thousands or list items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommaReading {
    Thousands,
    List,
    /// A comma before other than three digits is a decimal one.
    Decimal,
}

/// A numeral read from the start of a text.
#[derive(Debug)]
pub(crate) struct Scanned {
    pub(crate) number: Number,
    /// The run of digits when nothing else was in it.
    pub(crate) digits: Option<Name>,
    pub(crate) length: usize,
    /// A comma was met that could be read both ways.
    pub(crate) ambiguous: bool,
}

/// A numeral that cannot be read or is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadNumeral;

/// Reads a numeral at the start of `text`, which begins with a digit or a point before a digit.
pub(crate) fn scan(text: &str, reading: CommaReading, grouping: bool) -> Result<Scanned, BadNumeral> {
    let bytes = text.as_bytes();
    let first = digits_at(bytes, 0);
    if let Some(scanned) = plain(text, first, reading) {
        return Ok(scanned);
    }
    let mut whole = text.get(..first).unwrap_or("").to_owned();
    let mut position = first;
    let mut ambiguous = false;
    let mut grouped = false;
    if (1..=3).contains(&first) && !(whole.starts_with('0')) {
        let mut separator_kind = None;
        while let Some((kind, length)) = separator(bytes.get(position..).unwrap_or(&[])) {
            let start = position + length;
            if digits_at(bytes, start) != 3 || separator_kind.is_some_and(|earlier| earlier != kind) {
                break;
            }
            if kind == Separator::Comma {
                ambiguous |= grouping;
                if reading != CommaReading::Thousands || !grouping {
                    break;
                }
            }
            if kind == Separator::Point && !points_group(bytes, position) {
                break;
            }
            separator_kind = Some(kind);
            grouped = true;
            whole.push_str(text.get(start..start + 3).unwrap_or(""));
            position = start + 3;
        }
    }
    if whole.len() > MAXIMUM_DIGITS {
        return Err(BadNumeral);
    }
    let mut fraction = String::new();
    let mut repeating = String::new();
    let mut has_point = false;
    if bytes.get(position) == Some(&b'.') || decimal_comma(bytes, position, grouped, reading) {
        let start = position + if bytes.get(position) == Some(&b'{') { 3 } else { 1 };
        let length = digits_at(bytes, start);
        if length > 0 {
            has_point = true;
            text.get(start..start + length).unwrap_or("").clone_into(&mut fraction);
            position = start + length;
        }
        if length > 0
            && let Some((digits, end)) = continued_digits(&fraction, text, start + length)
        {
            repeating = digits;
            position = end;
        } else if let Some((digits, end)) = repeating_digits(text, start + length) {
            has_point = true;
            repeating = digits;
            position = end;
        }
    }
    if fraction.len() + repeating.len() + whole.len() > MAXIMUM_DIGITS {
        return Err(BadNumeral);
    }
    let (exponent, exponent_length) = exponent_at(bytes, position);
    position += exponent_length;
    if exponent.abs() > MAXIMUM_EXPONENT {
        return Err(BadNumeral);
    }
    let only_digits = !has_point && !grouped && exponent_length == 0;
    let digits = only_digits.then(|| Name::from(whole.as_str()));
    let number = build(&whole, &fraction, &repeating, exponent, has_point || exponent_length > 0)?;
    Ok(Scanned { number, digits, length: position, ambiguous })
}

/// A short run of digits with nothing behind it that could belong to the numeral: most numerals.
fn plain(text: &str, length: usize, reading: CommaReading) -> Option<Scanned> {
    let rest = text.as_bytes().get(length..).unwrap_or(&[]);
    let goes_on = match rest.first() {
        Some(b'.' | b'{' | b'e' | b'E') => true,
        Some(b',') if reading == CommaReading::Decimal => true,
        Some(b',' | b'\\' | b' ' | b'~' | b'\'') => {
            separator(rest).is_some_and(|(_, separator)| digits_at(rest, separator) == 3)
        }
        _ => false,
    };
    if goes_on || !(1..=18).contains(&length) {
        return None;
    }
    let digits = text.get(..length)?;
    let value: i64 = digits.parse().ok()?;
    let number = Number { value: RBig::from(value), decimal: None };
    Some(Scanned { number, digits: Some(digits.into()), length, ambiguous: false })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Separator {
    Comma,
    LatexComma,
    Space,
    Point,
    Apostrophe,
}

/// A thousands separator at the start of the bytes, and its length.
fn separator(bytes: &[u8]) -> Option<(Separator, usize)> {
    let spellings: [(&[u8], Separator); 14] = [
        (b"{,}", Separator::LatexComma),
        (b",\\!\\ ", Separator::LatexComma),
        (b",\\! ", Separator::LatexComma),
        (b",\\!", Separator::LatexComma),
        (b"\\,", Separator::Space),
        (b"\\;", Separator::Space),
        (b"\\:", Separator::Space),
        (b"\\!", Separator::Space),
        (b"~", Separator::Space),
        (b"\\ ", Separator::Space),
        (b" ", Separator::Space),
        (b",", Separator::Comma),
        (b".", Separator::Point),
        (b"'", Separator::Apostrophe),
    ];
    spellings
        .into_iter()
        .find(|(spelling, _)| bytes.starts_with(spelling))
        .map(|(spelling, kind)| (kind, spelling.len()))
}

/// Whether points group thousands here: two groups at least, or a decimal comma after one.
fn points_group(bytes: &[u8], position: usize) -> bool {
    let mut at = position;
    let mut groups = 0;
    while bytes.get(at) == Some(&b'.') && digits_at(bytes, at + 1) == 3 {
        groups += 1;
        at += 4;
    }
    // the caller comes back for every group: an earlier one counts too
    let earlier = position >= 4 && bytes.get(position - 4) == Some(&b'.');
    groups >= 2
        || (groups == 1 && earlier)
        || (groups == 1 && bytes.get(at) == Some(&b',') && (1..=2).contains(&digits_at(bytes, at + 1)))
}

/// A comma that can only be a decimal one: braced, or after grouping points.
fn decimal_comma(bytes: &[u8], position: usize, grouped: bool, reading: CommaReading) -> bool {
    let rest = bytes.get(position..).unwrap_or(&[]);
    if rest.starts_with(b"{,}") {
        return digits_at(bytes, position + 3) > 0;
    }
    if reading == CommaReading::Decimal {
        return rest.starts_with(b",") && digits_at(bytes, position + 1) > 0;
    }
    grouped
        && rest.starts_with(b",")
        && position >= 4
        && bytes.get(position - 4) == Some(&b'.')
        && (1..=2).contains(&digits_at(bytes, position + 1))
}

fn digits_at(bytes: &[u8], position: usize) -> usize {
    bytes.get(position..).unwrap_or(&[]).iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// `0.1666\\ldots`: digits that repeat at the end and go on; nothing if they do not show how.
fn continued_digits(fraction: &str, text: &str, position: usize) -> Option<(String, usize)> {
    const LONGEST_BLOCK: usize = 6;
    let rest = text.get(position..)?;
    let spelling =
        ["\\ldots", "\\dots", "\\cdots", "..."].into_iter().find(|spelling| rest.starts_with(spelling))?;
    let block = (1..=LONGEST_BLOCK).find(|length| {
        let repeats = if *length == 1 { 3 } else { 2 };
        let block = fraction.get(fraction.len().saturating_sub(*length)..).unwrap_or("");
        block.len() == *length && fraction.ends_with(&block.repeat(repeats))
    })?;
    Some((fraction.get(fraction.len() - block..)?.to_owned(), position + spelling.len()))
}

/// `\overline{12}`, `\bar{3}`, `\dot{3}`, `(3)` after the fraction's digits.
fn repeating_digits(text: &str, position: usize) -> Option<(String, usize)> {
    let rest = text.get(position..)?;
    if let Some((digits, length)) = dotted_digits(rest) {
        return Some((digits, position + length));
    }
    for (opening, closing) in [("\\overline{", "}"), ("\\overline", ""), ("\\bar{", "}"), ("(", ")")] {
        let Some(tail) = rest.strip_prefix(opening) else { continue };
        let tail_trimmed = tail.trim_start();
        let length = digits_at(tail_trimmed.as_bytes(), 0);
        let length = if closing.is_empty() { length.min(1) } else { length };
        if length == 0 || !tail_trimmed.get(length..)?.starts_with(closing) {
            continue;
        }
        // a bracket after a whole number of digits is a product unless a point came first
        if opening == "(" && !text.get(..position)?.contains('.') {
            return None;
        }
        let end = position + opening.len() + (tail.len() - tail_trimmed.len()) + length + closing.len();
        return Some((tail_trimmed.get(..length)?.to_owned(), end));
    }
    None
}

/// `\dot3`, `\dot{1}4285\dot{7}`: the digits of a block between its dots, and what it takes of the text.
fn dotted_digits(text: &str) -> Option<(String, usize)> {
    let dotted = |text: &str| {
        let rest = text.strip_prefix("\\dot")?.trim_start();
        let (braced, rest) = rest.strip_prefix('{').map_or((false, rest), |inner| (true, inner));
        let digit = rest.chars().next().filter(char::is_ascii_digit)?;
        let rest = rest.get(1..)?;
        let rest = if braced { rest.strip_prefix('}')? } else { rest };
        Some((digit, text.len() - rest.len()))
    };
    let (first, length) = dotted(text)?;
    let mut digits = String::from(first);
    let between = digits_at(text.as_bytes(), length);
    if let Some((last, end)) = text.get(length + between..).and_then(dotted) {
        digits.push_str(text.get(length..length + between)?);
        digits.push(last);
        return Some((digits, length + between + end));
    }
    Some((digits, length))
}

/// `e5`, `E-5`, `e+05` directly after digits.
fn exponent_at(bytes: &[u8], position: usize) -> (i32, usize) {
    if !matches!(bytes.get(position), Some(b'e' | b'E')) || position == 0 {
        return (0, 0);
    }
    let (sign, skipped) = match bytes.get(position + 1) {
        Some(b'-') => (-1, 1),
        Some(b'+') => (1, 1),
        _ => (1, 0),
    };
    let start = position + 1 + skipped;
    let length = digits_at(bytes, start);
    if length == 0 {
        return (0, 0);
    }
    let value = bytes
        .get(start..start + length)
        .unwrap_or(&[])
        .iter()
        .fold(0_i32, |value, digit| value.saturating_mul(10).saturating_add(i32::from(digit - b'0')));
    (sign * value, 1 + skipped + length)
}

fn build(
    whole: &str,
    fraction: &str,
    repeating: &str,
    exponent: i32,
    decimal: bool,
) -> Result<Number, BadNumeral> {
    if fraction.is_empty() && repeating.is_empty() && exponent == 0 && whole.len() <= 18 {
        let value: i64 = whole.parse().map_err(|_| BadNumeral)?;
        return Ok(Number { value: RBig::from(value), decimal: None });
    }
    let digits = format!("0{whole}{fraction}");
    let integer = IBig::from_str(&digits).map_err(|_| BadNumeral)?;
    let places = fraction.len();
    let mut value = RBig::from_parts(integer, power_of_ten(places));
    if !repeating.is_empty() {
        // a block of n digits that repeats is block / (10^n - 1), shifted behind the fraction
        let block = UBig::from_str(repeating).map_err(|_| BadNumeral)?;
        let nines = power_of_ten(repeating.len()) - UBig::ONE;
        value += RBig::from_parts(IBig::from(block), nines * power_of_ten(places));
    }
    if exponent > 0 {
        value *= RBig::from(power_of_ten(exponent as usize));
    } else if exponent < 0 {
        value /= RBig::from(power_of_ten(exponent.unsigned_abs() as usize));
    }
    let significant = digits.trim_start_matches('0').len() as u32;
    let decimal = (decimal && repeating.is_empty())
        .then_some(Decimal { places: places as i32 - exponent, significant });
    Ok(Number { value, decimal })
}

/// Ten to a power that the digit limits keep small.
pub(crate) fn power_of_ten(exponent: usize) -> UBig {
    UBig::from(10_u8).pow(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> String {
        let scanned = scan(text, CommaReading::Thousands, true).unwrap();
        assert_eq!(scanned.length, text.len(), "{text} is read to its end");
        scanned.number.value.to_string()
    }

    #[test]
    fn separators_group_thousands() {
        for text in ["3024", "3,024", "3{,}024", "3\\,024", "3 024", "3,\\!024", "3024.0", "3.024e3"] {
            assert_eq!(value(text), "3024", "{text}");
        }
        assert_eq!(value("1.581.330"), "1581330");
        assert_eq!(value("1.234,5"), "2469/2");
        assert_eq!(value("3.024"), "378/125");
        assert_eq!(value("11,\\! 111,\\! 111,\\! 100"), "11111111100");
        assert_eq!(value("3{,}5"), "7/2");
    }

    #[test]
    fn repeating_decimals_are_exact() {
        assert_eq!(value("0.\\overline{3}"), "1/3");
        assert_eq!(value("0.1\\overline{6}"), "1/6");
        assert_eq!(value("0.(142857)"), "1/7");
        assert_eq!(value("0.\\dot3"), "1/3");
        assert_eq!(value("0.1\\dot{6}"), "1/6");
        assert_eq!(value("0.\\dot{1}4285\\dot7"), "1/7");
        assert_eq!(value("0.1666..."), "1/6");
    }

    #[test]
    fn long_numerals_are_refused() {
        assert!(scan(&"9".repeat(MAXIMUM_DIGITS + 1), CommaReading::List, true).is_err());
        assert!(scan("1e999999999999", CommaReading::List, true).is_err());
    }
}
