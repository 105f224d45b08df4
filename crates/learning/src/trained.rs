//! What a job trains: every parameter of a decoder, or adapters beside a decoder that stays as it is.

use std::sync::Arc;

use still_decoder::{DecoderConfig, DecoderWeights};
use still_library::Weights;
use still_tensor_decoder::{Adapters, ParameterList, Parameters, Role};

/// The f32 masters of a job, with what they stand beside.
#[derive(Debug, Clone)]
pub(crate) enum Trained {
    /// Every parameter.
    Full(DecoderWeights),
    /// Low-rank adapters.
    Adapters {
        /// The masters.
        adapters: Adapters,
        /// The policy that the job started from; none of its numbers changes.
        base: Weights,
    },
}

impl Trained {
    /// The policy that stays as it is, where adapters are trained beside one.
    pub(crate) const fn base(&self) -> Option<&Weights> {
        match self {
            Self::Full(_) => None,
            Self::Adapters { base, .. } => Some(base),
        }
    }

    /// Zeros in the form of the masters, as moments begin.
    pub(crate) fn zeros_like(&self) -> Parameters {
        match self {
            Self::Full(weights) => Parameters::zeros_like_weights(weights),
            Self::Adapters { adapters, .. } => Parameters::zeros_like_adapters(adapters),
        }
    }

    /// The whole decoder that they make.
    pub(crate) fn policy(&self, config: &DecoderConfig) -> Weights {
        match self {
            Self::Full(weights) => Arc::new(weights.clone()),
            Self::Adapters { adapters, base } => Arc::new(adapters.merge(base, config)),
        }
    }
}

impl ParameterList for Trained {
    fn values(&self) -> Vec<(String, &[f32])> {
        match self {
            Self::Full(weights) => weights.values(),
            Self::Adapters { adapters, .. } => adapters.values(),
        }
    }

    fn values_mut(&mut self) -> Vec<(Role, &mut [f32])> {
        match self {
            Self::Full(weights) => weights.values_mut(),
            Self::Adapters { adapters, .. } => adapters.values_mut(),
        }
    }
}
