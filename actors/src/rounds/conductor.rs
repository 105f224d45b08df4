//! The conductor: leads the rounds from exploration to promotion.
//!
//! What comes next is decided by the pure `RoundMachine`; the actor makes every step durable and
//! tells the others what to do. Steps of a round are rare and strictly one after another, so the handler
//! awaits the blocking pool: facts that arrive meanwhile wait in the mailbox, a few hundred bytes an attempt.

use std::{sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use still_curation::Candidate;
use still_domain::{Round, RoundNumber, RoundPhase, Split};
use tokio::task::AbortHandle;

use crate::{
    context::Context,
    ground::board::{ActorState, shown},
    ground::error::Refusal,
    ground::event::Event,
    ground::ledger::Ledger,
    ground::name::ActorName,
    ground::observe::Observer,
    ground::protocol::{
        ConductorMessage, EvaluationOrder, EvaluatorMessage, ProblemSupplyMessage, Promotion,
        PublisherMessage, RootMessage, TrainedPolicy, TrainerMessage,
    },
    rounds::round_config::MachineConfig,
    rounds::round_machine::{Imports, Next, RoundMachine},
    rounds::sealing::sealed,
    supervision::FinishReason,
};

pub use crate::rounds::round_config::{RoundConfig, TrainingStart};

/// The conductor.
pub(crate) struct Conductor;

/// What it knows.
pub(crate) struct ConductorState {
    context: Context,
    machine: RoundMachine,
    candidate: Option<TrainedPolicy>,
    alarm: Option<AbortHandle>,
    warned_starved: Option<RoundNumber>,
    round_began: Mark,
    training_began: Mark,
}

/// Token counts at an instant, to tell rates from.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    now_ms: u64,
    tokens: u64,
}

impl Actor for Conductor {
    type Msg = ConductorMessage;
    type State = ConductorState;
    type Arguments = Context;

    async fn pre_start(
        &self,
        myself: ActorRef<ConductorMessage>,
        context: Context,
    ) -> Result<ConductorState, ActorProcessingErr> {
        myself.cast(ConductorMessage::Load)?;
        let config = MachineConfig::from(&*context.config);
        let machine = RoundMachine::new(config, Vec::new(), Vec::new(), &[], Imports::default());
        Ok(ConductorState {
            context,
            machine,
            candidate: None,
            alarm: None,
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
            ConductorMessage::AttemptsJudged(facts) => {
                state.machine.judged(&facts);
                Observer::pool_counted(&state.machine.pool().outcomes());
                state.tell_explored();
            }
            ConductorMessage::PolicyTrained(trained) => {
                if let Some(round) = state.machine.trained(trained.round, trained.loss) {
                    state.candidate = Some(trained);
                    state.save(round).await?;
                }
            }
            ConductorMessage::TrainingRefused { round, reason } => {
                let now_ms = state.context.observer.now_ms();
                if let Some(round) = state.machine.refused(round, &reason, now_ms) {
                    state.context.observer.warn(format!("round {} is rejected: {reason}", round.round));
                    state.save(round).await?;
                }
            }
            ConductorMessage::EvaluatorReady => state.machine.evaluator_lost_it(),
            ConductorMessage::PolicyScored(number, evaluation) => {
                if let Some(round) = state.machine.scored(number, *evaluation) {
                    Observer::evaluated(&round);
                    state.save(round).await?;
                }
            }
            ConductorMessage::PolicyPublished(..) => state.published().await?,
            ConductorMessage::Seal(answer) => {
                let refusal = || Refusal::NotNow("no round explores at the moment".to_owned());
                let _nobody_waits = answer.send(state.machine.seal_wanted().ok_or_else(refusal));
            }
            ConductorMessage::RecordsImported => {
                let imports = state.context.ledger.run(imports).await?;
                state.machine.imported(imports);
            }
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
        let read = |ledger: &Ledger| {
            let (rounds, policies) = (ledger.store.rounds()?, ledger.store.policies()?);
            let held_out = ledger.store.problem_count(Split::Evaluate)?;
            Ok::<_, ActorProcessingErr>((rounds, policies, ledger.facts()?, imports(ledger)?, held_out))
        };
        let (rounds, policies, facts, imports, held_out) = self.context.ledger.run(read).await?;
        self.machine = RoundMachine::new((&*self.context.config).into(), rounds, policies, &facts, imports);
        let observer = &self.context.observer;
        observer.read(&self.machine.pool().outcomes(), self.machine.rounds());
        observer.state(ActorName::Conductor, ActorState::Running);
        observer.warn_of(self.context.config.gate_warning(held_out));
        (self.round_began, self.training_began) = (self.mark_rollouts(), self.mark_training());
        Ok(())
    }

    /// Does the next things until facts must come first.
    async fn advance(&mut self, myself: &ActorRef<ConductorMessage>) -> Result<(), ActorProcessingErr> {
        loop {
            let routes = self.context.routes.clone();
            match self.machine.next(self.context.observer.now_ms()) {
                Next::Wait => return Ok(()),
                Next::Finish => {
                    routes.root.send(RootMessage::Finish(FinishReason::RoundsDone));
                    return Ok(());
                }
                Next::PublishBase => {
                    self.context.observer.warn(
                        "no policy was imitated from demonstrations: exploration starts from the base model",
                    );
                    let promotion = Promotion { round: None, checkpoint: None, weights: None };
                    routes.publisher.send(PublisherMessage::Publish(promotion));
                }
                Next::Save(round) => self.save(*round).await?,
                Next::Explore(order) => {
                    self.set_alarm(myself, order.round);
                    routes.problem_supply.send(ProblemSupplyMessage::OpenRound(order));
                }
                Next::CutPlan => {
                    routes.problem_supply.send(ProblemSupplyMessage::CutPlan);
                }
                Next::Seal(round) => {
                    if self.seal(*round).await? {
                        continue;
                    }
                    // rounds of nothing may follow each other: whatever else waits comes in between
                    myself.cast(ConductorMessage::RoundOver)?;
                    return Ok(());
                }
                Next::Train { order, ahead } => {
                    let round = order.round;
                    self.training_began = self.mark_training();
                    routes.problem_supply.send(ProblemSupplyMessage::CloseRound { round, ahead });
                    routes.trainer.send(TrainerMessage::Train(order));
                }
                Next::Evaluate { round, ahead } => {
                    routes.problem_supply.send(ProblemSupplyMessage::CloseRound { round, ahead });
                    match self.candidate_of(round).await? {
                        Some(order) => {
                            routes.evaluator.send(EvaluatorMessage::Evaluate(order));
                        }
                        None => self.train_again().await?,
                    }
                }
                Next::Publish(round) => match self.candidate_of(round.round).await? {
                    Some(EvaluationOrder { checkpoint, weights, .. }) => {
                        let promotion =
                            Promotion { round: Some(round), checkpoint: Some(checkpoint), weights };
                        routes.publisher.send(PublisherMessage::Publish(promotion));
                    }
                    None => self.train_again().await?,
                },
            }
        }
    }

    /// Makes a round's state durable.
    async fn save(&mut self, round: Round) -> Result<(), ActorProcessingErr> {
        let saved = round.clone();
        self.context.ledger.run(move |ledger| ledger.store.put_round(&saved)).await?;
        self.entered(round);
        Ok(())
    }

    /// Chooses `D_t`, and makes it durable with the round that trains on it; false when there is nothing to
    /// train on and the round is over.
    async fn seal(&mut self, round: Round) -> Result<bool, ActorProcessingErr> {
        let facts: Vec<Candidate> = self.machine.pool().facts().map(|fact| fact.candidate.clone()).collect();
        let previous = self.machine.previous_set().cloned();
        let config = Arc::clone(&self.context.config);
        let now_ms = self.context.observer.now_ms();
        let work = move |ledger: &Ledger| {
            let (set, mut round) = sealed(ledger, &config, round, previous, &facts)?;
            let (examples, warning) = (set.example_count(), config.demonstration_warning(&set));
            if examples == 0 {
                round.phase = RoundPhase::Rejected;
                round.decision = Some("rejected: there is nothing to train on".to_owned());
                round.ended_at_ms = Some(now_ms);
                ledger.store.put_round(&round)?;
                return Ok::<_, ActorProcessingErr>((round, examples, None));
            }
            round.phase = RoundPhase::Training;
            round.training_set = Some(set.id.clone());
            let standing = ledger.store.seal_round(&set, &round)?;
            if standing.training_set.as_ref() == Some(&set.id) {
                return Ok((standing, examples, warning));
            }
            // a conductor that is gone sealed it while this one came up: its set stands
            let set = ledger.store.training_set_of(standing.round)?;
            Ok((standing, set.map_or(0, |set| set.example_count()), None))
        };
        let (round, examples, warning) = self.context.ledger.run(work).await?;
        self.context.observer.warn_of(warning);
        if let Some(alarm) = self.alarm.take() {
            alarm.abort();
        }
        if let Some(training_set) = round.training_set.clone() {
            self.context.observer.sealed(round.round, training_set, examples as u64, round.tally.selected);
        }
        let goes_on = !round.phase.is_over();
        self.entered(round);
        Ok(goes_on)
    }

    /// A round is durable in its present state.
    fn entered(&mut self, round: Round) {
        let stood_at = self.machine.round().map(|round| (round.round, round.phase));
        let observer = self.context.observer.clone();
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
        let read =
            |ledger: &Ledger| Ok::<_, ActorProcessingErr>((ledger.store.policies()?, ledger.store.rounds()?));
        let (policies, rounds) = self.context.ledger.run(read).await?;
        let was_over = self.machine.last_over().map(|round| round.round);
        self.machine.published(policies, rounds);
        if let Some(ended) = self.machine.last_over().filter(|round| Some(round.round) != was_over).cloned() {
            self.context.observer.phase_entered(ended.round, ended.phase);
            self.tell_ended(&ended);
            self.candidate = None;
        }
        Ok(())
    }

    /// The round's trained policy, with the parameters that were told where they are at hand. Whatever was
    /// told, its final checkpoint must be on the disk: a policy in force is loaded from it for ever after.
    async fn candidate_of(&self, number: RoundNumber) -> Result<Option<EvaluationOrder>, ActorProcessingErr> {
        if let Some(trained) = self.candidate.as_ref().filter(|trained| trained.round == number) {
            let checkpoint = trained.checkpoint.clone();
            let wanted = checkpoint.clone();
            let is_intact =
                self.context.ledger.run(move |ledger| ledger.checkpoints.is_intact(&wanted)).await?;
            let weights = Some(Arc::clone(&trained.weights));
            return Ok(is_intact.then_some(EvaluationOrder { round: number, checkpoint, weights }));
        }
        let set = self.machine.round().and_then(|round| round.training_set.clone());
        let checkpoint =
            self.context.ledger.run(move |ledger| ledger.final_checkpoint(number, set.as_ref())).await?;
        Ok(checkpoint.map(|checkpoint| EvaluationOrder { round: number, checkpoint, weights: None }))
    }

    /// The trained policy is gone: the round goes back to its training.
    async fn train_again(&mut self) -> Result<(), ActorProcessingErr> {
        self.candidate = None;
        self.context.observer.warn("the round's final checkpoint is missing or damaged: it is trained again");
        match self.machine.candidate_lost() {
            Some(round) => self.save(round).await,
            None => Ok(()),
        }
    }

    fn set_alarm(&mut self, myself: &ActorRef<ConductorMessage>, round: RoundNumber) {
        let seconds = self.context.config.round.max_exploration_seconds;
        if seconds > 0 && !self.context.config.lockstep {
            let message = move || ConductorMessage::ExplorationTimedOut(round);
            let alarm = myself.send_after(Duration::from_secs(seconds), message).abort_handle();
            if let Some(old) = self.alarm.replace(alarm) {
                old.abort();
            }
        }
    }

    fn mark_rollouts(&self) -> Mark {
        let observer = &self.context.observer;
        Mark { now_ms: observer.now_ms(), tokens: observer.board.rollout_tokens.total() }
    }

    fn mark_training(&self) -> Mark {
        let observer = &self.context.observer;
        Mark { now_ms: observer.now_ms(), tokens: observer.board.training_tokens.total() }
    }

    fn tell_explored(&self) {
        let (judged, correct, pool) = self.machine.progress();
        let observer = &self.context.observer;
        let Some(round) = self.machine.round() else { return };
        observer.event(Event::Explored {
            round: round.round,
            judged,
            quota: self.machine.quota(),
            correct,
            pool,
            tokens_per_second: observer.board.rollout_tokens.per_second(observer.now_ms()),
        });
    }

    fn tell_ended(&self, round: &Round) {
        let rollout_rate = self.mark_rollouts().rate_since(self.round_began);
        let training_rate = self.mark_training().rate_since(self.training_began);
        self.context.observer.round_ended(round.clone(), rollout_rate, training_rate);
    }

    /// Writes the board, and says once when the round waits for an import.
    fn show(&mut self) {
        let observer = &self.context.observer;
        let (judged, correct, pool) = self.machine.progress();
        let round = self.machine.round();
        shown(&observer.board.round, |shown| {
            shown.round = round.map(|round| round.round);
            shown.phase = round.map(|round| round.phase);
            shown.judged = judged;
            shown.correct = correct;
            shown.quota = self.machine.quota();
            shown.pool = pool;
            shown.selected = round.map_or(0, |round| round.tally.selected);
            shown.rounds_over = self.machine.rounds_over();
            shown.last_round = self.machine.last_over().cloned();
        });
        observer.progressed(ActorName::Conductor, 0, 0);
        let number = round.map(|round| round.round);
        if let Some(starvation) = self.machine.starvation().filter(|_| self.warned_starved != number) {
            observer.warn(starvation);
            self.warned_starved = number;
        }
    }
}

impl Drop for ConductorState {
    fn drop(&mut self) {
        if let Some(alarm) = &self.alarm {
            alarm.abort();
        }
    }
}

impl Mark {
    fn rate_since(self, earlier: Self) -> f64 {
        let seconds = self.now_ms.saturating_sub(earlier.now_ms) as f64 / 1000.0;
        if seconds > 0.0 { (self.tokens - earlier.tokens) as f64 / seconds } else { 0.0 }
    }
}

fn imports(ledger: &Ledger) -> Result<Imports, ActorProcessingErr> {
    let has_demonstrations = !ledger.store.demonstrations()?.is_empty();
    Ok(Imports { has_demonstrations, problems: ledger.store.problem_count(Split::Explore)? })
}
