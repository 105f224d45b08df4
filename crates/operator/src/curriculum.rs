//! The curriculum as it follows from the store, and problems that it gave up revived by an operator's word.

use still_control::ReviveRequest;
use still_curation::{Candidate, Curriculum, CurriculumConfig};
use still_domain::{Problem, ProblemId, Revival, RoundNumber, Split};
use still_store::{Store, StoreError};
use thiserror::Error;

/// Why problems were not revived.
#[derive(Debug, Error)]
pub(crate) enum NotRevived {
    /// No attempt is asked for.
    #[error("at least one further attempt must be asked for")]
    NoAttempts,
    /// There is no such problem to explore.
    #[error("there is no problem `{0}` to explore")]
    Unknown(ProblemId),
    /// The problem needs no revival.
    #[error("problem `{problem}` is {state}: only what is parked or exhausted can be revived")]
    NotGivenUp {
        /// The problem.
        problem: ProblemId,
        /// Where it stands.
        state: &'static str,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where every problem to explore stands.
pub(crate) fn standing(store: &Store, config: CurriculumConfig) -> Result<Curriculum, StoreError> {
    let mut curriculum = Curriculum::new(config);
    for problem in store.problems()?.iter().filter(|problem| problem.split == Split::Explore) {
        let Problem { id, source, level, .. } = problem;
        curriculum.add(id.clone(), source, *level);
    }
    for revival in store.revivals()? {
        curriculum.revive(&revival);
    }
    for fact in store.facts_since(0) {
        let fact = Candidate::from(fact?);
        curriculum.record(&fact.id, fact.result());
    }
    if let Some(newest) = store.current_policy()? {
        curriculum.policy_promoted(newest.version);
    }
    Ok(curriculum)
}

/// Writes further attempts at problems that were given up, all or none, and says what was done.
pub(crate) fn revive(
    store: &Store,
    request: &ReviveRequest,
    config: CurriculumConfig,
) -> Result<String, NotRevived> {
    if request.attempts == 0 {
        return Err(NotRevived::NoAttempts);
    }
    let curriculum = standing(store, config)?;
    let round = RoundNumber(store.latest_round()?.map_or(1, |latest| latest.round.0 + 1));
    let asked_for = if request.problems.is_empty() {
        let problems = store.problems()?.into_iter().map(|problem| problem.id);
        problems.filter(|id| curriculum.revivable_from(id).is_some()).collect()
    } else {
        request.problems.clone()
    };
    let revival = |problem: ProblemId| {
        let Some(state) = curriculum.state(&problem) else { return Err(NotRevived::Unknown(problem)) };
        let Some(from) = curriculum.revivable_from(&problem) else {
            return Err(NotRevived::NotGivenUp { problem, state: state.name() });
        };
        Ok(Revival { problem, from, attempts: request.attempts, round })
    };
    let revivals = asked_for.into_iter().map(revival).collect::<Result<Vec<_>, _>>()?;
    store.put_revivals(&revivals)?;
    Ok(format!(
        "{} problems have {} further attempts each; in lockstep from round {round} on",
        revivals.len(),
        request.attempts
    ))
}
