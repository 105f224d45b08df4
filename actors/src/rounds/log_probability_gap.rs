//! How far the engines that drew a round's trajectories are from the learner that is to train on them: the distance of
//! their log-probabilities of the same tokens under the same policy, on a sample of the round.
//!
//! What is trained on as likely as it was drawn would be a fiction where an engine calculates otherwise: with other
//! weights, coarser numbers, another template. Each trajectory's provenance names the engine.

use ractor::ActorProcessingErr;
use still_domain::{
    AttemptFact, AttemptId, JudgedTrajectory, LogProbabilityGap, Outcome, PolicyRecord, PolicyRef, Round,
    seed,
};
use still_roles::{OpenLearnerScorer, ScoreError, TrajectoryRequest, Withdrawal};

use crate::{
    config::RoundSection,
    ground::{protocol::GapMeasured, store_access::StoreAccess},
};

/// What is compared, and how much of it.
pub(crate) struct GapSample {
    /// The policy that drew what is compared.
    pub(crate) policy: PolicyRecord,
    /// How many of its trajectories are the round's, the last that came.
    pub(crate) judged: u64,
    /// How many of these are compared.
    pub(crate) trajectories: usize,
    /// Of each, its first tokens.
    pub(crate) tokens: usize,
    /// The order of the draw.
    pub(crate) seed: u64,
}

impl GapSample {
    /// The sample of a round, as the configuration wants it; `None` where none is wanted.
    pub(crate) fn of(
        round: &Round,
        judged: u64,
        policies: &[PolicyRecord],
        section: &RoundSection,
    ) -> Option<Self> {
        let policy = policies.iter().find(|record| record.version == round.policy_version)?.clone();
        Some(Self {
            policy,
            judged,
            trajectories: section.gap_sample as usize,
            tokens: section.gap_max_tokens as usize,
            seed: u64::from(round.round.0),
        })
        .filter(|sample| sample.trajectories > 0 && sample.judged > 0)
    }

    /// The round's trajectories that may be compared, in the order in which they are drawn.
    fn drawn(&self, facts: impl Iterator<Item = AttemptFact>) -> Vec<AttemptId> {
        let of_policy = |fact: &AttemptFact| fact.policy_version == self.policy.version;
        let mut facts: Vec<AttemptFact> = facts.filter(of_policy).collect();
        let earlier = facts.len().saturating_sub(usize::try_from(self.judged).unwrap_or(usize::MAX));
        let is_comparable =
            |fact: &AttemptFact| !fact.is_mixed && fact.outcome != Outcome::Error && fact.response_tokens > 0;
        let mut ids: Vec<AttemptId> =
            facts.drain(earlier..).filter(is_comparable).map(|fact| fact.id).collect();
        ids.sort_by_key(|id| seed::of_attempt(self.seed, id));
        ids
    }

    /// Compares. Blocks.
    pub(crate) fn measure(
        &self,
        access: &StoreAccess,
        open: &OpenLearnerScorer,
        withdrawal: &Withdrawal,
    ) -> Result<GapMeasured, ActorProcessingErr> {
        let facts: Vec<AttemptFact> = access.store.facts_since(0).collect::<Result<_, _>>()?;
        let policy = PolicyRef::from(&self.policy);
        let (mut scorer, mut sum) = (None, Sum::default());
        for id in self.drawn(facts.into_iter()) {
            if sum.trajectories as usize == self.trajectories {
                break;
            }
            if withdrawal.is_withdrawn() {
                return Ok(GapMeasured::Withdrawn);
            }
            let (Some(mut judged), Some(problem)) =
                (access.store.trajectory(&id)?, access.store.problem(&id.problem)?)
            else {
                continue;
            };
            if !is_exact(access, &judged)? {
                continue;
            }
            judged.trajectory.tokens.truncate(self.tokens);
            judged.trajectory.log_probabilities.truncate(self.tokens);
            let asked = TrajectoryRequest { problem, trajectory: judged.trajectory };
            let scorer = match &mut scorer {
                Some(scorer) => scorer,
                none => match open() {
                    Ok(opened) => none.insert(opened),
                    Err(reason) => return Ok(GapMeasured::Failed(reason)),
                },
            };
            match scorer.log_probabilities(&policy, &asked) {
                Ok(ours) => sum.add(id, &asked.trajectory.log_probabilities, &ours),
                Err(ScoreError::Refused(reason)) => {
                    tracing::debug!(attempt = %id, reason, "a trajectory cannot be compared");
                }
                Err(ScoreError::Failed(reason)) => return Ok(GapMeasured::Failed(reason)),
            }
        }
        Ok(GapMeasured::Done(sum.gap(&self.policy)))
    }
}

/// Whether a trajectory holds the very tokens that its engine drew, and what the engine thought of each.
fn is_exact(access: &StoreAccess, judged: &JudgedTrajectory) -> Result<bool, ActorProcessingErr> {
    let trajectory = &judged.trajectory;
    let is_known = trajectory.log_probabilities.len() == trajectory.tokens.len()
        && trajectory.log_probabilities.iter().all(|value| value.is_finite());
    let provenance = match &trajectory.provenance {
        Some(id) => access.store.provenance(id)?,
        None => None,
    };
    Ok(is_known && !provenance.is_some_and(|provenance| provenance.is_retokenized))
}

/// Distances, summed up.
#[derive(Debug, Default)]
struct Sum {
    trajectories: u32,
    tokens: u64,
    distance: f64,
    difference: f64,
    furthest: Option<(AttemptId, f64)>,
}

impl Sum {
    fn add(&mut self, id: AttemptId, theirs: &[f32], ours: &[f32]) {
        let (mut distance, mut difference) = (0.0, 0.0);
        for (theirs, ours) in theirs.iter().zip(ours) {
            let between = f64::from(*theirs) - f64::from(*ours);
            (distance, difference) = (distance + between.abs(), difference + between);
        }
        let count = theirs.len().min(ours.len()) as u64;
        if count == 0 {
            return;
        }
        let mean = distance / count as f64;
        self.trajectories += 1;
        self.tokens += count;
        self.distance += distance;
        self.difference += difference;
        if self.furthest.as_ref().is_none_or(|(_, most)| mean > *most) {
            self.furthest = Some((id, mean));
        }
    }

    fn gap(self, policy: &PolicyRecord) -> Option<LogProbabilityGap> {
        let (furthest, furthest_nats) = self.furthest?;
        Some(LogProbabilityGap {
            policy: policy.version,
            trajectories: self.trajectories,
            tokens: self.tokens,
            mean_nats: self.distance / self.tokens as f64,
            bias_nats: self.difference / self.tokens as f64,
            furthest,
            furthest_nats,
        })
    }
}

#[cfg(test)]
mod tests {
    use still_domain::{Measures, PolicyOrigin, PolicyVersion};

    use super::*;

    fn sample(judged: u64) -> GapSample {
        let policy = PolicyRecord {
            version: PolicyVersion(2),
            origin: PolicyOrigin::Base,
            checkpoint: None,
            accuracy: None,
            published_at_ms: 0,
        };
        GapSample { policy, judged, trajectories: 4, tokens: 8, seed: 3 }
    }

    fn fact(sequence: u64, version: u64) -> AttemptFact {
        AttemptFact {
            sequence,
            id: format!("p#{sequence}").parse().unwrap(),
            outcome: Outcome::Wrong,
            rejection: None,
            policy_version: PolicyVersion(version),
            is_mixed: false,
            temperature: 1.0,
            prompt_tokens: 3,
            response_tokens: 5,
            measures: Measures::default(),
            fingerprint: 0,
        }
    }

    #[test]
    fn the_sample_is_of_the_rounds_own_and_of_what_can_be_compared() {
        let mut facts: Vec<AttemptFact> = (0..6).map(|sequence| fact(sequence, 2)).collect();
        facts.push(fact(6, 1));
        facts.push(AttemptFact { is_mixed: true, ..fact(7, 2) });
        facts.push(AttemptFact { outcome: Outcome::Error, ..fact(8, 2) });
        // five of the policy's eight came in this round: 3, 4, 5, and two that cannot be compared
        let mut drawn = sample(5).drawn(facts.clone().into_iter());
        assert_eq!(drawn, sample(5).drawn(facts.into_iter()), "always in the same order");
        drawn.sort();
        assert_eq!(drawn.iter().map(|id| id.number.0).collect::<Vec<_>>(), [3, 4, 5]);
    }

    #[test]
    fn distances_are_of_all_tokens_and_the_furthest_trajectory_is_named() {
        let mut sum = Sum::default();
        sum.add("p#1".parse().unwrap(), &[-1.0, -2.0], &[-1.5, -1.5]);
        sum.add("p#2".parse().unwrap(), &[-1.0, -1.0], &[-2.0, -2.0]);
        sum.add("p#3".parse().unwrap(), &[], &[]);
        let gap = sum.gap(&sample(1).policy).unwrap();
        assert_eq!((gap.trajectories, gap.tokens, gap.policy), (2, 4, PolicyVersion(2)));
        assert_eq!((gap.mean_nats, gap.bias_nats), (0.75, 0.5));
        assert_eq!((gap.furthest.to_string().as_str(), gap.furthest_nats), ("p#2", 1.0));
        assert_eq!(Sum::default().gap(&sample(1).policy), None);
    }
}
