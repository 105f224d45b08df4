//! What is attempted, what is kept, what is trained on and what is promoted.
//!
//! Every decision here is a pure function of recorded facts: no clock, no file, no thread. Actors own the
//! values and translate messages; a restart rebuilds them from the pool and decides the same again.
//!
//! | module | decides |
//! |---|---|
//! | [`curriculum`] | which problem gets the next attempt |
//! | [`hygiene`] | whether a response may be trained on at all |
//! | [`candidate`] | what selection knows of a rollout |
//! | [`cleaning`] | which demonstrations are imitated |
//! | [`gold`] | whether a gold answer is one, and which are suspect |
//! | [`selection`] | which right trajectories join the training set |
//! | [`pairs`] | which right and wrong trajectories form preference pairs |
//! | [`decontamination`] | whether a problem repeats a held-out one |
//! | [`scoring`] | which held-out questions a policy is asked, and what its answers count |
//! | [`statistics`] | accuracies and their intervals |
//! | [`gate`] | whether a candidate policy replaces the incumbent |

pub mod candidate;
pub mod cleaning;
pub mod curriculum;
pub mod decontamination;
pub mod gate;
pub mod gold;
pub mod hygiene;
pub mod pairs;
pub mod scoring;
pub mod selection;
pub mod statistics;

mod common_texts;

pub use candidate::{Candidate, Span};
pub use cleaning::{Agreement, Cleaning, CleaningConfig, CleaningRule, Fault};
pub use curriculum::{
    AttemptResult, AttemptTally, Curriculum, CurriculumConfig, CurriculumCounts, CurriculumOrder, PassRate,
    ProblemState, Recorded,
};
pub use decontamination::{Contamination, Decontamination, DecontaminationConfig};
pub use gate::{Evidence, GateConfig, GateDecision, GateReason, PairedDifference, Rival, Rivals};
pub use gold::{GivenAnswer, SuspectGold, SuspicionConfig};
pub use hygiene::{HygieneConfig, HygieneReport, Response};
pub use pairs::{PairDecision, PairLimits, PairSelection, PairsConfig, Unpaired};
pub use scoring::{Question, Scoring};
pub use selection::{
    Budget, Decision, Keep, LengthPreference, MixedVersions, Order, PerplexityPreference, ProblemTraits,
    ScoredBy, Selection, SelectionConfig, SelectionContext,
};
