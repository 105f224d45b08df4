//! The store's records as clients get them.
#![allow(clippy::unwrap_used, missing_docs)]

mod fake;

use fake::judged;
use futures_util::StreamExt;
use still_control::{ErrorKind, PoolQuery, ProblemQuery};
use still_curation::DecontaminationConfig;
use still_daemon::{cli::InspectSubject, inspect::inspect, records::StoreRecords};
use still_domain::{AnswerKind, Outcome, Problem, ProblemId, Split};
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

fn store() -> Store {
    let store = Store::in_memory().unwrap();
    store.import_problems(&[problem("b", 2), problem("a", 1), problem("c", 2)]).unwrap();
    let pool =
        [judged("a", 0, Outcome::Wrong), judged("a", 1, Outcome::Correct), judged("b", 0, Outcome::Correct)];
    store.commit_trajectories(&pool).unwrap();
    store
}

async fn ids(query: PoolQuery) -> Vec<String> {
    let pool = StoreRecords::new(store()).pool(query).await.unwrap();
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
    let records = StoreRecords::new(store());
    let list = records.problems(ProblemQuery::default()).await.unwrap();
    let lines: Vec<_> =
        list.problems.iter().map(|line| (line.id.as_str(), line.attempts, line.correct)).collect();
    assert_eq!(lines, [("b", 1, 1), ("a", 2, 1), ("c", 0, 0)]);
    let hard = records.problems(ProblemQuery { level: Some(2), limit: Some(1), split: None }).await.unwrap();
    assert_eq!((hard.total, hard.problems.len()), (2, 1));
}

#[tokio::test]
async fn an_import_tells_new_from_known_and_refuses_a_name_with_another_content() {
    let records = StoreRecords::new(store());
    let report = records
        .import_problems(vec![problem("a", 1), problem("d", 3)], DecontaminationConfig::default())
        .await
        .unwrap();
    assert_eq!((report.imported, report.known), (1, 1));
    let other = Problem { gold: "8".to_owned(), ..problem("a", 1) };
    assert_eq!(
        records.import_problems(vec![other], DecontaminationConfig::default()).await.unwrap_err().kind,
        ErrorKind::BadInput
    );
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
    let records = StoreRecords::new(store.clone());
    let import = |problems| records.import_problems(problems, DecontaminationConfig::default());
    let held_out = Problem { split: Split::Evaluate, ..problem("held out", 1) };
    let repeated = |name| Problem { text: " held  out? ".to_owned(), ..problem(name, 1) };
    let first = import(vec![repeated("in the same file"), held_out, problem("fresh", 1)]).await.unwrap();
    assert_eq!((first.imported, first.contaminated), (2, 1));
    let second = import(vec![repeated("later"), problem("fresh", 1)]).await.unwrap();
    assert_eq!((second.imported, second.known, second.contaminated), (0, 1, 1));
    assert_eq!(store.problems().unwrap().len(), 2);
}
