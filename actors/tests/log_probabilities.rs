//! Log-probabilities beside those of the samplers: one policy's for choosing, and the learner's against each engine's.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};

use still_actors::{Event, FinishReason};
use still_curation::{PerplexityPreference, ScoredBy};
use still_domain::{
    AttemptFact, AttemptId, JudgedTrajectory, Outcome, PolicyVersion, ProblemId, RoundNumber,
};
use still_testkit::{
    Harness, World,
    harness::{config, finished, wait_for},
};

#[tokio::test]
async fn sets_are_chosen_by_the_perplexities_of_one_policy_where_that_is_asked_for() {
    for scored_by in [ScoredBy::Current, ScoredBy::Imitated] {
        let harness = Harness::new(World::default());
        let mut config = config(2);
        config.selection.scored_by = scored_by;
        config.selection.perplexity = PerplexityPreference::High;
        config.selection.max_per_problem = 1;
        config.exploration.stop_after_correct = 4;
        assert_eq!(harness.run(config).await, FinishReason::RoundsDone);
        let rounds = harness.rounds();
        for round in &rounds[1..] {
            let under = if scored_by == ScoredBy::Imitated { PolicyVersion(1) } else { round.policy_version };
            assert_eq!(round.tally.ranked_under, Some(under));
        }
        // the double finds later attempts more perplexing, whatever the sampler measured
        let scores = harness.store.scores(rounds[2].tally.ranked_under.unwrap()).unwrap();
        let pool = harness.pool();
        let right = pool.iter().filter(|judged| judged.is_correct()).map(JudgedTrajectory::id);
        let mut last: BTreeMap<&ProblemId, &AttemptId> = BTreeMap::new();
        for id in right.filter(|id| scores.contains_key(*id)) {
            last.insert(&id.problem, id);
        }
        let set = harness.store.training_set_of(RoundNumber(2)).unwrap().unwrap();
        let is_later = |chosen: &AttemptId| chosen.number.0 > 0;
        assert!(set.content.trajectories.iter().any(is_later), "{:?}", set.content.trajectories);
        assert!(set.content.trajectories.iter().all(|chosen| last[&chosen.problem] == chosen));
        let mut asked = harness.script.scores();
        let total = asked.len();
        asked.sort();
        asked.dedup();
        if scored_by == ScoredBy::Imitated {
            assert_eq!(asked.len(), total, "what is scored stays scored");
        }
    }
}

#[tokio::test]
async fn a_pass_of_scoring_that_fails_is_told_and_leaves_the_samplers_perplexities() {
    let harness = Harness::new(World::default());
    harness.script.scorer_failures.store(1, std::sync::atomic::Ordering::SeqCst);
    scoring_fails_in_the_first_round_alone(&harness).await;
}

#[tokio::test]
async fn a_score_that_comes_to_nothing_costs_its_trajectory_alone_and_is_asked_for_again() {
    let harness = Harness::new(World::default());
    harness.script.score_losses.store(1, std::sync::atomic::Ordering::SeqCst);
    let mut config = config(2);
    config.selection.scored_by = ScoredBy::Imitated;
    let system = harness.start(config).await;
    let mut events = system.subscribe();
    let is_told = |event: &Event| matches!(event, Event::Warning { message } if message.contains("1 trajectories have no perplexity"));
    wait_for(&system, &mut events, is_told).await;
    assert_eq!(finished(&system).await, FinishReason::RoundsDone);
    let ranked: Vec<_> = harness.rounds().iter().map(|round| round.tally.ranked_under).collect();
    assert_eq!(ranked, [None, Some(PolicyVersion(1)), Some(PolicyVersion(1))]);
    // the first of the pool was lost in the first round, and scored in the second
    let asked = harness.script.scores();
    let is_wanted = |fact: &&AttemptFact| {
        fact.rejection.is_none() && matches!(fact.outcome, Outcome::Correct | Outcome::Wrong)
    };
    let facts = harness.store.facts().unwrap();
    let first = &facts.iter().find(is_wanted).unwrap().id;
    assert!(asked.first() != Some(first) && asked.contains(first), "{asked:?}");
    assert!(harness.store.scores(PolicyVersion(1)).unwrap().contains_key(first));
}

#[tokio::test]
async fn a_pass_that_brings_nothing_is_given_up_and_tried_again_in_the_next_round() {
    let harness = Harness::new(World::default());
    // the pool of the first round has more than as many
    harness.script.score_losses.store(32, std::sync::atomic::Ordering::SeqCst);
    scoring_fails_in_the_first_round_alone(&harness).await;
}

/// Runs two rounds, of which the first is told to be ranked by what its samplers measured.
async fn scoring_fails_in_the_first_round_alone(harness: &Harness) {
    let mut config = config(2);
    config.selection.scored_by = ScoredBy::Current;
    let system = harness.start(config).await;
    let mut events = system.subscribe();
    let failed =
        |event: &Event| matches!(event, Event::Warning { message } if message.contains("scoring failed"));
    wait_for(&system, &mut events, failed).await;
    assert_eq!(finished(&system).await, FinishReason::RoundsDone);
    let ranked: Vec<_> = harness.rounds().iter().map(|round| round.tally.ranked_under).collect();
    assert_eq!((ranked[0], ranked[1]), (None, None));
    assert!(ranked[2].is_some(), "the next round is scored again: {ranked:?}");
}

#[tokio::test]
async fn engines_are_compared_with_the_learner_every_round_and_one_that_is_too_far_is_warned_of() {
    let harness = Harness::new(World::default());
    harness.script.gap_thousandths.store(200, std::sync::atomic::Ordering::SeqCst);
    let mut config = config(2);
    config.round.gap_sample = 5;
    config.round.gap_max_tokens = 7;
    let system = harness.start(config).await;
    let mut events = system.subscribe();
    let is_alarm =
        |event: &Event| matches!(event, Event::Warning { message } if message.contains("round.max_gap_nats"));
    wait_for(&system, &mut events, is_alarm).await;
    assert_eq!(finished(&system).await, FinishReason::RoundsDone);
    let rounds = harness.rounds();
    assert_eq!(rounds[0].gap, None, "imitation explores nothing");
    let mut compared = BTreeSet::new();
    for round in &rounds[1..] {
        let gap = round.gap.clone().unwrap();
        assert_eq!((gap.policy, gap.trajectories, gap.tokens), (round.policy_version, 5, 35));
        assert!((gap.mean_nats - 0.2).abs() < 1e-6 && (gap.bias_nats - 0.2).abs() < 1e-6, "{gap:?}");
        let furthest = harness.store.trajectory(&gap.furthest).unwrap().unwrap();
        assert_eq!(furthest.trajectory.policy_version(), round.policy_version);
        assert!(compared.insert(gap.furthest), "each round is compared anew");
    }
    assert_eq!(system.status().round.gap, rounds[2].gap);
    // what each trajectory names is there
    for judged in harness.pool() {
        let name = judged.trajectory.provenance.unwrap();
        assert_eq!(harness.store.provenance(&name).unwrap().unwrap().engine, "scripted");
    }
}

#[tokio::test]
async fn a_comparison_that_fails_is_told_and_keeps_no_round_from_being_trained_on() {
    let harness = Harness::new(World::default());
    harness.script.gap_failures.store(1, std::sync::atomic::Ordering::SeqCst);
    let system = harness.start(config(2)).await;
    let mut events = system.subscribe();
    let is_told = |event: &Event| matches!(event, Event::Warning { message } if message.contains("could not be measured"));
    wait_for(&system, &mut events, is_told).await;
    assert_eq!(finished(&system).await, FinishReason::RoundsDone);
    let rounds = harness.rounds();
    assert_eq!(rounds[1].gap, None);
    assert!(rounds[2].gap.as_ref().is_some_and(|gap| gap.mean_nats < 1e-9), "{:?}", rounds[2].gap);
}

#[tokio::test]
async fn nothing_is_compared_where_that_is_not_wanted() {
    let harness = Harness::new(World::default());
    harness.script.gap_failures.store(1, std::sync::atomic::Ordering::SeqCst);
    let mut config = config(1);
    config.round.gap_sample = 0;
    assert_eq!(harness.run(config).await, FinishReason::RoundsDone);
    assert_eq!(harness.rounds()[1].gap, None);
    assert_eq!(harness.script.gap_failures.load(std::sync::atomic::Ordering::SeqCst), 1);
}
