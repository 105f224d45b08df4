//! The running program, as the daemon and its control plane see it.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use ractor::{Actor, ActorRef, RpcReplyPort};
use serde::{Deserialize, Serialize};
use still_control::{Activity, ActorStatus, DeviceStatus, Event, Wait};
use still_domain::{CheckpointId, PolicyRef, PolicyVersion, RoundNumber};
use still_store::{CheckpointFolders, Store};
use tokio::sync::{broadcast, oneshot, watch};

use crate::{
    config::SystemConfig,
    ground::{
        error::{Refusal, StartError},
        finish::FinishReason,
        name::{ActorName, UnknownActor},
        observe::Observer,
        protocol::{
            Answer, ConductorMessage, ProblemSupplyMessage, PublisherMessage, RootMessage, TrainerMessage,
        },
        routes::{Route, Routes},
        status_board::{EvaluationProgress, RoundProgress, TrainingProgress, update},
        store_access::StoreAccess,
        switches::Switches,
        waits::{Standing, waits},
    },
    supervision::{Roles, Root, RootArguments, Wiring},
};

/// After so long a silence it is told what is waited for.
const QUIET_MS: u64 = 60_000;
/// Time between two looks at how long the silence has been.
const QUIET_LOOKS: Duration = Duration::from_secs(10);

/// How the program stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SystemStatus {
    /// The policy in force; `None` before the first one.
    pub policy: Option<PolicyVersion>,
    /// How the round stands.
    pub round: RoundProgress,
    /// Rounds wanted; 0 has no end.
    pub rounds_wanted: u32,
    /// How training stands.
    pub training: TrainingProgress,
    /// How evaluation stands.
    pub evaluation: EvaluationProgress,
    /// Attempts are given out only after a resume.
    pub exploration_paused: bool,
    /// Optimizer steps are taken only after a resume.
    pub training_paused: bool,
    /// Work in flight is being finished, then the program ends.
    pub draining: bool,
    /// Rollouts finished since the start.
    pub rollouts: u64,
    /// Tokens drawn for the pool since the start.
    pub rollout_tokens: u64,
    /// Tokens drawn a second for the pool, over the last seconds.
    pub rollout_tokens_per_second: f64,
    /// Tokens trained on since the start.
    pub training_tokens: u64,
    /// Tokens trained on a second, over the last seconds.
    pub training_tokens_per_second: f64,
    /// Every actor, in start order.
    pub actors: Vec<ActorStatus>,
    /// Every device and server, by name.
    pub devices: Vec<DeviceStatus>,
    /// Who waits for whom.
    pub waits: Vec<Wait>,
    /// Why the program has ended; `None` while it runs.
    pub finished: Option<FinishReason>,
}

/// The running program. Clones show and steer the same one; dropping them does not stop it.
#[derive(Clone)]
pub struct System {
    root: ActorRef<RootMessage>,
    routes: Routes,
    switches: Arc<Switches>,
    observer: Observer,
    policy: watch::Receiver<Option<PolicyRef>>,
    finish: watch::Receiver<Option<FinishReason>>,
    rounds_wanted: u32,
}

impl System {
    /// Starts every actor on a store and the folders of its checkpoints. The store is read after this returns.
    ///
    /// # Errors
    /// When the configuration makes no sense or an actor does not come up.
    pub async fn start(
        config: SystemConfig,
        store: Store,
        checkpoints: CheckpointFolders,
        roles: Roles,
    ) -> Result<Self, StartError> {
        if let Some(finding) = config.findings().into_vec().into_iter().next() {
            return Err(StartError::Setting { key: finding.key, problem: finding.reason });
        }
        let rounds_wanted = config.rounds;
        let observer = Observer::new(roles.clock.clone());
        let routes = Routes::default();
        let switches = Arc::new(Switches::default());
        let (policy_sender, policy) = watch::channel(None);
        let (finish_sender, finish) = watch::channel(None);
        let wiring = Wiring {
            config,
            access: StoreAccess { store, checkpoints },
            roles,
            routes: routes.clone(),
            switches: Arc::clone(&switches),
            observer: observer.clone(),
            policy: Arc::new(policy_sender),
        };
        let arguments = RootArguments { wiring, finish: finish_sender };
        let (root, _handle) = Actor::spawn(None, Root, arguments).await.map_err(|error| {
            StartError::Actor { actor: "root supervisor".to_owned(), reason: error.to_string() }
        })?;
        let system = Self { root, routes, switches, observer, policy, finish, rounds_wanted };
        tokio::spawn(system.clone().tell_waits());
        Ok(system)
    }

    /// Tells what is waited for when nothing else has been told for long, and when a drain begins, until the end.
    async fn tell_waits(self) {
        let (mut finish, mut events) = (self.finish.clone(), self.subscribe());
        let mut looks = tokio::time::interval(QUIET_LOOKS);
        loop {
            let is_due = tokio::select! {
                _ = finish.wait_for(Option::is_some) => return,
                _ = looks.tick() => self.observer.quiet_ms() >= QUIET_MS,
                event = events.recv() => matches!(event, Ok(Event::Draining)),
            };
            if is_due {
                self.tell_what_is_waited_for();
            }
        }
    }

    /// Tells who waits for whom, in an event and in the log, if anybody does.
    pub fn tell_what_is_waited_for(&self) {
        let mut waits = self.status().waits;
        // whoever waits for an operator's word has been told so
        waits.retain(|wait| wait.silent_seconds.is_some());
        if waits.is_empty() {
            return;
        }
        tracing::info!("{}", Event::at_work(&waits));
        self.observer.event(Event::AtWork { waits });
    }

    /// How the program stands. Never waits.
    pub fn status(&self) -> SystemStatus {
        let board = &self.observer.board;
        let now_ms = self.observer.now_ms();
        let mut status = SystemStatus {
            policy: self.policy.borrow().as_ref().and_then(|policy| policy.name.version()),
            round: update(&board.round, |round| round.clone()),
            rounds_wanted: self.rounds_wanted,
            training: update(&board.training, |training| *training),
            evaluation: update(&board.evaluation, |evaluation| *evaluation),
            exploration_paused: self.switches.exploration_paused(),
            training_paused: self.switches.training_paused(),
            draining: self.switches.draining(),
            rollouts: board.rollouts.load(Ordering::Relaxed),
            rollout_tokens: board.rollout_tokens.total(),
            rollout_tokens_per_second: board.rollout_tokens.per_second(now_ms),
            training_tokens: board.training_tokens.total(),
            training_tokens_per_second: board.training_tokens.per_second(now_ms),
            actors: board.actors(now_ms),
            devices: board.devices(),
            waits: Vec::new(),
            finished: self.finish.borrow().clone(),
        };
        status.waits = waits(&Standing {
            has_policy: status.policy.is_some(),
            exploration_paused: status.exploration_paused,
            training_paused: status.training_paused,
            draining: status.draining,
            round: &status.round,
            training: &status.training,
            evaluation: status.evaluation,
            actors: &status.actors,
            devices: &status.devices,
        });
        status
    }

    /// Brings those metrics up to date that change while nothing happens: call it before they are rendered.
    pub fn refresh_metrics(&self) {
        self.observer.rates_measured();
    }

    /// What happens from now on. A watcher that lags loses the oldest events.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.observer.subscribe()
    }

    /// Whether the supervisor lives.
    pub fn is_alive(&self) -> bool {
        self.finish.borrow().is_none() && self.root.get_status() == ractor::ActorStatus::Running
    }

    /// Takes up no new work of an activity; `None` means both. Rollouts in flight are finished.
    pub fn pause(&self, activity: Option<Activity>) {
        self.switches.set_paused(activity, true);
        self.switches_changed();
    }

    /// Goes on with an activity; `None` means both.
    pub fn resume(&self, activity: Option<Activity>) {
        self.switches.set_paused(activity, false);
        self.switches_changed();
    }

    /// Gives out no more attempts, finishes and commits those in flight, writes a checkpoint of the training
    /// at work, then ends the program: see [`System::finished`].
    pub fn drain(&self) {
        let _has_ended = self.root.cast(RootMessage::Drain);
    }

    /// Ends the program without waiting for work in flight. Nothing acknowledged is lost.
    pub fn stop(&self) {
        let _has_ended = self.root.cast(RootMessage::Finish(FinishReason::Stopped));
    }

    /// Closes the round's exploration now, with what it has brought.
    ///
    /// # Errors
    /// When no round explores.
    pub async fn seal(&self) -> Result<RoundNumber, Refusal> {
        ask(&self.routes.conductor, ActorName::Conductor, ConductorMessage::Seal).await
    }

    /// Writes a checkpoint of the training at work.
    ///
    /// # Errors
    /// When nothing is being trained.
    pub async fn checkpoint(&self) -> Result<CheckpointId, Refusal> {
        ask(&self.routes.trainer, ActorName::Trainer, TrainerMessage::Checkpoint).await
    }

    /// Puts a published policy in force again, and says under which version.
    ///
    /// # Errors
    /// When there is no such policy or its weights are gone.
    pub async fn promote(&self, version: PolicyVersion) -> Result<PolicyVersion, Refusal> {
        let message = |answer| PublisherMessage::Promote(version, answer);
        ask(&self.routes.publisher, ActorName::Publisher, message).await
    }

    /// Puts the policy before the present one in force again, and says under which version.
    ///
    /// # Errors
    /// When there is none before it.
    pub async fn roll_back(&self) -> Result<PolicyVersion, Refusal> {
        ask(&self.routes.publisher, ActorName::Publisher, PublisherMessage::RollBack).await
    }

    /// Tells the actors that the store holds new or revived problems, or new demonstrations.
    pub fn records_imported(&self) {
        // An actor that is down reads the store when it comes up.
        self.routes.problem_supply.send(ProblemSupplyMessage::ProblemsImported);
        self.routes.conductor.send(ConductorMessage::RecordsImported);
    }

    /// Kills an actor, to see that it comes back.
    ///
    /// # Errors
    /// When no actor has that name, and in builds without the feature `fault-injection`.
    pub fn kill_actor(&self, name: &str) -> Result<ActorName, Refusal> {
        let name = name.parse().map_err(|error: UnknownActor| Refusal::Unknown(error.to_string()))?;
        #[cfg(feature = "fault-injection")]
        {
            let _has_ended = self.root.cast(RootMessage::Kill(name));
            Ok(name)
        }
        #[cfg(not(feature = "fault-injection"))]
        Err(Refusal::NoFaultInjection(name))
    }

    /// Waits until the program has ended, every actor stopped and every device thread joined.
    pub async fn finished(&self) -> FinishReason {
        let mut finish = self.finish.clone();
        match finish.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or(FinishReason::Stopped),
            Err(_) => FinishReason::MeltDown {
                actor: "root supervisor".to_owned(),
                error: "it ended without saying why".to_owned(),
                restarts: 0,
            },
        }
    }

    fn switches_changed(&self) {
        // An actor that is down looks at the switches when it comes up.
        self.routes.problem_supply.send(ProblemSupplyMessage::SwitchesChanged);
        self.routes.trainer.send(TrainerMessage::SwitchesChanged);
    }
}

/// Sends an imperative and waits for its answer.
async fn ask<M: ractor::Message, T: Send + 'static>(
    route: &Route<M>,
    actor: ActorName,
    message: impl FnOnce(Answer<T>) -> M,
) -> Result<T, Refusal> {
    let (sender, receiver) = oneshot::channel();
    if !route.send(message(RpcReplyPort::from(sender))) {
        return Err(Refusal::Restarting(actor));
    }
    receiver.await.unwrap_or(Err(Refusal::Restarting(actor)))
}
