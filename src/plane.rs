//! The running system as the control socket and the pages see it.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Instant};

use still_actors::{Refusal, System, SystemStatus};
use still_control::{
    Activity, AddServerRequest, DemonstrationList, DemonstrationQuery, Done, ErrorKind, ErrorReply, Event,
    OnConflict, PoolQuery, PoolRecord, ProblemList, ProblemQuery, RemoveServerRequest, ReviveRequest,
    RoundReport, ServerStatus, SetLine, Status, SuspectLine, Wait,
};
use still_domain::{
    AnswerKind, AttemptId, Demonstration, DemonstrationId, PolicyRecord, PolicyVersion, Problem, ProblemId,
    RoundNumber, RoundPhase,
};
use still_engines::{Fleet, FleetRefusal};
use still_operator::{
    control::{ControlPlane, EventStream, Imported, TrajectoryStream, event_stream},
    import::Batch,
    records::StoreRecords,
    suspects::SameAnswer,
};
use still_text::Format;

/// The running system with what is known around it.
pub(crate) struct LiveControlPlane {
    pub(crate) system: System,
    pub(crate) records: StoreRecords,
    pub(crate) data_dir: PathBuf,
    pub(crate) page: Option<SocketAddr>,
    pub(crate) answer_kind: AnswerKind,
    pub(crate) format: Format,
    pub(crate) same_answer: SameAnswer,
    pub(crate) started: Instant,
    /// The servers that draw, where rollouts are drawn by some.
    pub(crate) fleet: Option<Fleet>,
}

impl ControlPlane for LiveControlPlane {
    async fn status(&self) -> Result<Status, ErrorReply> {
        let status = self.system.status();
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            data_dir: self.data_dir.display().to_string(),
            metrics: self.page.map(|address| format!("http://{address}/metrics")),
            uptime_seconds: self.started.elapsed().as_secs_f64(),
            round: status.round.round.unwrap_or(RoundNumber(0)),
            phase: status.round.phase.unwrap_or(RoundPhase::Exploring),
            rounds_wanted: status.rounds_wanted,
            policy: status.policy,
            exploration_paused: status.exploration_paused,
            training_paused: status.training_paused,
            draining: status.draining,
            judged: status.round.judged,
            quota: status.round.quota,
            selected: status.round.selected,
            pool: status.round.pool,
            step: status.training.step,
            total_steps: status.training.total_steps,
            skipped_steps: status.training.skipped_steps,
            training_rollbacks: status.training.rollbacks,
            memory_shortages: status.training.memory_shortages,
            rollout_tokens_per_second: status.rollout_tokens_per_second,
            training_tokens_per_second: status.training_tokens_per_second,
            actors: status.actors,
            devices: status.devices,
            waits: [status.waits, self.turns_of_devices()].concat(),
            last_round: status.round.last_round.as_ref().map(RoundReport::of),
            gap: status.round.gap,
            base_accuracy: status.round.base.map(|base| base.dev.accuracy),
        })
    }

    fn is_alive(&self) -> bool {
        self.system.is_alive()
    }

    fn answer_kind(&self) -> AnswerKind {
        self.answer_kind
    }

    fn format(&self) -> Format {
        self.format
    }

    fn events(&self) -> EventStream {
        // subscribed first: a phase may be reported twice, and none is missed
        let coming = self.system.subscribe();
        let SystemStatus { round, finished, .. } = self.system.status();
        let phase = round.round.zip(round.phase).map(|(round, phase)| Event::Phase { round, phase });
        let end = finished.map(|reason| Event::Finished { reason: reason.to_string() });
        event_stream(end.or(phase), coming)
    }

    async fn pause(&self, activity: Option<Activity>) -> Result<Done, ErrorReply> {
        self.system.pause(activity);
        Ok(Done::new(format!("{} paused", named(activity))))
    }

    async fn resume(&self, activity: Option<Activity>) -> Result<Done, ErrorReply> {
        self.system.resume(activity);
        Ok(Done::new(format!("{} resumed", named(activity))))
    }

    async fn drain(&self) -> Result<Done, ErrorReply> {
        self.system.drain();
        Ok(Done::new("work in flight is being finished, then the daemon ends"))
    }

    async fn stop(&self) -> Result<Done, ErrorReply> {
        self.system.stop();
        Ok(Done::new("the daemon ends; what was acknowledged is kept"))
    }

    async fn checkpoint(&self) -> Result<Done, ErrorReply> {
        let checkpoint = self.system.checkpoint().await.map_err(|refusal| refused(&refusal))?;
        Ok(Done::new(format!("checkpoint {checkpoint} is durable")))
    }

    async fn seal(&self) -> Result<Done, ErrorReply> {
        let round = self.system.seal().await.map_err(|refusal| refused(&refusal))?;
        Ok(Done::new(format!("round {round} is being sealed")))
    }

    async fn import_problems(
        &self,
        problems: Batch<Problem>,
        on_conflict: OnConflict,
    ) -> Result<Imported, ErrorReply> {
        let imported = self.records.import_problems(problems, on_conflict).await?;
        self.system.records_imported();
        Ok(imported)
    }

    async fn import_demonstrations(
        &self,
        demonstrations: Batch<Demonstration>,
    ) -> Result<Imported, ErrorReply> {
        let imported = self.records.import_demonstrations(demonstrations).await?;
        self.system.records_imported();
        Ok(imported)
    }

    async fn revive(&self, request: ReviveRequest) -> Result<Done, ErrorReply> {
        let revived = self.records.revive(request).await?;
        self.system.records_imported();
        Ok(Done::new(revived))
    }

    async fn problems(&self, query: ProblemQuery) -> Result<ProblemList, ErrorReply> {
        self.records.problems(query).await
    }

    async fn problem(&self, id: ProblemId) -> Result<Option<Problem>, ErrorReply> {
        self.records.problem(id).await
    }

    async fn demonstrations(&self, query: DemonstrationQuery) -> Result<DemonstrationList, ErrorReply> {
        self.records.demonstrations(query).await
    }

    async fn demonstration(&self, id: DemonstrationId) -> Result<Option<Demonstration>, ErrorReply> {
        self.records.demonstration(id).await
    }

    async fn sets(&self) -> Result<Vec<SetLine>, ErrorReply> {
        self.records.sets().await
    }

    async fn suspects(&self) -> Result<Vec<SuspectLine>, ErrorReply> {
        self.records.suspects(Arc::clone(&self.same_answer)).await
    }

    async fn pool(&self, query: PoolQuery) -> Result<TrajectoryStream, ErrorReply> {
        self.records.pool(query).await
    }

    async fn trajectory(&self, id: AttemptId) -> Result<Option<PoolRecord>, ErrorReply> {
        self.records.trajectory(id).await
    }

    async fn policies(&self) -> Result<Vec<PolicyRecord>, ErrorReply> {
        self.records.policies().await
    }

    async fn rounds(&self) -> Result<Vec<RoundReport>, ErrorReply> {
        self.records.rounds().await
    }

    async fn promote(&self, version: PolicyVersion) -> Result<Done, ErrorReply> {
        let promoted = self.system.promote(version).await.map_err(|refusal| refused(&refusal))?;
        Ok(Done::new(format!("policy {version} is in force again, as version {promoted}")))
    }

    async fn rollback(&self) -> Result<Done, ErrorReply> {
        let promoted = self.system.roll_back().await.map_err(|refusal| refused(&refusal))?;
        Ok(Done::new(format!("the policy before is in force again, as version {promoted}")))
    }

    async fn servers(&self) -> Result<Vec<ServerStatus>, ErrorReply> {
        Ok(self.fleet()?.servers())
    }

    async fn add_server(&self, request: AddServerRequest) -> Result<Done, ErrorReply> {
        let AddServerRequest { address, kind } = request;
        let added = self.fleet()?.add(&address, kind.as_deref()).await;
        added.map_err(|refusal| server_refused(&refusal))?;
        Ok(Done::new(format!(
            "{address} is looked at and given the policy in force; add it to `[[engines]]` too, or the next start does \
             without"
        )))
    }

    async fn remove_server(&self, request: RemoveServerRequest) -> Result<Done, ErrorReply> {
        let RemoveServerRequest { address, at_once } = request;
        let removed = self.fleet()?.remove(&address, at_once).await;
        let held = removed.map_err(|refusal| server_refused(&refusal))?;
        let rest = if held == 0 {
            "holds nothing of this run any more".to_owned()
        } else {
            format!("ends the {held} requests that it holds: `servers list` says when it is gone")
        };
        Ok(Done::new(format!(
            "{address} is sent nothing more and {rest}; remove it from `[[engines]]` too, or the next start takes it in"
        )))
    }

    async fn kill(&self, actor: String) -> Result<Done, ErrorReply> {
        let killed = self.system.kill_actor(&actor).map_err(|refusal| refused(&refusal))?;
        Ok(Done::new(format!("the {killed} is killed")))
    }
}

impl LiveControlPlane {
    /// That servers wait for training to give back the devices that they share.
    fn turns_of_devices(&self) -> Vec<Wait> {
        let servers = self.fleet.iter().flat_map(Fleet::servers);
        let yielded = servers.filter(|server| server.state.has_yielded()).count();
        let wait = |count: usize| Wait {
            who: "servers".to_owned(),
            waits_for: "trainer".to_owned(),
            reason: format!("{count} of them draw again when training gives back the devices"),
            silent_seconds: None,
        };
        (yielded > 0).then(|| wait(yielded)).into_iter().collect()
    }

    fn fleet(&self) -> Result<&Fleet, ErrorReply> {
        self.fleet.as_ref().ok_or_else(|| {
            let message = "rollouts are drawn by this process: `[[engines]]` names no servers";
            ErrorReply::new(ErrorKind::Conflict, message)
        })
    }
}

fn server_refused(refusal: &FleetRefusal) -> ErrorReply {
    let kind = match refusal {
        FleetRefusal::Bad(_) => ErrorKind::BadInput,
        FleetRefusal::NotThere(_) => ErrorKind::NotFound,
        FleetRefusal::Known(_) | FleetRefusal::Launched(_) | FleetRefusal::Ended => ErrorKind::Conflict,
    };
    ErrorReply::new(kind, refusal.to_string())
}

const fn named(activity: Option<Activity>) -> &'static str {
    match activity {
        None => "exploration and training",
        Some(Activity::Explore) => "exploration",
        Some(Activity::Train) => "training",
    }
}

fn refused(refusal: &Refusal) -> ErrorReply {
    let kind = match refusal {
        Refusal::Unknown(_) => ErrorKind::NotFound,
        Refusal::NoFaultInjection(_) => ErrorKind::BadRequest,
        Refusal::NotNow(_) | Refusal::Restarting(_) | Refusal::Failed(_) => ErrorKind::Conflict,
    };
    ErrorReply::new(kind, refusal.to_string())
}
