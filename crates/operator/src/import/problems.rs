//! One problem with its gold answer.

use serde_json::{Map, Number, Value};
use still_domain::{AnswerKind, Problem, ProblemId, Split};
use still_sandbox::Suite;

use super::fields::{FieldProblem, first, hashed_name, kind, level, name, required_text, shown};

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
/// Fields of a line that are the tests of a program.
const TESTS: [&str; 5] = ["tests", "inputs", "outputs", "test_list", "test_setup_code"];
/// Fields that hold the tests of a program as an object, or as its text.
const TESTS_INSIDE: [&str; 4] = ["gold", "input_output", "answer", "target"];
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
    let kind = answer_kind(fields)?.unwrap_or(default_kind);
    let gold = if kind == AnswerKind::Code { tests(fields)? } else { gold(fields)? };
    let id = name(fields)?.unwrap_or_else(|| hashed_name("problem", &[text, &gold]));
    Ok(Problem {
        id: ProblemId::new(id),
        text: text.to_owned(),
        gold,
        kind,
        level: level(fields),
        source: source.to_owned(),
        split,
    })
}

/// Whether a number was whole and beyond what a 64-bit float, as which it was read, holds exactly: 2⁵³.
fn loses_digits(number: &Number) -> bool {
    let float = number.as_f64().filter(|_| number.is_f64());
    float.is_some_and(|float| float.fract() == 0.0 && float.abs() >= 9_007_199_254_740_992.0)
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
        Value::Number(number) if loses_digits(number) => {
            let reason = format!("was read as {number}, of which digits are lost");
            return Err(FieldProblem::new(field, reason, "write the answer as text"));
        }
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

/// The tests of a program as the text of one JSON object, read once to be sure of them.
fn tests(fields: &Map<String, Value>) -> Result<String, FieldProblem> {
    let own: Map<String, Value> = TESTS
        .iter()
        .filter_map(|field| Some(((*field).to_owned(), fields.get(*field)?.clone())))
        .filter(|(_, value)| !value.is_null())
        .collect();
    let (field, text) = match first(fields, &TESTS_INSIDE) {
        Some((field, Value::String(text))) if own.is_empty() => (field, text.trim().to_owned()),
        Some((field, value)) if own.is_empty() => (field, value.to_string()),
        _ => ("tests", Value::Object(own).to_string()),
    };
    match Suite::parse(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(FieldProblem::new(
            field,
            error.to_string(),
            "write `tests`: [{\"output\": {\"input\": ..., \"expected\": ...}}, {\"assertions\": ...}]",
        )),
    }
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
        let remedy = "write math, integer, multiple_choice, exact, regex or code";
        FieldProblem::new(field, format!("{} is no kind of answer", shown(&value.to_string())), remedy)
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
    fn a_gold_answer_whose_digits_json_readers_round_is_refused() {
        let of = |gold: &str| {
            read(serde_json::from_str(&format!(r#"{{"problem": "p", "gold": {gold}}}"#)).unwrap())
        };
        assert_eq!(of("18446744073709551615").unwrap().gold, "18446744073709551615");
        assert_eq!(of("2.50").unwrap().gold, "2.5");
        let problem = of("123456789012345678901234").unwrap_err().at(1);
        assert_eq!(
            (problem.field.as_deref(), problem.remedy.as_str()),
            (Some("gold"), "write the answer as text")
        );
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
    fn the_tests_of_a_program_are_found_in_every_layout() {
        let own = json!({"tests": [{"output": {"input": "#### 2", "expected": "\\boxed{4}"}}]});
        let listed = json!({"test_list": ["assert f(2) == 4"], "test_setup_code": "x = 1"});
        let mut lines = vec![(json!({"answer": own}), &own), (json!({"gold": own.to_string()}), &own)];
        lines.push((json!({"input_output": own.to_string(), "tests": null}), &own));
        lines.push((json!({"tests": own["tests"], "answer": "def f(n): ..."}), &own));
        let mut line = listed.clone();
        line["code"] = "def f(n): return n * n".into();
        lines.push((line, &listed));
        for (mut line, tests) in lines {
            line["problem"] = "p".into();
            line["kind"] = "code".into();
            let problem = read(line.clone()).unwrap();
            assert_eq!(problem.kind, AnswerKind::Code);
            assert_eq!(serde_json::from_str::<Value>(&problem.gold).unwrap(), *tests, "{line}");
        }
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
            (json!({"problem": "p", "answer": "1", "kind": "code"}), "answer", "assertions"),
            (json!({"problem": "p", "kind": "code"}), "tests", "assertions"),
            (json!({"problem": "p", "tests": ["assert f()"], "kind": "code"}), "tests", "assertions"),
        ] {
            let problem = read(value).unwrap_err().at(4);
            assert_eq!((problem.line, problem.field.as_deref()), (4, Some(field)));
            assert!(problem.remedy.contains(part), "{problem}");
        }
    }
}
