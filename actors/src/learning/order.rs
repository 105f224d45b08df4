//! What an order to train leads to: the round's finished training, or a job.

use std::sync::Arc;

use ractor::ActorProcessingErr;
use still_domain::{PolicyRef, seed};
use still_roles::TrainingJob;
use still_store::CheckpointsSection;

use crate::{
    ground::{
        observe::Observer,
        protocol::{TrainedPolicy, TrainingOrder},
        store_access::StoreAccess,
    },
    learning::{round_checkpoints::RoundCheckpoints, sealed_examples::SealedExamples},
};

/// What an order leads to.
pub(super) enum Prepared {
    /// Its final checkpoint is there.
    Done(TrainedPolicy),
    /// There is training to do.
    Job(Box<TrainingJob>),
}

/// Gathers a job from the store. Blocks.
pub(super) fn prepare(
    access: &StoreAccess,
    observer: &Observer,
    order: &TrainingOrder,
    settings: CheckpointsSection,
    run_seed: u64,
) -> Result<Prepared, ActorProcessingErr> {
    let checkpoint_every_steps = settings.every_steps;
    if let Some(checkpoint) = access.checkpoints.finished(order.round, &order.training_set)? {
        return Ok(Prepared::Done(TrainedPolicy { round: order.round, checkpoint, loss: None }));
    }
    let set = access
        .store
        .training_set(&order.training_set)?
        .ok_or_else(|| format!("training set {} is not in the store", order.training_set))?;
    let start = match order.start_from {
        None => None,
        Some(version) => {
            let record = access.store.policy(version)?;
            Some(PolicyRef::from(&record.ok_or_else(|| format!("policy {version} is not in the store"))?))
        }
    };
    let checkpoints = RoundCheckpoints {
        access: access.clone(),
        observer: observer.clone(),
        retention: settings,
        round: order.round,
        training_set: order.training_set.clone(),
    };
    Ok(Prepared::Job(Box::new(TrainingJob {
        round: order.round,
        training_set: order.training_set.clone(),
        legacy_training_set: None,
        recipe: order.recipe,
        objective: order.objective,
        examples: Arc::new(SealedExamples::new(access.clone(), set)),
        start,
        seed: seed::derive(run_seed, &["training", &order.round.to_string()]),
        checkpoint_every_steps,
        checkpoints: Arc::new(checkpoints),
    })))
}
