//! Text answers: the same words, whatever their case, wrapping and final punctuation.

use dashu_ratio::RBig;

/// Names that mean there is nothing.
const NOTHING: [&str; 19] = [
    "no solution",
    "no solutions",
    "none",
    "no real solutions",
    "no real solution",
    "empty set",
    "there is no solution",
    "there are no solutions",
    "there are no real solutions",
    "no such solution",
    "the empty set",
    "无解",
    "無解",
    "解なし",
    "해가 없다",
    "aucune solution",
    "keine lösung",
    "sin solución",
    "нет решений",
];
/// Numbers as words.
const NUMBERS: [&str; 21] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
];

/// Tens as words, from twenty on.
const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
/// Parts as words, one and several of them.
const FRACTIONS: [(&str, &str, u8); 9] = [
    ("half", "halves", 2),
    ("third", "thirds", 3),
    ("quarter", "quarters", 4),
    ("fourth", "fourths", 4),
    ("fifth", "fifths", 5),
    ("sixth", "sixths", 6),
    ("seventh", "sevenths", 7),
    ("eighth", "eighths", 8),
    ("tenth", "tenths", 10),
];

/// The words of an answer: lower case, LaTeX wrappings, quotes and outer punctuation gone.
pub(crate) fn words(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if character == '\\' {
            let tail = rest.get(1..).unwrap_or("");
            let length = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
            let command = tail.get(..length).unwrap_or("");
            let wrapper = matches!(
                command,
                "text"
                    | "textbf"
                    | "textit"
                    | "textrm"
                    | "texttt"
                    | "mathrm"
                    | "mathbf"
                    | "mathit"
                    | "mathsf"
                    | "mbox"
                    | "hbox"
                    | "boxed"
                    | "operatorname"
                    | "displaystyle"
                    | "left"
                    | "right"
                    | "emph"
                    | "textsf"
                    | "textnormal"
                    | "quad"
                    | "qquad"
            );
            if wrapper {
                rest = tail.get(length..).unwrap_or("");
                plain.push(if matches!(command, "quad" | "qquad") { ' ' } else { '{' });
                continue;
            }
            if length == 0 {
                let skipped = tail.chars().next().map_or(0, char::len_utf8);
                match tail.chars().next() {
                    Some(',' | ';' | ':' | '!' | ' ' | '(' | ')' | '[' | ']') | None => plain.push(' '),
                    Some(kept) => plain.push(kept),
                }
                rest = tail.get(skipped..).unwrap_or("");
                continue;
            }
        }
        rest = rest.get(character.len_utf8()..).unwrap_or("");
        match character {
            '$' | '"' | '`' | '*' | '{' | '}' => plain.push('{'),
            '~' | '_' => plain.push(' '),
            other => plain.extend(other.to_lowercase()),
        }
    }
    // braces held the place of wrappings: they vanish without leaving a space
    let plain: String = plain.chars().filter(|character| *character != '{').collect();
    let joined = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    let trimmed = joined.trim_matches(|character: char| {
        character.is_whitespace() || matches!(character, '.' | ',' | ';' | ':' | '!' | '\'')
    });
    let unbracketed = trimmed
        .strip_prefix('(')
        .and_then(|inner| inner.strip_suffix(')'))
        .filter(|inner| !inner.contains(['(', ')']))
        .unwrap_or(trimmed);
    unbracketed.trim().to_owned()
}

/// Whether two answers are the same words.
pub(crate) fn same_words(gold: &str, answer: &str) -> bool {
    if are_letters_of_another_case(gold, answer) {
        return false;
    }
    let (gold, answer) = (words(gold), words(answer));
    !gold.is_empty()
        && (gold == answer
            || without_article(&gold) == without_article(&answer)
            || gold.replace('-', " ") == answer.replace('-', " ")
            || gold.replace('-', "") == answer.replace('-', "")
            || (is_nothing(&gold) && is_nothing(&answer))
            || (is_undefined(&gold) && is_undefined(&answer)))
}

/// Whether two or three letters are no word but a product or a name, and written in another case: `rN` is not `rn`. A word
/// has a vowel, and no capital behind a small letter.
fn are_letters_of_another_case(gold: &str, answer: &str) -> bool {
    let is_word = |run: &str| {
        let has_vowel = run.bytes().any(|letter| b"aeiouy".contains(&letter.to_ascii_lowercase()));
        let letters = run.as_bytes().windows(2);
        has_vowel
            && !letters.into_iter().any(|two| two[0].is_ascii_lowercase() && two[1].is_ascii_uppercase())
    };
    let (gold, answer) = (gold.trim_matches(['$', ' ']), answer.trim_matches(['$', ' ']));
    (2..=3).contains(&gold.len())
        && gold != answer
        && gold.eq_ignore_ascii_case(answer)
        && gold.bytes().all(|letter| letter.is_ascii_alphabetic())
        && !(is_word(gold) && is_word(answer))
}

/// Numbers from two to ten in other languages.
const FOREIGN: [(u8, &[&str]); 10] = [
    (1, &["eins", "один", "하나"]),
    (2, &["deux", "zwei", "dos", "due", "dois", "два", "둘"]),
    (3, &["trois", "drei", "tres", "tre", "três", "три", "셋"]),
    (4, &["quatre", "vier", "cuatro", "quattro", "quatro", "четыре", "넷"]),
    (5, &["cinq", "fünf", "cinco", "cinque", "пять", "다섯"]),
    (6, &["sechs", "seis", "sei", "шесть", "여섯"]),
    (7, &["sept", "sieben", "siete", "sette", "sete", "семь", "일곱"]),
    (8, &["huit", "acht", "ocho", "otto", "oito", "восемь", "여덟"]),
    (9, &["neuf", "neun", "nueve", "nove", "девять", "아홉"]),
    (10, &["dix", "zehn", "diez", "dieci", "dez", "десять", "열"]),
];

/// The number that words stand for: `twenty-one`, `one hundred and five`, `two thirds`, `a half`, `minus five`,
/// `three and a half`, `a dozen`, `fünf`, `十五`, `五分之三`.
pub(crate) fn number(words: &str) -> Option<RBig> {
    if words.len() > 120 {
        return None;
    }
    let lower = words.to_lowercase();
    if let Some(rest) = lower.strip_prefix("minus ").or_else(|| lower.strip_prefix("negative ")) {
        return number(rest).map(|value| -value);
    }
    if let Some(rest) = lower.strip_suffix(" and a half") {
        let parts: Vec<&str> = rest.split([' ', '-']).filter(|part| !part.is_empty()).collect();
        return whole(&parts).map(|value| RBig::from(value) + RBig::from_parts(1.into(), 2_u8.into()));
    }
    match lower.as_str() {
        "dozen" | "a dozen" => return Some(RBig::from(12)),
        "half a million" => return Some(RBig::from(500_000)),
        _ => {}
    }
    if let Some((value, _)) = FOREIGN.iter().find(|(_, spellings)| spellings.contains(&lower.as_str())) {
        return Some(RBig::from(*value));
    }
    if !lower.is_ascii() {
        return ideographic(&lower);
    }
    let mut parts: Vec<&str> =
        lower.split([' ', '-']).filter(|part| !part.is_empty() && *part != "and").collect();
    let last = parts.last()?;
    let denominator = FRACTIONS.iter().find(|(name, plural, _)| last == name || last == plural);
    if let Some((_, _, denominator)) = denominator
        && parts.len() > 1
    {
        parts.pop();
        let numerator = if matches!(parts.as_slice(), ["a" | "an"]) { 1 } else { whole(&parts)? };
        return Some(RBig::from_parts(numerator.into(), (*denominator).into()));
    }
    whole(&parts).map(RBig::from)
}

/// `十五`, `一百零五`, `五分之三`, below ten thousand.
fn ideographic(text: &str) -> Option<RBig> {
    if let Some((below, above)) = text.split_once("分之") {
        let below = ideographic_whole(below).filter(|below| *below > 0)?;
        return Some(RBig::from_parts(ideographic_whole(above)?.into(), below.into()));
    }
    if let Some(rest) = text.strip_prefix(['负', '負']) {
        return ideographic_whole(rest).map(|value| -RBig::from(value));
    }
    ideographic_whole(text).map(RBig::from)
}

fn ideographic_whole(text: &str) -> Option<u64> {
    const DIGITS: &str = "零一二三四五六七八九";
    let digit = |sign: char| DIGITS.chars().position(|known| known == sign).map(|digit| digit as u64);
    let (mut total, mut current, mut scale_before) = (0, None, 10_000);
    for sign in text.chars() {
        let scale = match sign {
            '十' => 10,
            '百' => 100,
            '千' => 1_000,
            '两' | '兩' if current.is_none() => {
                current = Some(2);
                continue;
            }
            // a place that is skipped
            '零' | '〇' if current.is_none() && total > 0 => continue,
            sign => {
                if current.is_some() {
                    return None;
                }
                current = Some(digit(sign)?);
                continue;
            }
        };
        if scale >= scale_before {
            return None;
        }
        let times = match current.take() {
            Some(times) if times > 0 => times,
            None if scale == 10 && total == 0 => 1,
            _ => return None,
        };
        total += times * scale;
        scale_before = scale;
    }
    (current.is_some() || total > 0).then(|| total + current.unwrap_or(0))
}

/// Whether a number in words goes on behind its `and`: `one hundred and twelve`, but not `two and three`.
pub(crate) fn goes_on(before: &str, next: &str) -> bool {
    let scaled = ["hundred", "thousand", "million", "billion"].iter().any(|scale| before.ends_with(scale));
    let part = NUMBERS.contains(&next) || TENS.contains(&next) || next == "one";
    scaled && part && number(before).is_some()
}

/// A whole number in words.
fn whole(parts: &[&str]) -> Option<i64> {
    let (mut total, mut current, mut last) = (0_i64, 0_i64, i64::MAX);
    for part in parts {
        let position = |words: &[&str]| words.iter().position(|known| known == part);
        if let Some(unit) = position(&NUMBERS) {
            let unit = i64::try_from(unit).ok()?;
            // after tens come units, after hundreds both
            if last < 100 && !(last >= 20 && (1..10).contains(&unit)) {
                return None;
            }
            current += unit;
            last = unit;
        } else if let Some(tens) = position(&TENS) {
            if last < 100 {
                return None;
            }
            let tens = 10 * (i64::try_from(tens).ok()? + 2);
            current += tens;
            last = tens;
        } else {
            let scale = match *part {
                "hundred" => 100,
                "thousand" => 1_000,
                "million" => 1_000_000,
                "billion" => 1_000_000_000,
                "a" if last == i64::MAX => {
                    current = 1;
                    continue;
                }
                _ => return None,
            };
            if current == 0 {
                return None;
            }
            if scale == 100 {
                current *= 100;
            } else {
                total += current * scale;
                current = 0;
            }
            last = i64::MAX - 1;
        }
    }
    (last != i64::MAX).then_some(total + current)
}

/// Whether the words say that there is nothing.
pub(crate) fn means_nothing(text: &str) -> bool {
    is_nothing(&words(text))
}

/// `no solution`, `there are no real solutions`, `no integer solutions exist`.
fn is_nothing(words: &str) -> bool {
    if NOTHING.contains(&words) {
        return true;
    }
    let words = ["there is ", "there are ", "there exist ", "there exists "]
        .iter()
        .find_map(|start| words.strip_prefix(start))
        .unwrap_or(words);
    let words = words.strip_suffix(" exist").or_else(|| words.strip_suffix(" exists")).unwrap_or(words);
    let Some(things) = words.strip_prefix("no ") else { return false };
    let things = ["real ", "such ", "valid ", "possible "]
        .iter()
        .find_map(|adjective| things.strip_prefix(adjective))
        .unwrap_or(things);
    matches!(things, "solution" | "solutions" | "answer" | "answers" | "value" | "values")
}

/// Whether the words say that a value does not exist.
fn is_undefined(words: &str) -> bool {
    matches!(
        words,
        "dne" | "does not exist" | "doesn't exist" | "it does not exist" | "the limit does not exist"
    )
}

fn without_article(words: &str) -> &str {
    ["the ", "a ", "an "].iter().find_map(|article| words.strip_prefix(article)).unwrap_or(words)
}

/// Whether a text is words with a hyphen between them, and no difference of two names.
pub(crate) fn is_hyphenated(text: &str) -> bool {
    text.contains('-')
        && words(text).split(['-', ' ']).all(|word| {
            word.len() > 2
                && word.chars().all(char::is_alphabetic)
                && crate::spelling::keyword(word).is_none()
        })
}

/// Words are compared without case; anything with signs in it, letter by letter.
pub(crate) fn same_text(gold: &str, answer: &str) -> bool {
    // `**Paris**` is bold, `z*` is a conjugate
    let is_marked = [gold, answer]
        .map(str::trim)
        .iter()
        .any(|text| text.contains('*') && !(text.starts_with('*') && text.ends_with('*')));
    let plain = words(gold).chars().all(|character| character.is_alphabetic() || " -.'".contains(character));
    if plain && !is_marked {
        return same_words(gold, answer);
    }
    dense(gold) == dense(answer)
}

/// A text without its dollar signs and spaces; a space between two digits stays, since `1 2` is not `12`.
pub(crate) fn dense(text: &str) -> String {
    let mut dense = String::with_capacity(text.len());
    let mut spaced = false;
    for character in text.chars().filter(|character| *character != '$') {
        if character.is_whitespace() {
            spaced = true;
            continue;
        }
        if spaced && character.is_numeric() && dense.ends_with(char::is_numeric) {
            dense.push(' ');
        }
        spaced = false;
        dense.push(character);
    }
    dense
}

#[cfg(test)]
mod tests {
    use super::same_words;

    #[test]
    fn wrapping_case_and_final_periods_do_not_matter() {
        for answer in
            ["evelyn", "\\text{Evelyn}", "Evelyn..", "$\\textbf{Evelyn}$", "\\mathrm{Evelyn}", "{Evelyn}"]
        {
            assert!(same_words("\\text{Evelyn}", answer), "{answer}");
        }
        assert!(!same_words("\\text{Evelyn}", "Carla"));
        assert!(same_words("an ellipse", "ellipse"));
        assert!(!same_words("\\text{even}", "not even"));
    }
}
