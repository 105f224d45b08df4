//! Options of a multiple-choice question, as the hub's data sets keep them beside the statement.
//!
//! | layout | options | the right one |
//! |---|---|---|
//! | MMLU | `choices`: list | `answer`: place, counted from 0 |
//! | MMLU-Pro | `options`: list | `answer`: letter; `answer_index`: place, from 0 |
//! | ARC, `CommonsenseQA`, `OpenBookQA` | `choices`: `text` and `label` lists | `answerKey`: label |
//! | `AQuA-RAT` | `options`: list of `A)...` | `correct`: letter |
//! | `MedMCQA` | `opa` to `opd` | `cop`: place, from 0 |
//! | GPQA, `SciQ` | the right one and the wrong ones in fields of their own | |
//!
//! They become part of the statement, and the gold answer is a letter. A place counted from nobody knows where is
//! refused: a file tells by a 0, or by a place as high as the number of options.

use serde_json::Value;

use super::fields::{FieldProblem, Fields, kind, shown};

const LISTS: [&str; 4] = ["choices", "options", "answer_choices", "candidates"];
const RIGHT: [&str; 6] = ["answer", "answerkey", "correct", "gold", "answer_key", "correct_option"];
const PLACES_FROM_0: [&str; 2] = ["answer_index", "cop"];
const MEDICAL: [&str; 4] = ["opa", "opb", "opc", "opd"];
const MAX_OPTIONS: usize = 26;

/// From where a file counts its options.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counting {
    from_0: bool,
    from_1: bool,
}

/// A question with its options in the statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) statement: String,
    /// The letter of the right option.
    pub(super) gold: String,
}

struct Options {
    /// The field that they stand in, as it is spelt.
    field: String,
    texts: Vec<String>,
    /// What they are called, where the line says so.
    labels: Option<Vec<String>>,
}

impl Counting {
    /// Looks at one more line of the file.
    pub(super) fn look_at(&mut self, fields: &Fields) {
        let Some(count) = fields.first(&LISTS).and_then(|(_, value)| value.as_array()).map(Vec::len) else {
            return;
        };
        let Some(place) = fields.first(&RIGHT).and_then(|(_, value)| place(value)) else { return };
        self.from_0 |= place == 0;
        self.from_1 |= place == count as u64;
    }
}

/// The question that a line makes of its statement and its options; `None` of a line without options.
pub(super) fn question(
    fields: &Fields,
    statement: &str,
    counting: Counting,
) -> Result<Option<Question>, FieldProblem> {
    if let Some((right, wrong)) = right_and_wrong(fields)? {
        return Ok(Some(mixed(statement, &right, &wrong)));
    }
    let Some(options) = Options::read(fields)? else { return Ok(None) };
    let count = options.texts.len();
    if !(2..=MAX_OPTIONS).contains(&count) {
        let reason = format!("has {count} options");
        return Err(FieldProblem::new(&options.field, reason, format!("write 2 to {MAX_OPTIONS}")));
    }
    let right = options.right(fields, counting)?;
    let gold = letter(right).to_string();
    Ok(Some(Question { statement: with_options(statement, &options.texts), gold }))
}

impl Options {
    fn read(fields: &Fields) -> Result<Option<Self>, FieldProblem> {
        if let Some((_, first)) = fields.get(MEDICAL[0]) {
            let rest = MEDICAL.iter().map(|name| fields.get(name).and_then(|(_, value)| value.as_str()));
            let texts: Option<Vec<String>> = rest.map(|text| text.map(str::to_owned)).collect();
            let wrong = || {
                FieldProblem::new(
                    MEDICAL[0],
                    format!("is {}, or not all are there", kind(first)),
                    "write `opa` to `opd` as text",
                )
            };
            return Ok(Some(Self {
                field: MEDICAL[0].to_owned(),
                texts: texts.ok_or_else(wrong)?,
                labels: None,
            }));
        }
        let Some((field, value)) = fields.first(&LISTS) else { return Ok(None) };
        let wrong = |reason: &str| {
            FieldProblem::new(field, reason, "write a list of texts, or `text` and `label` lists")
        };
        let list = |value: &Value| -> Option<Vec<String>> { value.as_array()?.iter().map(text).collect() };
        let (texts, labels) = match value {
            Value::Array(items) if items.iter().all(Value::is_object) => {
                let of = |name: &str| {
                    items.iter().map(|item| item.get(name).and_then(text)).collect::<Option<Vec<_>>>()
                };
                (of("text"), of("label"))
            }
            Value::Array(_) => (list(value), None),
            Value::Object(map) if map.contains_key("text") => {
                (map.get("text").and_then(list), map.get("label").and_then(list))
            }
            // {"A": "...", "B": "..."}
            Value::Object(map) => (map.values().map(text).collect(), Some(map.keys().cloned().collect())),
            _ => (None, None),
        };
        let texts = texts.ok_or_else(|| wrong("is no list of texts"))?;
        if labels.as_ref().is_some_and(|labels| labels.len() != texts.len()) {
            return Err(wrong("has more texts than labels, or fewer"));
        }
        Ok(Some(Self {
            field: field.to_owned(),
            texts: texts.iter().map(|text| bare(text)).collect(),
            labels,
        }))
    }

    /// Which option is right.
    fn right(&self, fields: &Fields, counting: Counting) -> Result<usize, FieldProblem> {
        let by_place = fields.first(&PLACES_FROM_0);
        if let Some((name, value)) = by_place {
            let place = place(value).and_then(|place| usize::try_from(place).ok());
            let place = place.filter(|place| *place < self.texts.len());
            let right = place.ok_or_else(|| self.no_option(name, value))?;
            // where both stand on the line they must say the same
            if let Some((name, value)) = fields.first(&RIGHT)
                && self.named(value).is_some_and(|named| named != right)
            {
                return Err(FieldProblem::new(
                    name,
                    format!("is {}, and the option by its place is another one", shown(&value.to_string())),
                    "leave one of them out",
                ));
            }
            return Ok(right);
        }
        let Some((name, value)) = fields.first(&RIGHT) else {
            return Err(fields.missing(&["answer", "answer_index", "answerKey"], "which option is right"));
        };
        if let Some(named) = self.named(value) {
            return Ok(named);
        }
        let Some(place) = place(value) else { return Err(self.no_option(name, value)) };
        let from = match (counting.from_0, counting.from_1) {
            (true, false) => 0,
            (false, true) => 1,
            _ => {
                let reason = format!(
                    "is {place}, and the file does not tell whether options are counted from 0 or from 1"
                );
                return Err(FieldProblem::new(name, reason, "write the option's letter"));
            }
        };
        let right = place.checked_sub(from).and_then(|place| usize::try_from(place).ok());
        right.filter(|place| *place < self.texts.len()).ok_or_else(|| self.no_option(name, value))
    }

    /// The option that a value names by its label, its letter or its text, if it names one alone.
    fn named(&self, value: &Value) -> Option<usize> {
        let value = value.as_str()?.trim();
        let by_label = self.labels.as_ref().and_then(|labels| labels.iter().position(|label| label == value));
        let inner = value.trim_start_matches('(').trim_end_matches([')', '.', ':']);
        let mut characters = inner.chars();
        let by_letter = match (characters.next(), characters.next()) {
            (Some(only), None) => {
                (0..self.texts.len()).find(|place| letter(*place) == only.to_ascii_uppercase())
            }
            _ => None,
        };
        let by_letter = if self.labels.is_some() { by_label } else { by_letter };
        let by_text = self.texts.iter().position(|text| text == value);
        match (by_letter, by_text) {
            (Some(one), Some(other)) if one != other => None,
            (found, other) => found.or(other),
        }
    }

    fn no_option(&self, name: &str, value: &Value) -> FieldProblem {
        let count = self.texts.len();
        let reason = format!("is {}, none of the {count} options alone", shown(&value.to_string()));
        FieldProblem::new(
            name,
            reason,
            format!("write a letter from A to {}", letter(count.saturating_sub(1))),
        )
    }
}

/// Fields of the right option and of each wrong one.
fn right_and_wrong(fields: &Fields) -> Result<Option<(String, Vec<String>)>, FieldProblem> {
    const NUMBERED: [&str; 3] = ["incorrect_answer_1", "incorrect_answer_2", "incorrect_answer_3"];
    const DISTRACTORS: [&str; 3] = ["distractor1", "distractor2", "distractor3"];
    let wrong: Vec<_> = NUMBERED.iter().chain(&DISTRACTORS).filter_map(|name| fields.get(name)).collect();
    if wrong.is_empty() {
        return Ok(None);
    }
    let Some((name, right)) = fields.get("correct_answer") else {
        return Err(fields.missing(&["correct_answer"], "the right one of the options"));
    };
    let named = |name: &str, value: &Value| {
        text(value).ok_or_else(|| FieldProblem::new(name, format!("is {}", kind(value)), "write text"))
    };
    let right = named(name, right)?;
    let wrong = wrong.into_iter().map(|(name, value)| named(name, value)).collect::<Result<_, _>>()?;
    Ok(Some((right, wrong)))
}

/// The options in an order that the question fixes, so that the right one may stand anywhere.
fn mixed(statement: &str, right: &str, wrong: &[String]) -> Question {
    let right_one = bare(right);
    let mut options: Vec<String> =
        std::iter::once(right_one.clone()).chain(wrong.iter().map(|text| bare(text))).collect();
    options.sort_by_key(|option| *blake3::hash(format!("{statement}\u{0}{option}").as_bytes()).as_bytes());
    let place = options.iter().position(|option| *option == right_one).unwrap_or(0);
    Question { statement: with_options(statement, &options), gold: letter(place).to_string() }
}

/// The statement with its options behind it, unless it shows them all.
fn with_options(statement: &str, options: &[String]) -> String {
    if options.iter().all(|option| shows(statement, option)) {
        return statement.to_owned();
    }
    let lines: Vec<_> =
        options.iter().enumerate().map(|(place, option)| format!("{}. {option}", letter(place))).collect();
    format!("{}\n\n{}", statement.trim_end(), lines.join("\n"))
}

/// Whether a statement shows an option behind a mark: a letter or a number in brackets or before a point.
fn shows(statement: &str, option: &str) -> bool {
    let marks = [") ", ")", ". ", ".", ": ", "}", "① ", "② ", "③ ", "④ ", "⑤ "];
    marks.iter().any(|mark| statement.contains(&format!("{mark}{option}")))
}

/// An option without the letter that a data set wrote before it: `A)21`, `(B) 7`, `C. x`.
fn bare(option: &str) -> String {
    let trimmed = option.trim();
    let inner = trimmed.strip_prefix('(').unwrap_or(trimmed);
    let mut characters = inner.chars();
    let is_marked = characters.next().is_some_and(|letter| letter.is_ascii_uppercase())
        && characters.next().is_some_and(|mark| mark == ')' || (mark == '.' && inner.get(2..3) == Some(" ")));
    if is_marked { characters.as_str().trim().to_owned() } else { trimmed.to_owned() }
}

/// A place in a list, as a number or the text of one.
fn place(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The letter of a place.
fn letter(place: usize) -> char {
    u8::try_from(place).ok().filter(|place| *place < 26).map_or('?', |place| char::from(b'A' + place))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        let Value::Object(map) = value else { panic!("no object") };
        Fields::new(map)
    }

    fn read(value: Value) -> Result<Option<Question>, FieldProblem> {
        let fields = fields(value);
        question(&fields, "The capital?", Counting { from_0: true, from_1: false })
    }

    #[test]
    fn every_layout_gives_the_options_and_the_letter() {
        let names = ["London", "Rome", "Paris"];
        for value in [
            json!({"choices": names, "answer": 2}),
            json!({"options": names, "answer": "C", "answer_index": 2}),
            json!({"options": ["A)London", "B)Rome", "C)Paris"], "correct": "C"}),
            json!({"choices": {"text": names, "label": ["1", "2", "3"]}, "answerKey": "3"}),
            json!({"choices": [{"label": "A", "text": "London"}, {"label": "B", "text": "Rome"}, {"label": "C", "text": "Paris"}], "answerKey": "C"}),
            json!({"options": {"A": "London", "B": "Rome", "C": "Paris"}, "answer": "C"}),
            json!({"choices": names, "answer": "Paris"}),
        ] {
            let question =
                read(value.clone()).unwrap_or_else(|problem| panic!("{value}: {}", problem.at(1))).unwrap();
            assert_eq!(question.gold, "C", "{value}");
            assert_eq!(question.statement, "The capital?\n\nA. London\nB. Rome\nC. Paris", "{value}");
        }
        let medical = json!({"opa": "w", "opb": "x", "opc": "y", "opd": "z", "cop": 1});
        assert_eq!(read(medical).unwrap().unwrap().gold, "B");
        assert_eq!(read(json!({"answer": "7"})).unwrap(), None);
    }

    #[test]
    fn right_and_wrong_options_are_mixed_in_an_order_that_the_question_fixes() {
        let value =
            json!({"Correct Answer": "Paris", "Incorrect Answer 1": "Rome", "Incorrect Answer 2": "London"});
        let question = read(value.clone()).unwrap().unwrap();
        assert_eq!(read(value).unwrap().unwrap(), question);
        assert!(question.statement.contains(&format!("{}. Paris", question.gold)), "{question:?}");
        let mut letters = std::collections::BTreeSet::new();
        for number in 0..20 {
            let wrong = vec![format!("x{number}"), "y".to_owned(), "z".to_owned()];
            letters.insert(mixed(&number.to_string(), "right", &wrong).gold);
        }
        assert!(letters.len() > 2, "{letters:?}");
    }

    #[test]
    fn options_that_the_statement_shows_are_not_written_twice() {
        let line = fields(json!({"options": ["x", "y"], "answer": "A"}));
        let statement = "Which? (A) x (B) y";
        assert_eq!(question(&line, statement, Counting::default()).unwrap().unwrap().statement, statement);
    }

    #[test]
    fn what_names_no_option_alone_is_refused() {
        let counting = |lines: &[Value]| {
            let mut counting = Counting::default();
            for line in lines {
                counting.look_at(&fields(line.clone()));
            }
            counting
        };
        let line = json!({"choices": ["w", "x", "y"], "answer": 2});
        let by = |counting| question(&fields(line.clone()), "q", counting);
        assert!(by(Counting::default()).is_err(), "nobody knows from where it is counted");
        assert_eq!(
            by(counting(&[line.clone(), json!({"choices": ["w", "x"], "answer": 0})])).unwrap().unwrap().gold,
            "C"
        );
        assert_eq!(
            by(counting(&[line.clone(), json!({"choices": ["w", "x"], "answer": 2})])).unwrap().unwrap().gold,
            "B"
        );
        for value in [
            json!({"choices": ["w", "x"], "answer": 7}),
            json!({"choices": ["w", "x"], "answer": "Z"}),
            json!({"choices": ["B", "x"], "answer": "B"}),
            json!({"choices": ["w"], "answer": "A"}),
            json!({"choices": "w, x", "answer": "A"}),
            json!({"options": ["w", "x"], "answer": "A", "answer_index": 1}),
            json!({"choices": ["w", "x"]}),
        ] {
            assert!(read(value.clone()).is_err(), "{value}");
        }
    }
}
