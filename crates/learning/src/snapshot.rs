//! A job as it stood after a step, written while training goes on.

use std::{path::Path, sync::Arc};

use still_decoder::{
    DecoderConfig,
    hugging_face::{DEFAULT_MAX_SHARD_BYTES, Precision, save_folder},
};
use still_policy::{Parameters, peft};
use still_roles::{LearnerError, LearnerSnapshot, Weights};

use crate::{
    checkpoint::{self, TrainingState},
    examples::ExampleEncoder,
    loss::PairSums,
};

/// Folder of trained adapters inside a checkpoint.
pub(crate) const ADAPTER_FOLDER: &str = "adapter";

/// A job as it stood. Matrices are shared with the learner until its next update changes them.
pub(crate) struct JobSnapshot {
    pub(crate) config: DecoderConfig,
    pub(crate) encoder: Arc<dyn ExampleEncoder>,
    /// What the base model is called.
    pub(crate) base_name: String,
    /// The policy that the job started from, where adapters are trained beside it.
    pub(crate) base: Option<Weights>,
    pub(crate) state: Arc<TrainingState>,
    pub(crate) reference: Arc<[PairSums]>,
}

impl LearnerSnapshot for JobSnapshot {
    fn write(&self, folder: &Path) -> Result<(), LearnerError> {
        let policy = policy(&self.state.parameters, self.base.as_ref(), &self.config);
        self.encoder.save(folder).map_err(LearnerError::Device)?;
        save_folder(folder, &self.config, &policy, Precision::F32, DEFAULT_MAX_SHARD_BYTES)
            .map_err(|error| LearnerError::Device(error.to_string()))?;
        let beside = match &self.state.parameters {
            Parameters::Full(_) => None,
            Parameters::Adapters(adapters) => {
                peft::save(&folder.join(ADAPTER_FOLDER), adapters, &self.base_name)
                    .map_err(|error| LearnerError::Device(error.to_string()))?;
                Some(&*policy)
            }
        };
        checkpoint::save(folder, &self.state, &self.reference, beside)?;
        checkpoint::sync_folder(folder)
    }
}

/// The whole decoder that parameters make, with the base that adapters change.
pub(crate) fn policy(parameters: &Parameters, base: Option<&Weights>, config: &DecoderConfig) -> Weights {
    match (parameters, base) {
        (Parameters::Full(weights), _) => Arc::new(weights.clone()),
        (Parameters::Adapters(adapters), Some(base)) => Arc::new(adapters.merge(base, config)),
        (Parameters::Adapters(_), None) => unreachable!("adapters are trained beside a base"),
    }
}
