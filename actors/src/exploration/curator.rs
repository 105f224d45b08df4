//! The curator: judged rollouts in, durable trajectories out.
//!
//! Commits are grouped by themselves: while one group is being flushed the next one gathers. A trajectory is
//! acknowledged, and then its credit given back, only when it is durable. Right and wrong ones are kept alike;
//! what hygiene has against one is written down with it.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use still_control::ActorState;
use still_curation::{HygieneConfig, hygiene::Response};
use still_domain::{JudgedTrajectory, PolicyRef};
use still_roles::FinishedRollout;
use still_telemetry::event::LossReason;
use tokio::sync::watch;

use crate::ground::{
    credit::Credit,
    name::ActorName,
    observe::Observer,
    protocol::{CommittedGroup, ConductorMessage, CuratorMessage, Judged, ProblemSupplyMessage},
    routes::Route,
    store_access::{Committed, StoreAccess},
};

/// The most trajectories of one commit: bounds what a flush must write.
const MAX_GROUP: usize = 256;
/// Time between two looks at the store's size.
const MEASURE_EVERY_MS: u64 = 2_000;

/// The curator.
pub(crate) struct Curator;

/// What it is given.
pub(crate) struct CuratorArguments {
    pub(crate) access: StoreAccess,
    pub(crate) hygiene: HygieneConfig,
    /// The policy in force.
    pub(crate) policy: watch::Receiver<Option<PolicyRef>>,
    pub(crate) observer: Observer,
    pub(crate) ports: CuratorPorts,
}

/// Whom it may tell.
pub(crate) struct CuratorPorts {
    pub(crate) conductor: Route<ConductorMessage>,
    pub(crate) problem_supply: Route<ProblemSupplyMessage>,
}

/// What it knows.
pub(crate) struct CuratorState {
    given: CuratorArguments,
    waiting: VecDeque<Judged>,
    /// Trajectories of the group being flushed.
    flushing: usize,
    /// When the store was last measured.
    measured_ms: u64,
}

impl Actor for Curator {
    type Msg = CuratorMessage;
    type State = CuratorState;
    type Arguments = CuratorArguments;

    async fn pre_start(
        &self,
        _myself: ActorRef<CuratorMessage>,
        given: CuratorArguments,
    ) -> Result<CuratorState, ActorProcessingErr> {
        given.observer.state(ActorName::Curator, ActorState::Running);
        Ok(CuratorState { given, waiting: VecDeque::new(), flushing: 0, measured_ms: 0 })
    }

    async fn handle(
        &self,
        myself: ActorRef<CuratorMessage>,
        message: CuratorMessage,
        state: &mut CuratorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            CuratorMessage::Commit(judged) => state.waiting.push_back(*judged),
            CuratorMessage::GroupCommitted(result) => {
                state.flushing = 0;
                let CommittedGroup { facts, credits } = result?;
                let facts: Arc<[_]> = facts.into();
                let ports = &state.given.ports;
                // Whoever is down reads the store when it comes up.
                ports.conductor.send(ConductorMessage::AttemptsJudged(Arc::clone(&facts)));
                // The supply looks for credits when facts reach it, and at no other time: they come back first.
                drop(credits);
                ports.problem_supply.send(ProblemSupplyMessage::AttemptsJudged(facts));
            }
        }
        if state.flushing == 0 && !state.waiting.is_empty() {
            let group: Vec<_> = state.waiting.drain(..state.waiting.len().min(MAX_GROUP)).collect();
            state.flushing = group.len();
            let access = state.given.access.clone();
            let hygiene = state.given.hygiene.clone();
            let is_measured = state.is_measurement_due();
            let commit = tokio::task::spawn_blocking(move || {
                let manners: HashMap<_, _> = group
                    .iter()
                    .filter_map(|judged| judged.rollout.provenance.clone())
                    .map(|provenance| (provenance.id(), provenance))
                    .collect();
                let (credits, group): (Vec<_>, Vec<_>) =
                    group.into_iter().map(|judged| inspect(&hygiene, judged)).unzip();
                // what a trajectory names is there before it
                manners.values().try_for_each(|provenance| access.store.put_provenance(provenance))?;
                let committed = access.commit(&group)?;
                if is_measured {
                    Observer::store_measured(access.store.size()?);
                }
                Ok((committed, credits))
            });
            let policy = state.given.policy.clone();
            tokio::spawn(async move {
                let result = commit.await.unwrap_or_else(|panic| Err(panic.into()));
                // reported here, where every group comes through once, whoever is down meanwhile
                let group = result.map(|(Committed { facts, new }, credits)| {
                    let newest = policy.borrow().as_ref().and_then(|policy| policy.name.version());
                    for fact in &new {
                        Observer::committed(fact, newest);
                    }
                    CommittedGroup { facts, credits }
                });
                let _ = myself.cast(CuratorMessage::GroupCommitted(group));
            });
        }
        state.given.observer.progressed(ActorName::Curator, state.waiting.len(), state.flushing);
        Ok(())
    }
}

impl CuratorState {
    /// Whether the store's size is to be looked at again: it costs a walk over its files.
    fn is_measurement_due(&mut self) -> bool {
        let now_ms = self.given.observer.now_ms();
        let is_due = now_ms.saturating_sub(self.measured_ms) >= MEASURE_EVERY_MS;
        if is_due {
            self.measured_ms = now_ms;
        }
        is_due
    }
}

impl Drop for CuratorState {
    fn drop(&mut self) {
        // a group that is being flushed comes through without its actor
        Observer::attempts_lost(LossReason::ActorEnded, self.waiting.len());
    }
}

/// Adds what hygiene has to say.
fn inspect(hygiene: &HygieneConfig, judged: Judged) -> (Credit, JudgedTrajectory) {
    let Judged { rollout, problem, verdict, credit, purpose: _ } = judged;
    let is_begun = !rollout.trajectory.tokens.is_empty() || rollout.trajectory.prompt_token_count > 0;
    let response = Response {
        problem: &problem.text,
        text: &rollout.trajectory.text,
        response_tokens: u32::try_from(rollout.trajectory.tokens.len()).unwrap_or(u32::MAX),
        thought_tokens: rollout.measures.thought_tokens,
        is_well_formed: rollout.is_well_formed,
        finish: rollout.trajectory.finish,
    };
    // of what was never drawn there is nothing to say
    let rejection = is_begun.then(|| hygiene.rejection(&response)).flatten();
    let FinishedRollout { trajectory, measures, is_well_formed: _, provenance: _ } = rollout;
    (credit, JudgedTrajectory { trajectory, verdict, measures, rejection, eviction: None })
}
