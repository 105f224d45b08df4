//! How many problems stand where.

use super::ProblemState;

/// Problems by state, and attempts being made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CurriculumCounts {
    pub(super) by_state: [usize; ProblemState::ALL.len()],
    /// Attempts given out and not yet recorded.
    pub running_attempts: usize,
}

impl CurriculumCounts {
    /// Problems in `state`.
    pub fn of(&self, state: ProblemState) -> usize {
        self.by_state[state as usize]
    }

    /// Problems in all states.
    pub fn problems(&self) -> usize {
        self.by_state.iter().sum()
    }

    /// Problems of which an attempt could be given out now.
    pub fn ready(&self) -> usize {
        self.of(ProblemState::Fresh) + self.of(ProblemState::Open)
    }
}
