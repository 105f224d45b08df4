//! `[training]`: how the learner works, in imitation and in every later round.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_settings::Findings;

use super::device::Precision;

/// How the learner works.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingSection {
    /// Round 0, on the demonstrations alone.
    pub imitation: LearnerSettings,
    /// Every later round, on its sealed set.
    pub improvement: LearnerSettings,
    /// Direct preference optimisation, where `round.algorithm = "dpo"`.
    pub dpo: DpoSettings,
    /// Low-rank adaptation.
    pub lora: LoraSettings,
    /// Number format of the matrices on GPUs that gradients are made on. Their masters and moments on the host are
    /// f32, and so is all that the CPU computes.
    pub precision: Precision,
    /// Tokens that go through the device at once; a step's batch is cut into as many parts as it takes.
    pub micro_batch_tokens: u32,
    /// Steps in a row that may be left out because loss or gradient is not finite; one more, and training
    /// goes back to its last good state with half the learning rate. The fourth time it has failed.
    pub max_skipped_steps: u32,
    /// Trained parameters up to which the last good state is kept in the host's memory, beside the state at
    /// work; a larger job goes back to its newest checkpoint instead.
    pub max_kept_parameters: usize,
    /// Recompute activations layer by layer in the backward pass: slower, and memory grows far less with
    /// the length of the sequence.
    pub recompute_activations: bool,
}

/// One training job's length, batches and optimizer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LearnerSettings {
    /// Optimizer steps; 0 goes by `epochs`.
    pub steps: u64,
    /// Passes over the training set, where `steps` is 0.
    pub epochs: f64,
    /// Sequences of an optimizer step; 0 goes by `batch_tokens`.
    pub batch_sequences: u32,
    /// Tokens of an optimizer step, prompts included, where `batch_sequences` is 0.
    pub batch_tokens: u32,
    /// Longest sequence, in tokens; longer ones are left out and counted. 0 sets no limit.
    pub max_sequence_tokens: u32,
    /// Highest learning rate.
    pub peak_learning_rate: f64,
    /// Share of the steps over which the rate rises from 0 to its peak.
    pub warm_up_fraction: f64,
    /// The last rate as a share of the peak.
    pub final_fraction: f64,
    /// How the rate falls after the warm-up.
    pub schedule: Schedule,
    /// Decay of the two moments of `AdamW`.
    pub betas: [f64; 2],
    /// The term that keeps `AdamW`'s division finite.
    pub epsilon: f64,
    /// Decoupled weight decay of matrices.
    pub weight_decay: f64,
    /// Decay embeddings too.
    pub decay_embeddings: bool,
    /// Global norm that gradients are clipped to; 0 never clips.
    pub clip_norm: f64,
}

/// How the rate falls after the warm-up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Half a cosine down to the last rate.
    #[default]
    Cosine,
    /// A straight line down to the last rate.
    Linear,
    /// It stays at the peak.
    Constant,
}

/// Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DpoSettings {
    /// How strongly the policy is held to the reference.
    pub beta: f64,
    /// The tokens compared; the paper's best is the thought alone.
    pub span: DpoSpan,
    /// Weight of the negative log-likelihood of the chosen response added to the loss; 0 adds none.
    pub sft_coefficient: f64,
}

/// The tokens that preference optimisation compares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DpoSpan {
    /// The thought.
    #[default]
    Thought,
    /// The whole response.
    Full,
}

/// Low-rank adaptation (Hu et al. 2021, arXiv 2106.09685): small matrices beside the projections are trained
/// instead of all parameters. Every checkpoint holds the policy with them merged in, and where they are trained beside
/// the base model also them alone, in PEFT's layout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoraSettings {
    /// Rank of the update; 0 trains every parameter.
    pub rank: u32,
    /// The update is scaled by alpha / rank.
    pub alpha: f64,
    /// Projections that are adapted.
    pub targets: Vec<String>,
}

impl Default for TrainingSection {
    fn default() -> Self {
        Self {
            imitation: LearnerSettings::default(),
            improvement: LearnerSettings::default(),
            dpo: DpoSettings::default(),
            lora: LoraSettings::default(),
            precision: Precision::Bf16,
            micro_batch_tokens: 32_768,
            max_skipped_steps: 5,
            max_kept_parameters: 400_000_000,
            recompute_activations: false,
        }
    }
}

impl Default for LearnerSettings {
    fn default() -> Self {
        Self {
            steps: 0,
            epochs: 3.0,
            batch_sequences: 96,
            batch_tokens: 0,
            max_sequence_tokens: 20_000,
            peak_learning_rate: 1e-5,
            warm_up_fraction: 0.1,
            final_fraction: 0.0,
            schedule: Schedule::Cosine,
            betas: [0.9, 0.999],
            epsilon: 1e-8,
            weight_decay: 0.1,
            decay_embeddings: false,
            clip_norm: 1.0,
        }
    }
}

impl Default for DpoSettings {
    fn default() -> Self {
        Self { beta: 0.1, span: DpoSpan::Thought, sft_coefficient: 0.0 }
    }
}

impl Default for LoraSettings {
    fn default() -> Self {
        let targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
        Self { rank: 0, alpha: 32.0, targets: targets.map(str::to_owned).to_vec() }
    }
}

impl TrainingSection {
    /// Notes what cannot be trained.
    pub fn validate(&self, findings: &mut Findings) {
        self.imitation.validate("training.imitation", findings);
        self.improvement.validate("training.improvement", findings);
        findings.require(self.micro_batch_tokens > 0, "training.micro_batch_tokens", || {
            "must be at least 1".to_owned()
        });
        let (beta, sft) = (self.dpo.beta, self.dpo.sft_coefficient);
        findings.require(beta > 0.0 && beta.is_finite(), "training.dpo.beta", || {
            format!("must be above 0, not {beta}")
        });
        findings.require(sft >= 0.0 && sft.is_finite(), "training.dpo.sft_coefficient", || {
            format!("must be 0 or above, not {sft}")
        });
        if self.lora.rank > 0 {
            findings.require(!self.lora.targets.is_empty(), "training.lora.targets", || {
                "name at least one projection, for example \"q_proj\"".to_owned()
            });
            findings.require(self.lora.alpha > 0.0, "training.lora.alpha", || "must be above 0".to_owned());
            for target in &self.lora.targets {
                findings.require(
                    LoraSettings::default().targets.contains(target),
                    "training.lora.targets",
                    || {
                        let known = LoraSettings::default().targets.join(", ");
                        format!("`{target}` is no projection: choose among {known}")
                    },
                );
            }
        }
    }
}

impl LearnerSettings {
    fn validate(&self, section: &str, findings: &mut Findings) {
        let mut require = |holds: bool, key: &str, wanted: &str| {
            findings.require(holds, &format!("{section}.{key}"), || wanted.to_owned());
        };
        require(self.steps > 0 || self.epochs > 0.0, "steps", "give steps or epochs above 0");
        require(
            self.batch_sequences > 0 || self.batch_tokens > 0,
            "batch_sequences",
            "give batch_sequences or batch_tokens above 0",
        );
        let rate = self.peak_learning_rate;
        require(rate > 0.0 && rate < 1.0, "peak_learning_rate", "must be above 0 and below 1");
        require((0.0..=1.0).contains(&self.warm_up_fraction), "warm_up_fraction", "must be from 0 to 1");
        require((0.0..=1.0).contains(&self.final_fraction), "final_fraction", "must be from 0 to 1");
        require(
            self.betas.iter().all(|beta| (0.0..1.0).contains(beta)),
            "betas",
            "must be from 0 to below 1",
        );
        require(self.epsilon > 0.0, "epsilon", "must be above 0");
        require(self.weight_decay >= 0.0, "weight_decay", "must be 0 or above");
        require(self.clip_norm >= 0.0, "clip_norm", "must be 0 or above");
    }
}
