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
    Algorithm, DemonstrationId, JudgedTrajectory, Outcome, PolicyOrigin, PolicyRecord, PolicyVersion, Round,
    RoundNumber, RoundPhase, TrainingSet, TrainingSetContent,
};
use still_operator::{
    cli::InspectSubject,
    inspect::{InspectError, Records, inspect},
};

struct Kept;

impl Records for Kept {
    type Error = Infallible;

    fn rounds(&self) -> Result<Vec<Round>, Infallible> {
        let mut round = Round::begin(RoundNumber(0), PolicyVersion(0), RoundPhase::Promoted, 0);
        round.training_set = Some(self.sets()?[0].id.clone());
        Ok(vec![round])
    }

    fn each_trajectory(
        &self,
        visit: &mut dyn FnMut(JudgedTrajectory) -> ControlFlow<()>,
    ) -> Result<(), Infallible> {
        for judged in [judged("a", 0, Outcome::Wrong), judged("a", 1, Outcome::Correct)] {
            if visit(judged).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn sets(&self) -> Result<Vec<TrainingSet>, Infallible> {
        let content = TrainingSetContent {
            round: RoundNumber(0),
            algorithm: Algorithm::Sft,
            query: Value::Null,
            previous: None,
            demonstrations: vec![DemonstrationId::new("d")],
            trajectories: Vec::new(),
            pairs: Vec::new(),
        };
        Ok(vec![content.seal()])
    }

    fn policies(&self) -> Result<Vec<PolicyRecord>, Infallible> {
        Ok(vec![PolicyRecord {
            version: PolicyVersion(0),
            origin: PolicyOrigin::Base,
            checkpoint: None,
            accuracy: None,
            published_at_ms: 5,
        }])
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

    fn rounds(&self) -> Result<Vec<Round>, Damage> {
        Err(Damage)
    }

    fn each_trajectory(
        &self,
        visit: &mut dyn FnMut(JudgedTrajectory) -> ControlFlow<()>,
    ) -> Result<(), Damage> {
        assert!(visit(judged("a", 0, Outcome::Wrong)).is_continue());
        Err(Damage)
    }

    fn sets(&self) -> Result<Vec<TrainingSet>, Damage> {
        Err(Damage)
    }

    fn policies(&self) -> Result<Vec<PolicyRecord>, Damage> {
        Err(Damage)
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
fn damage_is_told_and_nothing_is_made_up() {
    for subject in [InspectSubject::Rounds, InspectSubject::Pool, InspectSubject::Sets] {
        let error = inspect(&Damaged, subject, true, &mut Vec::new()).unwrap_err();
        assert!(matches!(error, InspectError::Records(_)));
        assert!(error.to_string().contains("checksum"), "{error}");
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
    assert!(matches!(error, InspectError::Output(error) if error.kind() == io::ErrorKind::BrokenPipe));
}
