//! The problem supply: gives out attempts, as fast as credits come back and the conductor's order allows.
//!
//! What is given out and when is decided by the pure `Dispatch`; the actor reads problems and attempts from the
//! store when it comes up, takes credits, and sends attempts down.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use still_control::ActorState;
use still_domain::{AttemptId, Problem, ProblemId, RoundNumber, Split, seed};
use still_roles::ProblemCheck;
use still_store::StoreError;

use crate::{
    config::ExplorationSection,
    exploration::dispatch::{Dispatch, Loss},
    ground::{
        credit::Credits,
        name::ActorName,
        observe::Observer,
        protocol::{
            Attempt, ConductorMessage, Delivery, ProblemSupplyMessage, RootMessage, SamplerMessage,
            Unanswered, VerifiersMessage,
        },
        routes::Route,
        store_access::StoreAccess,
        switches::Switches,
    },
};

/// The problem supply.
pub(crate) struct ProblemSupply;

/// What it is given.
pub(crate) struct ProblemSupplyArguments {
    pub(crate) config: ExplorationSection,
    /// What can be attempted here.
    pub(crate) check: ProblemCheck,
    pub(crate) run_seed: u64,
    pub(crate) lockstep: bool,
    pub(crate) access: StoreAccess,
    pub(crate) switches: Arc<Switches>,
    pub(crate) observer: Observer,
    pub(crate) ports: ProblemSupplyPorts,
}

/// Whom it may tell.
pub(crate) struct ProblemSupplyPorts {
    pub(crate) sampler: Route<SamplerMessage>,
    pub(crate) verifiers: Route<VerifiersMessage>,
    pub(crate) conductor: Route<ConductorMessage>,
    pub(crate) root: Route<RootMessage>,
}

/// What it knows.
pub(crate) struct ProblemSupplyState {
    given: ProblemSupplyArguments,
    credits: Credits,
    dispatch: Dispatch,
    problems: HashMap<ProblemId, Arc<Problem>>,
    /// Attempts that were lost as often as one may be, each with why: the verifiers learn of them, a credit each.
    given_up: VecDeque<(AttemptId, String)>,
    /// The round whose dryness has been reported.
    told_dry: Option<RoundNumber>,
    /// What has been told to be delivered.
    told_delivered: Option<Delivery>,
    draining: bool,
}

impl Actor for ProblemSupply {
    type Msg = ProblemSupplyMessage;
    type State = ProblemSupplyState;
    type Arguments = ProblemSupplyArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<ProblemSupplyMessage>,
        given: ProblemSupplyArguments,
    ) -> Result<ProblemSupplyState, ActorProcessingErr> {
        myself.cast(ProblemSupplyMessage::Load)?;
        let dispatch = Dispatch::new(given.config.clone(), given.lockstep);
        Ok(ProblemSupplyState {
            credits: Credits::new(given.config.in_flight_attempts),
            draining: given.switches.draining(),
            given,
            dispatch,
            problems: HashMap::new(),
            given_up: VecDeque::new(),
            told_dry: None,
            told_delivered: None,
        })
    }

    async fn handle(
        &self,
        _myself: ActorRef<ProblemSupplyMessage>,
        message: ProblemSupplyMessage,
        state: &mut ProblemSupplyState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ProblemSupplyMessage::Load => {
                state.read_problems().await?;
                state.read_attempts().await?;
            }
            ProblemSupplyMessage::OpenRound(order) => {
                (state.told_dry, state.told_delivered) = (None, None);
                if order.problems > Some(state.dispatch.problems()) {
                    // the conductor learned of an import first
                    state.read_problems().await?;
                }
                state.dispatch.open(order);
                state.tell_plan();
            }
            ProblemSupplyMessage::CutPlan => {
                state.dispatch.cut();
                state.tell_plan();
            }
            ProblemSupplyMessage::CloseRound { round, ahead } => state.dispatch.close(round, ahead),
            ProblemSupplyMessage::AttemptsJudged(facts) => {
                let mut is_older = false;
                for fact in facts.iter() {
                    is_older |= state.dispatch.record(&fact.id, fact.result());
                }
                if is_older {
                    state.tell_plan();
                }
            }
            ProblemSupplyMessage::AttemptLost { id, reason } => state.lost(id, &reason),
            ProblemSupplyMessage::AttemptRefused(id) => state.dispatch.refused(&id.problem),
            ProblemSupplyMessage::PolicyPublished(version) => {
                state.dispatch.policy_published(version);
                state.told_dry = None;
            }
            ProblemSupplyMessage::ProblemsImported => {
                state.read_problems().await?;
                state.told_dry = None;
            }
            ProblemSupplyMessage::SwitchesChanged => {}
            ProblemSupplyMessage::Drain => state.draining = true,
        }
        state.give_out();
        Ok(())
    }
}

impl ProblemSupplyState {
    async fn read_problems(&mut self) -> Result<(), ActorProcessingErr> {
        let (check, known) = (Arc::clone(&self.given.check), self.problems.keys().cloned().collect());
        let checked = self.given.access.run(move |access| checked(access, &check, &known)).await?;
        let mut left_out = Vec::new();
        for (problem, unfit) in checked {
            if let Some(reason) = unfit {
                left_out.extend(self.dispatch.leave_out(&problem).then_some(reason));
                continue;
            }
            self.dispatch.add_problem(&problem);
            // a known one may have been corrected
            self.problems.insert(problem.id.clone(), Arc::new(problem));
        }
        if let Some(first) = left_out.first() {
            let count = left_out.len();
            self.given.observer.warn(format!(
                "{count} of the store's problems are not attempted, as this run cannot ask or judge them; {first}"
            ));
        }
        self.dispatch.set_revivals(self.given.access.run(|access| access.store.revivals()).await?);
        Ok(())
    }

    async fn read_attempts(&mut self) -> Result<(), ActorProcessingErr> {
        let facts = self.given.access.run(StoreAccess::facts).await?;
        for fact in facts {
            self.dispatch.record(&fact.id, fact.result());
        }
        let policies = self.given.access.run(|access| access.store.policies()).await?;
        if let Some(newest) = policies.last() {
            self.dispatch.policy_published(newest.version);
        }
        Ok(())
    }

    fn give_out(&mut self) {
        self.give_up();
        let switches = &self.given.switches;
        let may = self.given.config.enabled && !switches.exploration_paused() && !self.draining;
        while let Some(credit) = self.credits.take().filter(|_| may) {
            if switches.verifier_failing() && self.dispatch.in_flight() > 0 {
                // one attempt at a time finds out whether judgements succeed again
                break;
            }
            let Some(id) = self.dispatch.next() else { break };
            let Some(problem) = self.problems.get(&id.problem) else { continue };
            let seed = seed::of_attempt(self.given.run_seed, &id);
            let attempt = Attempt { id, problem: Arc::clone(problem), seed, credit };
            self.given.ports.sampler.send(SamplerMessage::Generate(attempt));
        }
        if may && let Some(dryness) = self.dispatch.dryness().filter(|dry| self.told_dry != Some(dry.round)) {
            self.told_dry = Some(dryness.round);
            self.given.ports.conductor.send(ConductorMessage::SupplyRanDry(dryness));
        }
        if let Some(delivery) = self.dispatch.delivery().filter(|told| self.told_delivered != Some(*told)) {
            self.told_delivered = Some(delivery);
            self.given.ports.conductor.send(ConductorMessage::RoundDelivered(delivery));
        }
        if self.draining && self.dispatch.in_flight() == 0 {
            self.given.ports.root.send(RootMessage::Drained(ActorName::ProblemSupply));
        }
        let observer = &self.given.observer;
        let state = if may { ActorState::Running } else { ActorState::Paused };
        observer.state(ActorName::ProblemSupply, state);
        observer.progressed(ActorName::ProblemSupply, self.dispatch.ready(), self.dispatch.in_flight());
    }

    /// A lost attempt is asked for again, but not for ever: one that is lost each time is an error of nobody's answer.
    fn lost(&mut self, id: AttemptId, reason: &str) {
        if let Loss::GivenUp { losses } = self.dispatch.lost(&id) {
            self.given.observer.warn(format!("attempt {id} is given up after {losses} losses: {reason}"));
            self.given_up.push_back((id, format!("lost {losses} times: {reason}")));
        }
    }

    /// Has what was given up recorded, as far as there are credits.
    fn give_up(&mut self) {
        while let Some((id, reason)) = self.given_up.pop_front() {
            let Some(problem) = self.problems.get(&id.problem) else { continue };
            let Some(credit) = self.credits.take() else {
                self.given_up.push_front((id, reason));
                return;
            };
            let unanswered = Unanswered {
                problem: Arc::clone(problem),
                sampling: self.given.config.sampling.settings(),
                seed: seed::of_attempt(self.given.run_seed, &id),
                policy: self.dispatch.newest().unwrap_or_default().into(),
                id,
                reason,
                credit,
            };
            self.given.ports.verifiers.send(VerifiersMessage::Unanswered(Box::new(unanswered)));
        }
    }

    fn tell_plan(&self) {
        if let Some((round, attempts)) = self.dispatch.plan() {
            self.given.ports.conductor.send(ConductorMessage::RoundPlanned { round, attempts });
        }
    }
}

/// The problems to explore, each with what keeps it from being attempted; `known` ones were looked at before.
fn checked(
    access: &StoreAccess,
    check: &ProblemCheck,
    known: &HashSet<ProblemId>,
) -> Result<Vec<(Problem, Option<String>)>, StoreError> {
    let problems = access.problems(Split::Explore)?;
    let look = |problem: Problem| {
        let unfit = if known.contains(&problem.id) { None } else { check(&problem).err() };
        (problem, unfit)
    };
    Ok(problems.into_iter().map(look).collect())
}
