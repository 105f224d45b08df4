//! The store as the control socket, the dashboard and `inspect` see it.
//!
//! Every call of the store blocks, so [`StoreRecords`] puts it on a blocking thread; the pool is streamed,
//! never held in memory whole.

use std::{collections::HashMap, ops::ControlFlow};

use futures_util::{StreamExt, stream};
use still_control::{ErrorKind, ErrorReply, PoolQuery, ProblemLine, ProblemList, ProblemQuery, RoundReport};
use still_domain::{
    AttemptId, Demonstration, JudgedTrajectory, Outcome, PolicyRecord, Problem, ProblemId, Round, TrainingSet,
};
use still_store::{Store, StoreError};
use tokio::sync::mpsc;

use crate::{
    admission::{Admission, AdmissionError, Admitted},
    control::{Imported, TrajectoryStream},
    inspect::Records,
};

/// Trajectories read ahead of whoever asked for them.
const READ_AHEAD: usize = 64;

/// The store, for those who must not block.
#[derive(Clone)]
pub struct StoreRecords {
    store: Store,
    admission: Admission,
}

impl StoreRecords {
    /// The records of `store`, to which only that is added which `admission` allows.
    pub const fn new(store: Store, admission: Admission) -> Self {
        Self { store, admission }
    }

    /// Makes problems durable, as far as the rules of [`Admission`] allow. Whoever supplies them must still
    /// be reported.
    ///
    /// # Errors
    /// When the rules refuse them, or the store fails.
    pub async fn import_problems(&self, problems: Vec<Problem>) -> Result<Imported, ErrorReply> {
        self.import(Vec::new(), problems).await
    }

    /// Makes demonstrations durable, as far as the rules of [`Admission`] allow. Whoever trains on them must
    /// still be reported.
    ///
    /// # Errors
    /// When the rules refuse them, or the store fails.
    pub async fn import_demonstrations(
        &self,
        demonstrations: Vec<Demonstration>,
    ) -> Result<Imported, ErrorReply> {
        self.import(demonstrations, Vec::new()).await
    }

    async fn import(
        &self,
        demonstrations: Vec<Demonstration>,
        problems: Vec<Problem>,
    ) -> Result<Imported, ErrorReply> {
        let admission = self.admission.clone();
        let admitted = self.blocking(move |store| admission.import(store, demonstrations, problems)).await?;
        let Admitted { report, problems_left_out, demonstrations_left_out } = admitted;
        Ok(Imported {
            imported: report.new,
            known: report.already_there,
            contaminated: problems_left_out + demonstrations_left_out,
        })
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
                let _whoever_asked_is_gone = sender.blocking_send(Err(error.refusal()));
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

    async fn blocking<T: Send + 'static, E: Refuses + Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, E> + Send + 'static,
    ) -> Result<T, ErrorReply> {
        let store = self.store.clone();
        match tokio::task::spawn_blocking(move || work(&store)).await {
            Ok(result) => result.map_err(|error| error.refusal()),
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

/// Errors that a client hears of.
trait Refuses {
    /// How it is reported.
    fn refusal(&self) -> ErrorReply;
}

impl Refuses for StoreError {
    fn refusal(&self) -> ErrorReply {
        let kind = match self {
            Self::Conflict(_) => ErrorKind::BadInput,
            _ => ErrorKind::Store,
        };
        ErrorReply::new(kind, self.to_string())
    }
}

impl Refuses for AdmissionError {
    fn refusal(&self) -> ErrorReply {
        match self {
            Self::Store(error) => error.refusal(),
            Self::Unjudgeable { .. } | Self::TrainedOn { .. } => {
                ErrorReply::new(ErrorKind::BadInput, self.to_string())
            }
        }
    }
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
