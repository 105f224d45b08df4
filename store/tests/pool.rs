//! The pool and its index: every trajectory comes back as it was, once, with its fact beside it.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod samples;

use std::collections::BTreeMap;

use proptest::{collection::vec, option, prelude::*};
use samples::judged;
use still_curation::Candidate;
use still_domain::{
    AttemptFact, AttemptId, AttemptNumber, FinishReason, JudgedTrajectory, Measures, Outcome, PolicyVersion,
    ProblemId, Rejection, SamplingSettings, Trajectory, Verdict, VersionSpan,
};
use still_store::{Store, StoreError};

/// Any trajectory; few names, so that attempts meet.
fn any_judged() -> impl Strategy<Value = JudgedTrajectory> {
    let rollout = ("[ab#\u{0}ü]{0,3}", 0..4_u32, vec((any::<u32>(), -20.0_f32..0.0), 0..20), any::<u64>());
    let verdict = (0..6_usize, option::of(".{0,6}"), option::of("[a-z]{1,6}"), option::of(0..6_usize));
    let text = ".{0,30}";
    (rollout, verdict, text, any::<[u16; 3]>()).prop_map(|(rollout, verdict, text, numbers)| {
        let (problem, number, tokens, seed) = rollout;
        let (outcome, extracted, rule, rejection) = verdict;
        let rejections = [
            Rejection::BrokenFormat,
            Rejection::Truncated,
            Rejection::TooShort,
            Rejection::TooLong,
            Rejection::Repetitive,
            Rejection::Gibberish,
            Rejection::SeveralAnswers,
        ];
        let end = tokens.len() as u32;
        JudgedTrajectory {
            trajectory: Trajectory {
                id: AttemptId { problem: ProblemId::new(problem), number: AttemptNumber(number) },
                prompt_token_count: u32::from(numbers[0]),
                tokens: tokens.iter().map(|(token, _)| *token).collect(),
                log_probabilities: tokens.iter().map(|(_, probability)| *probability).collect(),
                sampling_log_probabilities: Vec::new(),
                text,
                sampling: SamplingSettings::default(),
                seed,
                finish: FinishReason::Length,
                versions: vec![VersionSpan {
                    policy: PolicyVersion(u64::from(numbers[1])).into(),
                    start: 0,
                    end,
                }],
                provenance: None,
            },
            verdict: Verdict {
                outcome: Outcome::ALL[outcome],
                extracted,
                rule,
                verifier: "test-1".to_owned(),
            },
            measures: Measures { perplexity: f32::from(numbers[2]), ..Measures::default() },
            rejection: rejection.map(|index| rejections[index]),
            eviction: None,
        }
    })
}

/// What the store promises, on a plain map and a list.
#[derive(Default)]
struct Model {
    pool: BTreeMap<AttemptId, JudgedTrajectory>,
    arrivals: Vec<AttemptId>,
}

impl Model {
    /// Gives how many are new.
    fn commit(&mut self, group: &[JudgedTrajectory]) -> u64 {
        let before = self.arrivals.len();
        for judged in group {
            if !self.pool.contains_key(judged.id()) {
                self.arrivals.push(judged.id().clone());
                self.pool.insert(judged.id().clone(), judged.clone());
            }
        }
        (self.arrivals.len() - before) as u64
    }

    fn agrees_with(&self, store: &Store) {
        let pool: Vec<_> = store.trajectories().map(Result::unwrap).collect();
        assert_eq!(pool, self.pool.values().cloned().collect::<Vec<_>>());
        let facts = store.facts().unwrap();
        assert!(facts.iter().map(|fact| &fact.id).eq(self.pool.keys()));
        for since in 0..=self.arrivals.len() {
            let seen: Vec<_> = store.facts_since(since as u64).map(|fact| fact.unwrap().id).collect();
            assert_eq!(seen, self.arrivals[since..]);
        }
        assert_eq!(store.last_sequence().unwrap(), self.arrivals.len() as u64);
        for problem in self.pool.keys().map(|id| &id.problem) {
            let of_problem: Vec<_> =
                self.pool.values().filter(|judged| judged.problem() == problem).cloned().collect();
            assert_eq!(store.trajectories_of(problem).unwrap(), of_problem);
        }
    }
}

fn obeys(store: Store, groups: &[Vec<JudgedTrajectory>], reopen: impl Fn(Store) -> Store) {
    let (mut store, mut model) = (store, Model::default());
    for group in groups {
        let report = store.commit_trajectories(group).unwrap();
        assert_eq!(report.new, model.commit(group));
        assert_eq!(report.new + report.already_there.len() as u64, group.len() as u64);
        assert_eq!(report.bytes > 0, report.new > 0);
        store = reopen(store);
        model.agrees_with(&store);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_pool_is_a_map_and_a_list_of_arrivals(groups in vec(vec(any_judged(), 0..8), 0..6)) {
        obeys(Store::in_memory().unwrap(), &groups, |store| store);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn so_it_is_on_the_disk_however_often_it_is_opened(groups in vec(vec(any_judged(), 0..8), 1..5)) {
        let folder = tempfile::tempdir().unwrap();
        obeys(Store::open(folder.path()).unwrap(), &groups, |store| {
            drop(store);
            Store::open(folder.path()).unwrap()
        });
    }

    #[test]
    fn a_fact_holds_what_curation_selects_by(judged in any_judged()) {
        let store = Store::in_memory().unwrap();
        store.commit_trajectories(std::slice::from_ref(&judged)).unwrap();
        let fact = store.facts().unwrap().remove(0);
        let AttemptFact { id, outcome, rejection, measures, fingerprint, .. } = fact;
        let candidate = Candidate {
            id,
            outcome,
            rejection,
            fingerprint,
            version: fact.policy_version,
            is_mixed: fact.is_mixed,
            prompt_tokens: fact.prompt_tokens,
            response_tokens: fact.response_tokens,
            thought_tokens: measures.thought_tokens,
            perplexity: measures.perplexity,
            thought_perplexity: measures.thought_perplexity,
        };
        prop_assert_eq!(candidate, Candidate::from(&judged));
    }
}

#[test]
fn reading_may_stop_anywhere_and_does_not_hold_up_commits() {
    let store = Store::in_memory().unwrap();
    let group: Vec<_> = (0..600).map(|number| judged("p", number, Outcome::Wrong)).collect();
    store.commit_trajectories(&group).unwrap();
    let mut reading = store.trajectories();
    assert_eq!(reading.by_ref().take(10).count(), 10);
    store.commit_trajectories(&[judged("q", 0, Outcome::Correct)]).unwrap();
    assert_eq!(reading.count(), 591, "what was committed behind the reader's position is seen");
}

#[test]
fn a_store_opened_for_reading_shows_everything_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let first = judged("p", 0, Outcome::Correct);
    Store::open(folder.path()).unwrap().commit_trajectories(std::slice::from_ref(&first)).unwrap();
    let store = Store::open_read_only(folder.path()).unwrap();
    assert_eq!(store.trajectory(first.id()).unwrap(), Some(first));
    let error = store.commit_trajectories(&[judged("p", 1, Outcome::Wrong)]).unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly), "{error}");
    assert_eq!(store.last_sequence().unwrap(), 1);
}
