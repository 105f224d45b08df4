//! Perplexities under one policy, before a set is chosen by them: those that the samplers measured are each under the
//! policy that drew the text, and an easy text of a weak policy looks as hard as a hard one of a strong policy.
//!
//! Scores are durable in batches as they come, in any order, so a pass that is interrupted goes on with what is missing. It
//! works on a thread of its own and opens its scorer for as long as it lasts.

use std::{collections::BTreeMap, ops::ControlFlow};

use ractor::ActorProcessingErr;
use still_curation::{Candidate, ScoredBy};
use still_domain::{
    AttemptId, Measures, Outcome, PolicyOrigin, PolicyRecord, PolicyRef, PolicyVersion, RoundNumber, Score,
};
use still_roles::{OpenScorer, ScoringPass, TrajectoryRequest, Unscored, Withdrawal};

use crate::ground::{
    protocol::{Lost, Rescored},
    store_access::{StoreAccess, effective_version},
};

/// Scores between two commits.
const BATCH: usize = 32;

/// Trajectories that may come to nothing before the first is scored: a pass that brings nothing may be what ends the servers
/// that it asks.
const MAX_LOST: u64 = 32;

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
    withdrawal: &Withdrawal,
) -> Result<Rescored, ActorProcessingErr> {
    let known = access.store.scores(policy.version)?;
    let is_wanted = |one: &&Candidate| {
        one.rejection.is_none()
            && matches!(one.outcome, Outcome::Correct | Outcome::Wrong)
            && !known.contains_key(&one.id)
    };
    let missing: Vec<&AttemptId> = pool.iter().filter(is_wanted).map(|one| &one.id).collect();
    if missing.is_empty() {
        return Ok(Rescored::Done { refused: 0, lost: None });
    }
    let mut scorer = match open() {
        Ok(scorer) => scorer,
        Err(reason) => return Ok(Rescored::Failed(reason)),
    };
    let mut pass = Pass::of(access, policy.version, &missing);
    let ended = scorer.score(&PolicyRef::from(policy), &mut pass, withdrawal);
    pass.commit()?;
    let Pass { scored, refused, lost, failure, .. } = pass;
    if let Some(failure) = failure {
        return Err(failure);
    }
    Ok(match (ended, lost) {
        _ if withdrawal.is_withdrawn() => Rescored::Withdrawn,
        (Err(reason), _) => Rescored::Failed(reason),
        (Ok(()), Some(Lost { last, .. })) if scored == 0 => Rescored::Failed(last),
        (Ok(()), lost) => Rescored::Done { refused, lost },
    })
}

/// A pass over trajectories of the store, each by its place among those that are missing.
struct Pass<'a> {
    access: &'a StoreAccess,
    version: PolicyVersion,
    missing: &'a [&'a AttemptId],
    place: usize,
    /// Not yet durable.
    scores: Vec<Score>,
    scored: u64,
    refused: u64,
    lost: Option<Lost>,
    /// The store's.
    failure: Option<ActorProcessingErr>,
}

impl<'a> Pass<'a> {
    const fn of(access: &'a StoreAccess, version: PolicyVersion, missing: &'a [&'a AttemptId]) -> Self {
        let scores = Vec::new();
        Self { access, version, missing, place: 0, scores, scored: 0, refused: 0, lost: None, failure: None }
    }

    fn read_next(&mut self) -> Result<Option<(u64, TrajectoryRequest)>, ActorProcessingErr> {
        let store = &self.access.store;
        while let Some(id) = self.missing.get(self.place) {
            let number = self.place as u64;
            self.place += 1;
            if let (Some(judged), Some(problem)) = (store.trajectory(id)?, store.problem(&id.problem)?) {
                return Ok(Some((number, TrajectoryRequest { problem, trajectory: judged.trajectory })));
            }
            self.refused += 1;
        }
        Ok(None)
    }

    fn take(&mut self, number: u64, found: Result<Measures, Unscored>) -> Result<(), ActorProcessingErr> {
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        let Some(id) = self.missing.get(place) else { return Ok(()) };
        match found {
            Ok(measures) => {
                self.scores.push(Score::of((*id).clone(), self.version, &measures));
                self.scored += 1;
            }
            Err(Unscored::Refused(reason)) => {
                tracing::debug!(attempt = %id, reason, "a trajectory cannot be scored");
                self.refused += 1;
            }
            Err(Unscored::Lost(last)) => {
                tracing::debug!(attempt = %id, reason = last, "a trajectory is not scored this time");
                let trajectories = self.lost.as_ref().map_or(0, |lost| lost.trajectories) + 1;
                self.lost = Some(Lost { trajectories, last });
            }
        }
        if self.scores.len() < BATCH { Ok(()) } else { self.commit() }
    }

    /// Makes what is scored durable.
    fn commit(&mut self) -> Result<(), ActorProcessingErr> {
        let scores = std::mem::take(&mut self.scores);
        if scores.is_empty() {
            return Ok(());
        }
        Ok(self.access.store.put_scores(&scores)?)
    }
}

impl ScoringPass<TrajectoryRequest, Measures> for Pass<'_> {
    fn next(&mut self) -> Option<(u64, TrajectoryRequest)> {
        if self.failure.is_some() {
            return None;
        }
        self.read_next().unwrap_or_else(|failure| {
            self.failure = Some(failure);
            None
        })
    }

    fn scored(&mut self, number: u64, found: Result<Measures, Unscored>) -> ControlFlow<()> {
        if self.failure.is_none()
            && let Err(failure) = self.take(number, found)
        {
            self.failure = Some(failure);
        }
        let is_hopeless =
            self.scored == 0 && self.lost.as_ref().is_some_and(|lost| lost.trajectories >= MAX_LOST);
        if self.failure.is_some() || is_hopeless { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// The pool with its perplexities under one policy; unknown where there is no score.
pub(crate) fn ranked_under(pool: &[Candidate], scores: &BTreeMap<AttemptId, Score>) -> Vec<Candidate> {
    pool.iter().map(|candidate| candidate.scored(scores.get(&candidate.id))).collect()
}
