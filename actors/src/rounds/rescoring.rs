//! Perplexities under one policy, before a set is chosen by them: those that the samplers measured are each under the
//! policy that drew the text, and an easy text of a weak policy looks as hard as a hard one of a strong policy.
//!
//! Scores are durable in batches as they come, so a pass that is interrupted goes on where it stopped. It works on a
//! thread of its own and opens its model for as long as it lasts.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use ractor::ActorProcessingErr;
use still_curation::{Candidate, ScoredBy};
use still_domain::{
    AttemptId, Outcome, PolicyOrigin, PolicyRecord, PolicyRef, PolicyVersion, RoundNumber, Score,
};
use still_roles::{OpenScorer, ScoreError};

use crate::ground::{
    protocol::Rescored,
    store_access::{StoreAccess, effective_version},
};

/// Trajectories scored between two commits.
const BATCH: usize = 32;

/// The policy that sets are ranked by, and whose record says where its weights are; `None` where each trajectory's own
/// sampler's perplexities count.
pub(crate) fn ranking_policy(
    scored_by: ScoredBy,
    explored_by: PolicyVersion,
    policies: &[PolicyRecord],
) -> Option<PolicyRecord> {
    let of_version = |version| policies.iter().find(|record| record.version == version).cloned();
    match scored_by {
        ScoredBy::Sampler => None,
        ScoredBy::Current => {
            let record = of_version(explored_by)?;
            // a policy that was put in force again is the one that it was before
            of_version(effective_version(policies, &record))
        }
        ScoredBy::Imitated => {
            let of_imitation = PolicyOrigin::Round(RoundNumber::IMITATION);
            policies.iter().find(|record| record.origin == of_imitation).or_else(|| policies.first()).cloned()
        }
    }
}

/// Scores those of `pool` that a set or a pair could be chosen from and that have no score under the policy. Blocks.
pub(crate) fn rescore(
    access: &StoreAccess,
    open: &OpenScorer,
    policy: &PolicyRecord,
    pool: &[Candidate],
    is_withdrawn: &Arc<AtomicBool>,
) -> Result<Rescored, ActorProcessingErr> {
    let known = access.store.scores(policy.version)?;
    let is_wanted = |one: &&Candidate| {
        one.rejection.is_none()
            && matches!(one.outcome, Outcome::Correct | Outcome::Wrong)
            && !known.contains_key(&one.id)
    };
    let missing: Vec<&AttemptId> = pool.iter().filter(is_wanted).map(|one| &one.id).collect();
    let mut refused = 0;
    if missing.is_empty() {
        return Ok(Rescored::Done { refused });
    }
    let mut scorer = match open() {
        Ok(scorer) => scorer,
        Err(reason) => return Ok(Rescored::Failed(reason)),
    };
    let policy_ref = PolicyRef::from(policy);
    for ids in missing.chunks(BATCH) {
        let mut scores = Vec::with_capacity(ids.len());
        for id in ids {
            if is_withdrawn.load(Ordering::Relaxed) {
                return Ok(Rescored::Withdrawn);
            }
            let (Some(judged), Some(problem)) =
                (access.store.trajectory(id)?, access.store.problem(&id.problem)?)
            else {
                refused += 1;
                continue;
            };
            match scorer.score(&policy_ref, &problem, &judged.trajectory) {
                Ok(measures) => scores.push(Score::of((*id).clone(), policy.version, &measures)),
                Err(ScoreError::Refused(reason)) => {
                    tracing::debug!(attempt = %id, reason, "a trajectory cannot be scored");
                    refused += 1;
                }
                Err(ScoreError::Failed(reason)) => return Ok(Rescored::Failed(reason)),
            }
        }
        access.store.put_scores(&scores)?;
    }
    Ok(Rescored::Done { refused })
}

/// The pool with its perplexities under one policy; unknown where there is no score.
pub(crate) fn ranked_under(pool: &[Candidate], scores: &BTreeMap<AttemptId, Score>) -> Vec<Candidate> {
    pool.iter().map(|candidate| candidate.scored(scores.get(&candidate.id))).collect()
}
