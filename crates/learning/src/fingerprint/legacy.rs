//! Jobs as programs named them before names had a version: by a text that happened to be the `Debug` form of the
//! settings. It is written out here and never changes; a job that was begun under it goes on.

use still_recipe::{DpoSettings, DpoSpan, LearnerSettings, LoraSettings, Precision, Schedule};

use still_training_data::identity::visit_sequences;

use super::{JobIdentity, visit_bytes};

/// The name without a version.
pub(super) fn name(identity: &JobIdentity<'_>) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(text(identity).as_bytes());
    visit_sequences(identity.examples, |bytes| _ = hasher.update(bytes));
    if let Some(frozen) = identity.frozen {
        visit_bytes(frozen, |bytes| _ = hasher.update(bytes));
    }
    hasher.finalize().to_hex().to_string()
}

fn text(identity: &JobIdentity<'_>) -> String {
    let JobIdentity { job, learner, config, .. } = identity;
    let training_set = job.legacy_training_set.as_ref().unwrap_or(&job.training_set);
    let training = &learner.training;
    let precision = match training.precision {
        Precision::F32 => "F32",
        Precision::Bf16 => "Bf16",
    };
    format!(
        "{} {training_set} {} {} {} {} {precision} {}",
        job.round,
        job.seed,
        preferences(&training.dpo),
        settings(config),
        adapters(&training.lora),
        training.micro_batch_tokens
    )
}

fn preferences(dpo: &DpoSettings) -> String {
    let span = match dpo.span {
        DpoSpan::Thought => "Thought",
        DpoSpan::Full => "Full",
    };
    format!("DpoConfig {{ beta: {:?}, span: {span}, sft_coefficient: {:?} }}", dpo.beta, dpo.sft_coefficient)
}

fn settings(config: &LearnerSettings) -> String {
    let decay = match config.schedule {
        Schedule::Cosine => "Cosine",
        Schedule::Linear => "Linear",
        Schedule::Constant => "Constant",
    };
    format!(
        "JobConfig {{ steps: {}, epochs: {:?}, batch_sequences: {}, batch_tokens: {}, max_sequence_tokens: {}, \
         schedule: Schedule {{ peak: {:?}, warm_up_fraction: {:?}, final_fraction: {:?}, decay: {decay} }}, \
         betas: {:?}, epsilon: {:?}, weight_decay: {:?}, decay_embeddings: {}, clip_norm: {:?} }}",
        config.steps,
        config.epochs,
        config.batch_sequences,
        config.batch_tokens,
        config.max_sequence_tokens,
        config.peak_learning_rate,
        config.warm_up_fraction,
        config.final_fraction,
        config.betas,
        config.epsilon,
        config.weight_decay,
        config.decay_embeddings,
        config.clip_norm
    )
}

fn adapters(lora: &LoraSettings) -> String {
    if lora.rank == 0 {
        return "None".to_owned();
    }
    let targets = lora.targets.iter().filter_map(|target| match target.as_str() {
        "q_proj" => Some("Query"),
        "k_proj" => Some("Key"),
        "v_proj" => Some("Value"),
        "o_proj" => Some("Output"),
        "gate_proj" => Some("Gate"),
        "up_proj" => Some("Up"),
        "down_proj" => Some("Down"),
        _ => None,
    });
    let targets = targets.collect::<Vec<_>>().join(", ");
    format!("Some(LoraConfig {{ rank: {}, alpha: {:?}, targets: [{targets}] }})", lora.rank, lora.alpha)
}

#[cfg(test)]
mod tests {
    use still_domain::TrainingSetId;

    use super::{super::tests, *};
    use still_training_data::JobVersion;

    #[test]
    fn the_text_is_what_programs_before_wrote() {
        let targets = ["q_proj", "down_proj"].map(str::to_owned).to_vec();
        let lora = LoraSettings { rank: 8, alpha: 16.0, targets };
        let learner = tests::learner(|training| training.lora = lora);
        let (job, examples) = (tests::job_of("set"), tests::examples());
        let (job, config) = (&job, &LearnerSettings::default());
        let version = JobVersion::Two;
        let identity =
            JobIdentity { version, job, learner: &learner, config, examples: &examples, frozen: None };
        assert_eq!(
            text(&identity),
            "1 set 7 DpoConfig { beta: 0.1, span: Thought, sft_coefficient: 0.0 } JobConfig { steps: 0, epochs: 3.0, \
             batch_sequences: 96, batch_tokens: 0, max_sequence_tokens: 20000, schedule: Schedule { peak: 1e-5, \
             warm_up_fraction: 0.1, final_fraction: 0.0, decay: Cosine }, betas: [0.9, 0.999], epsilon: 1e-8, \
             weight_decay: 0.1, decay_embeddings: false, clip_norm: 1.0 } Some(LoraConfig { rank: 8, alpha: 16.0, \
             targets: [Query, Down] }) F32 32768"
        );
    }

    #[test]
    fn a_job_is_known_by_its_name_and_by_the_one_it_had_before() {
        let (learner, config) = (tests::learner(|_| {}), LearnerSettings::default());
        let (mut job, examples) = (tests::job_of("set"), tests::examples());
        let known = |job: &_, name: &str| {
            let (version, learner, config, examples) = (JobVersion::Two, &learner, &config, &examples);
            let identity = JobIdentity { version, job, learner, config, examples, frozen: None };
            (identity.is_called(name), identity.name(), super::name(&identity))
        };
        let (_, name, before) = known(&job, "");
        assert_ne!(name, before);
        assert!(known(&job, &name).0 && known(&job, &before).0);
        job.training_set = TrainingSetId::new("set under a new name");
        assert!(!known(&job, &before).0);
        job.legacy_training_set = Some(TrainingSetId::new("set"));
        assert!(known(&job, &before).0 && !known(&job, &name).0);
    }
}
