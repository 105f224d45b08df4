//! What the conductor shows and tells of the round at work.

use still_control::Event;
use still_domain::Round;

use super::{ConductorState, gap::Gap, ranking::Ranking};
use crate::ground::{
    name::ActorName,
    status_board::{Mark, Measuring, update},
};

impl ConductorState {
    pub(super) fn mark_rollouts(&self) -> Mark {
        let observer = &self.given.observer;
        observer.board.rollout_tokens.mark(observer.now_ms())
    }

    pub(super) fn mark_training(&self) -> Mark {
        let observer = &self.given.observer;
        observer.board.training_tokens.mark(observer.now_ms())
    }

    pub(super) fn tell_explored(&self) {
        let (judged, correct, pool) = self.machine.progress();
        let observer = &self.given.observer;
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

    pub(super) fn tell_ended(&self, round: &Round) {
        let rollout_rate = self.mark_rollouts().rate_since(self.round_began);
        let training_rate = self.mark_training().rate_since(self.training_began);
        self.given.observer.round_ended(round, rollout_rate, training_rate);
    }

    /// What is measured at present before the round's set is sealed.
    fn measuring(&self) -> Option<Measuring> {
        match (&self.gap, &self.ranking) {
            (Some((_, Gap::AtWork)), _) => Some(Measuring::Gap),
            (_, Some((_, Ranking::AtWork))) => Some(Measuring::Perplexities),
            _ => None,
        }
    }

    /// Writes the board, and says once when the round waits for an import.
    pub(super) fn show(&mut self) {
        let observer = &self.given.observer;
        let (judged, correct, pool) = self.machine.progress();
        let round = self.machine.round();
        update(&observer.board.round, |progress| {
            progress.round = round.map(|round| round.round);
            progress.phase = round.map(|round| round.phase);
            progress.judged = judged;
            progress.correct = correct;
            progress.quota = self.machine.quota();
            progress.measuring = self.measuring();
            progress.pool = pool;
            progress.selected = round.map_or(0, |round| round.tally.selected);
            progress.rounds_over = self.machine.rounds_over();
            // a round that is over changes no more, and its scores are many
            let last = self.machine.last_over();
            if progress.last_round.as_ref().map(|shown| shown.round) != last.map(|last| last.round) {
                progress.last_round = last.cloned();
            }
            progress.base = self.machine.base().cloned();
        });
        observer.progressed(ActorName::Conductor, 0, 0);
        let number = round.map(|round| round.round);
        if let Some(starvation) = self.machine.starvation().filter(|_| self.warned_starved != number) {
            observer.warn(starvation);
            self.warned_starved = number;
        }
    }
}
