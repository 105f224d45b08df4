//! One problem with its gold answer.

use serde_json::{Map, Value};
use still_domain::{AnswerKind, Problem, ProblemId, Split};

use super::fields::{FieldProblem, first, hashed_name, kind, level, name, required_text};

/// Names of the statement.
const STATEMENT: [&str; 5] = ["problem", "question", "prompt", "input", "query"];
/// Names of the gold answer, the plainest first.
const GOLD: [&str; 8] = [
    "gold",
    "final_answer",
    "expected_answer",
    "ground_truth",
    "reference_answer",
    "answer",
    "target",
    "solution",
];
/// What precedes the answer at the end of a worked solution in the GSM8K layout.
const HASHES: &str = "####";

/// Reads a problem from the fields of a line.
pub(super) fn problem(
    fields: &Map<String, Value>,
    source: &str,
    split: Split,
    default_kind: AnswerKind,
) -> Result<Problem, FieldProblem> {
    let text = required_text(fields, &STATEMENT, "the problem's statement")?;
    let gold = gold(fields)?;
    let id = name(fields)?.unwrap_or_else(|| hashed_name("problem", &[text, &gold]));
    Ok(Problem {
        id: ProblemId::new(id),
        text: text.to_owned(),
        gold,
        kind: answer_kind(fields)?.unwrap_or(default_kind),
        level: level(fields),
        source: source.to_owned(),
        split,
    })
}

fn gold(fields: &Map<String, Value>) -> Result<String, FieldProblem> {
    let Some((field, value)) = first(fields, &GOLD) else {
        let reason = "the gold answer is missing";
        return Err(FieldProblem::new(
            "answer",
            reason,
            "add `answer`, or a `solution` that ends in \\boxed{...}",
        ));
    };
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Array(items) => joined(items).ok_or_else(|| {
            FieldProblem::new(field, "is a list of something else than texts", "write text")
        })?,
        other => {
            let reason = format!("is {}, not text or a number", kind(other));
            return Err(FieldProblem::new(field, reason, "write the answer as text"));
        }
    };
    let answer = if let Some((_, answer)) = text.rsplit_once(HASHES) {
        without_thousands(answer.trim())
    } else if let Some(boxed) = last_boxed(&text) {
        boxed.trim().to_owned()
    } else if field == "solution" {
        let remedy = "end the solution in \\boxed{...}, or add `answer`";
        return Err(FieldProblem::new(field, "holds no boxed answer", remedy));
    } else {
        text.trim().to_owned()
    };
    if answer.is_empty() {
        return Err(FieldProblem::new(field, "holds an empty answer", "fill it, or remove the line"));
    }
    Ok(answer)
}

fn joined(items: &[Value]) -> Option<String> {
    let texts: Option<Vec<String>> = items
        .iter()
        .map(|item| match item {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
        .collect();
    texts.map(|texts| texts.join(", "))
}

fn answer_kind(fields: &Map<String, Value>) -> Result<Option<AnswerKind>, FieldProblem> {
    let Some((field, value)) = first(fields, &["kind", "answer_kind"]) else { return Ok(None) };
    serde_json::from_value(value.clone()).map(Some).map_err(|_| {
        let remedy = "write math, integer, multiple_choice, exact or regex";
        FieldProblem::new(field, format!("{value} is no kind of answer"), remedy)
    })
}

/// `1,200` as `1200`; anything else stays as it is.
fn without_thousands(text: &str) -> String {
    let digits = text.trim_start_matches(['-', '+', '$']);
    let mut groups = digits.split(',');
    let is_first = |group: &str| (1..=3).contains(&group.len());
    let is_number = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit());
    let is_grouped = groups.next().is_some_and(|group| is_first(group) && is_number(group))
        && groups.all(|group| group.len() == 3 && is_number(group));
    if is_grouped { text.replace(',', "") } else { text.to_owned() }
}

/// What stands in the last balanced `\boxed{...}` or `\fbox{...}`.
fn last_boxed(text: &str) -> Option<&str> {
    let starts = text.match_indices("\\boxed{").chain(text.match_indices("\\fbox{"));
    let mut found: Vec<(usize, &str)> = starts
        .filter_map(|(start, tag)| {
            let from = start + tag.len();
            let mut depth = 1_usize;
            for (offset, byte) in text.get(from..)?.bytes().enumerate() {
                match byte {
                    b'{' => depth += 1,
                    b'}' => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    return Some((start, text.get(from..from + offset)?));
                }
            }
            None
        })
        .collect();
    found.sort_by_key(|(start, _)| *start);
    // a box inside a box is part of the outer one
    let (mut last, mut end) = (None, 0);
    for (start, content) in found {
        if start >= end {
            end = start + content.len();
            last = Some(content);
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<Problem, FieldProblem> {
        let Value::Object(fields) = value else { panic!("no object") };
        problem(&fields, "f.jsonl", Split::Explore, AnswerKind::Math)
    }

    #[test]
    fn the_gold_answer_is_found_in_every_layout() {
        for (value, gold) in [
            (json!({"problem": "p", "answer": " 7 "}), "7"),
            (json!({"question": "p", "answer": 7}), "7"),
            (json!({"question": "p", "answer": "It is <<1+1=2>>2.\n#### 1,200"}), "1200"),
            (json!({"question": "p", "answer": "so\n#### (1,200)"}), "(1,200)"),
            (json!({"prompt": "p", "gold": "\\frac{1}{2}", "answer": "worked"}), "\\frac{1}{2}"),
            (
                json!({"problem": "p", "solution": "first \\boxed{1}, then \\boxed{\\frac{3}{4}}."}),
                "\\frac{3}{4}",
            ),
            (json!({"problem": "p", "solution": "\\boxed{a \\boxed{b} c}"}), "a \\boxed{b} c"),
            (json!({"problem": "p", "answer": null, "solution": "\\boxed{5}"}), "5"),
            (json!({"problem": "p", "answer": ["1", 2]}), "1, 2"),
        ] {
            assert_eq!(read(value.clone()).unwrap().gold, gold, "{value}");
        }
    }

    #[test]
    fn name_level_and_kind_are_taken_where_they_are() {
        let problem = read(
            json!({"id": 3, "problem": "p", "answer": "B", "level": "Level 5", "kind": "multiple_choice"}),
        )
        .unwrap();
        assert_eq!((problem.id.as_str(), problem.level), ("3", Some(5)));
        assert_eq!(problem.kind, AnswerKind::MultipleChoice);
        let plain = || read(json!({"problem": "p", "answer": "7", "difficulty": {"digits": 2}})).unwrap();
        assert_eq!((plain().id, plain().level), (plain().id, None));
        assert_ne!(plain().id, read(json!({"problem": "q", "answer": "7"})).unwrap().id);
    }

    #[test]
    fn what_is_missing_or_misshapen_is_named_with_its_remedy() {
        for (value, field, part) in [
            (json!({"answer": "1"}), "problem", "`question`"),
            (json!({"problem": "p"}), "answer", "\\boxed"),
            (json!({"problem": "  ", "answer": "1"}), "problem", "fill it"),
            (json!({"problem": 5, "answer": "1"}), "problem", "in quotes"),
            (json!({"problem": "p", "answer": {"a": 1}}), "answer", "as text"),
            (json!({"problem": "p", "answer": "#### "}), "answer", "fill it"),
            (json!({"problem": "p", "solution": "it is 5"}), "solution", "add `answer`"),
            (json!({"problem": "p", "answer": "1", "kind": "sum"}), "kind", "multiple_choice"),
        ] {
            let problem = read(value).unwrap_err().at(4);
            assert_eq!((problem.line, problem.field.as_deref()), (4, Some(field)));
            assert!(problem.remedy.contains(part), "{problem}");
        }
    }
}
