//! The gap between the engines' and the learner's log-probabilities, measured once a round before its set is sealed.

use std::sync::Arc;

use ractor::ActorRef;
use still_domain::{LogProbabilityGap, Recipe, Round, RoundNumber};
use still_roles::Withdrawal;

use super::ConductorState;
use crate::{
    ground::protocol::{ConductorMessage, GapMeasured},
    rounds::log_probability_gap::GapSample,
};

/// How far the measurement of a round's gap is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Gap {
    /// It is at work.
    AtWork,
    /// It came to this; `None` where there is nothing to compare, or it failed.
    Known(Option<LogProbabilityGap>),
}

impl ConductorState {
    /// How far the measurement of a round's gap is; has it measured, where that is asked for.
    pub(super) fn gap_of(&mut self, round: &Round, myself: &ActorRef<ConductorMessage>) -> Gap {
        if let Some((_, known)) = self.gap.as_ref().filter(|(number, _)| *number == round.round) {
            return known.clone();
        }
        let (judged, _, _) = self.machine.progress();
        let sample = match round.recipe() {
            Recipe::Imitation => None,
            Recipe::Improvement => {
                GapSample::of(round, judged, self.machine.policies(), &self.given.machine.round)
            }
        };
        let Some(sample) = sample else { return Gap::Known(None) };
        self.gap = Some((round.round, Gap::AtWork));
        self.withdrawal = Withdrawal::default();
        let (number, withdrawal) = (round.round, self.withdrawal.clone());
        let (access, open) = (self.given.access.clone(), Arc::clone(&self.given.learner_scorer));
        let myself = myself.clone();
        tokio::spawn(async move {
            let work = tokio::task::spawn_blocking(move || sample.measure(&access, &open, &withdrawal));
            let measured = work.await.unwrap_or_else(|panic| Err(panic.into()));
            // a conductor that is gone is replaced, and measures anew
            let _ = myself.cast(ConductorMessage::GapMeasured(number, measured));
        });
        Gap::AtWork
    }

    /// A measurement is over. One that failed keeps no round from being trained on, and is told.
    pub(super) fn gap_measured(&mut self, number: RoundNumber, measured: GapMeasured) {
        if self.gap != Some((number, Gap::AtWork)) {
            return;
        }
        let observer = &self.given.observer;
        let gap = match measured {
            GapMeasured::Done(gap) => gap,
            GapMeasured::Failed(reason) => {
                observer.warn(format!(
                    "round {number}: how far the engines' log-probabilities are from the learner's could not be \
                     measured: {reason}"
                ));
                None
            }
            GapMeasured::Withdrawn => return,
        };
        if let Some(gap) = &gap {
            let most = self.given.machine.round.max_gap_nats;
            observer.gap_measured(number, gap, most);
        }
        self.gap = Some((number, Gap::Known(gap)));
    }
}
