//! What a training job looks like.

use still_policy::{LoraConfig, TensorPrecision};

use crate::schedule::Schedule;

/// How the learner works.
#[derive(Debug, Clone, PartialEq)]
pub struct LearnerConfig {
    /// Round 0, on the demonstrations alone.
    pub imitation: JobConfig,
    /// Every later round.
    pub improvement: JobConfig,
    /// Direct preference optimisation.
    pub dpo: DpoConfig,
    /// Low-rank adapters that are trained beside the policy, instead of all its parameters; the published
    /// policy has them merged in.
    pub lora: Option<LoraConfig>,
    /// Threads of the CPU's fused operators.
    pub threads: usize,
    /// How matrices are stored where composed operators make gradients; fused operators take f32 alone. Masters and
    /// moments are f32 all the same.
    pub precision: TensorPrecision,
    /// Compute activations again in the backward pass instead of keeping them.
    pub recompute_activations: bool,
    /// Tokens that go through the device at once; a step's batch is cut into as many parts as it takes.
    pub micro_batch_tokens: usize,
    /// Steps in a row that may be left out because a number was not finite; one more, and training goes back
    /// to its last good state with a lower rate.
    pub max_skipped_steps: u32,
    /// Trained parameters up to which the last good state is kept in memory; a larger job goes back to a
    /// checkpoint.
    pub max_kept_parameters: usize,
}

/// One job's length, batches and optimizer.
#[derive(Debug, Clone, PartialEq)]
pub struct JobConfig {
    /// Optimizer steps; 0 goes by `epochs`.
    pub steps: u64,
    /// Passes over the examples, where `steps` is 0.
    pub epochs: f64,
    /// Sequences (SFT) or pairs (DPO) of a step; 0 goes by `batch_tokens`.
    pub batch_sequences: usize,
    /// Tokens of a step, where `batch_sequences` is 0.
    pub batch_tokens: usize,
    /// Longest sequence, in tokens; longer examples are left out and counted. 0 sets no limit.
    pub max_sequence_tokens: usize,
    /// The learning rate over the job.
    pub schedule: Schedule,
    /// Decay of `AdamW`'s two moments.
    pub betas: [f64; 2],
    /// The term that keeps `AdamW`'s division finite.
    pub epsilon: f64,
    /// Decoupled weight decay of matrices; norms and biases never decay.
    pub weight_decay: f64,
    /// Whether embeddings and head decay too.
    pub decay_embeddings: bool,
    /// Global norm that gradients are clipped to; 0 never clips.
    pub clip_norm: f64,
}

/// Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DpoConfig {
    /// How strongly the policy is held to the reference.
    pub beta: f64,
    /// The tokens compared.
    pub span: DpoSpan,
    /// Weight of the chosen responses' negative log-likelihood in the loss.
    pub sft_coefficient: f64,
}

/// The tokens that preference optimisation compares. A mask chooses them; the text is never cut, which would
/// teach the model to stop after the thought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DpoSpan {
    /// The thought.
    #[default]
    Thought,
    /// The whole response.
    Full,
}

impl Default for LearnerConfig {
    fn default() -> Self {
        Self {
            imitation: JobConfig::default(),
            improvement: JobConfig::default(),
            dpo: DpoConfig::default(),
            lora: None,
            threads: 1,
            precision: TensorPrecision::F32,
            recompute_activations: false,
            micro_batch_tokens: 32_768,
            max_skipped_steps: 5,
            max_kept_parameters: 400_000_000,
        }
    }
}

impl Default for JobConfig {
    fn default() -> Self {
        Self {
            steps: 0,
            epochs: 3.0,
            batch_sequences: 96,
            batch_tokens: 0,
            max_sequence_tokens: 20_000,
            schedule: Schedule::default(),
            betas: [0.9, 0.999],
            epsilon: 1e-8,
            weight_decay: 0.1,
            decay_embeddings: false,
            clip_norm: 1.0,
        }
    }
}

impl Default for DpoConfig {
    fn default() -> Self {
        Self { beta: 0.1, span: DpoSpan::Thought, sft_coefficient: 0.0 }
    }
}
