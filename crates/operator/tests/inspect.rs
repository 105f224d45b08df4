//! Records of a stopped daemon as `inspect` shows them.
#![allow(clippy::unwrap_used, missing_docs)]

mod fake;

use std::{
    convert::Infallible,
    fmt,
    io::{self, Write},
    ops::ControlFlow,
};

use fake::judged;
use serde_json::Value;
use still_domain::{
    Algorithm, AnswerKind, AttemptId, DemonstrationId, JudgedTrajectory, Outcome, PolicyName, PolicyOrigin,
    PolicyRecord, PolicyVersion, Problem, ProblemId, Provenance, Round, RoundNumber, RoundPhase,
    ScoredAnswer, SealingDecisions, Split, TrainingSet, TrainingSetContent,
};
use still_operator::{
    cli::InspectSubject,
    import,
    inspect::{ProblemAnswer, Records, inspect},
};

struct Kept;

impl Records for Kept {
    type Error = Infallible;

    fn rounds(&self) -> Vec<Result<Round, Infallible>> {
        let mut round = Round::begin(RoundNumber(0), PolicyVersion(0), RoundPhase::Promoted, 0);
        round.training_set = self.sets()[0].as_ref().ok().map(|set| set.id.clone());
        vec![Ok(round)]
    }

    fn each_trajectory(
        &self,
        visit: &mut dyn FnMut(Result<JudgedTrajectory, Infallible>) -> ControlFlow<()>,
    ) {
        let pool = [judged("a", 0, Outcome::Wrong), judged("a", 1, Outcome::Correct)];
        let _broken_off = pool.into_iter().map(Ok).try_for_each(visit);
    }

    fn problems(&self) -> Vec<Result<Problem, Infallible>> {
        let problem = |name: &str, split| Problem {
            id: ProblemId::new(name),
            text: format!("{name}?"),
            gold: "7".to_owned(),
            kind: AnswerKind::Math,
            level: None,
            source: String::new(),
            split,
        };
        vec![Ok(problem("apart", Split::Dev)), Ok(problem("explored", Split::Explore))]
    }

    fn provenances(&self) -> Vec<Result<Provenance, Infallible>> {
        vec![Ok(Provenance {
            engine: "vllm".to_owned(),
            name: "http://node-1:8000".to_owned(),
            version: Some("0.32.0".to_owned()),
            precision: Some("bf16".to_owned()),
            prompt: "0123456789abcdef".to_owned(),
            is_retokenized: false,
        })]
    }

    fn decisions(&self) -> Vec<Result<SealingDecisions, Infallible>> {
        let id = |id: &str| id.parse::<AttemptId>().unwrap();
        let decided = [
            ("joins the set".to_owned(), vec![id("a#1")]),
            ("left out: the answer was judged `wrong`".to_owned(), vec![id("a#0"), id("b#0")]),
        ];
        vec![Ok(SealingDecisions { round: RoundNumber(1), decided: decided.into() })]
    }

    fn each_answer(&self, visit: &mut dyn FnMut(Result<ProblemAnswer, Infallible>) -> ControlFlow<()>) {
        let judged = judged("held-out", 3, Outcome::Correct);
        let answer = ScoredAnswer {
            policy: PolicyName::Candidate { candidate: RoundNumber(2) },
            id: judged.id().clone(),
            verdict: judged.verdict,
            tokens: 3,
            finish: judged.trajectory.finish,
            text: judged.trajectory.text,
        };
        let problem = Problem {
            id: answer.id.problem.clone(),
            text: "6+1?".to_owned(),
            gold: "7".to_owned(),
            kind: AnswerKind::Integer,
            level: Some(2),
            source: String::new(),
            split: Split::Test,
        };
        let _ended = visit(Ok((answer, problem)));
    }

    fn sets(&self) -> Vec<Result<TrainingSet, Infallible>> {
        let content = TrainingSetContent {
            round: RoundNumber(0),
            algorithm: Algorithm::Sft,
            query: Value::Null,
            previous: None,
            demonstrations: vec![DemonstrationId::new("d")],
            trajectories: Vec::new(),
            pairs: Vec::new(),
        };
        vec![Ok(content.seal())]
    }

    fn policies(&self) -> Vec<Result<PolicyRecord, Infallible>> {
        vec![Ok(PolicyRecord {
            version: PolicyVersion(0),
            origin: PolicyOrigin::Base,
            checkpoint: None,
            accuracy: None,
            published_at_ms: 5,
        })]
    }
}

/// A store that cannot be read.
struct Damaged;

#[derive(Debug)]
struct Damage;

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the checksum of `pool/a#0` does not hold")
    }
}

impl std::error::Error for Damage {}

impl Records for Damaged {
    type Error = Damage;

    fn rounds(&self) -> Vec<Result<Round, Damage>> {
        vec![Err(Damage), Ok(Round::begin(RoundNumber(2), PolicyVersion(0), RoundPhase::Exploring, 0))]
    }

    fn each_trajectory(&self, visit: &mut dyn FnMut(Result<JudgedTrajectory, Damage>) -> ControlFlow<()>) {
        let pool = [Ok(judged("a", 0, Outcome::Wrong)), Err(Damage), Ok(judged("b", 0, Outcome::Correct))];
        let _broken_off = pool.into_iter().try_for_each(visit);
    }

    fn each_answer(&self, visit: &mut dyn FnMut(Result<ProblemAnswer, Damage>) -> ControlFlow<()>) {
        let _ended = visit(Err(Damage));
    }

    fn decisions(&self) -> Vec<Result<SealingDecisions, Damage>> {
        vec![Err(Damage)]
    }

    fn sets(&self) -> Vec<Result<TrainingSet, Damage>> {
        vec![Err(Damage)]
    }

    fn policies(&self) -> Vec<Result<PolicyRecord, Damage>> {
        vec![Err(Damage)]
    }

    fn problems(&self) -> Vec<Result<Problem, Damage>> {
        vec![Err(Damage)]
    }

    fn provenances(&self) -> Vec<Result<Provenance, Damage>> {
        vec![Err(Damage)]
    }
}

fn text(subject: InspectSubject, json: bool) -> String {
    let mut out = Vec::new();
    inspect(&Kept, subject, json, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn json(subject: InspectSubject) -> Value {
    serde_json::from_str(&text(subject, true)).unwrap()
}

#[test]
fn rounds_sets_and_policies_are_arrays_for_programs_and_tables_for_people() {
    let rounds = json(InspectSubject::Rounds);
    assert_eq!((&rounds[0]["round"], &rounds[0]["phase"]), (&0.into(), &"promoted".into()));
    assert_eq!(rounds[0]["training_set"], json(InspectSubject::Sets)[0]["id"]);
    assert_eq!(json(InspectSubject::Policies)[0]["origin"], "base");
    assert!(text(InspectSubject::Rounds, false).contains("promoted"));
    assert!(text(InspectSubject::Sets, false).contains("yes"));
    assert!(text(InspectSubject::Policies, false).contains("the base model"));
}

#[test]
fn the_pool_is_one_object_a_line_with_what_the_documents_promise() {
    let text = text(InspectSubject::Pool, false);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    let line = &lines[1];
    assert_eq!((&line["id"], &line["problem"], &line["attempt"]), (&"a#1".into(), &"a".into(), &1.into()));
    assert_eq!((&line["policy_version"], &line["verdict"]), (&2.into(), &"correct".into()));
}

#[test]
fn what_sealings_decided_is_one_line_for_each_trajectory() {
    let lines: Vec<Value> = text(InspectSubject::Decisions, false)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told = |line: &Value| format!("{} {} {}", line["round"], line["id"], line["decision"]);
    assert_eq!(
        lines.iter().map(told).collect::<Vec<_>>(),
        [
            r#"1 "a#1" "joins the set""#,
            r#"1 "a#0" "left out: the answer was judged `wrong`""#,
            r#"1 "b#0" "left out: the answer was judged `wrong`""#,
        ]
    );
}

#[test]
fn problems_are_lines_that_an_evaluation_reads() {
    let (held_out, explored) = (text(InspectSubject::HeldOut, false), text(InspectSubject::Problems, false));
    assert!(explored.contains("explored?") && !explored.contains("apart?"), "{explored}");
    let read = import::problems(held_out.as_bytes(), "held-out.jsonl", Split::Dev);
    assert_eq!((read.records[0].id.as_str(), read.records[0].gold.as_str()), ("apart", "7"));
}

#[test]
fn the_answers_that_policies_were_scored_by_are_lines_that_grade_reads() {
    let line: Value = serde_json::from_str(text(InspectSubject::Answers, false).trim_end()).unwrap();
    for (field, value) in [("gold", "7"), ("kind", "integer"), ("prediction", "a thought"), ("split", "test")]
    {
        assert_eq!(line[field], value, "{line}");
    }
    assert_eq!((&line["id"], &line["policy"]["candidate"]), (&"held-out#3".into(), &2.into()));
    assert_eq!(
        (&line["verdict"], &line["tokens"], &line["finish"]),
        (&"correct".into(), &3.into(), &"stop".into())
    );
}

#[test]
fn damage_is_told_and_hides_nothing_else() {
    for (subject, lines) in [
        (InspectSubject::Pool, 2),
        (InspectSubject::Problems, 0),
        (InspectSubject::Answers, 0),
        (InspectSubject::Decisions, 0),
    ] {
        let mut out = Vec::new();
        let seen = inspect(&Damaged, subject, true, &mut out).unwrap();
        assert_eq!(seen.damaged, ["the checksum of `pool/a#0` does not hold"]);
        assert_eq!(String::from_utf8(out).unwrap().lines().count(), lines, "{subject:?}");
    }
    for subject in [InspectSubject::Rounds, InspectSubject::Sets, InspectSubject::Policies] {
        assert_eq!(
            inspect(&Damaged, subject, true, &mut Vec::new()).unwrap().damaged.len(),
            1,
            "{subject:?}"
        );
    }
}

/// A pipe whose reader is gone.
struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_is_gone_ends_the_listing() {
    let error = inspect(&Kept, InspectSubject::Pool, true, &mut Broken).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn provenances_are_listed_under_the_name_that_trajectories_carry() {
    let lines: serde_json::Value = serde_json::from_str(&text(InspectSubject::Provenances, true)).unwrap();
    let manner = Kept.provenances().remove(0).unwrap();
    assert_eq!(lines[0]["id"], manner.id().as_str());
    assert_eq!((lines[0]["engine"].as_str(), lines[0]["precision"].as_str()), (Some("vllm"), Some("bf16")));
    let table = text(InspectSubject::Provenances, false);
    assert!(table.contains("http://node-1:8000") && table.contains(manner.id().as_str()), "{table}");
}
