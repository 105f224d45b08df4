//! The store's records as clients get them.
#![allow(clippy::unwrap_used, missing_docs)]

mod fake;

use fake::judged;
use std::sync::Arc;

use futures_util::StreamExt;
use still_actors::ExplorationSection;
use still_control::{ErrorKind, OnConflict, PoolQuery, ProblemQuery, ReviveRequest};
use still_curation::{CleaningConfig, Fault};
use still_domain::{
    AnswerKind, Demonstration, DemonstrationId, Outcome, PolicyOrigin, PolicyRecord, PolicyVersion, Problem,
    ProblemId, Split,
};
use still_operator::{
    admission::{Admission, AdmissionError, AdmissionRules},
    cli::InspectSubject,
    inspect::inspect,
    records::StoreRecords,
};
use still_store::Store;

fn problem(name: &str, level: u8) -> Problem {
    Problem {
        id: ProblemId::new(name),
        text: format!("{name}?"),
        gold: "7".to_owned(),
        kind: AnswerKind::Integer,
        level: Some(level),
        source: "test".to_owned(),
        split: Split::Explore,
    }
}

fn held_out(name: &str) -> Problem {
    Problem { split: Split::Dev, ..problem(name, 1) }
}

fn demonstration(name: &str, problem: &str) -> Demonstration {
    Demonstration {
        id: DemonstrationId::new(name),
        problem: problem.to_owned(),
        response: "because".to_owned(),
        gold: None,
        level: None,
        source: "test".to_owned(),
    }
}

/// Records to which golds that are numbers are added, and no others.
fn records(store: Store) -> StoreRecords {
    let check = |problem: &Problem| match problem.gold.parse::<i64>() {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("problem `{}` has no number", problem.id)),
    };
    let admission = Admission::new(rules(), Arc::new(check), Arc::new(ends_in_gold));
    StoreRecords::new(store, admission, ExplorationSection::default().curriculum())
}

/// Rules by which one word may be a demonstration.
fn rules() -> AdmissionRules {
    let cleaning = CleaningConfig { min_characters: 1, ..CleaningConfig::default() };
    AdmissionRules { cleaning, ..AdmissionRules::default() }
}

fn ends_in_gold(problem: &Problem, response: &str) -> Outcome {
    if response.ends_with(&problem.gold) { Outcome::Correct } else { Outcome::Wrong }
}

fn store() -> Store {
    let store = Store::in_memory().unwrap();
    store.import_problems(&[problem("b", 2), problem("a", 1), problem("c", 2)]).unwrap();
    let pool =
        [judged("a", 0, Outcome::Wrong), judged("a", 1, Outcome::Correct), judged("b", 0, Outcome::Correct)];
    store.commit_trajectories(&pool).unwrap();
    store
}

async fn ids(query: PoolQuery) -> Vec<String> {
    let pool = records(store()).pool(query).await.unwrap();
    pool.map(|judged| judged.unwrap().id().to_string()).collect().await
}

#[tokio::test]
async fn the_pool_is_streamed_by_verdict_problem_and_limit() {
    assert_eq!(ids(PoolQuery::default()).await, ["a#0", "a#1", "b#0"]);
    assert_eq!(
        ids(PoolQuery { verdict: Some(Outcome::Correct), ..PoolQuery::default() }).await,
        ["a#1", "b#0"]
    );
    assert_eq!(
        ids(PoolQuery { problem: Some(ProblemId::new("a")), ..PoolQuery::default() }).await,
        ["a#0", "a#1"]
    );
    assert_eq!(ids(PoolQuery { limit: Some(1), ..PoolQuery::default() }).await, ["a#0"]);
}

#[tokio::test]
async fn problems_come_in_the_order_of_import_with_what_has_come_of_them() {
    let records = records(store());
    let list = records.problems(ProblemQuery::default()).await.unwrap();
    let lines: Vec<_> =
        list.problems.iter().map(|line| (line.id.as_str(), line.attempts, line.correct)).collect();
    assert_eq!(lines, [("b", 1, 1), ("a", 2, 1), ("c", 0, 0)]);
    let (solved, untried) = (&list.problems[0], &list.problems[2]);
    assert_eq!((solved.state.as_deref(), untried.state.as_deref()), (Some("open"), Some("fresh")));
    assert!(solved.pass_rate > untried.pass_rate, "{solved:?} {untried:?}");
    assert!(solved.pass_rate_deviation < untried.pass_rate_deviation, "{solved:?} {untried:?}");
    let hard = records.problems(ProblemQuery { level: Some(2), limit: Some(1), split: None }).await.unwrap();
    assert_eq!((hard.total, hard.problems.len()), (2, 1));
}

#[tokio::test]
async fn an_import_tells_new_from_known_and_refuses_a_name_with_another_content() {
    let records = records(store());
    let report =
        records.import_problems(vec![problem("a", 1), problem("d", 3)], OnConflict::Abort).await.unwrap();
    assert_eq!((report.imported, report.known), (1, 1));
    let other = Problem { gold: "8".to_owned(), ..problem("a", 1) };
    assert_eq!(
        records.import_problems(vec![other], OnConflict::Abort).await.unwrap_err().kind,
        ErrorKind::BadInput
    );
}

#[tokio::test]
async fn a_problem_that_cannot_be_judged_refuses_the_import_by_its_name() {
    let store = Store::in_memory().unwrap();
    let none = Problem { gold: "none".to_owned(), ..problem("odd", 1) };
    let error = records(store.clone())
        .import_problems(vec![problem("sound", 1), none], OnConflict::Abort)
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::BadInput);
    assert!(error.message.contains("1 of 2") && error.message.contains("`odd`"), "{error}");
    assert!(store.problems().unwrap().is_empty(), "nothing was written");
}

#[test]
fn a_store_is_inspected_as_it_is() {
    let mut out = Vec::new();
    inspect(&store(), InspectSubject::Pool, true, &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap().lines().count(), 3);
}

#[tokio::test]
async fn what_repeats_a_held_out_problem_is_not_explored() {
    let store = Store::in_memory().unwrap();
    let records = records(store.clone());
    let import = |problems: Vec<Problem>| records.import_problems(problems, OnConflict::Abort);
    let repeated = |name| Problem { text: " held  out? ".to_owned(), ..problem(name, 1) };
    let first = import(vec![repeated("in the same file"), held_out("held out"), problem("fresh", 1)]).await;
    let first = first.unwrap();
    assert_eq!((first.imported, first.contaminated), (2, 1));
    let second = import(vec![repeated("later"), problem("fresh", 1)]).await.unwrap();
    assert_eq!((second.imported, second.known, second.contaminated), (0, 1, 1));
    assert_eq!(store.problems().unwrap().len(), 2);
}

#[tokio::test]
async fn a_demonstration_of_a_held_out_problem_is_not_imitated() {
    let store = Store::in_memory().unwrap();
    let records = records(store.clone());
    records.import_problems(vec![held_out("held out")], OnConflict::Abort).await.unwrap();
    let shown = vec![demonstration("leak", "Held out ?"), demonstration("sound", "another?")];
    let report = records.import_demonstrations(shown).await.unwrap();
    assert_eq!((report.imported, report.contaminated), (1, 1));
    assert_eq!(store.demonstrations().unwrap()[0].id.as_str(), "sound");
}

#[tokio::test]
async fn a_problem_is_not_held_out_once_the_run_trains_on_it() {
    let store = Store::in_memory().unwrap();
    let records = records(store.clone());
    let import = |problems: Vec<Problem>| records.import_problems(problems, OnConflict::Abort);
    records.import_demonstrations(vec![demonstration("shown", "seen?")]).await.unwrap();
    import(vec![problem("explored", 1), held_out("apart")]).await.unwrap();
    for (late, twin) in [("explored", "problem `explored`"), ("seen", "demonstration `shown`")] {
        let late = Problem { id: ProblemId::new("late"), ..held_out(late) };
        let error = import(vec![late, held_out("unrelated")]).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::BadInput);
        assert!(error.message.contains("`late`") && error.message.contains(twin), "{error}");
    }
    assert_eq!(store.problems().unwrap().len(), 2, "nothing was written");
    assert_eq!(import(vec![held_out("apart")]).await.unwrap().known, 1);
}

#[test]
fn a_task_that_conflicts_leaves_nothing_behind() {
    let store = Store::in_memory().unwrap();
    let admission = Admission::new(rules(), Arc::new(|_| Ok(())), Arc::new(ends_in_gold));
    admission.import(&store, Vec::new(), vec![problem("a", 1)], OnConflict::Abort).unwrap();
    let other = Problem { gold: "8".to_owned(), ..problem("a", 1) };
    let task = vec![held_out("new"), other];
    admission.import(&store, vec![demonstration("shown", "seen?")], task, OnConflict::Abort).unwrap_err();
    assert!(store.demonstrations().unwrap().is_empty());
    assert_eq!(store.problems().unwrap().len(), 1);
}

#[tokio::test]
async fn a_demonstration_with_a_fault_is_left_out_counted_and_listed() {
    let store = Store::in_memory().unwrap();
    let records = records(store.clone());
    records.import_problems(vec![problem("known", 1)], OnConflict::Abort).await.unwrap();
    let shown = |name: &str, statement: &str, response: &str| Demonstration {
        response: response.to_owned(),
        ..demonstration(name, statement)
    };
    let wrong = shown("wrong", "known?", "it is 8");
    let mut disagrees = shown("disagrees", "another?", "it is 7");
    disagrees.gold = Some("9".to_owned());
    let right = shown("right", "known?", "so it is 7");
    let twin = shown("twin", "known?", "so  it is\n7");
    let looping = shown("looping", "third?", &"wait, let me check that again. ".repeat(40));
    let import = vec![wrong, disagrees, right.clone(), twin, looping];
    let report = records.import_demonstrations(import.clone()).await.unwrap();
    assert_eq!((report.imported, report.cleaned.len()), (1, 4));
    let listed: Vec<_> =
        report.cleaned.iter().map(|one| format!("{} {}", one.id, one.reasons.join(", "))).collect();
    assert_eq!(
        listed,
        [
            "wrong does not give the gold answer",
            "disagrees does not give the gold answer",
            "twin says the same as `right`",
            "looping repeats itself",
        ]
    );
    let faults = [("disagrees", 2), ("duplicate", 1), ("repetitive", 1)];
    assert_eq!(report.faults, faults.map(|(name, count)| (name.to_owned(), count)).into());
    let again = records.import_demonstrations(import).await.unwrap();
    assert_eq!((again.imported, again.known, again.cleaned.len()), (0, 1, 4), "the same file again");
    assert_eq!(store.demonstrations().unwrap(), [right]);
}

#[test]
fn cleaning_that_leaves_nothing_to_imitate_is_told() {
    let store = Store::in_memory().unwrap();
    let admission = Admission::new(AdmissionRules::default(), Arc::new(|_| Ok(())), Arc::new(ends_in_gold));
    let shown = vec![demonstration("short", "seen?")];
    let error =
        admission.import(&store, shown.clone(), vec![problem("a", 1)], OnConflict::Abort).unwrap_err();
    assert!(matches!(error, AdmissionError::NothingToImitate(1, _)), "{error}");
    assert!(
        error.to_string().contains("too_short: 1") && error.to_string().contains("[cleaning]"),
        "{error}"
    );
    assert!(store.problems().unwrap().is_empty(), "nothing was written");
    assert_eq!(
        admission.without_cleaning().import(&store, shown, Vec::new(), OnConflict::Abort).unwrap().report.new,
        1
    );
}

#[test]
fn what_is_imitated_is_not_explored_again_unless_that_is_asked_for() {
    for explore_imitated in [false, true] {
        let store = Store::in_memory().unwrap();
        let rules = AdmissionRules { explore_imitated, ..rules() };
        let admission = Admission::new(rules, Arc::new(|_| Ok(())), Arc::new(|_, _| Outcome::Correct));
        admission.import(&store, Vec::new(), vec![problem("early", 1)], OnConflict::Abort).unwrap();
        let shown = vec![demonstration("d1", " early? "), demonstration("d2", "late?")];
        let problems = vec![problem("early", 1), problem("late", 1), problem("fresh", 1)];
        let admitted = admission.import(&store, shown, problems, OnConflict::Abort).unwrap();
        assert_eq!(admitted.imitated_left_out, u64::from(!explore_imitated));
        let explored: Vec<_> = store.problems().unwrap().into_iter().map(|one| one.id.to_string()).collect();
        let expected = if explore_imitated { vec!["early", "late", "fresh"] } else { vec!["early", "fresh"] };
        assert_eq!(explored, expected, "what is explored already goes on");
        assert_eq!(admitted.cleaned, Vec::<(DemonstrationId, Vec<Fault>)>::new());
    }
}

#[tokio::test]
async fn problems_that_were_given_up_are_revived_by_name_or_all_of_them() {
    let store = Store::in_memory().unwrap();
    store.import_problems(&[problem("hard", 3), problem("fresh", 1)]).unwrap();
    let policy = PolicyRecord {
        version: PolicyVersion(2),
        origin: PolicyOrigin::Base,
        checkpoint: None,
        accuracy: None,
        published_at_ms: 0,
    };
    store.publish(&policy).unwrap();
    let wrong: Vec<_> = (0..12).map(|number| judged("hard", number, Outcome::Wrong)).collect();
    store.commit_trajectories(&wrong).unwrap();
    let records = records(store.clone());
    let request = |names: &[&str], attempts| ReviveRequest {
        problems: names.iter().map(|name| ProblemId::new(*name)).collect(),
        attempts,
    };
    for (names, attempts, kind, words) in [
        (&["hard"][..], 0, ErrorKind::BadInput, "at least one"),
        (&["hard", "nobody"], 4, ErrorKind::NotFound, "nobody"),
        (&["hard", "fresh"], 4, ErrorKind::BadInput, "`fresh` is fresh"),
    ] {
        let refused = records.revive(request(names, attempts)).await.unwrap_err();
        assert!(refused.kind == kind && refused.message.contains(words), "{refused:?}");
    }
    assert_eq!(store.revivals().unwrap(), [], "all of a request or nothing");
    let state = async || records.problems(ProblemQuery::default()).await.unwrap().problems[0].state.clone();
    assert_eq!(state().await.as_deref(), Some("parked"));
    let told = records.revive(request(&[], 4)).await.unwrap();
    assert!(told.starts_with("1 problems have 4 further attempts"), "{told}");
    assert_eq!(state().await.as_deref(), Some("open"));
    let again = records.revive(request(&["hard"], 4)).await.unwrap_err();
    assert!(again.message.contains("`hard` is open"), "{again:?}");
}
