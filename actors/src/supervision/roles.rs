//! The work that actors oversee and know nothing of.

use std::sync::Arc;

use still_roles::{GeneratorFactory, OpenLearnerScorer, OpenScorer, ProblemCheck, TrainingFactory, Verifier};

use crate::ground::clock::Clock;

/// The work that actors oversee and know nothing of.
#[derive(Clone)]
pub struct Roles {
    /// One generator a device or server for exploration; at least one.
    pub generators: Vec<GeneratorFactory>,
    /// The generator that scores candidates.
    pub evaluation_generator: GeneratorFactory,
    /// Training runs.
    pub training: TrainingFactory,
    /// What measures trajectories under one policy before they are ranked; opened where selection asks for it.
    pub scorer: OpenScorer,
    /// The learner's own arithmetic, which what engines drew is compared with.
    pub learner_scorer: OpenLearnerScorer,
    /// The verifier.
    pub verifier: Arc<dyn Verifier>,
    /// Which problems of the store can be asked and judged here; others are not attempted.
    pub check: ProblemCheck,
    /// The wall clock.
    pub clock: Clock,
}
