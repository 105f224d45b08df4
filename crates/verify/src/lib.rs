//! Answer extraction and sound equivalence.
