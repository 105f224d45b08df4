//! A job as it stood after a step, written while training goes on.

use std::{path::Path, sync::Arc};

use still_decoder::{
    DecoderConfig,
    hugging_face::{DEFAULT_MAX_SHARD_BYTES, Precision, save_folder},
};
use still_embedded::{LearnerError, LearnerSnapshot};
use still_tensor_decoder::peft;
use still_training_data::ExampleEncoder;

use crate::{
    checkpoint::{self, TrainingState},
    learner::ModelName,
    loss::PairSums,
    trained::Trained,
};

/// Folder of trained adapters inside a checkpoint.
pub(crate) const ADAPTER_FOLDER: &str = "adapter";

/// A job as it stood. Matrices are shared with the learner until its next update changes them.
pub(crate) struct JobSnapshot {
    pub(crate) config: DecoderConfig,
    pub(crate) encoder: Arc<dyn ExampleEncoder>,
    /// What others load the policy by that adapters are trained beside, if they can.
    pub(crate) base_name: Option<ModelName>,
    pub(crate) state: Arc<TrainingState>,
    pub(crate) reference: Arc<[PairSums]>,
}

impl LearnerSnapshot for JobSnapshot {
    fn write(&self, folder: &Path) -> Result<(), LearnerError> {
        let policy = self.state.trained.policy(&self.config);
        self.encoder.save(folder).map_err(LearnerError::Disk)?;
        save_folder(folder, &self.config, &policy, Precision::F32, DEFAULT_MAX_SHARD_BYTES)
            .map_err(|error| LearnerError::Disk(error.to_string()))?;
        let beside = match &self.state.trained {
            Trained::Full(_) => None,
            Trained::Adapters { adapters, .. } => {
                if let Some(base) = &self.base_name {
                    let folder = folder.join(ADAPTER_FOLDER);
                    peft::save(&folder, adapters, &base.name, base.revision.as_deref())
                        .map_err(|error| LearnerError::Disk(error.to_string()))?;
                }
                Some(&*policy)
            }
        };
        checkpoint::save(folder, &self.state, &self.reference, beside)?;
        checkpoint::sync_folder(folder)
    }
}
