//! The store as the control socket, the dashboard and `inspect` see it.
//!
//! Every call of the store blocks, so [`StoreRecords`] puts it on a blocking thread; the pool is streamed,
//! never held in memory whole.

use std::{collections::HashMap, ops::ControlFlow};

use futures_util::{StreamExt, stream};
use still_control::{
    DemonstrationLine, DemonstrationList, DemonstrationQuery, ErrorKind, ErrorReply, LeftOut, OnConflict,
    PoolQuery, PoolRecord, ProblemLine, ProblemList, ProblemQuery, ReviveRequest, RoundReport, SetLine,
    SuspectLine,
};
use still_curation::CurriculumConfig;
use still_domain::{
    AttemptId, Demonstration, DemonstrationId, JudgedTrajectory, PolicyRecord, Problem, ProblemId,
    Provenance, Round, SealingDecisions, Split, TrainingSet,
};
use still_store::{Store, StoreError};
use tokio::sync::mpsc;

use crate::{
    admission::{Admission, AdmissionError, JudgeCheck},
    control::{Imported, TrajectoryStream},
    curriculum::{self, NotRevived},
    import::Batch,
    inspect::{ProblemAnswer, Records},
    suspects::{SameAnswer, suspects},
};

/// The state of a problem that this run cannot ask or judge, and that is not attempted.
const UNUSABLE: &str = "unusable";
/// Trajectories read ahead of whoever asked for them.
const READ_AHEAD: usize = 64;

/// The store, for those who must not block.
#[derive(Clone)]
pub struct StoreRecords {
    store: Store,
    admission: Admission,
    curriculum: CurriculumConfig,
}

impl StoreRecords {
    /// The records of `store`, to which only that is added which `admission` allows; `curriculum` says how problems
    /// are attempted.
    pub const fn new(store: Store, admission: Admission, curriculum: CurriculumConfig) -> Self {
        Self { store, admission, curriculum }
    }

    /// Makes problems durable, as far as the rules of [`Admission`] allow. Whoever supplies them must still
    /// be reported.
    ///
    /// # Errors
    /// When the rules refuse them, or the store fails.
    pub async fn import_problems(
        &self,
        problems: impl Into<Batch<Problem>>,
        on_conflict: OnConflict,
    ) -> Result<Imported, ErrorReply> {
        self.import(Batch::default(), problems.into(), on_conflict).await
    }

    /// Makes demonstrations durable, as far as the rules of [`Admission`] allow. Whoever trains on them must
    /// still be reported.
    ///
    /// # Errors
    /// When the rules refuse them, or the store fails.
    pub async fn import_demonstrations(
        &self,
        demonstrations: impl Into<Batch<Demonstration>>,
    ) -> Result<Imported, ErrorReply> {
        self.import(demonstrations.into(), Batch::default(), OnConflict::Abort).await
    }

    async fn import(
        &self,
        demonstrations: Batch<Demonstration>,
        problems: Batch<Problem>,
        on_conflict: OnConflict,
    ) -> Result<Imported, ErrorReply> {
        let admission = self.admission.clone();
        let work = move |store: &Store| admission.import(store, demonstrations, problems, on_conflict);
        let admitted = self.blocking(work).await?;
        let cleaned = admitted.cleaned.iter().map(|(id, faults)| LeftOut {
            id: id.to_string(),
            reasons: faults.iter().map(ToString::to_string).collect(),
        });
        Ok(Imported {
            imported: admitted.report.new,
            known: admitted.report.already_there,
            contaminated: admitted.problems_left_out + admitted.demonstrations_left_out,
            replaced: admitted.replaced,
            kept: admitted.kept,
            imitated: admitted.imitated_left_out,
            cleaned: cleaned.collect(),
            faults: admitted
                .fault_counts()
                .into_iter()
                .map(|(name, count)| (name.to_owned(), count))
                .collect(),
        })
    }

    /// Problems with what has come of them.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn problems(&self, query: ProblemQuery) -> Result<ProblemList, ErrorReply> {
        let (curriculum, check) = (self.curriculum, self.admission.check());
        self.blocking(move |store| list_problems(store, &query, curriculum, &check)).await
    }

    /// Problems whose gold answers are suspect, the most suspect first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn suspects(&self, is_same: SameAnswer) -> Result<Vec<SuspectLine>, ErrorReply> {
        self.blocking(move |store| suspects(store, &is_same)).await
    }

    /// One problem.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn problem(&self, id: ProblemId) -> Result<Option<Problem>, ErrorReply> {
        self.blocking(move |store| store.problem(&id)).await
    }

    /// Demonstrations, in their order of import.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn demonstrations(&self, query: DemonstrationQuery) -> Result<DemonstrationList, ErrorReply> {
        let all = self.blocking(Store::demonstrations).await?;
        let limit = shown(query.limit);
        let demonstrations = all.iter().take(limit).map(DemonstrationLine::from).collect();
        Ok(DemonstrationList { total: all.len() as u64, demonstrations })
    }

    /// One demonstration.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn demonstration(&self, id: DemonstrationId) -> Result<Option<Demonstration>, ErrorReply> {
        self.blocking(move |store| store.demonstration(&id)).await
    }

    /// Every sealed training set, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn sets(&self) -> Result<Vec<SetLine>, ErrorReply> {
        let sets = self.blocking(Store::training_sets).await?;
        Ok(sets.iter().map(SetLine::from).collect())
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
            let mut visit = |judged: Result<JudgedTrajectory, StoreError>| {
                let judged = match judged {
                    Ok(judged) if !query.is_met_by(&judged) => return ControlFlow::Continue(()),
                    judged => judged,
                };
                if left == 0 {
                    return ControlFlow::Break(());
                }
                left -= 1;
                let is_over = judged.is_err();
                // whoever asked may be gone
                let is_read = sender.blocking_send(judged.map_err(|error| error.refusal())).is_ok();
                if is_read && !is_over { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            match &query.problem {
                Some(problem) => match store.trajectories_of(problem) {
                    Ok(all) => {
                        let _ended = all.into_iter().map(Ok).try_for_each(visit);
                    }
                    Err(error) => {
                        let _ended = visit(Err(error));
                    }
                },
                None => Records::each_trajectory(&store, &mut visit),
            }
        });
        Ok(stream::unfold(receiver, async |mut receiver| receiver.recv().await.map(|item| (item, receiver)))
            .boxed())
    }

    /// Gives problems that were given up further attempts, and says what was done. Whoever supplies them must still be
    /// reported.
    ///
    /// # Errors
    /// When one of them is unknown or not given up, or the store fails.
    pub async fn revive(&self, request: ReviveRequest) -> Result<String, ErrorReply> {
        let config = self.curriculum;
        self.blocking(move |store| curriculum::revive(store, &request, config)).await
    }

    /// One trajectory.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn trajectory(&self, id: AttemptId) -> Result<Option<PoolRecord>, ErrorReply> {
        let record = move |store: &Store| {
            let Some(judged) = store.trajectory(&id)? else { return Ok::<_, StoreError>(None) };
            let provenance = match &judged.trajectory.provenance {
                Some(name) => store.provenance(name)?,
                None => None,
            };
            Ok(Some(PoolRecord { judged, decisions: store.decisions_of(&id)?, provenance }))
        };
        self.blocking(record).await
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

    fn rounds(&self) -> Vec<Result<Round, StoreError>> {
        self.each_round().collect()
    }

    fn each_trajectory(
        &self,
        visit: &mut dyn FnMut(Result<JudgedTrajectory, StoreError>) -> ControlFlow<()>,
    ) {
        let _broken_off = self.trajectories().try_for_each(visit);
    }

    fn each_answer(&self, visit: &mut dyn FnMut(Result<ProblemAnswer, StoreError>) -> ControlFlow<()>) {
        let mut problems = HashMap::new();
        for problem in self.each_problem() {
            match problem {
                Ok(problem) => {
                    problems.insert(problem.id.clone(), problem);
                }
                Err(error) => {
                    if visit(Err(error)).is_break() {
                        return;
                    }
                }
            }
        }
        let answers = self.scored_answers().filter_map(|answer| match answer {
            Ok(answer) => {
                let problem = problems.get(&answer.id.problem)?.clone();
                Some(Ok((answer, problem)))
            }
            Err(error) => Some(Err(error)),
        });
        let _broken_off = { answers }.try_for_each(visit);
    }

    fn sets(&self) -> Vec<Result<TrainingSet, StoreError>> {
        self.each_training_set().collect()
    }

    fn decisions(&self) -> Vec<Result<SealingDecisions, StoreError>> {
        self.sealing_decisions().collect()
    }

    fn policies(&self) -> Vec<Result<PolicyRecord, StoreError>> {
        self.each_policy().collect()
    }

    fn problems(&self) -> Vec<Result<Problem, StoreError>> {
        self.each_problem().collect()
    }

    fn provenances(&self) -> Vec<Result<Provenance, StoreError>> {
        Store::provenances(self).collect()
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

impl Refuses for NotRevived {
    fn refusal(&self) -> ErrorReply {
        match self {
            Self::Store(error) => error.refusal(),
            Self::Unknown(_) => ErrorReply::new(ErrorKind::NotFound, self.to_string()),
            Self::NoAttempts | Self::NotGivenUp { .. } => {
                ErrorReply::new(ErrorKind::BadInput, self.to_string())
            }
        }
    }
}

impl Refuses for AdmissionError {
    fn refusal(&self) -> ErrorReply {
        match self {
            Self::Store(error) => error.refusal(),
            Self::Unjudgeable { .. }
            | Self::TrainedOn { .. }
            | Self::Conflict { .. }
            | Self::NothingToImitate(..) => ErrorReply::new(ErrorKind::BadInput, self.to_string()),
        }
    }
}

/// How many of a list are shown.
fn shown(limit: Option<u64>) -> usize {
    limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

fn list_problems(
    store: &Store,
    query: &ProblemQuery,
    curriculum: CurriculumConfig,
    check: &JudgeCheck,
) -> Result<ProblemList, StoreError> {
    let is_asked_for = |problem: &Problem| {
        (query.level.is_none() || problem.level == query.level)
            && query.split.is_none_or(|split| problem.split == split)
    };
    let mut problems: Vec<Problem> = store.problems()?.into_iter().filter(is_asked_for).collect();
    let total = problems.len() as u64;
    problems.sort_by_key(|problem| problem.split != Split::Explore);
    problems.truncate(shown(query.limit));
    let curriculum = curriculum::standing(store, curriculum)?;
    let line = |problem: Problem| {
        let tally = curriculum.tally(&problem.id).unwrap_or_default();
        let pass_rate = curriculum.pass_rate(&problem.id);
        let is_unusable = problem.split == Split::Explore && check(&problem).is_err();
        let Problem { id, text, gold, kind, level, source, split } = problem;
        ProblemLine {
            state: curriculum
                .state(&id)
                .map(|state| if is_unusable { UNUSABLE } else { state.name() }.to_owned()),
            pass_rate: pass_rate.map(|rate| rate.mean()),
            pass_rate_deviation: pass_rate.map(|rate| rate.standard_deviation()),
            id,
            kind,
            level,
            split,
            source,
            text,
            gold,
            attempts: u64::from(tally.attempts()),
            correct: u64::from(tally.correct),
            truncated: u64::from(tally.truncated),
        }
    };
    Ok(ProblemList { total, problems: problems.into_iter().map(line).collect() })
}
