//! One problem with its gold answer.

use serde_json::{Number, Value};
use still_domain::{AnswerKind, Problem, ProblemId, Split};
use still_judge::stated_answer;
use still_sandbox::Suite;

use super::{
    Reading,
    conversation::Conversation,
    fields::{FieldProblem, Fields, Refused, hashed_name, kind, shown},
    options::{self, Counting, Question},
};

/// Names of the statement.
const STATEMENT: [&str; 9] = [
    "problem",
    "question",
    "prompt",
    "input",
    "query",
    "problem_statement",
    "question_content",
    "question_stem",
    "text",
];
/// Names of a conversation that holds the statement.
const CONVERSATION: [&str; 2] = ["messages", "conversations"];
/// Names of the gold answer, the plainest first.
const GOLD: [&str; 10] = [
    "gold",
    "final_answer",
    "expected_answer",
    "ground_truth",
    "reference_answer",
    "correct_answer",
    "answer",
    "target",
    "reward_model",
    "solution",
];
/// Of those, the ones that hold an answer and nothing else: two on a line must say the same.
const PLAIN_GOLD: [&str; 8] = [
    "gold",
    "final_answer",
    "expected_answer",
    "ground_truth",
    "reference_answer",
    "correct_answer",
    "answer",
    "target",
];
/// Fields of a line that are the tests of a program.
const TESTS: [&str; 5] = ["tests", "inputs", "outputs", "test_list", "test_setup_code"];
/// Fields that hold the tests of a program as an object, or as its text.
const TESTS_INSIDE: [&str; 4] = ["gold", "input_output", "answer", "target"];
/// Fields that say a line is a program's, where nothing else does.
const PROGRAM: [&str; 3] = ["tests", "test_list", "input_output"];
/// What precedes the answer at the end of a worked solution in the GSM8K layout.
const HASHES: &str = "####";
/// Golds by which data sets say that there is no answer.
const NO_ANSWER: [&str; 8] =
    ["proof", "notfound", "not found", "n/a", "no answer", "unanswerable", "not available", "see solution"];
/// Fields by which NuminaMath-1.5 says that a problem or its solution is unfit.
const VALIDITY: [&str; 2] = ["problem_is_valid", "solution_is_valid"];
/// An answer of at most so many characters is no worked solution.
const PLAIN_CHARACTERS: usize = 40;
/// What a problem may come with that no model here sees.
const REFUSED: [Refused; 3] = [
    Refused {
        names: &["image", "images", "image_1", "decoded_image", "figure", "audio", "video"],
        reason: "comes with the question, and no model here sees or hears it",
        remedy: "leave the line out, or the field if the statement can do without",
    },
    Refused {
        names: &["context", "passage", "paragraph", "article", "story"],
        reason: "is read before the question elsewhere, and by nobody here",
        remedy: "write it into the statement, or leave the field out",
    },
    Refused {
        names: &["tools", "functions", "chat_template_kwargs"],
        reason: "has no meaning here: problems are asked without tools, by the prompt of `task.prompt`",
        remedy: "leave the field out",
    },
];

/// Reads a problem from the fields of a line.
pub(super) fn problem(
    fields: &Fields,
    source: &str,
    split: Split,
    default_kind: AnswerKind,
    counting: Counting,
) -> Result<Reading<Problem>, FieldProblem> {
    fields.refuse(&REFUSED)?;
    let (statement, mut remarks) = statement(fields)?;
    if let Some(unfit) = unfit(fields) {
        return Ok(Reading::LeftOut(unfit));
    }
    let given = answer_kind(fields)?;
    let (text, kind, gold) = match options::question(fields, &statement, counting)? {
        Some(Question { statement, gold }) => {
            let kind = given.unwrap_or(AnswerKind::MultipleChoice);
            if kind != AnswerKind::MultipleChoice {
                let reason = "is another kind than multiple_choice, and the line has options";
                return Err(FieldProblem::new("kind", reason, "leave `kind` or the options out"));
            }
            (statement, kind, gold)
        }
        None => {
            match given.or_else(|| is_program(fields).then_some(AnswerKind::Code)).unwrap_or(default_kind) {
                AnswerKind::Code => (statement, AnswerKind::Code, tests(fields)?),
                kind => {
                    let gold = gold(fields)?;
                    if NO_ANSWER.contains(&gold.trim_end_matches('.').to_lowercase().as_str()) {
                        let reason = format!("says that there is no answer: `{gold}`");
                        return Ok(Reading::LeftOut(FieldProblem::new("answer", reason, "give the answer")));
                    }
                    let stated = stated_answer(kind, &gold).map_err(|reason| {
                        let reason = format!("says its answer in a sentence, and {reason}");
                        FieldProblem::new("answer", reason, "write the answer alone")
                    })?;
                    if stated.is_some() {
                        remarks.push("the answer is a sentence, of which what it states is taken".to_owned());
                    }
                    (statement, kind, stated.unwrap_or(gold))
                }
            }
        }
    };
    let (level, remark) = fields.level();
    remarks.extend(remark);
    let id = fields.name()?.unwrap_or_else(|| hashed_name("problem", &[&text, &gold]));
    let id = ProblemId::new(id);
    Ok(Reading::Record(Problem { id, text, gold, kind, level, source: source.to_owned(), split }, remarks))
}

/// The statement, from its field or from a conversation of one question.
fn statement(fields: &Fields) -> Result<(String, Vec<String>), FieldProblem> {
    let found = fields.first(&STATEMENT).or_else(|| fields.first(&CONVERSATION));
    let Some((name, value)) = found else {
        return Err(fields.missing(&STATEMENT, "the problem's statement"));
    };
    if !value.is_array() {
        let (_, text) = fields.text(&[name])?.unwrap_or_default();
        return Ok((text.to_owned(), Vec::new()));
    }
    let Conversation { question, answer: _, had_system } = Conversation::read(name, value)?;
    let remark = had_system.then(|| {
        format!(
            "the system's message in `{name}` is left out: problems are asked by the prompt of `task.prompt`"
        )
    });
    Ok((question, remark.into_iter().collect()))
}

/// Why a data set says that a line is no problem to be had.
fn unfit(fields: &Fields) -> Option<FieldProblem> {
    VALIDITY.iter().find_map(|name| {
        let (name, value) = fields.get(name)?;
        let is_fit = value == true || value.as_str().is_some_and(|text| text.eq_ignore_ascii_case("yes"));
        let problem = || {
            FieldProblem::new(name, format!("is {}", shown(&value.to_string())), "use lines where it is Yes")
        };
        (!is_fit).then(problem)
    })
}

/// Whether a line that does not say its kind has tests, and no answer beside them.
fn is_program(fields: &Fields) -> bool {
    fields.first(&PROGRAM).is_some() && fields.first(&PLAIN_GOLD).is_none()
}

/// Whether a number was whole and beyond what a 64-bit float, as which it was read, holds exactly: 2⁵³.
fn loses_digits(number: &Number) -> bool {
    let float = number.as_f64().filter(|_| number.is_f64());
    float.is_some_and(|float| float.fract() == 0.0 && float.abs() >= 9_007_199_254_740_992.0)
}

fn gold(fields: &Fields) -> Result<String, FieldProblem> {
    let Some((field, value)) = fields.first(&GOLD) else {
        let reason = "the gold answer is missing";
        let remedy = if fields.first(&PROGRAM).is_some() {
            "add `kind`: \"code\" to have a program judged by the tests"
        } else {
            "add `answer`, or a `solution` that ends in \\boxed{...}"
        };
        return Err(FieldProblem::new("answer", reason, format!("{remedy}{}", fields.found())));
    };
    let answer = answer_in(field, value)?;
    for (other, value) in
        PLAIN_GOLD.iter().filter_map(|name| fields.get(name)).filter(|(name, _)| *name != field)
    {
        let Ok(second) = answer_in(other, value) else { continue };
        // a worked solution is no second answer
        if second != answer
            && second.chars().count() <= PLAIN_CHARACTERS
            && !field.eq_ignore_ascii_case("solution")
        {
            let reason = format!("is `{}`, and `{other}` is `{}`", shown(&answer), shown(&second));
            return Err(FieldProblem::new(field, reason, "leave one of them out"));
        }
    }
    Ok(answer)
}

/// The answer that a field holds.
fn answer_in(field: &str, value: &Value) -> Result<String, FieldProblem> {
    let text = match value {
        // {"ground_truth": "34", "style": "rule"}
        Value::Object(map) if map.contains_key("ground_truth") => {
            return answer_in(field, map.get("ground_truth").unwrap_or(&Value::Null));
        }
        Value::String(text) => match listed(text) {
            Some(only) => only,
            None => text.clone(),
        },
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
    let is_solution = field.eq_ignore_ascii_case("solution");
    let answer = if let Some((_, answer)) = text.rsplit_once(HASHES) {
        without_thousands(answer.trim())
    } else if let Some(boxed) = last_boxed(&text) {
        boxed.trim().to_owned()
    } else if is_solution && !is_plain(&text) {
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

/// The only item of a list that is written as text: `["34"]`.
fn listed(text: &str) -> Option<String> {
    match serde_json::from_str(text).ok()? {
        Value::Array(items) => match items.as_slice() {
            [Value::String(only)] => Some(only.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a solution is an answer alone: short, on one line, no sentence.
fn is_plain(solution: &str) -> bool {
    let text = solution.trim();
    text.chars().count() <= PLAIN_CHARACTERS
        && !text.contains('\n')
        && text
            .split_whitespace()
            .filter(|word| word.chars().filter(|c| c.is_alphabetic()).count() > 1)
            .count()
            == 0
}

/// The tests of a program as the text of one JSON object, read once to be sure of them.
fn tests(fields: &Fields) -> Result<String, FieldProblem> {
    let inside = fields.first(&TESTS_INSIDE);
    let holds_some = inside.is_some() || fields.first(&TESTS).is_some();
    let own: serde_json::Map<String, Value> = TESTS
        .iter()
        .filter_map(|field| {
            // a list of no test is told as such where there is no other
            let found = if holds_some { fields.get(field) } else { fields.written(field) };
            Some(((*field).to_owned(), found?.1.clone()))
        })
        .collect();
    let (field, text) = match inside {
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

fn answer_kind(fields: &Fields) -> Result<Option<AnswerKind>, FieldProblem> {
    let Some((field, value)) = fields.first(&["kind", "answer_kind"]) else { return Ok(None) };
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

    fn reading(value: Value) -> Result<Reading<Problem>, FieldProblem> {
        let Value::Object(fields) = value else { panic!("no object") };
        problem(&Fields::new(fields), "f.jsonl", Split::Explore, AnswerKind::Math, Counting::default())
    }

    fn read(value: Value) -> Result<Problem, FieldProblem> {
        reading(value).map(|reading| match reading {
            Reading::Record(problem, _) => problem,
            Reading::LeftOut(_) => panic!("left out"),
        })
    }

    #[test]
    fn the_gold_answer_is_found_in_every_layout() {
        for (value, gold) in [
            (json!({"problem": "p", "answer": " 7 "}), "7"),
            (json!({"question": "p", "answer": 7}), "7"),
            (json!({"question": "p", "answer": "It is <<1+1=2>>2.\n#### 1,200"}), "1200"),
            (json!({"question": "p", "answer": "so\n#### (1,200)"}), "(1,200)"),
            (
                json!({"prompt": "p", "gold": "\\frac{1}{2}", "answer": "A half of it all is what remains of the cake."}),
                "\\frac{1}{2}",
            ),
            (
                json!({"prompt": [{"role": "user", "content": "p"}], "reward_model": {"ground_truth": "34", "style": "rule"}}),
                "34",
            ),
            (
                json!({"prompt": [{"role": "user", "content": "p"}], "reward_model": {"ground_truth": "[\"34\"]"}}),
                "34",
            ),
            (json!({"messages": [{"role": "user", "content": "p"}], "ground_truth": "34"}), "34"),
            (json!({"Problem": "p", "Answer": 34}), "34"),
            (json!({"question": "p", "solution": "128", "thinking_trajectories": ["t"]}), "128"),
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
            (json!({"problem": 5, "answer": "1"}), "problem", "write text"),
            (json!({"problem": "p", "Label": "1"}), "answer", "found: problem, Label"),
            (json!({"problem": "p", "gold": "1", "answer": "2"}), "gold", "leave one"),
            (json!({"problem": "p", "answer": "1", "image": "a.png"}), "image", "leave the line out"),
            (json!({"question": "p", "answer": "1", "context": "c"}), "context", "into the statement"),
            (
                json!({"problem": "p", "answer": "A", "options": ["x", "y"], "kind": "math"}),
                "kind",
                "options",
            ),
            (
                json!({"prompt": [{"role": "user", "content": "p"}, {"role": "user", "content": "q"}], "answer": "1"}),
                "prompt",
                "one `user`",
            ),
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

    #[test]
    fn golds_that_are_no_answers_leave_the_line_out() {
        for value in [
            json!({"problem": "p", "answer": "proof"}),
            json!({"problem": "p", "answer": "notfound"}),
            json!({"problem": "p", "solution": "\\boxed{Proof.}"}),
            json!({"problem": "p", "answer": "7", "problem_is_valid": "Incomplete"}),
            json!({"problem": "p", "answer": "7", "solution_is_valid": "Problem not solved"}),
        ] {
            assert!(matches!(reading(value.clone()).unwrap(), Reading::LeftOut(_)), "{value}");
        }
        let valid =
            json!({"problem": "p", "answer": "7", "problem_is_valid": "Yes", "solution_is_valid": "Yes"});
        assert_eq!(read(valid).unwrap().gold, "7");
    }

    #[test]
    fn a_gold_that_is_a_sentence_is_read_as_the_answer_that_it_states_or_refused() {
        let line = json!({"problem": "p", "answer": "The answer is 42."});
        let Reading::Record(problem, remarks) = reading(line).unwrap() else { panic!() };
        assert_eq!(problem.gold, "42");
        assert!(remarks.iter().any(|remark| remark.contains("is a sentence")), "{remarks:?}");
        let exact = json!({"problem": "p", "answer": "The answer is 42.", "kind": "exact"});
        assert_eq!(read(exact).unwrap().gold, "The answer is 42.");
        let refused =
            read(json!({"problem": "p", "gold": "The answer is $5.00 per person"})).unwrap_err().at(1);
        assert!(refused.reason.contains("in a sentence") && refused.remedy.contains("alone"), "{refused:?}");
    }

    #[test]
    fn options_become_part_of_the_statement_and_the_kind() {
        let problem = read(json!({"question": "p", "options": ["x", "y"], "answer": "B"})).unwrap();
        assert_eq!((problem.kind, problem.gold.as_str()), (AnswerKind::MultipleChoice, "B"));
        assert_eq!(problem.text, "p\n\nA. x\nB. y");
    }

    #[test]
    fn a_program_is_known_by_its_tests_where_there_is_no_answer() {
        let line = json!({"text": "p", "code": "def f(n): return n", "test_list": ["assert f(2) == 2"]});
        assert_eq!(read(line).unwrap().kind, AnswerKind::Code);
        let both = json!({"problem": "p", "answer": "7", "test_list": ["assert f(2) == 2"]});
        assert_eq!(read(both).unwrap().kind, AnswerKind::Math, "an answer is an answer");
    }
}
