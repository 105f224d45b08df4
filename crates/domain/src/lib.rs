//! Ids and plain data: what the actors send, the store keeps and the client prints.
//!
//! This crate knows serde and no other crate of the program: no clock, no files, no tensors.
//!
//! | module | what it holds |
//! |---|---|
//! | [`ids`] | newtypes for every name and number that identifies something |
//! | [`problem`] | a problem with its gold answer; a demonstration of a long thought |
//! | [`task`] | what a run is about: demonstrations, problems to explore, problems held out |
//! | [`trajectory`] | one rollout: tokens, log-probabilities, the policies that drew them |
//! | [`provenance`] | which engine drew it, in which arithmetic, after which kind of prompt |
//! | [`verdict`] | what the verifier, the hygiene rules and the measures say of a rollout |
//! | [`training_set`] | a sealed, hashed manifest of a query over the pool |
//! | [`sealing`] | what each sealing decided of the pool's trajectories |
//! | [`round`] | the life of one explore, train, evaluate round |
//! | [`fact`] | a judged trajectory without its tokens: the pool's index |
//! | [`fingerprint`] | names made of content, versioned |
//! | [`evaluation`] | accuracies with intervals, overall and by level |
//! | [`policy`] | published policies and the checkpoints that hold them |
//! | [`seed`] | seeds derived from names, so that a restart draws the same numbers |

pub mod evaluation;
pub mod fact;
pub mod fingerprint;
pub mod ids;
pub mod policy;
pub mod problem;
pub mod provenance;
pub mod round;
pub mod sealing;
pub mod seed;
pub mod task;
pub mod training_set;
pub mod trajectory;
pub mod verdict;

pub use evaluation::{Estimate, Evaluation, PolicyScores, ProblemScore, ScoredAnswer};
pub use fact::AttemptFact;
pub use ids::{
    AttemptId, AttemptIdError, AttemptNumber, CheckpointId, DemonstrationId, PolicyVersion, ProblemId,
    ProvenanceId, RoundNumber, TrainingSetId,
};
pub use policy::{
    CHECKPOINTS_NAME, CheckpointFile, CheckpointManifest, PolicyName, PolicyOrigin, PolicyRecord, PolicyRef,
};
pub use problem::{AnswerKind, Demonstration, Problem, Revival, Split, Statement};
pub use provenance::Provenance;
pub use round::{LogProbabilityGap, Round, RoundPhase, RoundTally, VersionTally};
pub use sealing::{SealingDecision, SealingDecisions};
pub use task::Task;
pub use training_set::{Algorithm, PreferencePair, Recipe, TrainingSet, TrainingSetContent};
pub use trajectory::{FinishReason, SamplingSettings, Trajectory, VersionSpan};
pub use verdict::{JudgedTrajectory, Measures, Outcome, Rejection, Score, Verdict};
