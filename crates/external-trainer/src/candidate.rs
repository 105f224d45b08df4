//! What a trainer brought becomes the final checkpoint of its job.

use std::time::{Duration, Instant};

use still_domain::CheckpointId;
use still_roles::{EventSink, SavedCheckpoint, TrainingEvent, TrainingFailure};

use crate::{
    checkpoints::{disk, record},
    output::{ADAPTER_OF_BASE, ADAPTER_OF_POLICY, Expected, free_memory_bytes},
    trainer::ExternalTrainer,
    work::Work,
};

/// Checks the output of a job at work and makes it durable; the inner error says why it cannot be a candidate. Blocks
/// while the model is read.
///
/// # Errors
/// When the disk fails.
pub(crate) fn take(
    given: &ExternalTrainer,
    work: &Work,
    events: &EventSink<TrainingEvent>,
) -> Result<Result<CheckpointId, String>, TrainingFailure> {
    let (folder, job) = (&work.folder, &work.job);
    let output = folder.output();
    if !folder.has_output() {
        return Ok(Err(format!("it says that it is done, and `{}` is not complete", output.display())));
    }
    let expected = Expected {
        config: &given.config,
        tokenizer: &given.tokenizer,
        probes: folder.probes(),
        threads: given.threads,
        memory_bytes: free_memory_bytes(),
    };
    let start = || {
        let start = job.start.as_ref();
        let found = start.map_or_else(|| given.library.base_weights(), |one| given.library.host_weights(one));
        found.map_err(|error| error.to_string())
    };
    let checked = match expected.check(output, &*given.merge, start) {
        Ok(checked) => checked,
        Err(reason) => {
            // another try must not find it
            folder.clear_output().map_err(|error| disk(output, &error))?;
            return Ok(Err(format!("what it brought cannot be a candidate: {reason}")));
        }
    };
    if let Some(remark) = &checked.remark {
        events.tell(TrainingEvent::Warning(remark.clone()));
    }
    let (began, step) = (Instant::now(), folder.total_steps());
    let pending = job.checkpoints.begin(step)?;
    let is_of_policy = job.start.as_ref().is_some_and(|start| start.checkpoint.is_some());
    let adapter_folder = if is_of_policy { ADAPTER_OF_POLICY } else { ADAPTER_OF_BASE };
    let placed = checked.place(output, &pending, adapter_folder, &given.config);
    placed.map_err(|error| disk(&pending, &error))?;
    given.encoder.save(&pending).map_err(TrainingFailure::Disk)?;
    record(&pending, folder.job(), step).map_err(|error| disk(&pending, &error))?;
    let checkpoint = job.checkpoints.commit(SavedCheckpoint {
        step,
        is_final: true,
        went_back_to: work.went_back_to,
        began,
        stall: Duration::ZERO,
    })?;
    if let Some(weights) = &checked.weights {
        given.library.remember(&job.checkpoints.folder(&checkpoint), weights);
    }
    folder.finish().map_err(|error| disk(folder.path(), &error))?;
    Ok(Ok(checkpoint))
}
