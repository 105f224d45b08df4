//! Responses to files of problems: a teacher's verified answers as demonstrations, and responses of a model of this process.
//! What was drawn stays, and is not drawn again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod harness;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use harness::stilld;
use serde_json::{Value, json};
use still_engine_double::{EngineDouble, Fault, Lesson, Options, Teacher};
use still_operator::import;
use still_text::Format;

const KEY: &str = "s3cret-teacher-key";

/// `a*b=` with its answer, as a file of problems.
fn problems(folder: &Path, count: u32) -> PathBuf {
    let path = folder.join("problems.jsonl");
    let line = |number: u32| {
        json!({"id": format!("p{number}"), "problem": format!("{}*7=?", number + 11), "answer": ((number + 11) * 7).to_string()})
            .to_string()
    };
    fs::write(&path, (0..count).map(line).collect::<Vec<_>>().join("\n")).unwrap();
    path
}

/// Right but for p1, whose first answers are wrong, p2, whose answers never end, and p3, which it cannot put in form.
fn teacher() -> Teacher {
    Teacher::new(|lesson: &Lesson| {
        let (_, asked) = lesson.text.rsplit_once('\n').unwrap_or(("", &lesson.text));
        let factor: u32 = asked.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap();
        let right = factor * 7;
        let solution = |answer: u32| format!("So it is \\boxed{{{answer}}}.");
        match factor - 11 {
            1 if lesson.seed.unwrap() % 2 == 0 => {
                (solution(right + 1), Some("seven times it".to_owned()), "stop")
            }
            2 => (solution(right), Some("and so on".to_owned()), "length"),
            3 => (solution(right), None, "stop"),
            // in its own tags, all in one
            4 => (format!("<think>\nseven times it\n</think>\n{}", solution(right)), None, "stop"),
            _ => (solution(right), Some("seven times it".to_owned()), "stop"),
        }
    })
}

fn distill(teacher: &EngineDouble, folder: &Path, key: &str, more: &[&str]) -> Output {
    let mut command = stilld();
    command.arg("distill").env("TEACHER_KEY", key);
    for setting in [
        format!("teacher.addresses=[\"{}/v1\"]", teacher.address()),
        format!("teacher.certificate_file=\"{}\"", folder.join("authority.pem").display()),
        "teacher.key_variable=\"TEACHER_KEY\"".to_owned(),
        "teacher.samples=12".to_owned(),
        "task.format=\"think\"".to_owned(),
    ] {
        command.args(["--set", &setting]);
    }
    command.arg("--problems").arg(folder.join("problems.jsonl"));
    command.arg("--out").arg(folder.join("demonstrations.jsonl")).args(more);
    command.output().unwrap()
}

fn lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn asked(double: &EngineDouble) -> usize {
    double.log().iter().filter(|asked| asked.contains("/chat/completions")).count()
}

#[test]
fn a_teachers_right_answers_become_demonstrations_and_nothing_is_asked_twice() {
    let folder = tempfile::tempdir().unwrap();
    problems(folder.path(), 6);
    fs::write(folder.path().join("authority.pem"), still_engine_double::CERTIFICATE).unwrap();
    let options = Options { is_encrypted: true, key: Some(KEY.to_owned()), ..Options::openai(teacher()) };
    let double = EngineDouble::start(options);
    // a full server is asked again
    double.fail("/v1/chat/completions", Fault::Status(503), 1);
    let output = distill(&double, folder.path(), KEY, &[]);
    let told = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    assert!(told.contains("4 of 6 problems") && !told.contains(KEY), "{told}");
    let out = folder.path().join("demonstrations.jsonl");
    let made = import::demonstrations_from_file(&out, Format::Think).unwrap().records;
    let names: Vec<&str> = made.iter().map(|one| one.id.as_str()).collect();
    let of: Vec<&str> = names.iter().map(|name| name.split(['/', '#']).nth(1).unwrap()).collect();
    assert_eq!(of, ["p0", "p1", "p4", "p5"], "{names:?}");
    assert!(made.iter().all(|one| one.response.contains("seven times it") && one.gold.is_some()), "{made:?}");
    let answers = lines(&folder.path().join("demonstrations.answers.jsonl"));
    let of_problem =
        |name: &str| answers.iter().filter(|line| line["problem_id"] == name).collect::<Vec<_>>();
    assert_eq!(of_problem("p0").len(), 1, "enough is enough");
    assert_eq!((of_problem("p2").len(), of_problem("p3").len()), (12, 12));
    assert!(of_problem("p2").iter().all(|line| line["finish"] == "length" && line["usable"] == false));
    assert!(of_problem("p1").iter().all(|line| (line["verdict"] == "correct") == (line["usable"] == true)));
    assert_eq!(answers.len() + 1, asked(&double));
    // again: nothing is asked, and the same comes out
    let before = (fs::read(&out).unwrap(), asked(&double));
    fs::remove_file(&out).unwrap();
    assert!(distill(&double, folder.path(), KEY, &[]).status.success());
    assert_eq!((fs::read(&out).unwrap(), asked(&double)), before);
    // the last answer was being written when the job was ended: it alone is asked for again
    let path = folder.path().join("demonstrations.answers.jsonl");
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 9]).unwrap();
    assert!(distill(&double, folder.path(), KEY, &[]).status.success());
    assert_eq!((fs::read(&out).unwrap(), asked(&double)), (before.0, before.1 + 1));
    // other settings are another file's
    let output = distill(&double, folder.path(), KEY, &["--set", "teacher.temperature=0.9"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{told}");
    assert!(told.contains("other settings"), "{told}");
}

/// What `generate --problems` would write for these problems.
fn drawn(folder: &Path, of: &[(&str, u32, &str, &str)]) -> PathBuf {
    let path = folder.join("responses.jsonl");
    let line = |(problem, sample, response, finish): &(&str, u32, &str, &str)| {
        json!({"problem_id": problem, "sample": sample, "response": response, "finish": finish, "settings": "abc"})
            .to_string()
            + "\n"
    };
    fs::write(&path, of.iter().map(line).collect::<String>()).unwrap();
    path
}

#[test]
fn a_models_own_right_answers_become_demonstrations_without_a_teacher() {
    let folder = tempfile::tempdir().unwrap();
    let problems = problems(folder.path(), 4);
    let responses = drawn(
        folder.path(),
        &[
            ("p0", 0, "Ten times 7 and 8: \\boxed{78}.", "stop"),
            ("p0", 1, "11 times 7 is \\boxed{77}.", "stop"),
            ("p0", 2, "It is \\boxed{77}.", "stop"),
            ("p1", 0, "It is \\boxed{84}, and so", "length"),
            ("p2", 0, "13 times 7 is \\boxed{91}.", "stop"),
        ],
    );
    let out = folder.path().join("demonstrations.jsonl");
    let distill = || {
        let mut command = stilld();
        command.args(["distill", "--set", "task.format=\"none\"", "--problems"]).arg(&problems);
        command.arg("--responses").arg(&responses).arg("--out").arg(&out).output().unwrap()
    };
    let output = distill();
    let told = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && told.contains("2 of 4 problems"), "{told}");
    let made = import::demonstrations_from_file(&out, Format::Plain).unwrap().records;
    let texts: Vec<&str> = made.iter().map(|one| one.response.as_str()).collect();
    assert_eq!(texts, ["11 times 7 is \\boxed{77}.", "13 times 7 is \\boxed{91}."]);
    let answers = lines(&folder.path().join("demonstrations.answers.jsonl"));
    let usable = answers.iter().filter(|line| line["usable"] == true).count();
    assert_eq!((answers.len(), usable), (4, 2), "{answers:?}: one right answer a problem is enough");

    fs::write(&responses, "{\"problem\": \"11*7=?\", \"response\": \"77\"}\n").unwrap();
    let told = String::from_utf8(distill().stderr).unwrap();
    assert!(told.contains("responses.jsonl`, line 1"), "{told}");
}

#[test]
fn what_no_answer_can_come_of_ends_at_once_with_the_remedy_and_without_the_key() {
    let folder = tempfile::tempdir().unwrap();
    problems(folder.path(), 2);
    fs::write(folder.path().join("authority.pem"), still_engine_double::CERTIFICATE).unwrap();
    let options = Options { is_encrypted: true, key: Some(KEY.to_owned()), ..Options::openai(teacher()) };
    let double = EngineDouble::start(options);
    for (key, more, part) in [
        ("another-key", &[][..], "teacher.key_variable"),
        (KEY, &["--set", "teacher.model=unknown"], "teacher.model"),
        (KEY, &["--set", "teacher.addresses=[]"], "teacher.addresses"),
    ] {
        let output = distill(&double, folder.path(), key, more);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && told.contains(part), "{part}: {told}");
        assert!(!told.contains(KEY) && !told.contains("another-key"), "{told}");
    }
}

#[test]
fn responses_to_a_file_of_problems_go_on_where_they_were_ended_and_can_be_imported() {
    let folder = tempfile::tempdir().unwrap();
    let (problems, out) = (problems(folder.path(), 3), folder.path().join("responses.jsonl"));
    let generate_into = |out: &Path, arguments: &[&str]| {
        let mut command = stilld();
        command
            .args(["generate", "--model", "embedded", "--count", "3", "--temperature", "1"])
            .args(arguments);
        command.args(["--max-new-tokens", "12", "--problems"]).arg(&problems).arg("--out").arg(out);
        command.output().unwrap()
    };
    let generate = |seed: &str| generate_into(&out, &["--seed", seed]);
    let output = generate("5");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let whole = lines(&out);
    assert_eq!(whole.len(), 9);
    let drawn_by = &whole[0]["drawn_by"];
    assert_eq!((&drawn_by["engine"], &drawn_by["precision"]), (&json!("embedded"), &json!("f32")));
    assert_eq!(import::rollouts_from_file(&out).unwrap().len(), 9);
    let text = fs::read_to_string(&out).unwrap();
    let kept = text.lines().take(4).map(str::len).sum::<usize>() + 4;
    fs::write(&out, &text[..kept + 20]).unwrap();
    assert!(generate("5").status.success());
    let sorted = |mut lines: Vec<Value>| {
        lines.sort_by_key(|line| (line["problem_id"].to_string(), line["sample"].as_u64()));
        lines
    };
    assert_eq!(sorted(lines(&out)), sorted(whole), "a seed repeats");
    let rounded = ["--seed", "5", "--precision", "bf16"];
    for output in [generate("6"), generate_into(&out, &rounded)] {
        assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let out = folder.path().join("rounded.jsonl");
    assert!(generate_into(&out, &rounded).status.success());
    let precision = lines(&out)[0]["drawn_by"]["precision"].to_string();
    assert!(precision.contains("bf16"), "{precision}");
}
