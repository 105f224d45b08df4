//! Python's `%` behind a text: `"%s: %5.1f" % (name, share)`, `"%(name)r" % {"name": 1}`.

use std::{iter::Peekable, str::Chars};

use minijinja::{Error, ErrorKind, Value, formatting::FormatStyle, value::ValueKind};

use super::{jinja2, python_value};

/// The text with the values in its places: those of a tuple in order, those of a mapping by name, or a single one.
///
/// # Errors
/// Where Python raises: too few values or too many, a number that is none, a conversion that does not exist.
pub(super) fn printed(format: &str, values: &Value) -> Result<String, Error> {
    let mut arguments = Arguments::new(values);
    let mut output = String::new();
    let mut rest = format.chars().peekable();
    while let Some(character) = rest.next() {
        if character != '%' {
            output.push(character);
            continue;
        }
        if rest.next_if_eq(&'%').is_some() {
            output.push('%');
            continue;
        }
        let place = Place::read(&mut rest, &mut arguments)?;
        output.push_str(&place.filled(&arguments.next()?)?);
    }
    arguments.check_end()?;
    Ok(output)
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

/// What stands to the right of the `%`.
struct Arguments<'a> {
    given: &'a Value,
    /// What is still to be taken, the next one last.
    left: Vec<Value>,
}

impl<'a> Arguments<'a> {
    fn new(given: &'a Value) -> Self {
        let mut left = if given.is_tuple() { python_value::items(given) } else { vec![given.clone()] };
        left.reverse();
        Self { given, left }
    }

    fn next(&mut self) -> Result<Value, Error> {
        self.left.pop().ok_or_else(|| refused("not enough arguments for format string"))
    }

    /// The next value is that of a name.
    fn look_up(&mut self, name: &str) -> Result<(), Error> {
        if self.given.kind() != ValueKind::Map {
            return Err(refused("format requires a mapping"));
        }
        let key = Value::from(name);
        if !python_value::items(self.given).contains(&key) {
            return Err(refused(format!("`{name}` is not in the mapping")));
        }
        self.left = vec![self.given.get_item(&key)?];
        Ok(())
    }

    fn check_end(&self) -> Result<(), Error> {
        // of what has items Python does not ask that it be used
        let may_be_left = !self.given.is_tuple()
            && (matches!(self.given.kind(), ValueKind::Map | ValueKind::Undefined)
                || python_value::is_list(self.given));
        if self.left.is_empty() || may_be_left {
            return Ok(());
        }
        Err(refused("not all arguments converted during string formatting"))
    }
}

/// One `%` of the text, up to and with the letter of its conversion.
#[derive(Default)]
struct Place {
    /// Those of `-+ #0` that stand there.
    flags: String,
    width: usize,
    precision: Option<usize>,
    conversion: char,
}

impl Place {
    fn read(rest: &mut Peekable<Chars<'_>>, arguments: &mut Arguments<'_>) -> Result<Self, Error> {
        let mut place = Self::default();
        if rest.next_if_eq(&'(').is_some() {
            arguments.look_up(&name(rest)?)?;
        }
        while let Some(flag) = rest.next_if(|one| "-+ #0".contains(*one)) {
            place.flags.push(flag);
        }
        if let Some(width) = count(rest, arguments)? {
            if width < 0 {
                place.flags.push('-');
            }
            place.width = checked(width.unsigned_abs())?;
        }
        if rest.next_if_eq(&'.').is_some() {
            let precision = count(rest, arguments)?.unwrap_or(0);
            place.precision = Some(checked(u64::try_from(precision).unwrap_or(0))?);
        }
        rest.next_if(|one| "hlL".contains(*one));
        place.conversion = rest.next().ok_or_else(|| refused("incomplete format"))?;
        Ok(place)
    }

    fn filled(&self, value: &Value) -> Result<String, Error> {
        match self.conversion {
            's' => Ok(self.text(&python_value::text(value))),
            'r' => Ok(self.text(&python_value::repr(value))),
            'a' => Ok(self.text(&python_value::ascii(value))),
            'c' => self.character(value),
            'd' | 'i' | 'u' | 'o' | 'x' | 'X' => self.whole(value),
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' => self.real(value),
            other => Err(refused(format!("unsupported format character `{other}`"))),
        }
    }

    fn text(&self, text: &str) -> String {
        match self.precision {
            Some(most) => self.padded("", &text.chars().take(most).collect::<String>(), ' '),
            None => self.padded("", text, ' '),
        }
    }

    fn character(&self, value: &Value) -> Result<String, Error> {
        let of_text = value.as_str().and_then(|text| {
            let mut characters = text.chars();
            characters.next().filter(|_| characters.next().is_none())
        });
        let character = of_text.or_else(|| char::from_u32(u32::try_from(value.clone()).ok()?));
        let character = character.ok_or_else(|| refused("%c requires int or char"))?;
        Ok(self.padded("", &character.to_string(), ' '))
    }

    /// A whole number, or what is whole of a real one where digits are decimal.
    fn whole(&self, value: &Value) -> Result<String, Error> {
        let is_decimal = "diu".contains(self.conversion);
        let (is_negative, digits) = match magnitude(value) {
            Some((is_negative, magnitude)) => (is_negative, self.digits(magnitude)),
            None if is_decimal => {
                let real = real(value, self.conversion)?;
                if !real.is_finite() {
                    return Err(refused("a number that is not finite has no whole part"));
                }
                (real <= -1.0, format!("{:.0}", real.trunc().abs()))
            }
            None => return Err(no_number(value, self.conversion)),
        };
        let zeros = self.precision.unwrap_or(0).saturating_sub(digits.len());
        let prefix = match self.conversion {
            'o' if self.flags.contains('#') => "0o",
            'x' if self.flags.contains('#') => "0x",
            'X' if self.flags.contains('#') => "0X",
            _ => "",
        };
        let digits = format!("{}{digits}", "0".repeat(zeros));
        Ok(self.padded(&format!("{}{prefix}", self.sign(is_negative)), &digits, self.filler()))
    }

    fn digits(&self, magnitude: u128) -> String {
        match self.conversion {
            'o' => format!("{magnitude:o}"),
            'x' => format!("{magnitude:x}"),
            'X' => format!("{magnitude:X}"),
            _ => magnitude.to_string(),
        }
    }

    fn real(&self, value: &Value) -> Result<String, Error> {
        let real = real(value, self.conversion)?;
        let alternate = if self.flags.contains('#') { "#" } else { "" };
        let format = format!("%{alternate}.{}{}", self.precision.unwrap_or(6), self.conversion);
        let digits = minijinja::formatting::format(FormatStyle::Printf, &format, &[real.abs().into()])?;
        let is_negative = real.is_sign_negative() && !real.is_nan();
        Ok(self.padded(self.sign(is_negative), &digits, self.filler()))
    }

    fn sign(&self, is_negative: bool) -> &'static str {
        match is_negative {
            true => "-",
            false if self.flags.contains('+') => "+",
            false if self.flags.contains(' ') => " ",
            false => "",
        }
    }

    fn filler(&self) -> char {
        if self.flags.contains('0') && !self.flags.contains('-') { '0' } else { ' ' }
    }

    /// Zeros go between the sign and the digits, blanks before or behind both.
    fn padded(&self, sign: &str, text: &str, filler: char) -> String {
        let missing = self.width.saturating_sub(sign.len() + text.chars().count());
        let filling = filler.to_string().repeat(missing);
        match (self.flags.contains('-'), filler) {
            (true, _) => format!("{sign}{text}{filling}"),
            (false, '0') => format!("{sign}{filling}{text}"),
            (false, _) => format!("{filling}{sign}{text}"),
        }
    }
}

/// The name up to its closing bracket; brackets may stand within.
fn name(rest: &mut Peekable<Chars<'_>>) -> Result<String, Error> {
    let (mut name, mut depth) = (String::new(), 0_usize);
    for character in rest.by_ref() {
        match character {
            ')' if depth == 0 => return Ok(name),
            ')' => depth -= 1,
            '(' => depth += 1,
            _ => {}
        }
        name.push(character);
    }
    Err(refused("incomplete format key"))
}

/// A width or a precision: digits, or `*` for the next value.
fn count(rest: &mut Peekable<Chars<'_>>, arguments: &mut Arguments<'_>) -> Result<Option<i64>, Error> {
    if rest.next_if_eq(&'*').is_some() {
        let value = arguments.next()?;
        let count = Some(&value).filter(|value| value.is_integer());
        let count = count.and_then(|count| i64::try_from(count.clone()).ok());
        return count.map(Some).ok_or_else(|| refused("* wants int"));
    }
    let mut digits = String::new();
    while let Some(digit) = rest.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    if digits.is_empty() {
        return Ok(None);
    }
    digits.parse().map(Some).map_err(|_| refused("width too big"))
}

fn checked(width: u64) -> Result<usize, Error> {
    jinja2::checked(usize::try_from(width).unwrap_or(usize::MAX))
}

/// The sign and the size of a whole number, which a truth value is.
fn magnitude(value: &Value) -> Option<(bool, u128)> {
    if value.kind() == ValueKind::Bool {
        return Some((false, u128::from(value.is_true())));
    }
    if !value.is_integer() {
        return None;
    }
    match i128::try_from(value.clone()) {
        Ok(whole) => Some((whole.is_negative(), whole.unsigned_abs())),
        Err(_) => u128::try_from(value.clone()).ok().map(|whole| (false, whole)),
    }
}

fn real(value: &Value, conversion: char) -> Result<f64, Error> {
    let number = match value.kind() {
        ValueKind::Bool => Some(f64::from(u8::from(value.is_true()))),
        ValueKind::Number => f64::try_from(value.clone()).ok(),
        _ => None,
    };
    number.ok_or_else(|| no_number(value, conversion))
}

fn no_number(value: &Value, conversion: char) -> Error {
    refused(format!("%{conversion} format: a number is required, not {}", value.kind()))
}
