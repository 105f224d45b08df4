//! The pool judged and inspected anew, and what is found in it.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "fake/mod.rs"]
mod fake;

use std::{collections::BTreeMap, sync::Arc};

use fake::judged;
use still_curation::HygieneConfig;
use still_domain::{
    AnswerKind, AttemptId, FinishReason, JudgedTrajectory, Outcome, Problem, ProblemId, Rejection, Split,
    Verdict,
};
use still_operator::{
    maintenance::{Change, Eviction, EvictionQuery, RevisionReport, evict, reinspect, reverify},
    suspects::{SameAnswer, suspects},
};
use still_store::{RevisionProgress, Store};

fn problem(name: &str) -> Problem {
    Problem {
        id: ProblemId::new(name),
        text: format!("{name}?"),
        gold: "7".to_owned(),
        kind: AnswerKind::Integer,
        level: None,
        source: "test".to_owned(),
        split: Split::Explore,
    }
}

/// Two problems with so many trajectories each, half of which were judged right.
fn store(each: u32) -> Store {
    let store = Store::in_memory().unwrap();
    store.import_problems(&[problem("a"), problem("b")]).unwrap();
    let outcome = |number: u32| if number.is_multiple_of(2) { Outcome::Correct } else { Outcome::Wrong };
    for name in ["a", "b"] {
        let pool: Vec<_> = (0..each).map(|number| judged(name, number, outcome(number))).collect();
        store.commit_trajectories(&pool).unwrap();
    }
    store
}

fn pool(store: &Store) -> BTreeMap<AttemptId, JudgedTrajectory> {
    store.trajectories().map(|one| one.map(|one| (one.id().clone(), one)).unwrap()).collect()
}

fn verdict(outcome: Outcome) -> Verdict {
    Verdict { outcome, extracted: Some("7".to_owned()), rule: None, verifier: "mended 2".to_owned() }
}

/// A verifier that was mended: everything of `a` is right, and nothing of `b` can be judged.
fn mended(problem: &Problem, _response: &str) -> Verdict {
    verdict(if problem.id.as_str() == "a" { Outcome::Correct } else { Outcome::Error })
}

fn told(work: impl FnOnce(&mut dyn FnMut(Change)) -> RevisionReport) -> (RevisionReport, Vec<String>) {
    let mut changes = Vec::new();
    let report = work(&mut |change| changes.push(format!("{} {}", change.id, change.what)));
    (report, changes)
}

#[test]
fn a_mended_verifier_judges_the_pool_anew_and_a_dry_run_only_tells() {
    let store = store(4);
    let before = pool(&store);
    let (dry, changes) = told(|tell| reverify(&store, &mended, "2", true, tell).unwrap());
    assert_eq!((dry.looked_at, dry.changed, dry.failed, dry.is_dry_run), (8, 4, 4, true));
    assert_eq!(dry.changes["verdict wrong -> correct"], 2);
    assert!(changes.contains(&"a#1 verdict wrong -> correct".to_owned()), "{changes:?}");
    assert_eq!((pool(&store), store.revision().unwrap()), (before.clone(), None));

    let (report, _) = told(|tell| reverify(&store, &mended, "2", false, tell).unwrap());
    assert_eq!(RevisionReport { is_dry_run: true, ..report }, dry);
    let after = pool(&store);
    for (id, judged) in &after {
        let is_failed = id.problem.as_str() == "b";
        let expected = if is_failed { before[id].verdict.clone() } else { verdict(Outcome::Correct) };
        assert_eq!(judged.verdict, expected, "a judgement that fails leaves the verdict as it is");
    }
    let facts = store.facts().unwrap();
    assert!(facts.iter().all(|fact| fact.outcome == after[&fact.id].verdict.outcome), "counts follow");
    assert_eq!(store.last_sequence().unwrap(), 8, "nothing came, nothing went");
    let (again, _) = told(|tell| reverify(&store, &mended, "2", false, tell).unwrap());
    assert_eq!((again.changed, again.looked_at), (0, 8));
}

#[test]
fn an_interrupted_revision_goes_on_where_it_stopped_and_another_one_begins_anew() {
    let store = store(600);
    let looked = std::cell::Cell::new(0);
    let dies = |problem: &Problem, response: &str| {
        looked.set(looked.get() + 1);
        assert!(looked.get() <= 700, "killed");
        mended(problem, response)
    };
    let killed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _report = reverify(&store, &dies, "2", false, &mut |_| ());
    }));
    assert!(killed.is_err());
    let begun: RevisionProgress = store.revision().unwrap().unwrap();
    assert_eq!(begun.after, 512, "what was done is durable, batch by batch");
    let (other, _) = told(|tell| reverify(&store, &mended, "3", true, tell).unwrap());
    assert_eq!(other.resumed_after, 0, "another verifier's work");
    let (rest, _) = told(|tell| reverify(&store, &mended, "2", false, tell).unwrap());
    assert_eq!((rest.resumed_after, rest.looked_at), (512, 688));
    assert_eq!(store.revision().unwrap(), None);
    assert!(
        pool(&store).values().filter(|one| one.problem().as_str() == "a").all(JudgedTrajectory::is_correct)
    );
}

#[test]
fn the_pool_is_held_to_todays_hygiene() {
    let store = Store::in_memory().unwrap();
    store.import_problems(&[problem("a")]).unwrap();
    let mut looping = judged("a", 0, Outcome::Correct);
    looping.trajectory.text = format!("<think>{}</think>7", "wait, let me check that again. ".repeat(40));
    looping.measures.thought_tokens = 300;
    let mut strict = judged("a", 1, Outcome::Correct);
    strict.measures.thought_tokens = 3;
    strict.rejection = Some(Rejection::Repetitive);
    let mut cut = judged("a", 2, Outcome::NoAnswer);
    cut.trajectory.finish = FinishReason::Length;
    cut.rejection = Some(Rejection::Truncated);
    store.commit_trajectories(&[looping, strict, cut]).unwrap();
    let hygiene = HygieneConfig { min_thought_tokens: 1, ..HygieneConfig::default() };
    let (report, _) = told(|tell| reinspect(&store, &hygiene, false, tell).unwrap());
    let expected = [("hygiene clean -> repetitive", 1), ("hygiene repetitive -> clean", 1)];
    assert_eq!(report.changes, expected.map(|(what, count)| (what.to_owned(), count)).into());
    let rejections: Vec<_> = store.facts().unwrap().into_iter().map(|fact| fact.rejection).collect();
    assert_eq!(rejections, [Some(Rejection::Repetitive), None, Some(Rejection::Truncated)]);
}

#[test]
fn what_is_put_out_keeps_its_reason_until_it_is_let_in_again() {
    let store = store(4);
    let hygiene = HygieneConfig { require_format: false, min_thought_tokens: 0, ..HygieneConfig::default() };
    let hack =
        EvictionQuery { ids: vec!["a#0".parse().unwrap(), "a#1".parse().unwrap()], ..Default::default() };
    let out = Eviction::Out("a reward hack".to_owned());
    let (report, _) = told(|tell| evict(&store, &hack, &out, &hygiene, false, tell).unwrap());
    assert_eq!((report.changed, report.changes["hygiene clean -> evicted"]), (2, 2));
    let evicted = pool(&store)[&"a#0".parse().unwrap()].clone();
    assert_eq!(evicted.eviction.as_deref(), Some("a reward hack"));
    assert_eq!(evicted.rejection, Some(Rejection::Evicted));
    let (inspected, _) = told(|tell| reinspect(&store, &hygiene, false, tell).unwrap());
    assert_eq!(inspected.changed, 0, "today's hygiene lets nothing in that an operator put out");
    let (report, _) = told(|tell| evict(&store, &hack, &Eviction::In, &hygiene, false, tell).unwrap());
    assert_eq!(report.changes["hygiene evicted -> clean"], 2);
    assert_eq!(pool(&store)[&"a#0".parse().unwrap()].eviction, None);
    let nothing = EvictionQuery::default();
    let (report, _) = told(|tell| evict(&store, &nothing, &out, &hygiene, false, tell).unwrap());
    assert_eq!(report.changed, 0, "a query that asks for nothing meets nothing");
    let of_b = EvictionQuery {
        problem: Some(ProblemId::new("b")),
        verdict: Some(Outcome::Wrong),
        ..Default::default()
    };
    let (report, _) = told(|tell| evict(&store, &of_b, &out, &hygiene, false, tell).unwrap());
    assert_eq!(report.changed, 2, "all that is asked for must hold");
}

#[test]
fn a_planted_suspect_gold_is_found_in_the_pool() {
    let store = Store::in_memory().unwrap();
    store.import_problems(&[problem("planted"), problem("hard")]).unwrap();
    let answered = |name: &str, number: u32, answer: &str| {
        let mut judged = judged(name, number, Outcome::Wrong);
        judged.verdict.extracted = Some(answer.to_owned());
        judged
    };
    let mut all: Vec<_> = (0..4).map(|number| answered("planted", number, "12")).collect();
    all.push(answered("planted", 4, "012"));
    all.push(answered("planted", 5, "3"));
    all.extend((0..6).map(|number| answered("hard", number, &(20 + number).to_string())));
    store.commit_trajectories(&all).unwrap();
    let same: SameAnswer = Arc::new(|_, one, two| one.parse::<i64>().ok() == two.parse::<i64>().ok());
    let found = suspects(&store, &same).unwrap();
    assert_eq!(found.len(), 1, "honest failures are not suspect");
    let suspect = &found[0];
    assert_eq!(
        (suspect.problem.as_str(), suspect.gold.as_str(), suspect.answer.as_str()),
        ("planted", "7", "12")
    );
    assert_eq!((suspect.agreeing, suspect.wrong, suspect.correct), (5, 6, 0));
}
