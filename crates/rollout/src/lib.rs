//! The generation engine: continuous batching, sampling, log-probabilities.
