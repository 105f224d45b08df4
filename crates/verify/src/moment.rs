//! Times of day and dates.

use crate::compare::text;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// A time of day or a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    Time { hour: u32, minute: u32, second: u32, meridiem: Option<Meridiem> },
    Date { year: Option<u32>, month: u32, day: u32 },
}

/// Before or after noon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meridiem {
    Ante,
    Post,
}

impl Moment {
    /// Reads `12:00`, `1:05 p.m.`, `July 4, 2024`, `4 July`, `2024-07-04`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() > 60 {
            return None;
        }
        if (4..=24).contains(&text.len()) && !text.bytes().any(|byte| byte.is_ascii_digit()) {
            // most texts are told from these at a glance
            if !["noon", "mid"].iter().any(|word| has_ignoring_case(text, word)) {
                return None;
            }
            let meridiem = match text::words(text).as_str() {
                "noon" | "midday" => Meridiem::Post,
                "midnight" => Meridiem::Ante,
                _ => return None,
            };
            return Some(Self::Time { hour: 12, minute: 0, second: 0, meridiem: Some(meridiem) });
        }
        let (mut digit, mut colon, mut hyphen, mut sign, mut letters) = (false, false, false, false, 0);
        for byte in text.bytes() {
            match byte {
                b'0'..=b'9' => digit = true,
                b':' => colon = true,
                b'-' => hyphen = true,
                b'^' | b'_' | b'{' | b'/' => sign = true,
                byte => letters += usize::from(byte.is_ascii_alphabetic()),
            }
        }
        // without a colon it must be an hour of a half of the day, or a date: a month's name, or digits with hyphens,
        // but no formula
        let named = letters >= 3 || (letters == 2 && text.len() <= 16) || text.contains('年');
        let hyphenated = hyphen && text.len() >= "2024-07-04".len();
        if !digit || (!colon && (!(named || hyphenated) || (sign && !text.contains("\\text")))) {
            return None;
        }
        let words = text::words(text);
        let words = words.strip_prefix("the ").unwrap_or(&words);
        time(words).or_else(|| date(words))
    }

    /// Whether this may be a ratio as well: two numbers with a colon and nothing else.
    pub(crate) fn may_be_ratio(self) -> bool {
        matches!(self, Self::Time { meridiem: None, .. })
    }

    /// Whether an answer names this moment; what it leaves out is forgiven.
    pub(crate) fn is(self, answer: Self) -> bool {
        match (self, answer) {
            (
                Self::Time { hour, minute, second, meridiem },
                Self::Time { hour: other_hour, minute: other_minute, second: other_second, meridiem: other },
            ) => {
                let hours = match (meridiem, other) {
                    (None, None) => hour == other_hour,
                    (Some(_), Some(_)) => full(hour, meridiem) == full(other_hour, other),
                    // one side without a meridiem: the same number, or the full twenty-four-hour one
                    _ => hour == other_hour || full(hour, meridiem) == full(other_hour, other),
                };
                hours && minute == other_minute && second == other_second
            }
            (
                Self::Date { year, month, day },
                Self::Date { year: other, month: other_month, day: other_day },
            ) => {
                month == other_month
                    && day == other_day
                    && (year == other || other.is_none() || year.is_none())
            }
            _ => false,
        }
    }
}

fn has_ignoring_case(text: &str, word: &str) -> bool {
    text.as_bytes().windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}

fn full(hour: u32, meridiem: Option<Meridiem>) -> u32 {
    match meridiem {
        Some(Meridiem::Ante) => hour % 12,
        Some(Meridiem::Post) => hour % 12 + 12,
        None => hour,
    }
}

fn time(words: &str) -> Option<Moment> {
    let digits_end =
        words.find(|character: char| !character.is_ascii_digit() && character != ':').unwrap_or(words.len());
    let (clock, rest) = words.split_at_checked(digits_end)?;
    time_parts(clock, rest.trim())
}

fn time_parts(clock: &str, rest: &str) -> Option<Moment> {
    let mut parts = clock.split(':');
    let hour = parts.next()?;
    let minute = parts.next();
    let second = parts.next();
    // an hour alone has its half of the day with it
    let minute = match minute {
        Some(minute) => minute,
        None if matches!(rest.replace(['.', ' '], "").as_str(), "am" | "pm") => "00",
        None => return None,
    };
    if parts.next().is_some() || hour.is_empty() || hour.len() > 2 || minute.len() != 2 {
        return None;
    }
    if second.is_some_and(|second| second.len() != 2) {
        return None;
    }
    let meridiem = match rest.replace(['.', ' '], "").as_str() {
        "" => None,
        "am" => Some(Meridiem::Ante),
        "pm" => Some(Meridiem::Post),
        "noon" if hour == "12" => Some(Meridiem::Post),
        "midnight" if hour == "12" => Some(Meridiem::Ante),
        _ => return None,
    };
    let hour: u32 = hour.parse().ok()?;
    let minute: u32 = minute.parse().ok()?;
    let second: u32 = second.map_or(Some(0), |second| second.parse().ok())?;
    (hour < 25 && minute < 60 && second < 60).then_some(Moment::Time { hour, minute, second, meridiem })
}

fn date(words: &str) -> Option<Moment> {
    // `2024年7月4日`
    if let Some((year, rest)) = words.split_once('年')
        && let Some((month, day)) = rest.split_once('月')
    {
        let day = day.trim().trim_end_matches(['日', '号']).parse().ok()?;
        let (year, month) = (year.trim().parse().ok()?, month.trim().parse().ok()?);
        return ((1..=12).contains(&month) && (1..=31).contains(&day)).then_some(Moment::Date {
            year: Some(year),
            month,
            day,
        });
    }
    let parts: Vec<&str> = words
        .split(|character: char| character.is_whitespace() || matches!(character, ',' | '-'))
        .filter(|part| !part.is_empty() && !matches!(*part, "of" | "the"))
        .collect();
    let month = |part: &str| {
        let plain = part.trim_end_matches('.');
        MONTHS
            .iter()
            .position(|name| *name == plain || (plain.len() == 3 && name.starts_with(plain)))
            .map(|index| index as u32 + 1)
    };
    let number = |part: &str| -> Option<u32> {
        let plain = part.trim_end_matches(|character: char| character.is_ascii_alphabetic());
        let suffix = part.get(plain.len()..)?;
        matches!(suffix, "" | "st" | "nd" | "rd" | "th").then(|| plain.parse().ok())?
    };
    let (year, month, day) = match parts.as_slice() {
        [first, second] => match (month(first), month(second)) {
            (Some(month), None) => (None, month, number(second)?),
            (None, Some(month)) => (None, month, number(first)?),
            _ => return None,
        },
        [first, second, third] => match (month(first), month(second)) {
            (Some(month), None) => (Some(number(third)?), month, number(second)?),
            (None, Some(month)) => (Some(number(third)?), month, number(first)?),
            (None, None) if first.len() == 4 && second.len() == 2 && third.len() == 2 => {
                (Some(number(first)?), number(second)?, number(third)?)
            }
            _ => return None,
        },
        _ => return None,
    };
    ((1..=12).contains(&month) && (1..=31).contains(&day)).then_some(Moment::Date { year, month, day })
}

#[cfg(test)]
mod tests {
    use super::Moment;

    fn same(gold: &str, answer: &str) -> bool {
        Moment::parse(gold).unwrap().is(Moment::parse(answer).unwrap())
    }

    #[test]
    fn times_of_day() {
        assert!(same("12:00", "12:00"));
        assert!(same("1:05 \\text{ p.m.}", "1:05 PM"));
        assert!(same("1:05 PM", "13:05"));
        assert!(same("12:00 PM", "\\text{noon}"));
        assert!(!same("12:00 PM", "midnight"));
        assert!(!same("12:00", "1:00"));
        assert!(!same("1:05 PM", "1:05 AM"));
        assert!(Moment::parse("3:4").is_none());
    }

    #[test]
    fn dates() {
        assert!(same("July 4, 2024", "4 July 2024"));
        assert!(same("July 4, 2024", "2024-07-04"));
        assert!(same("\\text{July 4}", "July 4th"));
        assert!(!same("July 4", "July 5"));
        assert!(Moment::parse("3-4-5").is_none());
    }
}
