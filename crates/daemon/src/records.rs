//! The store as the control socket, the dashboard and `inspect` see it.
//!
//! Every call of the store blocks, so [`StoreRecords`] puts it on a blocking thread; the pool is streamed,
//! never held in memory whole.

use std::{collections::HashMap, ops::ControlFlow};

use futures_util::{StreamExt, stream};
use still_control::{ErrorKind, ErrorReply, PoolQuery, ProblemLine, ProblemList, ProblemQuery, RoundReport};
use still_curation::{Decontamination, DecontaminationConfig};
use still_domain::{
    AttemptId, Demonstration, JudgedTrajectory, Outcome, PolicyRecord, Problem, ProblemId, Round, Split,
    TrainingSet,
};
use still_store::{ImportReport, Store, StoreError};
use tokio::sync::mpsc;

use crate::{
    control::{Imported, TrajectoryStream},
    inspect::Records,
};

/// Trajectories read ahead of whoever asked for them.
const READ_AHEAD: usize = 64;

/// The store, for those who must not block.
#[derive(Clone)]
pub struct StoreRecords {
    store: Store,
}

impl StoreRecords {
    /// The records of `store`.
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Makes problems durable, without those to explore that repeat a held-out one by these rules. Whoever
    /// supplies them must still be told.
    ///
    /// # Errors
    /// When a name is known with another content, or the store fails.
    pub async fn import_problems(
        &self,
        problems: Vec<Problem>,
        rules: DecontaminationConfig,
    ) -> Result<Imported, ErrorReply> {
        self.blocking(move |store| {
            let known = store.problems()?;
            let held_out = known.iter().chain(&problems).filter(|problem| problem.split == Split::Evaluate);
            let held_out = held_out.map(|problem| (problem.id.clone(), problem.text.as_str()));
            let decontamination = Decontamination::new(rules, held_out);
            let is_clean = |problem: &&Problem| {
                problem.split == Split::Evaluate || decontamination.check(&problem.text).is_none()
            };
            let clean: Vec<Problem> = problems.iter().filter(is_clean).cloned().collect();
            let contaminated = (problems.len() - clean.len()) as u64;
            Ok(Imported { contaminated, ..imported(store.import_problems(&clean)?) })
        })
        .await
    }

    /// Makes demonstrations durable. Whoever trains on them must still be told.
    ///
    /// # Errors
    /// When a name is known with another content, or the store fails.
    pub async fn import_demonstrations(
        &self,
        demonstrations: Vec<Demonstration>,
    ) -> Result<Imported, ErrorReply> {
        self.blocking(move |store| store.import_demonstrations(&demonstrations)).await.map(imported)
    }

    /// Problems with what has come of them.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn problems(&self, query: ProblemQuery) -> Result<ProblemList, ErrorReply> {
        self.blocking(move |store| list_problems(store, &query)).await
    }

    /// Trajectories of the pool, streamed.
    ///
    /// # Errors
    /// Never at once: an error ends the stream.
    #[expect(clippy::unused_async, reason = "as the control plane asks for it")]
    pub async fn pool(&self, query: PoolQuery) -> Result<TrajectoryStream, ErrorReply> {
        let (sender, receiver) = mpsc::channel(READ_AHEAD);
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || {
            let mut left = query.limit.unwrap_or(u64::MAX);
            let mut visit = |judged: JudgedTrajectory| {
                if left == 0 {
                    return ControlFlow::Break(());
                }
                if query.is_met_by(&judged) {
                    left -= 1;
                    // whoever asked may be gone
                    if sender.blocking_send(Ok(judged)).is_err() {
                        return ControlFlow::Break(());
                    }
                }
                ControlFlow::Continue(())
            };
            let read = match &query.problem {
                Some(problem) => store.trajectories_of(problem).map(|all| {
                    let _ended = all.into_iter().try_for_each(&mut visit);
                }),
                None => Records::each_trajectory(&store, &mut visit),
            };
            if let Err(error) = read {
                let _whoever_asked_is_gone = sender.blocking_send(Err(refusal(&error)));
            }
        });
        Ok(stream::unfold(receiver, async |mut receiver| receiver.recv().await.map(|item| (item, receiver)))
            .boxed())
    }

    /// One trajectory.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn trajectory(&self, id: AttemptId) -> Result<Option<JudgedTrajectory>, ErrorReply> {
        self.blocking(move |store| store.trajectory(&id)).await
    }

    /// Published policies, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn policies(&self) -> Result<Vec<PolicyRecord>, ErrorReply> {
        self.blocking(Store::policies).await
    }

    /// Every round that has begun, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn rounds(&self) -> Result<Vec<RoundReport>, ErrorReply> {
        let rounds = self.blocking(Store::rounds).await?;
        Ok(rounds.iter().map(RoundReport::of).collect())
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ErrorReply> {
        let store = self.store.clone();
        match tokio::task::spawn_blocking(move || work(&store)).await {
            Ok(result) => result.map_err(|error| refusal(&error)),
            Err(error) => Err(ErrorReply::new(ErrorKind::Internal, error.to_string())),
        }
    }
}

impl Records for Store {
    type Error = StoreError;

    fn rounds(&self) -> Result<Vec<Round>, StoreError> {
        Self::rounds(self)
    }

    fn each_trajectory(
        &self,
        visit: &mut dyn FnMut(JudgedTrajectory) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        for judged in self.trajectories() {
            if visit(judged?).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn sets(&self) -> Result<Vec<TrainingSet>, StoreError> {
        self.training_sets()
    }

    fn policies(&self) -> Result<Vec<PolicyRecord>, StoreError> {
        Self::policies(self)
    }
}

/// How the store's error is told to a client.
pub fn refusal(error: &StoreError) -> ErrorReply {
    let kind = match error {
        StoreError::Conflict(_) => ErrorKind::BadInput,
        _ => ErrorKind::Store,
    };
    ErrorReply::new(kind, error.to_string())
}

const fn imported(report: ImportReport) -> Imported {
    Imported { imported: report.new, known: report.already_there, contaminated: 0 }
}

fn list_problems(store: &Store, query: &ProblemQuery) -> Result<ProblemList, StoreError> {
    let is_asked_for = |problem: &Problem| {
        (query.level.is_none() || problem.level == query.level)
            && query.split.is_none_or(|split| problem.split == split)
    };
    let mut problems: Vec<Problem> = store.problems()?.into_iter().filter(is_asked_for).collect();
    let total = problems.len() as u64;
    problems.truncate(query.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX)));
    let mut tallies: HashMap<ProblemId, (u64, u64)> =
        problems.iter().map(|problem| (problem.id.clone(), (0, 0))).collect();
    for fact in store.facts_since(0) {
        let fact = fact?;
        if let Some((attempts, correct)) = tallies.get_mut(&fact.id.problem) {
            *attempts += 1;
            *correct += u64::from(fact.outcome == Outcome::Correct);
        }
    }
    let line = |problem: Problem| {
        let (attempts, correct) = tallies.get(&problem.id).copied().unwrap_or_default();
        let Problem { id, text, gold, level, split, .. } = problem;
        ProblemLine { id, level, split, text, gold, attempts, correct }
    };
    Ok(ProblemList { total, problems: problems.into_iter().map(line).collect() })
}
