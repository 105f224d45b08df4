//! What the control socket and the pages ask of the daemon.

use std::{collections::BTreeMap, future::Future};

use crate::import::Batch;
use futures_util::{StreamExt, stream, stream::BoxStream};
use still_control::{
    Activity, AddServerRequest, DemonstrationList, DemonstrationQuery, Done, ErrorReply, Event, LeftOut,
    OnConflict, PoolQuery, PoolRecord, ProblemList, ProblemQuery, RemoveServerRequest, ReviveRequest,
    RoundReport, ServerStatus, SetLine, Status, SuspectLine,
};
use still_domain::{
    AnswerKind, AttemptId, Demonstration, DemonstrationId, JudgedTrajectory, PolicyRecord, PolicyVersion,
    Problem, ProblemId,
};
use still_text::Format;
use tokio::sync::broadcast::{self, error::RecvError};

/// What happens, as it happens; ends when the daemon does.
pub type EventStream = BoxStream<'static, Event>;
/// Trajectories in the order of their ids; an error ends the stream.
pub type TrajectoryStream = BoxStream<'static, Result<JudgedTrajectory, ErrorReply>>;

/// What an import brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// New records, durable now.
    pub imported: u64,
    /// Records that were there already.
    pub known: u64,
    /// Records left out: a policy is scored on a held-out problem that they repeat.
    pub contaminated: u64,
    /// Known problems that got another gold answer or kind.
    pub replaced: u64,
    /// Known problems that kept theirs.
    pub kept: u64,
    /// Problems left out: they are imitated.
    pub imitated: u64,
    /// Demonstrations left out: cleaning found a fault with them.
    pub cleaned: Vec<LeftOut>,
    /// Demonstrations with each fault, by its name.
    pub faults: BTreeMap<String, u64>,
}

/// The daemon, as operators see it. Every method answers promptly or fails; none waits for a round.
pub trait ControlPlane: Send + Sync + 'static {
    /// How the daemon stands.
    fn status(&self) -> impl Future<Output = Result<Status, ErrorReply>> + Send;

    /// Whether the supervisor lives.
    fn is_alive(&self) -> bool;

    /// How answers are compared where an imported problem does not say.
    fn answer_kind(&self) -> AnswerKind {
        AnswerKind::default()
    }

    /// How imported demonstrations are to keep thought and solution apart.
    fn format(&self) -> Format {
        Format::default()
    }

    /// The phase that the round is in, then what happens from now on.
    fn events(&self) -> EventStream;

    /// Every round that has begun, oldest first.
    fn rounds(&self) -> impl Future<Output = Result<Vec<RoundReport>, ErrorReply>> + Send;

    /// Stops taking up new work of an activity, or of both.
    fn pause(&self, activity: Option<Activity>) -> impl Future<Output = Result<Done, ErrorReply>> + Send;

    /// Goes on with an activity, or with both.
    fn resume(&self, activity: Option<Activity>) -> impl Future<Output = Result<Done, ErrorReply>> + Send;

    /// Finishes the work in flight, then ends the daemon; returns when that has begun.
    fn drain(&self) -> impl Future<Output = Result<Done, ErrorReply>> + Send;

    /// Ends the daemon without waiting for work in flight; nothing acknowledged is lost.
    fn stop(&self) -> impl Future<Output = Result<Done, ErrorReply>> + Send;

    /// Writes a checkpoint of the training at work.
    fn checkpoint(&self) -> impl Future<Output = Result<Done, ErrorReply>> + Send;

    /// Closes the round's exploration now.
    fn seal(&self) -> impl Future<Output = Result<Done, ErrorReply>> + Send;

    /// Makes problems durable, all or none, and supplies those to explore. One that cannot be judged refuses
    /// the import, as does one to hold out that is trained on already; one to explore that repeats a held-out
    /// problem is left out.
    fn import_problems(
        &self,
        problems: Batch<Problem>,
        on_conflict: OnConflict,
    ) -> impl Future<Output = Result<Imported, ErrorReply>> + Send;

    /// Makes demonstrations durable, without those that repeat a held-out problem; the next training set
    /// holds them.
    fn import_demonstrations(
        &self,
        demonstrations: Batch<Demonstration>,
    ) -> impl Future<Output = Result<Imported, ErrorReply>> + Send;

    /// Problems with what has come of them.
    fn problems(&self, query: ProblemQuery) -> impl Future<Output = Result<ProblemList, ErrorReply>> + Send;

    /// One problem; `None` when there is none of that name.
    fn problem(&self, id: ProblemId) -> impl Future<Output = Result<Option<Problem>, ErrorReply>> + Send;

    /// Demonstrations.
    fn demonstrations(
        &self,
        query: DemonstrationQuery,
    ) -> impl Future<Output = Result<DemonstrationList, ErrorReply>> + Send;

    /// One demonstration; `None` when there is none of that name.
    fn demonstration(
        &self,
        id: DemonstrationId,
    ) -> impl Future<Output = Result<Option<Demonstration>, ErrorReply>> + Send;

    /// Every sealed training set, oldest first.
    fn sets(&self) -> impl Future<Output = Result<Vec<SetLine>, ErrorReply>> + Send;

    /// Problems whose gold answers are suspect, the most suspect first.
    fn suspects(&self) -> impl Future<Output = Result<Vec<SuspectLine>, ErrorReply>> + Send;

    /// Gives problems that were given up further attempts.
    fn revive(&self, request: ReviveRequest) -> impl Future<Output = Result<Done, ErrorReply>> + Send;

    /// Trajectories of the pool.
    fn pool(&self, query: PoolQuery) -> impl Future<Output = Result<TrajectoryStream, ErrorReply>> + Send;

    /// One trajectory; `None` when the attempt was never judged.
    fn trajectory(
        &self,
        id: AttemptId,
    ) -> impl Future<Output = Result<Option<PoolRecord>, ErrorReply>> + Send;

    /// Published policies, oldest first.
    fn policies(&self) -> impl Future<Output = Result<Vec<PolicyRecord>, ErrorReply>> + Send;

    /// Puts a published policy in force again, under a new version.
    fn promote(&self, version: PolicyVersion) -> impl Future<Output = Result<Done, ErrorReply>> + Send;

    /// Puts the policy before the present one in force again, under a new version.
    fn rollback(&self) -> impl Future<Output = Result<Done, ErrorReply>> + Send;

    /// The servers that draw, where rollouts are drawn by some.
    fn servers(&self) -> impl Future<Output = Result<Vec<ServerStatus>, ErrorReply>> + Send;

    /// Takes a server in while rounds go on.
    fn add_server(&self, request: AddServerRequest) -> impl Future<Output = Result<Done, ErrorReply>> + Send;

    /// Takes a server out while rounds go on.
    fn remove_server(
        &self,
        request: RemoveServerRequest,
    ) -> impl Future<Output = Result<Done, ErrorReply>> + Send;

    /// Kills an actor. Reached only in builds with fault injection.
    fn kill(&self, actor: String) -> impl Future<Output = Result<Done, ErrorReply>> + Send;
}

/// How things stand `now`, then the events that a broadcast brings; ends with [`Event::Finished`] or with the
/// broadcast. Events lost to a watcher that lags are reported as a warning.
pub fn event_stream(now: Option<Event>, receiver: broadcast::Receiver<Event>) -> EventStream {
    stream::unfold(Some((now, receiver)), async |state| {
        let (mut now, mut receiver) = state?;
        let event = match now.take() {
            Some(event) => event,
            None => match receiver.recv().await {
                Ok(event) => event,
                Err(RecvError::Lagged(count)) => {
                    Event::Warning { message: format!("{count} events were lost: they are read too slowly") }
                }
                Err(RecvError::Closed) => return None,
            },
        };
        let is_last = matches!(event, Event::Finished { .. });
        Some((event, (!is_last).then_some((now, receiver))))
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use still_domain::{RoundNumber, RoundPhase};

    use super::*;

    #[tokio::test]
    async fn events_end_with_the_last_one_and_lost_ones_are_told() {
        let (sender, receiver) = broadcast::channel(2);
        let now = Event::Phase { round: RoundNumber(1), phase: RoundPhase::Training };
        let events = event_stream(Some(now.clone()), receiver);
        for number in [1, 2, 3] {
            sender.send(Event::Warning { message: number.to_string() }).unwrap();
        }
        sender.send(Event::Finished { reason: "done".to_owned() }).unwrap();
        let events: Vec<_> = events.collect().await;
        assert_eq!((events.len(), &events[0]), (4, &now), "{events:?}");
        assert!(matches!(&events[1], Event::Warning { message } if message.contains("2 events were lost")));
        assert_eq!(events[3], Event::Finished { reason: "done".to_owned() });
    }
}
