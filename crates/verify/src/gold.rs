//! Golds: parsed once, compared with any answer.

use std::borrow::Cow;

use regex::{Regex, RegexBuilder};

use crate::choice::Choice;
use crate::compare;
use crate::expression::Expr;
use crate::fault::{self, GoldFault};
use crate::fuel::Fuel;
use crate::judge::{Detail, Judgement, contained};
use crate::lettered::{self, Lettered};
use crate::lexer::ReadError;
use crate::moment::Moment;
use crate::outcome::{Kind, Outcome};
use crate::reader;
use crate::scalar::{self, Sameness};
use crate::wrapping;

/// A bare answer is no longer than this many bytes.
const MAXIMUM_BARE_LENGTH: usize = 400;

/// One answer is not given more often than this.
const MAXIMUM_REPEATED: usize = 4;

/// A regular expression is no longer than this many bytes.
const MAXIMUM_PATTERN_LENGTH: usize = 4_096;

/// A compiled regular expression is no larger than this many bytes.
const MAXIMUM_REGEX_SIZE: usize = 1 << 16;

/// A regular expression is tried on answers of at most this many bytes.
const MAXIMUM_MATCHED_LENGTH: usize = 2_048;

/// A gold answer, parsed once and shared by all its judgements.
#[derive(Debug, Clone)]
pub struct Gold {
    kind: Kind,
    text: String,
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    Math { readings: Vec<Expr>, moment: Option<Moment> },
    Choice(Choice),
    Exact,
    Regex(Regex),
}

/// A gold that cannot be judged against.
#[derive(Debug, thiserror::Error)]
pub enum GoldError {
    /// The gold has no text.
    #[error("the gold answer is empty: give the answer that counts as correct")]
    Empty,
    /// An integer was announced.
    #[error("the gold answer `{0}` is no integer: use the kind `math` for other numbers")]
    NotInteger(String),
    /// Nothing that long is compared.
    #[error(
        "the gold answer has {length_bytes} bytes, more than the {limit_bytes} that are read: shorten it"
    )]
    TooLong {
        /// Its length.
        length_bytes: usize,
        /// The longest that is read.
        limit_bytes: usize,
    },
    /// The pattern does not compile.
    #[error("the gold answer is no valid regular expression: {}", last_line(.0))]
    Regex(#[from] Box<regex::Error>),
}

impl Gold {
    /// Parses a gold answer.
    ///
    /// # Errors
    ///
    /// [`GoldError`] if the text is empty, or does not fit its kind. Mathematics that is not understood is no
    /// error: such a gold is compared as text.
    pub fn parse(kind: Kind, text: &str) -> Result<Self, GoldError> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(GoldError::Empty);
        }
        let limit_bytes = match kind {
            Kind::Math | Kind::Integer | Kind::MultipleChoice => reader::MAXIMUM_LENGTH,
            Kind::Regex => MAXIMUM_PATTERN_LENGTH,
            Kind::Exact => usize::MAX,
        };
        if trimmed.len() > limit_bytes {
            return Err(GoldError::TooLong { length_bytes: trimmed.len(), limit_bytes });
        }
        let form = match kind {
            Kind::Math => math_form(&wrapping::unwrapped(trimmed)),
            Kind::Integer => {
                let readings = reader::read(&wrapping::unwrapped(trimmed)).unwrap_or_default();
                let mut fuel = Fuel::new();
                let reading = readings
                    .into_iter()
                    .find(|reading| scalar::rational(reading, &mut fuel).is_some_and(|value| value.is_int()))
                    .ok_or_else(|| GoldError::NotInteger(trimmed.chars().take(80).collect()))?;
                Form::Math { readings: vec![reading], moment: None }
            }
            Kind::MultipleChoice => Form::Choice(Choice::gold(trimmed)),
            Kind::Exact => Form::Exact,
            Kind::Regex => Form::Regex(
                RegexBuilder::new(&format!("^(?:{trimmed})$"))
                    .size_limit(MAXIMUM_REGEX_SIZE)
                    .build()
                    .map_err(Box::new)?,
            ),
        };
        Ok(Self { kind, text: trimmed.to_owned(), form })
    }

    /// The kind of answer that is wanted.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The gold as it was given, trimmed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it was to be mathematics, could not be read as such, and is compared as text.
    ///
    /// ```
    /// use still_verify::{Gold, Kind};
    ///
    /// assert!(Gold::parse(Kind::Math, "$5.00 per person")?.is_text());
    /// assert!(!Gold::parse(Kind::Math, "$5.00")?.is_text());
    /// # Ok::<(), still_verify::GoldError>(())
    /// ```
    pub fn is_text(&self) -> bool {
        matches!(&self.form, Form::Math { readings, moment: None } if readings.is_empty())
    }

    /// Why no answer can be judged against this gold, if none can.
    ///
    /// ```
    /// use still_verify::{Gold, GoldFault, Kind};
    ///
    /// assert_eq!(Gold::parse(Kind::Math, "1 = 2")?.fault(), Some(GoldFault::Contradictory));
    /// assert_eq!(Gold::parse(Kind::Math, r"\frac{1}{")?.fault(), Some(GoldFault::Unreadable));
    /// assert_eq!(Gold::parse(Kind::Math, r"\frac{1}{2}")?.fault(), None);
    /// # Ok::<(), still_verify::GoldError>(())
    /// ```
    pub fn fault(&self) -> Option<GoldFault> {
        let Form::Math { readings, moment: None } = &self.form else { return None };
        if readings.is_empty() {
            return fault::is_mathematical(&self.text).then_some(GoldFault::Unreadable);
        }
        if readings.iter().all(fault::contradicts) {
            return Some(GoldFault::Contradictory);
        }
        let itself = contained(|| Judgement {
            outcome: self.compare(&self.text, None).0,
            extracted: None,
            rule: None,
            detail: None,
        });
        (itself.outcome != Outcome::Correct).then_some(GoldFault::Incomparable)
    }

    /// Whether a whole solution may be taken for the answer; its readings are kept if that needed them.
    pub(crate) fn accepts_bare(&self, whole: &str, kept: &mut Option<Vec<Expr>>) -> bool {
        match &self.form {
            Form::Exact | Form::Regex(_) => true,
            Form::Choice(_) => whole.len() <= MAXIMUM_BARE_LENGTH && Choice::parse(whole).is_some(),
            Form::Math { readings, moment } => {
                let textual =
                    readings.is_empty() || readings.iter().any(|reading| matches!(reading, Expr::Word(_)));
                // a sentence with a formula in it is no text answer, unless the gold is such a one
                let textual =
                    textual && (!whole.contains('$') || self.text.contains('$') || whole.starts_with('$'));
                whole.len() <= MAXIMUM_BARE_LENGTH
                    && ((textual && whole.len() <= 100 && !whole.contains('\n'))
                        || (moment.is_some() && Moment::parse(whole).is_some())
                        || reader::read(whole)
                            .is_ok_and(|readings| kept.insert(readings).iter().any(is_answer)))
            }
        }
    }

    /// Compares an answer that needs no extraction, with its readings if they are known.
    pub(crate) fn compare(&self, answer: &str, known: Option<Vec<Expr>>) -> (Outcome, Option<Detail>) {
        let answer = answer.trim();
        if answer.is_empty() {
            return (Outcome::NoAnswer, Some(Detail::EmptyAnswer));
        }
        let text = matches!(self.form, Form::Exact | Form::Regex(_));
        if answer.len() > reader::MAXIMUM_LENGTH && !text {
            return (Outcome::Malformed, Some(Detail::TooLarge));
        }
        match &self.form {
            Form::Exact => (wrong_unless(self.text == answer), None),
            Form::Regex(_) if answer.len() > MAXIMUM_MATCHED_LENGTH => {
                (Outcome::Malformed, Some(Detail::TooLarge))
            }
            Form::Regex(regex) => (wrong_unless(regex.is_match(answer)), None),
            Form::Choice(choice) => match choice.is(answer) {
                Some(same) => (wrong_unless(same), None),
                None => (Outcome::Malformed, Some(Detail::NotUnderstood)),
            },
            Form::Math { readings, moment } => self.compare_wrapped(readings, *moment, answer, known),
        }
    }

    /// Whether boxes that stand together give one answer several times, and it is the gold.
    pub(crate) fn is_every(&self, parts: &[Cow<'_, str>]) -> bool {
        let is_gold = |part: &Cow<'_, str>| self.compare(part, None).0 == Outcome::Correct;
        // `5 cm` and `5 m` are both the gold `5`, and contradict each other
        let agree = |pair: &[Cow<'_, str>]| match pair {
            [one, other] => {
                Self::parse(self.kind, one).is_ok_and(|one| one.compare(other, None).0 == Outcome::Correct)
                    || Self::parse(self.kind, other)
                        .is_ok_and(|other| other.compare(one, None).0 == Outcome::Correct)
            }
            _ => false,
        };
        (2..=MAXIMUM_REPEATED).contains(&parts.len())
            && parts.iter().all(is_gold)
            && parts.windows(2).all(agree)
    }

    /// Compares mathematics in whatever it is wrapped: styles, a letter before a value, text around symbols.
    fn compare_wrapped(
        &self,
        readings: &[Expr],
        moment: Option<Moment>,
        answer: &str,
        known: Option<Vec<Expr>>,
    ) -> (Outcome, Option<Detail>) {
        let plain = wrapping::unwrapped(answer);
        let known = known.filter(|_| plain == answer);
        let compared = self.compare_math(readings, moment, &plain, known);
        let is_same = match compared.0 {
            Outcome::Correct => !wrapping::is_denied(answer, &self.text),
            // nothing that is only a number has other readings
            _ if ![&*plain, &self.text]
                .iter()
                .any(|text| text.bytes().any(|byte| byte.is_ascii_alphabetic())) =>
            {
                return compared;
            }
            _ => {
                self.is_same_option(&plain)
                    || wrapping::is_same_typesetting(&self.text, answer)
                    || (compare::text::is_hyphenated(&self.text)
                        && compare::text::same_words(&self.text, answer))
            }
        };
        match (compared.0, is_same) {
            (Outcome::Correct, false) => (Outcome::Malformed, Some(Detail::NotUnderstood)),
            (_, true) => (Outcome::Correct, None),
            (_, false) => compared,
        }
    }

    /// Whether one of gold and answer gives an option's letter with its value, and the other agrees.
    fn is_same_option(&self, answer: &str) -> bool {
        if ![answer, &self.text].iter().any(|text| text.contains(lettered::is_letter)) {
            return false;
        }
        let equal = |gold: &str, answer: &str| {
            Self::parse(self.kind, gold).is_ok_and(|gold| match &gold.form {
                Form::Math { readings, moment } => {
                    gold.compare_math(readings, *moment, answer, None).0 == Outcome::Correct
                }
                _ => false,
            })
        };
        match (Lettered::parse(&self.text), Lettered::parse(answer)) {
            (Some(gold), Some(answer)) => gold.letter == answer.letter && equal(gold.value, answer.value),
            (None, Some(answer)) => match lettered::option(&self.text) {
                Some(letter) => letter == answer.letter,
                None => equal(&self.text, answer.value),
            },
            (Some(gold), None) => match lettered::option(answer) {
                Some(letter) => letter == gold.letter,
                None => equal(gold.value, answer),
            },
            (None, None) => {
                lettered::option(answer).is_some_and(|option| lettered::option(&self.text) == Some(option))
            }
        }
    }

    fn compare_math(
        &self,
        readings: &[Expr],
        moment: Option<Moment>,
        answer: &str,
        known: Option<Vec<Expr>>,
    ) -> (Outcome, Option<Detail>) {
        if let Some(moment) = moment {
            return match Moment::parse(answer) {
                Some(other) => (wrong_unless(moment.is(other)), None),
                // `7:32` may be a ratio: two times are compared as times, all else as what it is
                None if moment.may_be_ratio() => self.compare_math(readings, None, answer, known),
                None => (Outcome::Wrong, None),
            };
        }
        let textual = readings.iter().all(|reading| matches!(reading, Expr::Word(_)));
        if textual && compare::text::same_text(&self.text, answer) {
            return (Outcome::Correct, None);
        }
        let empty = |reading: &Expr| matches!(reading, Expr::Set(items) if items.is_empty());
        let others = match known.map_or_else(|| reader::read(answer), Ok) {
            Ok(others) => others,
            Err(ReadError::TooLarge) => return (Outcome::Malformed, Some(Detail::TooLarge)),
            Err(ReadError::NotUnderstood) => return (Outcome::Malformed, Some(Detail::NotUnderstood)),
        };
        if (readings.iter().any(empty) && compare::text::means_nothing(answer))
            || (others.iter().any(empty) && compare::text::means_nothing(&self.text))
        {
            return (Outcome::Correct, None);
        }
        let mut fuel = Fuel::new();
        let mut undecided = false;
        for (index, reading) in readings.iter().enumerate() {
            for (other_index, other) in others.iter().enumerate() {
                let sameness = match (index, other_index) {
                    (0, 0) => compare::same(reading, other, &mut fuel),
                    // `600,735` may list two numbers, in this order, and where both sides could they are numbers
                    _ if readings.len() == others.len() => continue,
                    _ => compare::same_in_order(reading, other, &mut fuel),
                };
                match sameness {
                    Sameness::Equal => return (Outcome::Correct, None),
                    Sameness::Undecided => undecided = true,
                    Sameness::Different => {}
                }
            }
        }
        // no list of two numbers agrees with a fraction by its digits: `0,75`
        let fraction = |reading: &&Expr| {
            reading.is_scalar() && scalar::rational(reading, &mut fuel).is_some_and(|value| !value.is_int())
        };
        if answer.contains(',')
            && let Some(gold) = readings.iter().find(fraction)
            && let Some(answer) = reader::read_decimal_comma(answer)
            && compare::same(gold, &answer, &mut fuel) == Sameness::Equal
        {
            return (Outcome::Correct, None);
        }
        if undecided { (Outcome::Timeout, Some(Detail::Undecided)) } else { (Outcome::Wrong, None) }
    }
}

/// Whether a reading of a whole solution is an answer and no prose: words stand alone or name a quantity.
fn is_answer(reading: &Expr) -> bool {
    let word = |expr: &Expr| matches!(expr, Expr::Word(_));
    let wordless = |expr: &Expr| !expr.any(&word);
    match reading {
        Expr::Word(_) => true,
        Expr::List(items, _) => items.iter().all(word) || items.iter().all(wordless),
        Expr::Chain(first, rest) => {
            let named =
                matches!(&**first, Expr::Word(name) if name.split(' ').count() <= 3) || wordless(first);
            named && rest.iter().all(|(_, side)| wordless(side))
        }
        other => wordless(other),
    }
}

fn math_form(text: &str) -> Form {
    let moment = Moment::parse(text);
    Form::Math { readings: reader::read(text).unwrap_or_default(), moment }
}

/// What a pattern's error says, without the pattern itself.
fn last_line(error: &regex::Error) -> String {
    let whole = error.to_string();
    let last = whole.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").trim_end_matches('.').to_owned()
}

fn wrong_unless(correct: bool) -> Outcome {
    if correct { Outcome::Correct } else { Outcome::Wrong }
}
