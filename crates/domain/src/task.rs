//! What a run is about, wherever it comes from: generated, or read from files.

use crate::problem::{Demonstration, Problem};

/// What a run imitates, explores and is scored on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Task {
    /// To imitate.
    pub demonstrations: Vec<Demonstration>,
    /// To explore, in the order in which they are supplied.
    pub problems: Vec<Problem>,
    /// To score policies on, `dev` and `test`; never explored and never trained on.
    pub held_out: Vec<Problem>,
}
