//! Small records to store.
#![allow(clippy::unwrap_used, missing_docs, dead_code, unreachable_pub)]

use still_domain::{
    Algorithm, AnswerKind, AttemptId, AttemptNumber, CheckpointId, CheckpointManifest, FinishReason,
    JudgedTrajectory, Measures, Outcome, PolicyOrigin, PolicyRecord, PolicyVersion, Problem, ProblemId,
    Round, RoundNumber, RoundPhase, SamplingSettings, Split, TrainingSet, TrainingSetContent, Trajectory,
    Verdict, VersionSpan,
};
use still_store::Store;

pub fn problem(id: &str, gold: &str) -> Problem {
    Problem {
        id: ProblemId::new(id),
        text: format!("problem {id}"),
        gold: gold.to_owned(),
        kind: AnswerKind::Integer,
        level: Some(3),
        source: "test".to_owned(),
        split: Split::Explore,
    }
}

pub fn judged(problem: &str, number: u32, outcome: Outcome) -> JudgedTrajectory {
    JudgedTrajectory {
        trajectory: Trajectory {
            id: AttemptId { problem: ProblemId::new(problem), number: AttemptNumber(number) },
            prompt_token_count: 8,
            tokens: vec![number, 1],
            log_probabilities: vec![-0.5, -0.25],
            sampling_log_probabilities: Vec::new(),
            text: "49".to_owned(),
            sampling: SamplingSettings::default(),
            seed: u64::from(number),
            finish: FinishReason::Stop,
            versions: vec![VersionSpan { policy: PolicyVersion(1).into(), start: 0, end: 2 }],
            provenance: None,
        },
        verdict: Verdict { outcome, extracted: None, rule: None, verifier: "test-1".to_owned() },
        measures: Measures::default(),
        rejection: None,
        eviction: None,
    }
}

pub fn training_set(round: u32, trajectories: &[&str]) -> TrainingSet {
    TrainingSetContent {
        round: RoundNumber(round),
        algorithm: Algorithm::Sft,
        query: serde_json::json!({"max_per_problem": 2}),
        previous: None,
        demonstrations: Vec::new(),
        trajectories: trajectories.iter().map(|id| id.parse().unwrap()).collect(),
        pairs: Vec::new(),
    }
    .seal()
}

pub fn round(number: u32, phase: RoundPhase, set: Option<&TrainingSet>) -> Round {
    let mut round = Round::begin(RoundNumber(number), PolicyVersion(0), phase, 0);
    round.training_set = set.map(|set| set.id.clone());
    round
}

pub fn policy(version: u64, checkpoint: &str) -> PolicyRecord {
    PolicyRecord {
        version: PolicyVersion(version),
        origin: PolicyOrigin::Round(RoundNumber(1)),
        checkpoint: Some(CheckpointId::new(checkpoint)),
        accuracy: None,
        published_at_ms: 0,
    }
}

pub fn manifest_of(store: &Store, step: u64) -> CheckpointManifest {
    store.checkpoints().unwrap().into_iter().find(|manifest| manifest.step == step).unwrap()
}
