//! `[training]`: how the learner works, in imitation and in every later round.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_settings::Findings;

use crate::{
    CpuArithmetic, DpoSettings, LearnerSettings, LoraSettings, Precision, TrainingCommand, TrainingEngine,
};

/// How the learner works.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingSection {
    /// Who takes the steps.
    pub engine: TrainingEngine,
    /// The program that does, where `engine = "command"`.
    pub command: TrainingCommand,
    /// Round 0, on the demonstrations alone.
    pub imitation: LearnerSettings,
    /// Every later round, on its sealed set, where `round.algorithm = "sft"`.
    pub improvement: LearnerSettings,
    /// Every later round, on its sealed pairs, where `round.algorithm = "dpo"`. The defaults are those of Tulu 3 (Lambert
    /// et al. 2024, arXiv 2411.15124) and Zephyr (Tunstall et al. 2023, arXiv 2310.16944): one pass at a twentieth of the
    /// rate of imitation, without weight decay. Adapters bear ten times the rate.
    pub preference: LearnerSettings,
    /// What is minimised where `round.algorithm = "dpo"`, and how far that may go.
    pub dpo: DpoSettings,
    /// Low-rank adaptation.
    pub lora: LoraSettings,
    /// Number format of the matrices on GPUs that gradients are made on. Their masters and moments on the host are
    /// f32.
    pub precision: Precision,
    /// What the CPU multiplies weights in while it makes gradients. The weights themselves, their moments and all else stay
    /// in f32.
    pub cpu_arithmetic: CpuArithmetic,
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

impl Default for TrainingSection {
    fn default() -> Self {
        Self {
            engine: TrainingEngine::default(),
            command: TrainingCommand::default(),
            imitation: LearnerSettings::default(),
            improvement: LearnerSettings::default(),
            preference: LearnerSettings::of_pairs(),
            dpo: DpoSettings::default(),
            lora: LoraSettings::default(),
            precision: Precision::Bf16,
            cpu_arithmetic: CpuArithmetic::F32,
            micro_batch_tokens: 32_768,
            max_skipped_steps: 5,
            max_kept_parameters: 400_000_000,
            recompute_activations: false,
        }
    }
}

impl TrainingSection {
    /// Notes what cannot be trained.
    pub fn validate(&self, findings: &mut Findings) {
        self.imitation.validate("training.imitation", findings);
        self.improvement.validate("training.improvement", findings);
        self.preference.validate("training.preference", findings);
        findings.require(self.micro_batch_tokens > 0, "training.micro_batch_tokens", || {
            "must be at least 1".to_owned()
        });
        self.dpo.validate(findings);
        self.lora.validate(findings);
        if self.engine == TrainingEngine::Command {
            self.command.validate(findings);
        }
    }
}
