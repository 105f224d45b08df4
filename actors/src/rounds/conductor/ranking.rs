//! The perplexities that a round's set is chosen by: where they are to be one policy's, a pass of scoring comes before
//! the set is sealed.

use std::sync::Arc;

use ractor::ActorRef;
use still_curation::ScoredBy;
use still_domain::{PolicyVersion, Recipe, Round, RoundNumber};
use still_roles::Withdrawal;

use super::ConductorState;
use crate::{
    ground::protocol::{ConductorMessage, Lost, Rescored},
    rounds::rescoring::{ranking_policy, rescore},
};

/// How far a round is with the perplexities that its set is chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ranking {
    /// A pass of scoring is at work.
    AtWork,
    /// They are there: this policy's, or each trajectory's own.
    Under(Option<PolicyVersion>),
}

impl ConductorState {
    /// How far the perplexities are that the round's set is chosen by; has them measured, where that is asked for.
    pub(super) fn ranking_of(&mut self, round: &Round, myself: &ActorRef<ConductorMessage>) -> Ranking {
        if let Some((_, known)) = self.ranking.filter(|(number, _)| *number == round.round) {
            return known;
        }
        let scored_by = match round.recipe() {
            Recipe::Imitation => ScoredBy::Sampler,
            Recipe::Improvement => self.given.sealing.selection.scored_by,
        };
        let ranking = ranking_policy(scored_by, round.policy_version, self.machine.policies());
        let Some(policy) = ranking else { return Ranking::Under(None) };
        self.ranking = Some((round.round, Ranking::AtWork));
        self.withdrawal = Withdrawal::default();
        let (number, withdrawal) = (round.round, self.withdrawal.clone());
        let (access, open) = (self.given.access.clone(), Arc::clone(&self.given.scorer));
        let pool: Vec<_> = self.machine.pool().facts().cloned().collect();
        let myself = myself.clone();
        tokio::spawn(async move {
            let work =
                tokio::task::spawn_blocking(move || rescore(&access, &open, &policy, &pool, &withdrawal));
            let rescored = work.await.unwrap_or_else(|panic| Err(panic.into()));
            // a conductor that is gone is replaced, and scores what is missing
            let _ = myself.cast(ConductorMessage::PoolRescored(number, rescored));
        });
        Ranking::AtWork
    }

    /// A pass of scoring is over. Where it failed, the set is chosen by what the samplers measured, and that is said:
    /// perplexities under two policies are never ranked as one.
    pub(super) fn rescored(&mut self, number: RoundNumber, rescored: Rescored) {
        let is_waited_for = self.ranking == Some((number, Ranking::AtWork));
        let Some(round) = self.machine.round().filter(|round| round.round == number && is_waited_for) else {
            return;
        };
        let scored_by = self.given.sealing.selection.scored_by;
        let policy = ranking_policy(scored_by, round.policy_version, self.machine.policies());
        let under = match rescored {
            Rescored::Done { refused, lost } => {
                if refused > 0 {
                    let told = format!("{refused} trajectories cannot be scored and have no perplexity");
                    self.given.observer.warn(told);
                }
                if let Some(Lost { trajectories, last }) = lost {
                    self.given.observer.warn(format!(
                        "round {number}: {trajectories} trajectories have no perplexity, and are scored again for the next \
                         round: the last came to nothing because {last}"
                    ));
                }
                policy.map(|policy| policy.version)
            }
            Rescored::Failed(reason) => {
                self.given.observer.warn(format!(
                    "round {number} is ranked by its samplers' perplexities: scoring failed: {reason}"
                ));
                None
            }
            Rescored::Withdrawn => return,
        };
        self.ranking = Some((number, Ranking::Under(under)));
    }
}
