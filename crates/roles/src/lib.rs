//! The seams between actors and the work they oversee.
//!
//! An actor never touches a tensor and never waits for one: it holds a role, gives it orders that return at once,
//! and hears what comes of them by events. What stands behind a role is no actor's business: threads of this
//! process (`still-embedded`), a server at the other end of a network, a command. Tests put scripted ones there, so
//! that actors build and run in seconds.
//!
//! | role | who holds it | what it does |
//! |---|---|---|
//! | [`Generator`] | the sampler and the evaluator | many rollouts at once, under a policy that it is given by name |
//! | [`TrainingRun`] | the trainer | one training job at a time |
//! | [`Scorer`] | whoever ranks texts | log-probabilities of many texts under a policy by name |
//! | [`TrajectoryScorer`] | the conductor, before it seals a set | perplexities of trajectories under one policy |
//! | [`LearnerScorer`] | the conductor, before it seals a set | the learner's own log-probabilities, to compare engines with |
//! | [`Verifier`] | the verifier pool's workers | one judgement, in bounded time |
//!
//! Policies travel by name ([`still_domain::PolicyRef`]): whoever computes in this process looks their weights up,
//! whoever does not never loads them.

mod example;
mod generator;
mod role;
mod scorer;
mod training;
mod verifier;
mod withdrawal;

pub use example::{
    Example, ExampleSource, ExamplesInMemory, PreferenceExample, Response, SftExample, SourceError,
};
pub use generator::{FinishedRollout, Generator, GeneratorEvent, GeneratorFactory, Rollout};
pub use role::{EventSink, Role, RoleFactory};
pub use scorer::{
    LearnerScorer, OpenLearnerScorer, OpenScorer, ScoreError, ScoreRequest, Scorer, ScoringPass,
    TrajectoryRequest, TrajectoryScorer, Unscored,
};
pub use training::{
    CheckpointStore, LearnerStep, NoCheckpoints, PreferenceAlarm, PreferenceMetrics, SavedCheckpoint,
    TrainingEvent, TrainingFactory, TrainingFailure, TrainingJob, TrainingPlan, TrainingRun,
};
pub use verifier::{ProblemCheck, Verifier, panic_text, sheltered_judgement};
pub use withdrawal::Withdrawal;
