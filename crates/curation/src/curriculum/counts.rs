//! How many problems stand where.

use super::ProblemState;

/// Problems by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CurriculumCounts {
    pub(super) by_state: [usize; ProblemState::ALL.len()],
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
