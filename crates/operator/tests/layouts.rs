//! The layouts that data sets come in, each as a small file true to its form: what is taken means what it meant, and
//! what cannot be taken is refused or left out by its name. There is no third column.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use still_domain::{AnswerKind, Demonstration, Problem, Split};
use still_operator::import::{self, Parsed};
use still_text::{Format, thought};

/// What comes of a file of problems.
enum Comes {
    /// Every line, with the kind and the gold answer of the first.
    Taken(AnswerKind, &'static str),
    /// Lines are left out, the first with these words.
    LeftOut(&'static str),
    /// Nothing: the first broken line is told with these words.
    Refused(&'static str),
}

use Comes::{LeftOut, Refused, Taken};

fn problems(text: &str) -> Parsed<Problem> {
    import::problems(text.as_bytes(), "file.jsonl", Split::Explore)
}

fn demonstrations(text: &str) -> Parsed<Demonstration> {
    import::demonstrations(text.as_bytes(), "file.jsonl", Format::Paper)
}

fn holds(name: &str, text: &str, comes: &Comes) {
    let parsed = problems(text);
    let told = |problems: &[still_control::LineProblem]| {
        problems.first().map(ToString::to_string).unwrap_or_default()
    };
    match comes {
        Taken(kind, gold) => {
            assert!(parsed.broken.is_empty(), "{name}: {}", told(&parsed.broken));
            assert!(parsed.left_out.is_empty(), "{name}: {}", told(&parsed.left_out));
            let first = &parsed.records[0];
            assert_eq!((first.kind, first.gold.as_str()), (*kind, *gold), "{name}");
        }
        LeftOut(part) => {
            assert!(parsed.broken.is_empty(), "{name}: {}", told(&parsed.broken));
            assert!(told(&parsed.left_out).contains(part), "{name}: {}", told(&parsed.left_out));
        }
        Refused(part) => {
            assert!(parsed.records.is_empty(), "{name} is taken as {:?}", parsed.records);
            assert!(told(&parsed.broken).contains(part), "{name}: {}", told(&parsed.broken));
        }
    }
}

const MATH: AnswerKind = AnswerKind::Math;
const CHOICE: AnswerKind = AnswerKind::MultipleChoice;

#[test]
fn problems_are_taken_as_they_were_meant_or_refused_by_name() {
    for (name, text, comes) in [
        (
            "GSM8K",
            r#"{"question": "Eggs?", "answer": "She makes 9 * 2 = $<<9*2=18>>18.\n#### 1,018"}"#,
            Taken(MATH, "1018"),
        ),
        (
            "MATH",
            r#"{"problem": "p", "level": "Level 5", "type": "Algebra", "solution": "So $x = \\boxed{\\frac{1}{2}}$."}"#,
            Taken(MATH, "\\frac{1}{2}"),
        ),
        (
            "MATH-500",
            r#"{"problem": "p", "solution": "$\\boxed{3}$", "answer": "3", "subject": "Algebra", "level": 2, "unique_id": "test/a/1.json"}"#,
            Taken(MATH, "3"),
        ),
        (
            "AIME",
            r#"{"ID": "2024-I-1", "Problem": "p", "Solution": "long", "Answer": 204}"#,
            Taken(MATH, "204"),
        ),
        (
            "DeepScaleR",
            r#"{"problem": "p", "answer": "-\\frac{2}{3}", "solution": "worked"}"#,
            Taken(MATH, "-\\frac{2}{3}"),
        ),
        (
            "Big-Math",
            r#"{"problem": "p", "answer": "48", "source": "gsm8k", "domain": ["Mathematics"], "llama8b_solve_rate": 0.5}"#,
            Taken(MATH, "48"),
        ),
        (
            "DAPO",
            r#"{"data_source": "math_dapo", "prompt": [{"content": "Solve p.", "role": "user"}], "ability": "MATH", "reward_model": {"ground_truth": "34", "style": "rule-lighteval/MATH_v2"}, "extra_info": {"index": "9"}}"#,
            Taken(MATH, "34"),
        ),
        (
            "Skywork",
            r#"{"prompt": [{"role": "user", "content": "p"}], "reward_model": {"ground_truth": "[\"\\\\frac{1}{2}\"]", "style": "rule"}}"#,
            Taken(MATH, "\\frac{1}{2}"),
        ),
        (
            "RLVR",
            r#"{"messages": [{"role": "user", "content": "p"}], "ground_truth": "72", "dataset": "gsm8k"}"#,
            Taken(MATH, "72"),
        ),
        (
            "s1K",
            r#"{"question": "p", "solution": "128", "attempt": "a", "thinking_trajectories": ["t"], "cot_type": "math"}"#,
            Taken(MATH, "128"),
        ),
        (
            "NuminaMath-1.5, sound",
            r#"{"problem": "p", "solution": "s", "answer": "7", "problem_type": "Algebra", "question_type": "math-word-problem", "problem_is_valid": "Yes", "solution_is_valid": "Yes"}"#,
            Taken(MATH, "7"),
        ),
        (
            "NuminaMath-1.5, a proof",
            r#"{"problem": "p", "solution": "s", "answer": "proof", "problem_is_valid": "Yes", "solution_is_valid": "Yes"}"#,
            LeftOut("no answer"),
        ),
        ("NuminaMath-1.5, not found", r#"{"problem": "p", "answer": "notfound"}"#, LeftOut("no answer")),
        (
            "NuminaMath-1.5, incomplete",
            r#"{"problem": "p", "answer": "7", "problem_is_valid": "Incomplete"}"#,
            LeftOut("problem_is_valid"),
        ),
        (
            "MMLU",
            "{\"question\": \"p\", \"subject\": \"g\", \"choices\": [\"w\", \"x\", \"y\", \"z\"], \"answer\": 2}\n{\"question\": \"q\", \"choices\": [\"w\", \"x\", \"y\", \"z\"], \"answer\": 0}",
            Taken(CHOICE, "C"),
        ),
        (
            "MMLU, one line",
            r#"{"question": "p", "choices": ["w", "x", "y", "z"], "answer": 2}"#,
            Refused("from 0 or from 1"),
        ),
        (
            "MMLU-Pro",
            r#"{"question_id": 70, "question": "p", "options": ["w", "x", "y"], "answer": "B", "answer_index": 1, "cot_content": ""}"#,
            Taken(CHOICE, "B"),
        ),
        (
            "ARC",
            r#"{"id": "M_1", "question": "p", "choices": {"text": ["w", "x"], "label": ["A", "B"]}, "answerKey": "B"}"#,
            Taken(CHOICE, "B"),
        ),
        (
            "OpenBookQA",
            r#"{"id": "7", "question_stem": "p", "choices": {"text": ["w", "x"], "label": ["A", "B"]}, "answerKey": "A"}"#,
            Taken(CHOICE, "A"),
        ),
        (
            "AQuA-RAT",
            r#"{"question": "p", "options": ["A)21", "B)22"], "rationale": "r", "correct": "B"}"#,
            Taken(CHOICE, "B"),
        ),
        (
            "MedMCQA",
            r#"{"question": "p", "opa": "w", "opb": "x", "opc": "y", "opd": "z", "cop": 0}"#,
            Taken(CHOICE, "A"),
        ),
        (
            "KSAT",
            "{\"problem\": \"p\", \"choices\": [\"v\", \"w\", \"x\"], \"answer\": 2}\n{\"problem\": \"q\", \"choices\": [\"v\", \"w\", \"x\"], \"answer\": 3}",
            Taken(CHOICE, "B"),
        ),
        (
            "APPS",
            r#"{"question": "p", "solutions": "[]", "input_output": "{\"inputs\": [\"3\\n\"], \"outputs\": [\"9\\n\"]}", "difficulty": "interview", "url": "u", "starter_code": ""}"#,
            Taken(AnswerKind::Code, r#"{"inputs": ["3\n"], "outputs": ["9\n"]}"#),
        ),
        (
            "MBPP",
            r#"{"task_id": 2, "text": "p", "code": "def f(): ...", "test_list": ["assert f() == 1"], "test_setup_code": "", "challenge_test_list": []}"#,
            Taken(AnswerKind::Code, r#"{"test_list":["assert f() == 1"],"test_setup_code":""}"#),
        ),
        (
            "SQuAD",
            r#"{"context": "A story.", "question": "Who?", "answers": {"text": ["x"]}}"#,
            Refused("`context`"),
        ),
        (
            "with a picture",
            r#"{"question": "p", "answer": "1", "decoded_image": {"bytes": "x"}}"#,
            Refused("decoded_image"),
        ),
        ("columns of another tongue", r#"{"Frage": "p", "Antwort": "1"}"#, Refused("found: Frage, Antwort")),
        ("two golds", r#"{"problem": "p", "gold": "1", "answer": "2"}"#, Refused("leave one of them out")),
        ("a key twice", r#"{"problem": "p", "answer": "1", "answer": "2"}"#, Refused("given twice")),
        ("one JSON list", r#"[{"problem": "p", "answer": "1"}]"#, Refused("jq")),
        ("CSV", "problem,answer\np,1\n", Refused("CSV")),
        ("Parquet", "PAR1\u{15}\u{4}", Refused("Parquet")),
    ] {
        holds(name, text, &comes);
    }
}

#[test]
fn options_are_in_the_statement_and_its_right_one_is_where_the_gold_says() {
    let text = r#"{"Question": "Which?", "Correct Answer": "right", "Incorrect Answer 1": "a", "Incorrect Answer 2": "b", "Incorrect Answer 3": "c"}"#;
    let parsed = problems(text);
    let problem = &parsed.records[0];
    assert_eq!(problem.kind, CHOICE);
    assert!(problem.text.contains(&format!("{}. right", problem.gold)), "{}", problem.text);
    for option in ["a", "b", "c"] {
        assert!(problem.text.contains(&format!(". {option}")), "{}", problem.text);
    }
}

#[test]
fn the_same_statement_is_one_problem_with_one_gold() {
    let parsed = problems(
        "{\"problem\": \"p\", \"answer\": \"1\"}\n{\"id\": \"x\", \"problem\": \"p\", \"answer\": \"1\"}\n{\"problem\": \"p\", \"answer\": \"2\"}\n",
    );
    assert_eq!((parsed.records.len(), parsed.repeated, parsed.broken.len()), (1, 1, 1));
    let told = parsed.broken[0].to_string();
    assert!(told.contains("line 3") && told.contains("line 1 asks the same"), "{told}");
}

#[test]
fn demonstrations_keep_thought_and_solution_or_are_refused_by_name() {
    let tagged = "<|begin_of_thought|>t<|end_of_thought|><|begin_of_solution|>s<|end_of_solution|>";
    for (name, text) in [
        ("OpenThoughts", format!(r#"{{"system": "Think.", "conversations": [{{"from": "user", "value": "p"}}, {{"from": "assistant", "value": "{tagged}"}}]}}"#).replace("\"from\": \"user\"", "\"from\": \"human\"").replace("\"from\": \"assistant\"", "\"from\": \"gpt\"")),
        ("Sky-T1", format!(r#"{{"system": "x", "conversations": [{{"from": "human", "value": "p"}}, {{"from": "gpt", "value": "{tagged}"}}]}}"#)),
        ("OpenR1", r#"{"problem": "x", "messages": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "<think>t</think>s"}], "generations": ["g"]}"#.to_owned()),
        ("STILL", format!(r#"{{"question": "p", "combined": "{tagged}", "domain": "math"}}"#)),
        ("s1K", r#"{"question": "p", "solution": "128", "attempt": "s", "thinking_trajectories": ["t"]}"#.to_owned()),
        ("s1K-1.1", r#"{"question": "p", "deepseek_thinking_trajectory": "t", "deepseek_attempt": "s", "gemini_thinking_trajectory": "u", "gemini_attempt": "v"}"#.to_owned()),
        ("R1 with its thought apart", r#"{"messages": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "s", "reasoning_content": "t"}]}"#.to_owned()),
        ("without the opening tag", r#"{"instruction": "p", "output": "t</think>s"}"#.to_owned()),
    ] {
        let parsed = demonstrations(&text);
        assert!(parsed.broken.is_empty(), "{name}: {}", parsed.broken[0]);
        let parts = thought::parse(&parsed.records[0].response).unwrap();
        assert_eq!((parsed.records[0].problem.as_str(), parts.thought, parts.solution), ("p", "t", "s"), "{name}");
    }
    for (name, text, part) in [
        (
            "LIMO",
            r#"{"question": "p", "solution": "a long worked text", "answer": "7"}"#,
            "found: question, solution, answer",
        ),
        (
            "tools",
            r#"{"tools": [{"name": "f"}], "messages": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "<think>t</think>s"}]}"#,
            "train sft",
        ),
        (
            "several turns",
            r#"{"messages": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "a"}, {"role": "user", "content": "q"}, {"role": "assistant", "content": "b"}]}"#,
            "more than one message",
        ),
        ("an unclosed thought", r#"{"problem": "p", "response": "<think>t"}"#, "<think>"),
    ] {
        let parsed = demonstrations(text);
        assert!(parsed.records.is_empty(), "{name} is taken as {:?}", parsed.records);
        assert!(parsed.broken[0].to_string().contains(part), "{name}: {}", parsed.broken[0]);
    }
}

#[test]
fn what_is_read_otherwise_than_it_stands_there_is_told() {
    let sentence = problems("{\"problem\": \"p\", \"answer\": \"The answer is $5.\"}\n");
    assert_eq!(sentence.records[0].gold, "$5");
    assert!(sentence.remarks[0].to_string().contains("is a sentence"), "{:?}", sentence.remarks);
    let text = "{\"problem\": \"p\", \"answer\": \"1\", \"level\": \"hard\"}\n{\"problem\": \"q\", \"answer\": \"1\", \"level\": \"hard\"}\n{\"problem\": \"r\", \"answer\": \"1\", \"difficulty\": 7.5}\n";
    let parsed = problems(text);
    let told: Vec<_> = parsed.remarks.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("2 lines, the first 1") && told[0].contains("hard"), "{told:?}");
    assert!(told[1].starts_with("line 3") && told[1].contains("rounded to level 8"), "{told:?}");
}
