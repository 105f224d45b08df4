//! The conductor: leads the rounds from exploration to promotion.
//!
//! What comes next is decided by the pure `RoundMachine`; the actor makes every step durable and
//! tells the others what to do. Steps of a round are rare and strictly one after another, so the handler
//! awaits a blocking thread: facts that arrive meanwhile wait in the mailbox, a few hundred bytes an attempt.

mod gap;
mod ranking;
mod telling;

use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use still_control::ActorState;
use still_domain::{PolicyRef, PolicyVersion, Round, RoundNumber, Split};
use still_roles::{OpenLearnerScorer, OpenScorer, Withdrawal};
use tokio::task::AbortHandle;

use crate::{
    ground::{
        error::Refusal,
        finish::FinishReason,
        name::ActorName,
        observe::Observer,
        protocol::{
            ConductorMessage, EvaluationOrder, EvaluatorMessage, ProblemSupplyMessage, Promotion,
            PublisherMessage, RootMessage, TrainedPolicy, TrainerMessage,
        },
        routes::Route,
        status_board::Mark,
        store_access::StoreAccess,
    },
    rounds::{
        round_config::MachineConfig,
        round_machine::{self, Imports, Next, RoundMachine},
        sealing::{Sealed, SealingConfig},
    },
};

use self::{gap::Gap, ranking::Ranking};

/// The conductor.
pub(crate) struct Conductor;

/// What it is given.
pub(crate) struct ConductorArguments {
    pub(crate) machine: MachineConfig,
    pub(crate) sealing: SealingConfig,
    pub(crate) scorer: OpenScorer,
    pub(crate) learner_scorer: OpenLearnerScorer,
    pub(crate) access: StoreAccess,
    pub(crate) observer: Observer,
    pub(crate) ports: ConductorPorts,
}

/// Whom it may tell.
#[derive(Clone)]
pub(crate) struct ConductorPorts {
    pub(crate) publisher: Route<PublisherMessage>,
    pub(crate) trainer: Route<TrainerMessage>,
    pub(crate) problem_supply: Route<ProblemSupplyMessage>,
    pub(crate) evaluator: Route<EvaluatorMessage>,
    pub(crate) root: Route<RootMessage>,
}

/// What it knows.
pub(crate) struct ConductorState {
    given: ConductorArguments,
    machine: RoundMachine,
    candidate: Option<TrainedPolicy>,
    alarm: Option<AbortHandle>,
    /// How far the round at work is with the perplexities that its set is chosen by.
    ranking: Option<(RoundNumber, Ranking)>,
    /// How far the measurement of the round's gap is.
    gap: Option<(RoundNumber, Gap)>,
    /// Tells the pass of scoring at work that nobody waits for it any more.
    withdrawal: Withdrawal,
    warned_starved: Option<RoundNumber>,
    round_began: Mark,
    training_began: Mark,
}

impl Actor for Conductor {
    type Msg = ConductorMessage;
    type State = ConductorState;
    type Arguments = ConductorArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<ConductorMessage>,
        given: ConductorArguments,
    ) -> Result<ConductorState, ActorProcessingErr> {
        myself.cast(ConductorMessage::Load)?;
        let config = given.machine.clone();
        let machine = RoundMachine::new(config, Vec::new(), Vec::new(), &[], Imports::default());
        Ok(ConductorState {
            given,
            machine,
            candidate: None,
            alarm: None,
            ranking: None,
            gap: None,
            withdrawal: Withdrawal::default(),
            warned_starved: None,
            round_began: Mark::default(),
            training_began: Mark::default(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<ConductorMessage>,
        message: ConductorMessage,
        state: &mut ConductorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ConductorMessage::Load => state.load().await?,
            ConductorMessage::RoundPlanned { round, attempts } => state.machine.planned(round, attempts),
            ConductorMessage::SupplyRanDry(dryness) => state.machine.ran_dry(dryness),
            ConductorMessage::RoundDelivered(delivery) => state.machine.delivered(delivery),
            ConductorMessage::AttemptsJudged(facts) => {
                state.machine.judged(&facts);
                Observer::pool_counted(&state.machine.pool().outcomes());
                state.tell_explored();
            }
            ConductorMessage::TrainingBegun { round, left_out } => {
                if let Some(round) = state.machine.training_begun(round, left_out) {
                    let number = round.round;
                    let warning = format!(
                        "{left_out} examples of round {number} are longer than the learner takes and are not trained \
                         on: raise `max_sequence_tokens`"
                    );
                    state.given.observer.warn_of((left_out > 0).then_some(warning));
                    state.save(round).await?;
                }
            }
            ConductorMessage::PolicyTrained(trained) => {
                if let Some(round) = state.machine.trained(trained.round, trained.loss) {
                    state.candidate = Some(trained);
                    state.save(round).await?;
                }
            }
            ConductorMessage::TrainingRefused { round, reason } => {
                let now_ms = state.given.observer.now_ms();
                if round == RoundNumber::IMITATION {
                    // nothing is written: once the cause is mended, the next start imitates
                    let ended = FinishReason::NotImitated { cause: reason };
                    state.given.ports.root.send(RootMessage::Finish(ended));
                } else if let Some(round) = state.machine.refused(round, &reason, now_ms) {
                    state.given.observer.warn(format!("round {} is rejected: {reason}", round.round));
                    state.save(round).await?;
                }
            }
            ConductorMessage::EvaluatorReady => state.machine.evaluator_lost_it(),
            ConductorMessage::PolicyScored { round, policy, scores } => {
                if let Some(round) = state.machine.scored(round, policy, *scores) {
                    Observer::evaluated(&round);
                    state.given.observer.warn_of(round_machine::worse_than_base(&round));
                    state.save(round).await?;
                }
            }
            ConductorMessage::PolicyPublished(..) => state.published().await?,
            ConductorMessage::Seal(answer) => {
                let refusal = || Refusal::NotNow("no round explores at the moment".to_owned());
                let _nobody_waits = answer.send(state.machine.seal_wanted().ok_or_else(refusal));
            }
            ConductorMessage::RecordsImported => {
                let imports = state.given.access.run(imports).await?;
                state.machine.imported(imports);
            }
            ConductorMessage::PoolRescored(round, rescored) => state.rescored(round, rescored?),
            ConductorMessage::GapMeasured(round, measured) => state.gap_measured(round, measured?),
            ConductorMessage::RoundOver => {}
            ConductorMessage::ExplorationTimedOut(round) => state.machine.timed_out(round),
        }
        state.advance(&myself).await?;
        state.show();
        Ok(())
    }
}

impl ConductorState {
    async fn load(&mut self) -> Result<(), ActorProcessingErr> {
        let read = |access: &StoreAccess| {
            let (rounds, policies) = (access.store.rounds()?, access.store.policies()?);
            let held_out = access.store.problem_count(Split::Dev)?;
            Ok::<_, ActorProcessingErr>((rounds, policies, access.facts()?, imports(access)?, held_out))
        };
        let (rounds, policies, facts, imports, held_out) = self.given.access.run(read).await?;
        self.machine = RoundMachine::new(self.given.machine.clone(), rounds, policies, &facts, imports);
        let observer = &self.given.observer;
        observer.read(&self.machine.pool().outcomes(), self.machine.rounds());
        observer.state(ActorName::Conductor, ActorState::Running);
        observer.warn_of(self.given.machine.gate_warning(held_out));
        (self.round_began, self.training_began) = (self.mark_rollouts(), self.mark_training());
        Ok(())
    }

    /// Does the next things until facts must come first.
    async fn advance(&mut self, myself: &ActorRef<ConductorMessage>) -> Result<(), ActorProcessingErr> {
        loop {
            let ports = self.given.ports.clone();
            match self.machine.next(self.given.observer.now_ms()) {
                Next::Wait => return Ok(()),
                Next::Finish => {
                    ports.root.send(RootMessage::Finish(FinishReason::RoundsDone));
                    return Ok(());
                }
                Next::GiveUp { round, attempts } => {
                    ports.root.send(RootMessage::Finish(FinishReason::NoResult { round, attempts }));
                    return Ok(());
                }
                Next::PublishBase => {
                    self.given.observer.warn(
                        "no policy was imitated from demonstrations: exploration starts from the base model",
                    );
                    let promotion = Promotion { round: None, checkpoint: None };
                    ports.publisher.send(PublisherMessage::Publish(promotion));
                }
                Next::Save(round) => self.save(*round).await?,
                Next::Explore(order) => {
                    self.set_alarm(myself, order.round);
                    ports.problem_supply.send(ProblemSupplyMessage::OpenRound(order));
                }
                Next::CutPlan => {
                    ports.problem_supply.send(ProblemSupplyMessage::CutPlan);
                }
                Next::Seal(mut round) => {
                    let Gap::Known(gap) = self.gap_of(&round, myself) else { return Ok(()) };
                    round.gap = gap;
                    let Ranking::Under(ranked_under) = self.ranking_of(&round, myself) else { return Ok(()) };
                    if self.seal(*round, ranked_under).await? {
                        continue;
                    }
                    // rounds of nothing may follow each other: whatever else waits comes in between
                    myself.cast(ConductorMessage::RoundOver)?;
                    return Ok(());
                }
                Next::Train { order, ahead } => {
                    let round = order.round;
                    self.training_began = self.mark_training();
                    ports.problem_supply.send(ProblemSupplyMessage::CloseRound { round, ahead });
                    ports.trainer.send(TrainerMessage::Train(order));
                }
                Next::EvaluateBase { round, ahead } => {
                    ports.problem_supply.send(ProblemSupplyMessage::CloseRound { round, ahead });
                    let order = EvaluationOrder { round, policy: PolicyRef::base() };
                    ports.evaluator.send(EvaluatorMessage::Evaluate(order));
                }
                Next::Evaluate { round, ahead } => {
                    ports.problem_supply.send(ProblemSupplyMessage::CloseRound { round, ahead });
                    match self.candidate_of(round).await? {
                        Some(order) => {
                            ports.evaluator.send(EvaluatorMessage::Evaluate(order));
                        }
                        None => self.train_again().await?,
                    }
                }
                Next::Publish(round) => match self.candidate_of(round.round).await? {
                    Some(EvaluationOrder { policy, .. }) => {
                        let promotion = Promotion { round: Some(round), checkpoint: policy.checkpoint };
                        ports.publisher.send(PublisherMessage::Publish(promotion));
                    }
                    None => self.train_again().await?,
                },
            }
        }
    }

    /// Makes a round's state durable.
    async fn save(&mut self, round: Round) -> Result<(), ActorProcessingErr> {
        let saved = round.clone();
        self.given.access.run(move |access| access.store.put_round(&saved)).await?;
        self.entered(round);
        Ok(())
    }

    /// Seals the round's set; false when there is nothing to train on and the round is over.
    async fn seal(
        &mut self,
        mut round: Round,
        ranked_under: Option<PolicyVersion>,
    ) -> Result<bool, ActorProcessingErr> {
        round.tally.ranked_under = ranked_under;
        let facts: Vec<_> = self.machine.pool().facts().cloned().collect();
        let previous = self.machine.previous_set().cloned();
        let config = self.given.sealing.clone();
        let now_ms = self.given.observer.now_ms();
        let work = move |access: &StoreAccess| config.seal(access, round, previous, &facts, now_ms);
        let Sealed { round, examples, warning } = self.given.access.run(work).await?;
        self.given.observer.warn_of(warning);
        if let Some(alarm) = self.alarm.take() {
            alarm.abort();
        }
        if let Some(training_set) = round.training_set.clone() {
            self.given.observer.sealed(round.round, training_set, examples as u64, round.tally.selected);
        }
        let goes_on = !round.phase.is_over();
        self.entered(round);
        Ok(goes_on)
    }

    /// A round is durable in its present state.
    fn entered(&mut self, round: Round) {
        let stood_at = self.machine.round().map(|round| (round.round, round.phase));
        let observer = self.given.observer.clone();
        if stood_at.is_none_or(|(number, _)| number != round.round) {
            self.round_began = self.mark_rollouts();
            self.warned_starved = None;
        }
        if stood_at != Some((round.round, round.phase)) {
            observer.phase_entered(round.round, round.phase);
        }
        if round.phase.is_over() {
            self.tell_ended(&round);
            self.candidate = None;
        }
        self.machine.saved(round);
    }

    async fn published(&mut self) -> Result<(), ActorProcessingErr> {
        let read = |access: &StoreAccess| {
            Ok::<_, ActorProcessingErr>((access.store.policies()?, access.store.rounds()?))
        };
        let (policies, rounds) = self.given.access.run(read).await?;
        let was_over = self.machine.last_over().map(|round| round.round);
        self.machine.published(policies, rounds);
        if let Some(ended) = self.machine.last_over().filter(|round| Some(round.round) != was_over).cloned() {
            self.given.observer.phase_entered(ended.round, ended.phase);
            self.tell_ended(&ended);
            self.candidate = None;
        }
        Ok(())
    }

    /// The round's trained policy. Whatever was reported, its final checkpoint must be on the disk: a policy in force is
    /// loaded from it for ever after.
    async fn candidate_of(&self, round: RoundNumber) -> Result<Option<EvaluationOrder>, ActorProcessingErr> {
        let reported = self.candidate.as_ref().filter(|trained| trained.round == round);
        let checkpoint = if let Some(trained) = reported {
            let (wanted, checkpoint) = (trained.checkpoint.clone(), trained.checkpoint.clone());
            let is_intact =
                self.given.access.run(move |access| access.checkpoints.is_intact(&wanted)).await?;
            is_intact.then_some(checkpoint)
        } else {
            let set = self.machine.round().and_then(|round| round.training_set.clone());
            let finished = move |access: &StoreAccess| match set {
                Some(set) => access.checkpoints.finished(round, &set),
                None => Ok(None),
            };
            self.given.access.run(finished).await?
        };
        let order = |checkpoint| EvaluationOrder { round, policy: PolicyRef::candidate(round, checkpoint) };
        Ok(checkpoint.map(order))
    }

    /// The trained policy is gone: the round goes back to its training.
    async fn train_again(&mut self) -> Result<(), ActorProcessingErr> {
        self.candidate = None;
        self.given.observer.warn("the round's final checkpoint is missing or damaged: it is trained again");
        match self.machine.candidate_lost() {
            Some(round) => self.save(round).await,
            None => Ok(()),
        }
    }

    fn set_alarm(&mut self, myself: &ActorRef<ConductorMessage>, round: RoundNumber) {
        let seconds = self.given.machine.round.max_exploration_seconds;
        if seconds > 0 && !self.given.machine.lockstep {
            let message = move || ConductorMessage::ExplorationTimedOut(round);
            let alarm = myself.send_after(Duration::from_secs(seconds), message).abort_handle();
            if let Some(old) = self.alarm.replace(alarm) {
                old.abort();
            }
        }
    }
}

impl Drop for ConductorState {
    fn drop(&mut self) {
        self.withdrawal.withdraw();
        if let Some(alarm) = &self.alarm {
            alarm.abort();
        }
    }
}

fn imports(access: &StoreAccess) -> Result<Imports, ActorProcessingErr> {
    let has_demonstrations = !access.store.demonstrations()?.is_empty();
    Ok(Imports { has_demonstrations, problems: access.store.problem_count(Split::Explore)? })
}
