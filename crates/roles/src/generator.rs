//! What the sampler and the evaluator hold: a policy that works on many rollouts at once, here or elsewhere.

use std::sync::Arc;

use still_domain::{
    AttemptId, FinishReason, Measures, PolicyName, PolicyRef, Provenance, SamplingSettings, Statement,
    Trajectory, VersionSpan,
};

use crate::role::{Role, RoleFactory};

/// One rollout that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollout {
    /// The attempt it answers; the rollouts of one problem share their prompt's prefill.
    pub id: AttemptId,
    /// The problem, before any prompt template.
    pub problem: Statement,
    /// How tokens are drawn.
    pub sampling: SamplingSettings,
    /// Seed of the draw.
    pub seed: u64,
}

/// A rollout that has ended, with what only its generator can measure.
#[derive(Debug, Clone, PartialEq)]
pub struct FinishedRollout {
    /// The rollout.
    pub trajectory: Trajectory,
    /// Lengths and perplexities by span.
    pub measures: Measures,
    /// Whether the response keeps the thought and solution format.
    pub is_well_formed: bool,
    /// What the trajectory's provenance names; `None` where no engine drew it.
    pub provenance: Option<Arc<Provenance>>,
}

impl FinishedRollout {
    /// The rollout of an attempt that came to nothing, by the policy that was to draw it, where there is one.
    pub fn undrawn(id: AttemptId, seed: u64, sampling: SamplingSettings, policy: Option<PolicyName>) -> Self {
        Self {
            trajectory: Trajectory {
                id,
                prompt_token_count: 0,
                tokens: Vec::new(),
                log_probabilities: Vec::new(),
                sampling_log_probabilities: Vec::new(),
                text: String::new(),
                sampling,
                seed,
                finish: FinishReason::Cancelled,
                versions: policy.map(|policy| VersionSpan { policy, start: 0, end: 0 }).into_iter().collect(),
                provenance: None,
            },
            measures: Measures::default(),
            is_well_formed: false,
            provenance: None,
        }
    }
}

/// What a generator tells. Every rollout that is submitted comes to exactly one of `Finished`, `Lost` and `Refused`,
/// unless the generator fails: then all that it holds are lost.
#[derive(Debug, Clone, PartialEq)]
pub enum GeneratorEvent {
    /// So many rollouts can usefully be held at once, active and waiting: the first word of one that is up, reported
    /// again when it changes. 0 is a state (full, paused, loading) and no failure.
    Capacity(usize),
    /// From the next token on this policy is in force.
    Adopted(PolicyName),
    /// The policy's weights cannot be had. Rollouts under way go on as they were; those that are submitted from then
    /// on wait for the next policy.
    NotAdopted {
        /// The policy.
        policy: PolicyName,
        /// Why.
        reason: String,
    },
    /// So many tokens were drawn since this was last reported: it is alive.
    Drawn(u64),
    /// Rollouts ended.
    Finished(Vec<FinishedRollout>),
    /// A rollout came to nothing, and may come to something when it is asked for again, here or elsewhere.
    Lost {
        /// The rollout.
        id: AttemptId,
        /// What stood in the way.
        reason: String,
    },
    /// A rollout can never be served, here or elsewhere.
    Refused {
        /// The rollout.
        id: AttemptId,
        /// Why, and what to change.
        reason: String,
    },
    /// Something an operator should know of.
    Warning(String),
    /// The device or server failed, and all that it held is lost: its last word. A fresh generator may do better.
    Failed(String),
}

/// A policy that works on many rollouts at once. Every order returns at once.
pub trait Generator: Role {
    /// Puts a policy in force from the next token on. Rollouts under way go on under it; those that are submitted
    /// before the first policy is in force wait for it.
    fn adopt(&mut self, policy: &PolicyRef);

    /// Takes a rollout in; it may wait for room.
    fn submit(&mut self, rollout: Rollout);

    /// Withdraws a rollout. It ends as [`still_domain::FinishReason::Cancelled`], with the tokens drawn so far; one
    /// that has ended already stays as it is.
    fn cancel(&mut self, id: &AttemptId);

    /// Whether rollouts under way end under the policy that they began with while others are drawn by the one adopted
    /// last: then a new policy need not wait until nothing is under way.
    fn keeps_policies_apart(&self) -> bool {
        false
    }
}

/// Opens generators on one device or server.
pub type GeneratorFactory = RoleFactory<dyn Generator, GeneratorEvent>;
