//! The sampler: attempts in, finished rollouts out, always with the newest policy in force.
//!
//! It owns one device thread a generator and shares the attempts out among them; the attempts of one problem
//! go to one thread, where they share their prompt's prefill. What no thread can usefully hold waits here.
//! Every attempt carries its credit from the moment it is given out until it is durable, so neither the
//! queue nor a thread's channel can grow beyond the credits.

use std::collections::{HashMap, VecDeque};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use still_control::ActorState;
use still_domain::{
    AttemptId, FinishReason, Measures, Outcome, ProblemId, SamplingSettings, Trajectory, Verdict, VersionSpan,
};
use still_roles::{FinishedRollout, PolicySnapshot, Rollout};
use still_telemetry::event::LossReason;
use tokio::task::AbortHandle;

use crate::{
    context::Context,
    exploration::generation::{GeneratorCommand, GeneratorFact, generate},
    ground::device_thread::DeviceThread,
    ground::name::ActorName,
    ground::observe::Observer,
    ground::protocol::{
        Attempt, CuratorMessage, Judged, Purpose, SamplerMessage, Unjudged, VerifierPoolMessage,
    },
};

/// Commands besides rollouts that may wait for a thread: publications, one after another.
const SPARE_COMMANDS: usize = 64;

/// The sampler.
pub(crate) struct Sampler;

/// What it knows.
pub(crate) struct SamplerState {
    context: Context,
    threads: Vec<Thread>,
    waiting: VecDeque<Attempt>,
    policy: Option<PolicySnapshot>,
    watcher: AbortHandle,
}

/// One generator's thread, and the attempts given to it.
struct Thread {
    device: Option<DeviceThread<GeneratorCommand>>,
    capacity: usize,
    attempts: HashMap<AttemptId, Attempt>,
    problems: HashMap<ProblemId, usize>,
}

impl Actor for Sampler {
    type Msg = SamplerMessage;
    type State = SamplerState;
    type Arguments = Context;

    async fn pre_start(
        &self,
        myself: ActorRef<SamplerMessage>,
        context: Context,
    ) -> Result<SamplerState, ActorProcessingErr> {
        let mut threads = Vec::new();
        for (index, factory) in context.roles.generators.iter().enumerate() {
            let (facts, failures) = (myself.clone(), myself.clone());
            let observer = context.observer.clone();
            let device = DeviceThread::spawn(
                format!("sampler-{index}"),
                context.config.exploration.in_flight_attempts + SPARE_COMMANDS,
                factory,
                move |generator, commands| {
                    generate(generator, commands, |fact| {
                        let message = match fact {
                            GeneratorFact::Ready { capacity } => {
                                SamplerMessage::ThreadReady { thread: index, capacity }
                            }
                            GeneratorFact::TokensDrawn(tokens) => return observer.tokens_drawn(tokens),
                            GeneratorFact::Finished(finished) => {
                                SamplerMessage::RolloutsFinished { thread: index, finished }
                            }
                            GeneratorFact::Refused { id, reason } => {
                                SamplerMessage::AttemptRefused { thread: index, id, reason }
                            }
                        };
                        // A sampler that is gone is replaced, and its work asked for again.
                        let _ = facts.cast(message);
                    })
                },
                move |failure| {
                    let _ = failures.cast(SamplerMessage::ThreadFailed(failure));
                },
            )?;
            threads.push(Thread {
                device: Some(device),
                capacity: 0,
                attempts: HashMap::new(),
                problems: HashMap::new(),
            });
        }
        let mut policy = context.policy.clone();
        policy.mark_changed();
        let watching = myself.clone();
        let watcher = tokio::spawn(async move {
            while policy.changed().await.is_ok() && watching.cast(SamplerMessage::PolicyPublished).is_ok() {}
        });
        context.observer.state(ActorName::Sampler, ActorState::Running);
        let watcher = watcher.abort_handle();
        Ok(SamplerState { context, threads, waiting: VecDeque::new(), policy: None, watcher })
    }

    async fn handle(
        &self,
        _myself: ActorRef<SamplerMessage>,
        message: SamplerMessage,
        state: &mut SamplerState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SamplerMessage::Generate(attempt) => state.take_in(attempt),
            SamplerMessage::PolicyPublished => {}
            SamplerMessage::ThreadReady { thread, capacity } => {
                if let Some(thread) = state.threads.get_mut(thread) {
                    thread.capacity = capacity;
                }
            }
            SamplerMessage::RolloutsFinished { thread, finished } => state.finished(thread, finished),
            SamplerMessage::AttemptRefused { thread, id, reason } => state.refused(thread, &id, &reason),
            SamplerMessage::ThreadFailed(failure) => return Err(failure),
        }
        state.publish()?;
        state.share_out()?;
        let in_flight = state.threads.iter().map(|thread| thread.attempts.len()).sum();
        state.context.observer.progressed(ActorName::Sampler, state.waiting.len(), in_flight);
        Ok(())
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<SamplerMessage>,
        state: &mut SamplerState,
    ) -> Result<(), ActorProcessingErr> {
        for thread in &mut state.threads {
            if let Some(device) = thread.device.take() {
                device.shut_down().await;
            }
        }
        Ok(())
    }
}

impl SamplerState {
    /// An attempt that is under way already, asked for by a supply that does not know of it, keeps running
    /// under its new credit.
    fn take_in(&mut self, attempt: Attempt) {
        let running = self.threads.iter_mut().find_map(|thread| thread.attempts.get_mut(&attempt.id));
        let known = running.or_else(|| self.waiting.iter_mut().find(|waiting| waiting.id == attempt.id));
        match known {
            Some(known) => *known = attempt,
            None => self.waiting.push_back(attempt),
        }
    }

    /// Has every thread draw by the policy in force from now on. Whoever asks for an attempt after a
    /// publication may have been told of it before the watch told this actor: so it is looked at before
    /// attempts are shared out.
    fn publish(&mut self) -> Result<(), ActorProcessingErr> {
        let newest = self.context.policy.borrow().clone();
        let known = self.policy.as_ref().map(|policy| policy.version);
        let Some(policy) = newest.filter(|newest| Some(newest.version) != known) else { return Ok(()) };
        for device in self.threads.iter().filter_map(|thread| thread.device.as_ref()) {
            device.send(GeneratorCommand::Publish(policy.clone()))?;
        }
        self.policy = Some(policy);
        Ok(())
    }

    /// Gives waiting attempts to threads with room.
    fn share_out(&mut self) -> Result<(), ActorProcessingErr> {
        if self.policy.is_none() {
            return Ok(());
        }
        while let Some(attempt) = self.waiting.front() {
            let Some(index) = self.thread_for(&attempt.id.problem) else { break };
            let Some(attempt) = self.waiting.pop_front() else { break };
            let rollout = Rollout {
                id: attempt.id.clone(),
                problem: attempt.problem.text.clone(),
                sampling: self.context.config.exploration.sampling.settings(),
                seed: attempt.seed,
            };
            let thread = &mut self.threads[index];
            *thread.problems.entry(attempt.id.problem.clone()).or_default() += 1;
            thread.attempts.insert(attempt.id.clone(), attempt);
            if let Some(device) = &thread.device {
                device.send(GeneratorCommand::Submit(rollout))?;
            }
        }
        Ok(())
    }

    /// The thread that works on the problem already, else the emptiest one; `None` when there is no room.
    fn thread_for(&self, problem: &ProblemId) -> Option<usize> {
        let has_room = |index: &usize| self.threads[*index].attempts.len() < self.threads[*index].capacity;
        let mut open = (0..self.threads.len()).filter(has_room);
        let at_it = open.clone().find(|&index| self.threads[index].problems.contains_key(problem));
        at_it.or_else(|| open.by_ref().min_by_key(|&index| self.threads[index].attempts.len()))
    }

    fn finished(&mut self, thread: usize, finished: Vec<FinishedRollout>) {
        self.context.observer.rollouts_finished(finished.len());
        for rollout in finished {
            let Some(attempt) = self.remove(thread, &rollout.trajectory.id) else { continue };
            self.context.routes.verifier_pool.send(VerifierPoolMessage::Judge(Box::new(Unjudged {
                rollout,
                problem: attempt.problem,
                purpose: Purpose::Exploration,
                credit: attempt.credit,
            })));
        }
    }

    /// What can never be served is recorded as an error, or it would be asked for again for ever.
    fn refused(&mut self, thread: usize, id: &AttemptId, reason: &str) {
        let Some(attempt) = self.remove(thread, id) else { return };
        self.context.observer.warn(format!("attempt {id} is refused: {reason}"));
        let version = self.policy.as_ref().map(|policy| policy.version).unwrap_or_default();
        let sampling = self.context.config.exploration.sampling.settings();
        let rollout = empty_rollout(attempt.id, attempt.seed, sampling, version);
        self.context.routes.curator.send(CuratorMessage::Commit(Box::new(Judged {
            rollout,
            problem: attempt.problem,
            purpose: Purpose::Exploration,
            verdict: Verdict {
                outcome: Outcome::Error,
                extracted: None,
                rule: Some(format!("refused: {reason}")),
                verifier: self.context.roles.verifier.version().to_owned(),
            },
            credit: attempt.credit,
        })));
    }

    fn remove(&mut self, thread: usize, id: &AttemptId) -> Option<Attempt> {
        let thread = self.threads.get_mut(thread)?;
        let attempt = thread.attempts.remove(id)?;
        if let Some(count) = thread.problems.get_mut(&id.problem) {
            *count -= 1;
            if *count == 0 {
                thread.problems.remove(&id.problem);
            }
        }
        Some(attempt)
    }
}

impl Drop for SamplerState {
    fn drop(&mut self) {
        self.watcher.abort();
        let held: usize = self.threads.iter().map(|thread| thread.attempts.len()).sum();
        Observer::attempts_lost(LossReason::ActorEnded, held + self.waiting.len());
    }
}

/// The rollout of an attempt that was never begun.
fn empty_rollout(
    id: AttemptId,
    seed: u64,
    sampling: SamplingSettings,
    version: still_domain::PolicyVersion,
) -> FinishedRollout {
    FinishedRollout {
        trajectory: Trajectory {
            id,
            prompt_token_count: 0,
            tokens: Vec::new(),
            log_probabilities: Vec::new(),
            text: String::new(),
            sampling,
            seed,
            finish: FinishReason::Cancelled,
            versions: vec![VersionSpan { version, start: 0, end: 0 }],
        },
        measures: Measures::default(),
        is_well_formed: false,
    }
}
