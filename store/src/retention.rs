//! `[checkpoints]`: how often training is saved, and which checkpoints stay on the disk.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_domain::{CheckpointId, CheckpointManifest, PolicyRecord, Round};
use still_settings::Findings;

/// How often training is saved, and what is kept: a checkpoint stays for any of these reasons. One takes
/// about 16 bytes a parameter. That of the policy in force is always kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointsSection {
    /// Optimizer steps between two checkpoints; 0 saves only at the end of training.
    pub every_steps: u64,
    /// Newest checkpoints kept.
    pub keep_last: usize,
    /// Final checkpoints kept of the rounds with the best accuracy, this many.
    pub keep_best: usize,
    /// Final checkpoints kept of every round whose number this divides; 0 keeps none for its number.
    pub keep_every_rounds: u32,
    /// Checkpoints kept of the policies published last, this many; 0 keeps those of all. A policy whose
    /// checkpoint is gone cannot be put in force again.
    pub keep_published: usize,
}

impl Default for CheckpointsSection {
    fn default() -> Self {
        Self { every_steps: 100, keep_last: 2, keep_best: 1, keep_every_rounds: 0, keep_published: 4 }
    }
}

impl CheckpointsSection {
    /// Notes what would lose the last checkpoint.
    pub fn validate(&self, findings: &mut Findings) {
        findings.require(self.keep_last > 0, "checkpoints.keep_last", || {
            "must be at least 1: a damaged checkpoint falls back on the one before it".to_owned()
        });
    }

    /// The checkpoints that stay, of `manifests` in order of round and step. The newest are those committed
    /// last: training that began anew has taken fewer steps than what it replaces.
    pub fn kept(
        &self,
        manifests: &[CheckpointManifest],
        policies: &[PolicyRecord],
        rounds: &[Round],
    ) -> HashSet<CheckpointId> {
        let mut kept = self.published(policies);
        // a round at work may begin its training from its policy
        let at_work = rounds.iter().filter(|round| !round.phase.is_over()).map(|round| round.policy_version);
        kept.extend(at_work.filter_map(|version| {
            policies.iter().find(|policy| policy.version == version)?.checkpoint.clone()
        }));
        let mut by_age: Vec<_> = manifests.iter().collect();
        by_age.sort_by_key(|manifest| (manifest.created_at_ms, manifest.round, manifest.step));
        let newest = by_age.into_iter().rev().take(self.keep_last.max(1));
        kept.extend(newest.map(|manifest| manifest.id.clone()));
        let finals = manifests.iter().filter(|manifest| manifest.is_final);
        let is_kept_for_its_round =
            |manifest: &&CheckpointManifest| manifest.round.0.checked_rem(self.keep_every_rounds) == Some(0);
        kept.extend(finals.clone().filter(is_kept_for_its_round).map(|manifest| manifest.id.clone()));
        let accuracy = |manifest: &CheckpointManifest| {
            let round = rounds.iter().find(|round| round.round == manifest.round)?;
            Some(round.evaluation.as_ref()?.accuracy.value)
        };
        let mut scored: Vec<_> =
            finals.filter_map(|manifest| Some((accuracy(manifest)?, &manifest.id))).collect();
        // the stable sort leaves the older of two equal ones in front
        scored.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        kept.extend(scored.into_iter().take(self.keep_best).map(|(_, id)| id.clone()));
        kept
    }

    /// The checkpoints of the policies published last. A policy that was put in force again counts once.
    fn published(&self, policies: &[PolicyRecord]) -> HashSet<CheckpointId> {
        let mut kept = HashSet::new();
        for checkpoint in policies.iter().rev().filter_map(|policy| policy.checkpoint.as_ref()) {
            if self.keep_published > 0 && kept.len() == self.keep_published {
                break;
            }
            kept.insert(checkpoint.clone());
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use still_domain::{
        Estimate, Evaluation, PolicyOrigin, PolicyVersion, RoundNumber, RoundPhase, TrainingSetId,
    };

    use super::*;

    fn manifest(round: u32, step: u64, is_final: bool) -> CheckpointManifest {
        CheckpointManifest {
            id: CheckpointId::new(format!("{round}-{step}")),
            round: RoundNumber(round),
            step,
            is_final,
            training_set: TrainingSetId::new("s"),
            files: Vec::new(),
            created_at_ms: 0,
        }
    }

    fn scored(number: u32, accuracy: f64) -> Round {
        let mut round = Round::begin(RoundNumber(number), PolicyVersion(0), RoundPhase::Rejected, 0);
        let estimate = Estimate { value: accuracy, low: 0.0, high: 1.0, correct: 0, total: 1 };
        round.evaluation = Some(Evaluation {
            accuracy: estimate,
            hard_accuracy: None,
            by_level: BTreeMap::new(),
            truncated: 0.0,
            scores: Vec::new(),
        });
        round
    }

    /// Rounds 0 to 4, each with a checkpoint on the way and a final one; round 1 scored best, then 3.
    fn kept(retention: CheckpointsSection) -> Vec<String> {
        let manifests: Vec<_> =
            (0..5).flat_map(|round| [manifest(round, 5, false), manifest(round, 9, true)]).collect();
        let rounds: Vec<_> = (0_u32..).zip([0.1, 0.8, 0.3, 0.7, 0.2]).map(|(n, a)| scored(n, a)).collect();
        let policy = PolicyRecord {
            version: PolicyVersion(1),
            origin: PolicyOrigin::Round(RoundNumber(0)),
            checkpoint: Some(CheckpointId::new("0-9")),
            accuracy: None,
            published_at_ms: 0,
        };
        let mut kept: Vec<_> =
            retention.kept(&manifests, &[policy], &rounds).iter().map(ToString::to_string).collect();
        kept.sort();
        kept
    }

    #[test]
    fn the_newest_and_the_published_stay_whatever_is_asked_for() {
        assert_eq!(
            kept(CheckpointsSection {
                keep_last: 0,
                keep_best: 0,
                keep_every_rounds: 0,
                keep_published: 0,
                ..CheckpointsSection::default()
            }),
            ["0-9", "4-9"]
        );
        assert_eq!(
            kept(CheckpointsSection {
                keep_last: 3,
                keep_best: 0,
                keep_every_rounds: 0,
                keep_published: 0,
                ..CheckpointsSection::default()
            }),
            ["0-9", "3-9", "4-5", "4-9"]
        );
    }

    #[test]
    fn of_published_policies_the_last_stay_and_one_put_in_force_again_is_one_of_them() {
        let manifests: Vec<_> = (0..6).map(|round| manifest(round, 9, true)).collect();
        let policy = |version, round: u32| PolicyRecord {
            version: PolicyVersion(version),
            origin: PolicyOrigin::Round(RoundNumber(round)),
            checkpoint: Some(CheckpointId::new(format!("{round}-9"))),
            accuracy: None,
            published_at_ms: 0,
        };
        // rounds 0 to 4 were promoted; then an operator went back to round 1 and forth and back again
        let published = [0, 1, 2, 3, 4, 1, 4, 1];
        let policies: Vec<_> = (1..).zip(published).map(|(version, round)| policy(version, round)).collect();
        let kept = |published| {
            let retention = CheckpointsSection {
                keep_last: 1,
                keep_best: 0,
                keep_every_rounds: 0,
                keep_published: published,
                ..CheckpointsSection::default()
            };
            let kept = retention.kept(&manifests, &policies, &[]);
            kept.iter().map(ToString::to_string).collect::<std::collections::BTreeSet<_>>()
        };
        let set = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        assert_eq!(kept(1), set(&["1-9", "5-9"]), "the one in force, and the newest");
        assert_eq!(kept(3), set(&["1-9", "3-9", "4-9", "5-9"]));
        assert_eq!(kept(0).len(), 6);

        let at_work = Round::begin(RoundNumber(5), PolicyVersion(3), RoundPhase::Training, 0);
        let retention = CheckpointsSection {
            keep_last: 1,
            keep_best: 0,
            keep_every_rounds: 0,
            keep_published: 1,
            ..CheckpointsSection::default()
        };
        let kept = retention.kept(&manifests, &policies, &[at_work]);
        assert!(kept.contains(&CheckpointId::new("2-9")), "a round at work keeps its policy");
    }

    #[test]
    fn the_newest_are_those_committed_last_whatever_their_step() {
        let committed =
            |step, created_at_ms| CheckpointManifest { created_at_ms, ..manifest(1, step, false) };
        let manifests = [committed(100, 3), committed(900, 1), committed(953, 2)];
        let kept = CheckpointsSection {
            keep_last: 1,
            keep_best: 0,
            keep_every_rounds: 0,
            keep_published: 0,
            ..CheckpointsSection::default()
        }
        .kept(&manifests, &[], &[]);
        assert_eq!(kept, [CheckpointId::new("1-100")].into());
    }

    #[test]
    fn the_best_and_every_second_final_one_stay_where_asked_for() {
        assert_eq!(
            kept(CheckpointsSection {
                keep_last: 1,
                keep_best: 2,
                keep_every_rounds: 0,
                keep_published: 0,
                ..CheckpointsSection::default()
            }),
            ["0-9", "1-9", "3-9", "4-9"]
        );
        assert_eq!(
            kept(CheckpointsSection {
                keep_last: 1,
                keep_best: 0,
                keep_every_rounds: 2,
                keep_published: 0,
                ..CheckpointsSection::default()
            }),
            ["0-9", "2-9", "4-9"]
        );
    }
}
