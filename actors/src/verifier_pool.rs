//! The verifier pool: many judgements at once on the blocking pool, each in its own shelter.
//!
//! A panic of the verifier is one judgement: it is tried once more, then recorded as an error, which is
//! never counted as wrong. Nothing here can bring the pool down.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde::{Deserialize, Serialize};
use still_domain::{Outcome, Problem, Verdict};
use still_roles::Verifier;

use crate::{
    board::ActorState,
    context::Context,
    device_thread::panic_text,
    name::ActorName,
    protocol::{CuratorMessage, EvaluatorMessage, Judged, Purpose, Unjudged, VerifierPoolMessage},
};

/// How often a judgement is tried.
const TRIES: u32 = 2;

/// How answers are judged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VerifierPoolConfig {
    /// Judgements at once; 0 takes what the machine has. Default: 0.
    pub workers: usize,
}

/// The verifier pool.
pub(crate) struct VerifierPool;

/// What it knows.
pub(crate) struct VerifierPoolState {
    context: Context,
    waiting: VecDeque<Box<Unjudged>>,
    running: usize,
    workers: usize,
}

impl Actor for VerifierPool {
    type Msg = VerifierPoolMessage;
    type State = VerifierPoolState;
    type Arguments = Context;

    async fn pre_start(
        &self,
        _myself: ActorRef<VerifierPoolMessage>,
        context: Context,
    ) -> Result<VerifierPoolState, ActorProcessingErr> {
        let workers = match context.config.verifier_pool.workers {
            0 => thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        };
        context.observer.state(ActorName::VerifierPool, ActorState::Running);
        Ok(VerifierPoolState { context, waiting: VecDeque::new(), running: 0, workers })
    }

    async fn handle(
        &self,
        myself: ActorRef<VerifierPoolMessage>,
        message: VerifierPoolMessage,
        state: &mut VerifierPoolState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            VerifierPoolMessage::Judge(unjudged) => state.waiting.push_back(unjudged),
            VerifierPoolMessage::Judged(judged) => {
                state.running -= 1;
                match judged.purpose {
                    Purpose::Exploration => {
                        state.context.routes.curator.send(CuratorMessage::Commit(judged));
                    }
                    Purpose::Evaluation(_) => {
                        state.context.routes.evaluator.send(EvaluatorMessage::AnswerJudged(judged));
                    }
                }
            }
        }
        while state.running < state.workers
            && let Some(unjudged) = state.waiting.pop_front()
        {
            state.running += 1;
            let verifier = Arc::clone(&state.context.roles.verifier);
            let myself = myself.clone();
            tokio::task::spawn_blocking(move || {
                let Unjudged { rollout, problem, purpose, credit } = *unjudged;
                let verdict = judge(verifier.as_ref(), &problem, &rollout.trajectory.text);
                let judged = Box::new(Judged { rollout, problem, purpose, verdict, credit });
                // A pool that is gone is replaced, and the attempt asked for again.
                let _ = myself.cast(VerifierPoolMessage::Judged(judged));
            });
        }
        state.context.observer.progressed(ActorName::VerifierPool, state.waiting.len(), state.running);
        Ok(())
    }
}

/// One judgement, sheltered: a verifier that panics twice has failed, and says nothing about the answer.
fn judge(verifier: &dyn Verifier, problem: &Problem, response: &str) -> Verdict {
    let mut reason = String::new();
    for _ in 0..TRIES {
        match catch_unwind(AssertUnwindSafe(|| verifier.judge(problem, response))) {
            Ok(verdict) => return verdict,
            Err(panic) => panic_text(panic.as_ref()).clone_into(&mut reason),
        }
    }
    let version = catch_unwind(AssertUnwindSafe(|| verifier.version().to_owned()));
    Verdict {
        outcome: Outcome::Error,
        extracted: None,
        rule: Some(format!("the verifier panicked: {reason}")),
        verifier: version.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use still_domain::{AnswerKind, ProblemId, Split};

    use super::*;

    /// Panics on its first judgements, then finds everything right.
    struct Nervous {
        panics: AtomicU32,
    }

    impl Verifier for Nervous {
        fn judge(&self, _problem: &Problem, _response: &str) -> Verdict {
            let left = self.panics.load(Ordering::SeqCst);
            if left > 0 {
                self.panics.store(left - 1, Ordering::SeqCst);
                panic!("nerves");
            }
            Verdict {
                outcome: Outcome::Correct,
                extracted: None,
                rule: None,
                verifier: self.version().to_owned(),
            }
        }

        fn version(&self) -> &'static str {
            "nervous 1"
        }
    }

    fn problem() -> Problem {
        Problem {
            id: ProblemId::new("p"),
            text: String::new(),
            gold: String::new(),
            kind: AnswerKind::Exact,
            level: None,
            source: String::new(),
            split: Split::Explore,
        }
    }

    #[test]
    fn one_panic_is_forgiven_and_two_are_an_error_that_is_not_wrong() {
        let once = Nervous { panics: AtomicU32::new(1) };
        assert_eq!(judge(&once, &problem(), "").outcome, Outcome::Correct);
        let twice = Nervous { panics: AtomicU32::new(2) };
        let verdict = judge(&twice, &problem(), "");
        assert_eq!(verdict.outcome, Outcome::Error);
        assert_eq!(verdict.rule.as_deref(), Some("the verifier panicked: nerves"));
        assert_eq!(verdict.verifier, "nervous 1");
    }
}
