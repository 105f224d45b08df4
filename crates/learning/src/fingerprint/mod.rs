//! What a training job is known by from one start of the program to the next: a checkpoint is gone on from only by the
//! job that wrote it.
//!
//! The name holds everything that the job's steps depend on and that no checkpoint holds, field by field
//! ([`NamedFields`]). Names that programs gave before it had a version are in [`legacy`].

mod legacy;

use still_decoder::DecoderWeights;
use still_domain::fingerprint::NamedFields;
use still_recipe::{CpuArithmetic, LearnerSettings, OptimizerName, PreferenceLoss, TrainingSection};
use still_roles::TrainingJob;
use still_training_data::{Examples, JobVersion, identity};

use crate::config::LearnerConfig;

/// What makes a job this job and no other.
pub(crate) struct JobIdentity<'a> {
    /// What its steps are made of.
    pub(crate) version: JobVersion,
    pub(crate) job: &'a TrainingJob,
    pub(crate) learner: &'a LearnerConfig,
    pub(crate) config: &'a LearnerSettings,
    pub(crate) examples: &'a Examples,
    /// What adapters are trained beside.
    pub(crate) frozen: Option<&'a DecoderWeights>,
}

impl JobIdentity<'_> {
    /// The name that checkpoints of the job are written under.
    pub(crate) fn name(&self) -> String {
        // every setting of the learner is named here, so that a new one cannot be forgotten
        let TrainingSection {
            imitation: _,
            improvement: _,
            preference: _,
            dpo,
            lora,
            precision,
            cpu_arithmetic,
            micro_batch_tokens,
            // these change when a step is taken, and not what comes of it
            recompute_activations: _,
            // these say who takes steps, and not what they are
            engine: _,
            command: _,
            max_skipped_steps: _,
            max_kept_parameters: _,
        } = &self.learner.training;
        let mut fields = NamedFields::new(context(self.version))
            .text("training_set", self.job.training_set.as_str())
            .number("seed", self.job.seed)
            .record("job", &identity::settings(self.config))
            .text("precision", identity::precision_name(*precision))
            .number("micro_batch_tokens", u64::from(*micro_batch_tokens))
            .bytes("examples", self.hash_of_examples().as_bytes());
        let start = self.job.start.as_ref().and_then(|start| start.checkpoint.as_ref());
        if let (JobVersion::Three, Some(checkpoint)) = (self.version, start) {
            fields = fields.text("start", checkpoint.as_str());
        }
        if matches!(self.examples, Examples::Dpo(_)) {
            fields = fields.record("dpo", &identity::preferences(dpo));
        }
        if *cpu_arithmetic == CpuArithmetic::Bf16 {
            fields = fields.text("cpu_arithmetic", "bf16");
        }
        if lora.rank > 0 {
            fields = fields.record("lora", &identity::adapters(lora));
        }
        if let Some(frozen) = self.frozen {
            let mut hasher = blake3::Hasher::new();
            visit_bytes(frozen, |bytes| _ = hasher.update(bytes));
            fields = fields.bytes("frozen", hasher.finalize().as_bytes());
        }
        fields.finish()
    }

    /// Whether a job of the version was ever called that, by this program or by one before it.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        let is_of_legacy = self.version == JobVersion::Two
            && self.learner.training.cpu_arithmetic == CpuArithmetic::F32
            && self.learner.training.dpo.loss == PreferenceLoss::Sigmoid
            && self.config.optimizer == OptimizerName::AdamW;
        name == self.name() || (is_of_legacy && name == legacy::name(self))
    }

    fn hash_of_examples(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        identity::visit_sequences(self.examples, |bytes| _ = hasher.update(bytes));
        hasher.finalize()
    }
}

/// What is hashed, and the version of that.
const fn context(version: JobVersion) -> &'static str {
    match version {
        JobVersion::Two => "still learner job 2",
        JobVersion::Three => "still learner job 3",
    }
}

/// Every parameter as bytes, little-endian.
fn visit_bytes(weights: &DecoderWeights, mut visit: impl FnMut(&[u8])) {
    weights.visit(|values| {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        visit(&bytes);
    });
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use still_domain::{Algorithm, Recipe, RoundNumber, TrainingSetId};
    use still_recipe::{DpoSettings, LoraSettings, Precision};
    use still_roles::{ExamplesInMemory, NoCheckpoints};
    use still_training_data::Sequence;

    use super::*;

    pub(crate) fn learner(change: impl FnOnce(&mut TrainingSection)) -> LearnerConfig {
        let mut training = TrainingSection { precision: Precision::F32, ..TrainingSection::default() };
        change(&mut training);
        LearnerConfig { training, threads: 1 }
    }

    pub(crate) fn job_of(training_set: &str) -> TrainingJob {
        let objective = Algorithm::Sft;
        TrainingJob {
            round: RoundNumber(1),
            training_set: TrainingSetId::new(training_set),
            legacy_training_set: None,
            recipe: Recipe::Improvement,
            objective,
            examples: Arc::new(ExamplesInMemory(Vec::new())),
            start: None,
            seed: 7,
            checkpoint_every_steps: 0,
            checkpoints: Arc::new(NoCheckpoints),
        }
    }

    pub(crate) fn examples() -> Examples {
        Examples::Sft([Sequence { tokens: vec![1, 2, 3], prompt_tokens: 1, target: 1..3 }].into())
    }

    fn name(learner: &LearnerConfig, config: &LearnerSettings, examples: &Examples) -> String {
        name_of(JobVersion::Three, learner, config, examples)
    }

    fn name_of(
        version: JobVersion,
        learner: &LearnerConfig,
        config: &LearnerSettings,
        examples: &Examples,
    ) -> String {
        JobIdentity { version, job: &job_of("set"), learner, config, examples, frozen: None }.name()
    }

    #[test]
    fn a_job_keeps_its_name_for_ever() {
        // checkpoints of earlier programs are found by it: whoever changes it must go on to recognise this one
        let learner = learner(|_| {});
        let name = |version| name_of(version, &learner, &LearnerSettings::default(), &examples());
        assert_eq!(name(JobVersion::Two), "fb62bc2d104c7c43706dae110f8622e5631edd301288a522bbb25c558844a1b4");
        assert_eq!(
            name(JobVersion::Three),
            "fe984f12a63bd7d4d3bdd5f75567327ea2577c5a8c22afab206b11a0f3abfcf9"
        );
    }

    #[test]
    fn what_a_step_depends_on_is_in_the_name_and_nothing_else() {
        let (learner, config) = (learner(|_| {}), LearnerSettings::default());
        let one = name(&learner, &config, &examples());
        let mut other = config.clone();
        other.peak_learning_rate *= 2.0;
        assert_ne!(name(&learner, &other, &examples()), one);
        let shifted =
            Examples::Sft([Sequence { tokens: vec![1, 2, 3], prompt_tokens: 1, target: 2..3 }].into());
        assert_ne!(name(&learner, &config, &shifted), one);
        let rounded = self::learner(|training| training.cpu_arithmetic = CpuArithmetic::Bf16);
        assert_ne!(name(&rounded, &config, &examples()), one);
        let lora = LoraSettings { rank: 2, ..LoraSettings::default() };
        assert_ne!(name(&self::learner(|training| training.lora = lora), &config, &examples()), one);

        let elsewhere =
            LearnerConfig { threads: 8, ..self::learner(|training| training.recompute_activations = true) };
        assert_eq!(name(&elsewhere, &config, &examples()), one);
        let unread = self::learner(|training| training.dpo.beta = 0.5);
        assert_eq!(name(&unread, &config, &examples()), one, "no pairs");

        let sequence = Sequence { tokens: vec![1, 2, 3], prompt_tokens: 1, target: 1..3 };
        let pairs = Examples::Dpo([(sequence.clone(), sequence)].into());
        let name_of_pairs = |change: fn(&mut DpoSettings)| {
            name(&self::learner(|training| change(&mut training.dpo)), &config, &pairs)
        };
        let plain = name_of_pairs(|_| {});
        assert_ne!(name_of_pairs(|dpo| dpo.loss = PreferenceLoss::Ipo), plain);
        assert_ne!(name_of_pairs(|dpo| dpo.beta = 0.5), plain);
        assert_eq!(name_of_pairs(|dpo| dpo.max_margin = 1.0), plain, "a bound changes no step");
    }

    #[test]
    fn a_loss_is_called_in_a_name_what_it_is_called_in_a_configuration() {
        for loss in [PreferenceLoss::Sigmoid, PreferenceLoss::SigmoidNorm, PreferenceLoss::Ipo] {
            assert_eq!(serde_json::to_value(loss).unwrap(), loss.name());
        }
    }
}
