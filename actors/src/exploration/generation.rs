//! What a generator's device thread does: take commands in, draw tokens, report what ended.

use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError};
use ractor::ActorProcessingErr;
use still_domain::AttemptId;
use still_roles::{FinishedRollout, Generator, GeneratorError, PolicySnapshot, Rollout};

/// How long the device is left alone when it has no room for anything: no event tells when it has.
const STALL: Duration = Duration::from_millis(500);

/// What a generator's thread is told.
#[derive(Debug)]
pub(crate) enum GeneratorCommand {
    /// Put this policy in force from the next step on.
    Publish(PolicySnapshot),
    /// Take this rollout in.
    Submit(Rollout),
}

/// What a generator's thread tells.
#[derive(Debug)]
pub(crate) enum GeneratorFact {
    /// The generator is built and holds this many rollouts usefully.
    Ready { capacity: usize },
    /// A step was taken.
    TokensDrawn(u64),
    /// Rollouts ended.
    Finished(Vec<FinishedRollout>),
    /// This rollout can never be served.
    Refused { id: AttemptId, reason: String },
}

/// Works until the channel's other end is gone. Commands are looked at between two steps; with nothing to
/// generate the thread sleeps.
pub(crate) fn generate(
    generator: &mut dyn Generator,
    commands: &Receiver<GeneratorCommand>,
    tell: impl Fn(GeneratorFact),
) -> Result<(), ActorProcessingErr> {
    tell(GeneratorFact::Ready { capacity: generator.capacity().max(1) });
    loop {
        if generator.is_idle() {
            match commands.recv() {
                Ok(command) => obey(generator, command, &tell)?,
                Err(_) => return Ok(()),
            }
        }
        loop {
            match commands.try_recv() {
                Ok(command) => obey(generator, command, &tell)?,
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Ok(()),
            }
        }
        if generator.is_idle() {
            continue;
        }
        match generator.step() {
            Ok(step) => {
                tell(GeneratorFact::TokensDrawn(step.tokens));
                if !step.finished.is_empty() {
                    tell(GeneratorFact::Finished(step.finished));
                }
                if step.is_stalled {
                    match commands.recv_timeout(STALL) {
                        Ok(command) => obey(generator, command, &tell)?,
                        Err(RecvTimeoutError::Timeout) => {}
                        Err(RecvTimeoutError::Disconnected) => return Ok(()),
                    }
                }
            }
            Err(error) => refused_or_failed(error, &tell)?,
        }
    }
}

fn obey(
    generator: &mut dyn Generator,
    command: GeneratorCommand,
    tell: &impl Fn(GeneratorFact),
) -> Result<(), ActorProcessingErr> {
    let result = match command {
        GeneratorCommand::Publish(policy) => generator.publish(policy),
        GeneratorCommand::Submit(rollout) => generator.submit(rollout),
    };
    result.or_else(|error| refused_or_failed(error, tell))
}

/// A refusal concerns one rollout; everything else ends the generator.
fn refused_or_failed(error: GeneratorError, tell: &impl Fn(GeneratorFact)) -> Result<(), ActorProcessingErr> {
    match error {
        GeneratorError::Refused { id, reason } => {
            tell(GeneratorFact::Refused { id, reason });
            Ok(())
        }
        error @ (GeneratorError::NoPolicy | GeneratorError::Device(_)) => Err(error.into()),
    }
}
