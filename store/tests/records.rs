//! What the store promises of records: commits are whole, twice is once, and contradictions are refused.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod samples;

use std::collections::BTreeMap;

use samples::{judged, policy, problem, round, training_set};
use still_domain::{
    AnswerKind, AttemptNumber, Demonstration, DemonstrationId, Outcome, PolicyVersion, Problem, ProblemId,
    RoundNumber, RoundPhase, SealingDecisions, Split,
};
use still_store::{Fault, FaultPlan, RunIdentity, Store, StoreError};

fn demonstration(id: &str, response: &str) -> Demonstration {
    Demonstration {
        id: DemonstrationId::new(id),
        problem: "6*7?".to_owned(),
        response: response.to_owned(),
        gold: None,
        level: None,
        source: "test".to_owned(),
    }
}

#[test]
fn a_trajectory_committed_twice_is_there_once_and_unchanged() {
    let store = Store::in_memory().unwrap();
    let first = judged("p", 0, Outcome::Correct);
    let report = store.commit_trajectories(&[first.clone(), judged("p", 1, Outcome::Wrong)]).unwrap();
    assert_eq!((report.new, report.already_there), (2, [].into()));
    assert!(report.bytes > 0);
    let contradiction = judged("p", 0, Outcome::Wrong);
    let report = store.commit_trajectories(&[contradiction, judged("q", 0, Outcome::Error)]).unwrap();
    assert_eq!((report.new, report.already_there), (1, [0].into()));
    assert_eq!(store.trajectory(first.id()).unwrap().unwrap(), first);
    assert_eq!(store.trajectories_of(&ProblemId::new("p")).unwrap().len(), 2);
}

#[test]
fn trajectories_come_by_problem_and_attempt_across_pages() {
    let store = Store::in_memory().unwrap();
    let mut group: Vec<_> = (0..700).rev().map(|number| judged("p", number, Outcome::Wrong)).collect();
    group.push(judged("o", 5, Outcome::Correct));
    store.commit_trajectories(&group).unwrap();
    let ids: Vec<_> = store.trajectories().map(|judged| judged.unwrap().id().clone()).collect();
    assert_eq!(ids.len(), 701);
    assert_eq!(ids[0].problem, ProblemId::new("o"));
    assert!(ids[1..].windows(2).all(|pair| pair[0].number.next() == pair[1].number));
    assert_eq!(ids[700].number, AttemptNumber(699));
}

#[test]
fn problems_keep_the_order_of_import_and_refuse_a_second_meaning() {
    let store = Store::in_memory().unwrap();
    let report = store.import_problems(&[problem("z", "1"), problem("a", "2"), problem("z", "1")]).unwrap();
    assert_eq!((report.new, report.already_there), (2, 1));
    store.import_problems(&[problem("m", "3")]).unwrap();
    let ids: Vec<_> = store.problems().unwrap().into_iter().map(|problem| problem.id.to_string()).collect();
    assert_eq!(ids, ["z", "a", "m"]);

    let error = store.import_problems(&[problem("new", "4"), problem("a", "5")]).unwrap_err();
    assert!(error.to_string().contains("`a`"), "{error}");
    assert_eq!(store.problems().unwrap().len(), 3, "nothing of a refused import is there");
}

#[test]
fn the_same_problem_from_another_file_is_known_and_the_first_record_stays() {
    let store = Store::in_memory().unwrap();
    let first = problem("p", "1");
    store.import_problems(std::slice::from_ref(&first)).unwrap();
    let renamed = Problem { source: "renamed.jsonl".to_owned(), level: None, ..first.clone() };
    assert_eq!(store.import_problems(&[renamed]).unwrap().already_there, 1);
    assert_eq!(store.problems().unwrap(), std::slice::from_ref(&first));
    for other in [
        Problem { text: "another".to_owned(), ..first.clone() },
        Problem { gold: "2".to_owned(), ..first.clone() },
        Problem { kind: AnswerKind::Math, ..first.clone() },
        Problem { split: Split::Dev, ..first.clone() },
    ] {
        let error = store.import_problems(std::slice::from_ref(&other)).unwrap_err();
        assert!(matches!(error, StoreError::Conflict(_)), "{other:?}");
    }

    let shown = demonstration("d", "because");
    store.import_demonstrations(std::slice::from_ref(&shown)).unwrap();
    let renamed = Demonstration { source: "renamed.jsonl".to_owned(), level: Some(4), ..shown.clone() };
    assert_eq!(store.import_demonstrations(&[renamed]).unwrap().already_there, 1);
    assert_eq!(store.demonstrations().unwrap(), [shown]);
    store.import_demonstrations(&[demonstration("d", "for another reason")]).unwrap_err();
}

#[test]
fn demonstrations_and_problems_of_a_task_are_written_together_or_not_at_all() {
    let store = Store::in_memory().unwrap();
    store.import_problems(&[problem("p", "1")]).unwrap();
    let shown = [demonstration("d", "because")];
    store.import_task(&shown, &[problem("q", "1"), problem("p", "2")], &[]).unwrap_err();
    assert!(store.demonstrations().unwrap().is_empty());
    let report = store.import_task(&shown, &[problem("q", "1"), problem("p", "1")], &[]).unwrap();
    assert_eq!((report.new, report.already_there), (2, 1));
}

#[test]
fn a_round_is_sealed_with_one_set_for_ever() {
    let store = Store::in_memory().unwrap();
    let set = training_set(1, &["p#0"]);
    let sealed = round(1, RoundPhase::Training, Some(&set));
    assert_eq!(store.seal_round(&set, &sealed, None).unwrap(), sealed);
    assert_eq!(store.seal_round(&set, &sealed, None).unwrap(), sealed);
    assert_eq!(store.training_set(&set.id).unwrap().unwrap(), set);

    let other = training_set(1, &["p#1"]);
    let resealed = store.seal_round(&other, &round(1, RoundPhase::Training, Some(&other)), None).unwrap();
    assert_eq!(resealed, sealed, "the first set stands");
    assert_eq!(store.training_set(&other.id).unwrap(), None);

    let decided = |round, words: &str, ids: &[&str]| SealingDecisions {
        round: RoundNumber(round),
        decided: BTreeMap::from([(words.to_owned(), ids.iter().map(|id| id.parse().unwrap()).collect())]),
    };
    let next = training_set(2, &["p#0", "p#1"]);
    let decisions = decided(2, "joins the set", &["p#0", "p#1"]);
    store.seal_round(&next, &round(2, RoundPhase::Training, Some(&next)), Some(&decisions)).unwrap();
    let decisions = decided(2, "left out", &["p#0"]);
    store.seal_round(&next, &round(2, RoundPhase::Training, Some(&next)), Some(&decisions)).unwrap();
    let last = training_set(3, &["p#0"]);
    let decisions = decided(3, "left out", &["p#1"]);
    store.seal_round(&last, &round(3, RoundPhase::Training, Some(&last)), Some(&decisions)).unwrap();
    let told: Vec<_> = store.decisions_of(&"p#1".parse().unwrap()).unwrap();
    let told: Vec<_> = told.iter().map(|one| (one.round.0, one.decision.as_str())).collect();
    assert_eq!(told, [(2, "joins the set"), (3, "left out")], "a late seal decides nothing");
    assert_eq!(store.standing_decisions().unwrap().len(), 2);

    let further = round(1, RoundPhase::Evaluating, Some(&set));
    store.put_round(&further).unwrap();
    assert_eq!(
        store.seal_round(&set, &sealed, None).unwrap(),
        further,
        "a late seal does not set the round back"
    );
    assert_eq!(store.round(RoundNumber(1)).unwrap(), Some(further));

    let mut forged = training_set(4, &["p#0"]);
    forged.content.trajectories.clear();
    let error = store.seal_round(&forged, &round(4, RoundPhase::Training, Some(&forged)), None).unwrap_err();
    assert!(matches!(error, StoreError::Conflict(_)), "{error}");
}

#[test]
fn a_version_is_published_once() {
    let store = Store::in_memory().unwrap();
    let promoted = round(1, RoundPhase::Promoted, None);
    store.finish_round(&promoted, Some(&policy(1, "round-1-step-9"))).unwrap();
    store.finish_round(&promoted, Some(&policy(1, "round-1-step-9"))).unwrap();
    assert!(store.publish(&policy(1, "another")).is_err());
    store.publish(&policy(2, "another")).unwrap();
    assert_eq!(store.current_policy().unwrap().unwrap().version, PolicyVersion(2));
    assert_eq!(store.latest_round().unwrap().unwrap().round, RoundNumber(1));
}

#[test]
fn a_run_is_not_continued_under_another_identity() {
    let store = Store::in_memory().unwrap();
    let identity =
        |seed, model: &str| RunIdentity { seed, facts: [("model".to_owned(), model.to_owned())].into() };
    store.identify(&identity(1, "embedded")).unwrap();
    store.identify(&identity(1, "embedded")).unwrap();
    let mut more = identity(1, "embedded");
    more.facts.insert("model sizes".to_owned(), "2 layers".to_owned());
    store.identify(&more).unwrap();
    store.identify(&identity(1, "embedded")).unwrap();
    more.facts.insert("model sizes".to_owned(), "3 layers".to_owned());
    let error = store.identify(&more).unwrap_err().to_string();
    assert!(error.contains("model sizes `2 layers` is now `3 layers`"), "{error}");
    let error = store.identify(&identity(1, "qwen")).unwrap_err();
    assert!(error.to_string().contains("model `embedded` is now `qwen`"), "{error}");
}

#[test]
fn a_commit_that_fails_leaves_nothing_and_one_that_is_not_acknowledged_leaves_all() {
    let group = [judged("p", 0, Outcome::Correct), judged("p", 1, Outcome::Wrong)];
    for (fault, expected) in [(Fault::Refused, 0), (Fault::Unacknowledged, 2)] {
        let store = Store::failing(FaultPlan { first: 1, count: 1, fault }).unwrap();
        let error = store.commit_trajectories(&group).unwrap_err();
        assert!(error.to_string().contains("is the disk full?"), "{error}");
        assert_eq!(store.trajectories_of(&ProblemId::new("p")).unwrap().len(), expected);
        // the caller asks again, as after a restart
        store.commit_trajectories(&group).unwrap();
        assert_eq!(store.trajectories_of(&ProblemId::new("p")).unwrap().len(), 2);
    }
}

#[test]
fn a_directory_in_use_names_its_holder_and_an_empty_one_is_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let error = Store::open_existing(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::Absent(_)), "{error}");
    let store = Store::open(folder.path()).unwrap();
    store.put_round(&round(0, RoundPhase::Training, None)).unwrap();
    let error = Store::open_existing(folder.path()).unwrap_err();
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    drop(store);
    let store = Store::open_existing(folder.path()).unwrap();
    assert_eq!(store.rounds().unwrap().len(), 1);
    assert!(store.size().unwrap().disk_bytes > 0);
}
