//! The round's state machine without actors, and under random histories.

use std::collections::BTreeMap;

use proptest::prelude::*;
use still_curation::{Candidate, Evidence, GateConfig, statistics};
use still_domain::{
    AttemptId, AttemptNumber, Evaluation, PolicyName, PolicyScores, ProblemId, ProblemScore, TrainingSetId,
};

mod candidates;
mod exploration;
mod starvation;

use super::*;
use crate::{
    config::{PreferenceStart, RoundSection},
    ground::protocol::{Delivery, Dryness, ExploredRound},
};

const V1: PolicyVersion = PolicyVersion(1);
const IMPORTS: Imports = Imports { has_demonstrations: true, problems: 5 };

fn config(rounds_wanted: u32, lockstep: bool) -> MachineConfig {
    MachineConfig {
        round: RoundSection::default(),
        quota_attempts: 4,
        gate: GateConfig { evidence: Evidence::Difference, ..GateConfig::default() },
        samples_per_problem: 1,
        scores_base: false,
        explores: true,
        lockstep,
        rounds_wanted,
    }
}

fn machine(config: MachineConfig, rounds: Vec<Round>, policies: Vec<PolicyRecord>) -> RoundMachine {
    RoundMachine::new(config, rounds, policies, &[], IMPORTS)
}

fn dry(newest: u64, problems: u64) -> Dryness {
    Dryness { round: RoundNumber(1), newest: PolicyVersion(newest), problems }
}

fn record(version: u64, origin: PolicyOrigin) -> PolicyRecord {
    PolicyRecord {
        version: PolicyVersion(version),
        origin,
        checkpoint: None,
        accuracy: None,
        published_at_ms: 0,
    }
}

fn over(number: u32, version: u64, phase: RoundPhase, judged: u64, correct: u32) -> Round {
    let mut round = Round::begin(RoundNumber(number), PolicyVersion(version), phase, 0);
    round.training_set = Some(TrainingSetId::new(format!("set-{number}")));
    if judged > 0 {
        round.tally.outcomes.insert(Outcome::Wrong, judged);
    }
    round.evaluation = Some(evaluation(correct));
    round
}

fn evaluation(correct: u32) -> Evaluation {
    let score = |number: u32| ProblemScore {
        problem: ProblemId::new(format!("h{number}")),
        level: None,
        correct: u32::from(number < correct),
        total: 1,
    };
    statistics::evaluation((0..20).map(score).collect(), &[], 0.0)
}

fn fact(number: u32, version: u64, outcome: Outcome) -> Candidate {
    Candidate {
        id: AttemptId { problem: ProblemId::new("p"), number: AttemptNumber(number) },
        outcome,
        rejection: None,
        fingerprint: u128::from(number),
        version: PolicyVersion(version),
        is_mixed: false,
        prompt_tokens: 5,
        response_tokens: 10,
        thought_tokens: 8,
        perplexity: 1.0,
        thought_perplexity: None,
    }
}

/// The candidate of a round is scored.
fn scored(machine: &RoundMachine, round: RoundNumber, correct: u32) -> Option<Round> {
    let scores = PolicyScores { dev: evaluation(correct), test: None };
    machine.scored(round, PolicyName::Candidate { candidate: round }, scores)
}

/// The supply has given out what the round at work wants, and all of it is durable.
fn deliver(machine: &mut RoundMachine) {
    let round = machine.round().unwrap().round;
    machine.delivered(Delivery { round, quota: machine.wanted() });
}

/// After imitation, with round 1 exploring.
fn exploring(config: MachineConfig) -> RoundMachine {
    let rounds = vec![
        over(0, 0, RoundPhase::Promoted, 0, 5),
        Round { problems: Some(5), ..Round::begin(RoundNumber(1), V1, RoundPhase::Exploring, 0) },
    ];
    machine(config, rounds, vec![record(1, PolicyOrigin::Round(RoundNumber(0)))])
}

proptest! {
    /// Whatever facts come in whatever order: a machine rebuilt from the same store wants the same thing as
    /// one that lived through it, and a round is sealed with exactly what its tally says.
    #[test]
    fn a_rebuilt_machine_stands_where_the_old_one_stood(
        facts in prop::collection::vec((0_u32..12, 0_u64..3, prop::sample::select(Outcome::ALL.to_vec())), 0..30),
        lockstep in any::<bool>(),
        planned in 1_u64..6,
    ) {
        let facts: Vec<_> =
            facts.into_iter().map(|(number, version, outcome)| fact(number, version, outcome)).collect();
        let mut lived = exploring(config(2, lockstep));
        lived.next(0);
        lived.planned(RoundNumber(1), planned);
        for one in &facts {
            lived.judged(std::slice::from_ref(one));
        }
        // in lockstep the plan alone decides
        let is_delivered = lived.progress().0 >= 4 && !lockstep;
        if is_delivered {
            deliver(&mut lived);
        }
        let stored: Vec<_> = lived.pool().facts().cloned().collect();
        let mut rebuilt = RoundMachine::new(
            config(2, lockstep),
            vec![
                over(0, 0, RoundPhase::Promoted, 0, 5),
                Round { problems: Some(5), ..Round::begin(RoundNumber(1), V1, RoundPhase::Exploring, 0) },
            ],
            vec![record(1, PolicyOrigin::Round(RoundNumber(0)))],
            &stored,
            IMPORTS,
        );
        rebuilt.planned(RoundNumber(1), planned);
        if is_delivered {
            deliver(&mut rebuilt);
        }
        let (one, two) = (lived.next(0), rebuilt.next(0));
        match one {
            Next::Seal(round) => {
                let judged: u64 = round.tally.outcomes.values().sum();
                let wanted = if lockstep { planned } else { 4 };
                prop_assert!(judged >= wanted);
                prop_assert_eq!(Next::Seal(round), two);
            }
            Next::Wait => prop_assert!(matches!(two, Next::Explore(_))),
            // a plan that came to nothing but errors
            Next::GiveUp { .. } => prop_assert_eq!(one, two),
            other => prop_assert!(false, "{other:?}"),
        }
    }
}
