//! The settings of `still-recipe` in the terms of the learner's parts.

use still_decoder::Arithmetic;
use still_recipe::{CpuArithmetic, Precision, TrainingSection};
use still_tensor_decoder::{LoraConfig, Projection, TensorPrecision};

/// How the learner works.
#[derive(Debug, Clone, PartialEq)]
pub struct LearnerConfig {
    /// The settings of a training job.
    pub training: TrainingSection,
    /// Threads of the CPU's fused operators.
    pub threads: usize,
}

impl LearnerConfig {
    /// Adapters that are trained beside the policy, instead of all its parameters; the published policy has them merged
    /// in.
    pub fn lora(&self) -> Option<LoraConfig> {
        let lora = &self.training.lora;
        (lora.rank > 0).then(|| LoraConfig {
            rank: lora.rank as usize,
            alpha: lora.alpha,
            // the check of the settings has refused names that are none
            targets: lora.targets.iter().filter_map(|name| Projection::from_name(name)).collect(),
        })
    }

    /// How matrices are stored where composed operators make gradients; fused operators take f32 alone. Masters and
    /// moments are f32 all the same.
    pub const fn precision(&self) -> TensorPrecision {
        tensor_precision(self.training.precision)
    }

    /// What the processor multiplies weights in.
    pub(crate) const fn arithmetic(&self) -> Arithmetic {
        match self.training.cpu_arithmetic {
            CpuArithmetic::F32 => Arithmetic::F32,
            CpuArithmetic::Bf16 => Arithmetic::Bf16,
        }
    }

    /// Tokens that go through the device at once.
    pub(crate) const fn micro_batch_tokens(&self) -> usize {
        self.training.micro_batch_tokens as usize
    }
}

/// A number format as burn's decoder names it.
pub const fn tensor_precision(precision: Precision) -> TensorPrecision {
    match precision {
        Precision::F32 => TensorPrecision::F32,
        Precision::Bf16 => TensorPrecision::Bf16,
    }
}

#[cfg(test)]
mod tests {
    use still_recipe::LoraSettings;

    use super::*;

    #[test]
    fn every_projection_that_may_be_named_is_one() {
        let lora = LoraSettings { rank: 1, ..LoraSettings::default() };
        let config =
            LearnerConfig { training: TrainingSection { lora, ..TrainingSection::default() }, threads: 1 };
        assert_eq!(config.lora().unwrap().targets, Projection::ALL);
    }
}
