//! The problem supply: gives out attempts, as fast as credits come back and the conductor's order allows.
//!
//! What is given out and when is decided by the pure `HandOut`; the actor reads problems and attempts from the
//! store when it comes up, takes credits, and sends attempts down.

use std::{collections::HashMap, sync::Arc};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde::{Deserialize, Serialize};
use still_curation::CurriculumConfig;
use still_domain::{Problem, ProblemId, RoundNumber, SamplingSettings, Split, seed};

use crate::{
    context::Context,
    exploration::hand_out::{HandOut, HandOutConfig},
    ground::board::ActorState,
    ground::credit::Credits,
    ground::ledger::Ledger,
    ground::name::ActorName,
    ground::protocol::{Attempt, ConductorMessage, ProblemSupplyMessage, RootMessage, SamplerMessage},
};

/// How problems are attempted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExplorationConfig {
    /// Make attempts at all; false trains every round on what is in the store. Default: true.
    pub enabled: bool,
    /// How attempts are shared out among problems.
    pub curriculum: CurriculumConfig,
    /// Attempts between being given out and being durable: bounds every queue on the way. About twice what
    /// the generators hold keeps them busy while verdicts are found and flushed. Default: 256.
    pub in_flight_attempts: usize,
    /// Rounds that may be trained and scored while attempts for later rounds are made: 0 explores only
    /// before a set is sealed. Rounds are trained one at a time, so more than 1 allows no more. Default: 1.
    pub max_policy_lag: u64,
    /// Attempts made while a round is trained and scored, at most. Default: 4096.
    pub max_ahead_attempts: u64,
    /// How tokens are drawn.
    pub sampling: SamplingSettings,
}

impl Default for ExplorationConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            curriculum: CurriculumConfig::default(),
            in_flight_attempts: 256,
            max_policy_lag: 1,
            max_ahead_attempts: 4096,
            sampling: SamplingSettings::default(),
        }
    }
}

/// The problem supply.
pub(crate) struct ProblemSupply;

/// What it knows.
pub(crate) struct ProblemSupplyState {
    context: Context,
    credits: Credits,
    hand_out: HandOut,
    problems: HashMap<ProblemId, Arc<Problem>>,
    /// The round whose dryness has been told.
    told_dry: Option<RoundNumber>,
    draining: bool,
}

impl Actor for ProblemSupply {
    type Msg = ProblemSupplyMessage;
    type State = ProblemSupplyState;
    type Arguments = Context;

    async fn pre_start(
        &self,
        myself: ActorRef<ProblemSupplyMessage>,
        context: Context,
    ) -> Result<ProblemSupplyState, ActorProcessingErr> {
        myself.cast(ProblemSupplyMessage::Load)?;
        let exploration = &context.config.exploration;
        let hand_out = HandOut::new(HandOutConfig {
            curriculum: exploration.curriculum,
            lockstep: context.config.lockstep,
            max_policy_lag: exploration.max_policy_lag,
            max_ahead_attempts: exploration.max_ahead_attempts,
        });
        Ok(ProblemSupplyState {
            credits: Credits::new(exploration.in_flight_attempts),
            draining: context.switches.draining(),
            context,
            hand_out,
            problems: HashMap::new(),
            told_dry: None,
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
                state.told_dry = None;
                if order.problems > Some(state.hand_out.problems()) {
                    // the conductor learned of an import first
                    state.read_problems().await?;
                }
                state.hand_out.open(order);
                state.tell_plan();
            }
            ProblemSupplyMessage::CutPlan => {
                state.hand_out.cut_plan();
                state.tell_plan();
            }
            ProblemSupplyMessage::CloseRound { round, ahead } => state.hand_out.close(round, ahead),
            ProblemSupplyMessage::AttemptsJudged(facts) => {
                let mut is_older = false;
                for fact in facts.iter() {
                    is_older |= state.hand_out.record(&fact.candidate.id, fact.candidate.result());
                }
                if is_older {
                    state.tell_plan();
                }
            }
            ProblemSupplyMessage::PolicyPublished(version) => {
                state.hand_out.policy_published(version);
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
        let problems = self.context.ledger.run(|ledger| ledger.problems(Split::Explore)).await?;
        for problem in problems {
            if self.hand_out.add_problem(&problem) {
                self.problems.insert(problem.id.clone(), Arc::new(problem));
            }
        }
        Ok(())
    }

    async fn read_attempts(&mut self) -> Result<(), ActorProcessingErr> {
        let facts = self.context.ledger.run(Ledger::facts).await?;
        for fact in facts {
            self.hand_out.record(&fact.candidate.id, fact.candidate.result());
        }
        let policies = self.context.ledger.run(|ledger| ledger.store.policies()).await?;
        if let Some(newest) = policies.last() {
            self.hand_out.policy_published(newest.version);
        }
        Ok(())
    }

    fn give_out(&mut self) {
        let switches = &self.context.switches;
        let may = self.context.config.exploration.enabled && !switches.exploration_paused() && !self.draining;
        while let Some(credit) = self.credits.take().filter(|_| may) {
            if switches.verifier_failing() && self.hand_out.in_flight() > 0 {
                // one attempt at a time finds out whether judgements succeed again
                break;
            }
            let Some(id) = self.hand_out.next() else { break };
            let Some(problem) = self.problems.get(&id.problem) else { continue };
            let seed = seed::of_attempt(self.context.config.seed, &id);
            let attempt = Attempt { id, problem: Arc::clone(problem), seed, credit };
            self.context.routes.sampler.send(SamplerMessage::Generate(attempt));
        }
        if may && let Some(dryness) = self.hand_out.dryness().filter(|dry| self.told_dry != Some(dry.round)) {
            self.told_dry = Some(dryness.round);
            self.context.routes.conductor.send(ConductorMessage::SupplyRanDry(dryness));
        }
        if self.draining && self.hand_out.in_flight() == 0 {
            self.context.routes.root.send(RootMessage::Drained(ActorName::ProblemSupply));
        }
        let observer = &self.context.observer;
        let state = if may { ActorState::Running } else { ActorState::Paused };
        observer.state(ActorName::ProblemSupply, state);
        observer.progressed(ActorName::ProblemSupply, self.hand_out.ready(), self.hand_out.in_flight());
    }

    fn tell_plan(&self) {
        if let Some((round, attempts)) = self.hand_out.plan() {
            self.context.routes.conductor.send(ConductorMessage::RoundPlanned { round, attempts });
        }
    }
}
