//! What an operator asks of a running program: pauses, seals, drains, policies put in force, checkpoints kept.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{cmp::Reverse, collections::BTreeSet};

use still_actors::{Activity, Event, FinishReason, Refusal};
use still_domain::{PolicyOrigin, PolicyVersion, RoundNumber, RoundPhase};
use still_store::CheckpointsSection;
use still_testkit::{
    Harness, World,
    harness::{config, finished, wait_for},
};

#[tokio::test]
async fn pausing_exploration_holds_attempts_back_until_it_is_resumed() {
    let harness = Harness::new(World::default());
    let system = harness.start(config(2)).await;
    system.pause(Some(Activity::Explore));
    let mut events = system.subscribe();
    let explores = |wanted: u32| move |event: &Event| matches!(event, Event::Phase { round, phase: RoundPhase::Exploring } if round.0 == wanted);
    wait_for(&system, &mut events, explores(1)).await;
    // a whole round passes meanwhile
    assert_eq!(system.seal().await, Ok(RoundNumber(1)));
    wait_for(&system, &mut events, explores(2)).await;
    assert!(system.status().exploration_paused);
    assert!(harness.pool().is_empty());
    let asked = harness.script.rollouts();
    assert!(asked.keys().all(|id| !id.problem.as_str().starts_with("explore")));
    system.resume(None);
    assert_eq!(finished(&system).await, FinishReason::RoundsDone);
    assert!(harness.pool().len() >= 60);
}

#[tokio::test]
async fn pausing_training_takes_no_step_and_a_checkpoint_can_be_written_all_the_same() {
    let harness = Harness::new(World::default());
    harness.script.training.close();
    let system = harness.start(config(1)).await;
    let mut events = system.subscribe();
    assert!(matches!(system.checkpoint().await, Err(Refusal::NotNow(_)) | Ok(_)));
    system.pause(Some(Activity::Train));
    harness.script.training.open();
    let trained = |event: &Event| matches!(event, Event::Trained { .. });
    let exploring = |event: &Event| matches!(event, Event::Phase { phase: RoundPhase::Exploring, .. });
    let checkpoint = loop {
        match system.checkpoint().await {
            Ok(id) => break id,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert!(checkpoint.as_str().starts_with("round-0-step-"), "{checkpoint}");
    assert!(system.status().training_paused);
    system.resume(Some(Activity::Train));
    wait_for(&system, &mut events, trained).await;
    wait_for(&system, &mut events, exploring).await;
    assert_eq!(finished(&system).await, FinishReason::RoundsDone);
}

#[tokio::test]
async fn sealing_closes_the_round_with_what_it_has() {
    for lockstep in [false, true] {
        let harness = Harness::new(World::default());
        let mut config = config(1);
        config.lockstep = lockstep;
        config.round.problems = 75;
        let system = harness.start(config).await;
        let mut events = system.subscribe();
        assert!(matches!(system.seal().await, Err(Refusal::NotNow(_))));
        wait_for(
            &system,
            &mut events,
            |event| matches!(event, Event::Explored { judged, .. } if *judged > 0),
        )
        .await;
        assert_eq!(system.seal().await, Ok(RoundNumber(1)));
        assert_eq!(finished(&system).await, FinishReason::RoundsDone);
        let judged: u64 = harness.rounds()[1].tally.outcomes.values().sum();
        assert!(judged < 300, "{judged}");
    }
}

#[tokio::test]
async fn a_drain_finishes_what_is_in_flight_and_ends() {
    let harness = Harness::new(World::default());
    let system = harness.start(config(0)).await;
    let mut events = system.subscribe();
    wait_for(&system, &mut events, |event| matches!(event, Event::Explored { judged, .. } if *judged > 0))
        .await;
    system.drain();
    assert_eq!(finished(&system).await, FinishReason::Drained);
    let begun = harness.script.rollouts();
    let explored = begun.keys().filter(|id| id.problem.as_str().starts_with("explore")).count();
    assert_eq!(harness.pool().len(), explored, "everything that was begun is durable");
    assert!(!system.is_alive());
}

#[tokio::test]
async fn a_drain_in_training_leaves_a_checkpoint_that_the_next_start_goes_on_from() {
    let harness = Harness::new(World::default());
    let system = harness.start(config(1)).await;
    let mut events = system.subscribe();
    wait_for(&system, &mut events, |event| matches!(event, Event::Trained { .. })).await;
    system.drain();
    assert_eq!(finished(&system).await, FinishReason::Drained);
    let unfinished = harness.rounds()[0].phase == RoundPhase::Training;
    assert_eq!(harness.run(config(1)).await, FinishReason::RoundsDone);
    if unfinished {
        assert!(harness.script.jobs()[1].resumed_step > 0, "{:?}", harness.script.jobs());
    }
}

#[tokio::test]
async fn an_earlier_policy_is_put_in_force_under_a_new_version_and_rolled_back_from() {
    let harness = Harness::new(World::default());
    harness.run(config(2)).await;
    let newest = harness.store.policies().unwrap().last().unwrap().version;
    let mut config = config(0);
    config.round.problems = 250_000;
    let system = harness.start(config).await;
    assert!(matches!(system.promote(PolicyVersion(99)).await, Err(Refusal::Unknown(_))));
    assert_eq!(system.promote(PolicyVersion(1)).await, Ok(PolicyVersion(newest.0 + 1)));
    let records = harness.store.policies().unwrap();
    assert_eq!(records.last().unwrap().origin, PolicyOrigin::Operator(PolicyVersion(1)));
    assert!(matches!(system.roll_back().await, Err(Refusal::NotNow(_))), "nothing comes before the first");
    system.promote(PolicyVersion(2)).await.unwrap();
    system.roll_back().await.unwrap();
    let records = harness.store.policies().unwrap();
    assert_eq!(records.last().unwrap().origin, PolicyOrigin::Operator(PolicyVersion(1)));
    assert_eq!(system.status().policy, records.last().map(|record| record.version));
    system.stop();
    finished(&system).await;
}

#[tokio::test]
async fn the_newest_the_best_and_every_third_checkpoint_stay_and_the_published_ones() {
    let harness = Harness::new(World::default());
    let mut config = config(5);
    config.checkpoints = CheckpointsSection {
        keep_last: 1,
        keep_best: 1,
        keep_every_rounds: 3,
        keep_published: 0,
        ..CheckpointsSection::default()
    };
    // nothing gains so much: every round but imitation is rejected, and only retention keeps what it trained
    config.gate.tolerance = -1.0;
    assert_eq!(harness.run(config).await, FinishReason::RoundsDone);
    let rounds = harness.rounds();
    assert_eq!(rounds.iter().filter(|round| round.phase == RoundPhase::Rejected).count(), 5);

    // the best is known from the rounds that were scored when the last checkpoint was written
    let scored = rounds[..5].iter().map(|round| (round.evaluation.as_ref().unwrap().accuracy.value, round));
    let best = scored.max_by(|(one, first), (other, second)| {
        one.total_cmp(other).then_with(|| Reverse(first.round).cmp(&Reverse(second.round)))
    });
    let kept: BTreeSet<_> = [0, 3, 5, best.unwrap().1.round.0].into();
    let checkpoints = harness.store.checkpoints().unwrap();
    assert!(checkpoints.iter().all(|checkpoint| checkpoint.is_final), "{checkpoints:?}");
    assert_eq!(checkpoints.iter().map(|checkpoint| checkpoint.round.0).collect::<BTreeSet<_>>(), kept);
    for checkpoint in &checkpoints {
        harness.checkpoints.check(checkpoint).unwrap();
    }
}
