//! What generates where, with how many rollouts at once: each GPU's memory is shared out before anything
//! starts.
//!
//! A GPU holds the weights of every role that runs on it; what is left goes to key-value caches, in
//! proportion to the rollouts that each generator is asked to hold. Where the driver tells no memory (the
//! processor, or a plan made on another machine), the configured numbers stand as they are.

use std::collections::BTreeSet;

use still_control::{Exit, Failure};
use still_decoder::{CpuDecoder, DecoderConfig, WeightPrecision};
use still_learning::{LearnerDevice, tensor_precision};
use still_operator::config::{Config, Device, DeviceSection};
use still_tensor_decoder::{CacheSize, DecoderMemory, DeviceError, DeviceName, TensorPrecision};

use crate::host_memory;

/// Prompt tokens that a step runs on a GPU.
pub const GPU_PREFILL_TOKENS: usize = 2_048;
/// Prompt tokens that a step runs on the processor.
const CPU_PREFILL_TOKENS: usize = 512;
/// Of a GPU's memory, what is planned with; the rest is the driver's and for what no plan foresees.
const PLANNED_SHARE: f64 = 0.92;
/// Steps in which the rollouts at once are lowered until they fit.
const SHARES: usize = 1_000;

/// Where every generator runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The samplers', in the order of `device.samplers`; none where servers draw rollouts.
    pub samplers: Vec<GeneratorPlacement>,
    /// The evaluator's, unless servers draw its answers.
    pub evaluator: Option<GeneratorPlacement>,
}

/// Where a generator runs, and how much it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratorPlacement {
    /// The device.
    pub device: Device,
    /// What matrices are stored in.
    pub precision: TensorPrecision,
    /// Rollouts at once that were asked for.
    pub wanted_rollouts: usize,
    /// Rollouts at once that there is room for.
    pub rollouts: usize,
    /// Tokens of a rollout, prompt included.
    pub tokens: usize,
}

/// What a generator takes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GeneratorMemory {
    /// The parameters.
    pub weights: usize,
    /// Keys and values of every rollout.
    pub cache: usize,
    /// What a step takes at most.
    pub step: usize,
}

impl Placement {
    /// Places the generators of a run. Of a GPU, `total_bytes` tells the memory where it is known, and
    /// `learner_bytes` is what the learner takes of each of its own.
    ///
    /// # Errors
    /// When a GPU has not the room for one rollout of each generator on it.
    pub fn new(
        config: &Config,
        decoder: &DecoderConfig,
        learner_bytes: usize,
        total_bytes: impl Fn(Device) -> Option<usize>,
    ) -> Result<Self, Failure> {
        if still_engines::is_remote(&config.engines) {
            return Ok(Self { samplers: Vec::new(), evaluator: None });
        }
        let (exploration, evaluation) = (&config.exploration, &config.evaluation);
        let prompt_tokens = config.task.max_prompt_tokens;
        let precision = tensor_precision(config.device.precision);
        let placed = |device, wanted_rollouts: usize, new_tokens: u32| GeneratorPlacement {
            device,
            precision,
            wanted_rollouts,
            rollouts: wanted_rollouts,
            tokens: decoder.max_position_count.min((new_tokens as usize).saturating_add(prompt_tokens)),
        };
        let samplers = &config.device.samplers;
        let sampler = |device: &Device| {
            placed(*device, exploration.concurrent_rollouts, exploration.sampling.max_new_tokens)
        };
        let evaluator = placed(
            config.device.evaluator,
            evaluation.concurrent_rollouts,
            evaluation.sampling.max_new_tokens,
        );
        let samplers = samplers.iter().map(sampler).collect();
        let mut placement = Self { samplers, evaluator: Some(evaluator) };
        let gpus: BTreeSet<usize> = placement.all().filter_map(|placed| gpu(placed.device)).collect();
        for number in gpus {
            let device = Device::Cuda(number);
            let Some(total) = total_bytes(device) else { continue };
            let planned = (total as f64 * PLANNED_SHARE) as usize;
            let taken = if config.device.learners.contains(&device) { learner_bytes } else { 0 };
            placement.fit(device, decoder, planned, taken)?;
        }
        Ok(placement)
    }

    /// Where every generator runs.
    pub fn all(&self) -> impl Iterator<Item = &GeneratorPlacement> {
        self.samplers.iter().chain(&self.evaluator)
    }

    /// Lowers the rollouts at once on a device until they fit beside what is taken there.
    fn fit(
        &mut self,
        device: Device,
        decoder: &DecoderConfig,
        planned: usize,
        taken: usize,
    ) -> Result<(), Failure> {
        let needed = |share: usize| -> usize {
            let here = self.all().filter(|placed| placed.device == device);
            here.map(|placed| placed.with_share(share).memory(decoder).total()).sum::<usize>() + taken
        };
        let (mut fitting, mut unknown) = (0, SHARES);
        if needed(0) > planned {
            let message = format!(
                "{device} is too small: one rollout of each generator and the learner take {}, planned with \
                 are {}; use a smaller model, shorter rollouts (`max_new_tokens`), `device.precision = \
                 \"bf16\"` or one more GPU",
                in_words(needed(0)),
                in_words(planned)
            );
            return Err(Failure::new(Exit::Device, message));
        }
        while fitting < unknown {
            let middle = fitting + (unknown - fitting).div_ceil(2);
            if needed(middle) <= planned { fitting = middle } else { unknown = middle - 1 }
        }
        for placed in self.samplers.iter_mut().chain(&mut self.evaluator) {
            if placed.device == device {
                *placed = placed.with_share(fitting);
            }
        }
        Ok(())
    }
}

impl GeneratorPlacement {
    /// The same with a share, of [`SHARES`], of the rollouts that were asked for; one at least.
    fn with_share(&self, share: usize) -> Self {
        Self { rollouts: (self.wanted_rollouts * share / SHARES).max(1), ..self.clone() }
    }

    /// What the generator takes.
    pub fn memory(&self, decoder: &DecoderConfig) -> GeneratorMemory {
        if self.device == Device::Cpu {
            let in_bf16 = self.precision == TensorPrecision::Bf16;
            let bytes = |slots, step_tokens, logits| {
                CpuDecoder::memory_bytes(decoder, in_bf16, slots, self.tokens, step_tokens, logits)
            };
            let (weights, held) = (bytes(0, 0, 0), bytes(self.rollouts, 0, 0));
            let step = bytes(self.rollouts, CPU_PREFILL_TOKENS, self.rollouts) - held;
            return GeneratorMemory { weights, cache: held - weights, step };
        }
        let size = CacheSize { slots: self.rollouts, slot_capacity_tokens: self.tokens };
        let memory = DecoderMemory::of(decoder, self.precision, size, GPU_PREFILL_TOKENS);
        GeneratorMemory { weights: memory.weights_bytes, cache: memory.cache_bytes, step: memory.step_bytes }
    }
}

impl GeneratorMemory {
    /// All of it.
    pub const fn total(self) -> usize {
        self.weights + self.cache + self.step
    }
}

/// How the processor stores matrices, and multiplies by them.
pub const fn weight_precision(precision: TensorPrecision) -> WeightPrecision {
    match precision {
        TensorPrecision::F32 => WeightPrecision::AsGiven,
        TensorPrecision::Bf16 => WeightPrecision::Bf16,
    }
}

/// The configuration's device as the policy names it.
pub const fn device_name(device: Device) -> DeviceName {
    match device {
        Device::Cpu => DeviceName::Cpu,
        Device::Cuda(number) => DeviceName::Cuda(number),
    }
}

/// The learner's devices, ready for gradients. `precision` is what GPUs store matrices in.
///
/// # Errors
/// When a device is not there, or the program was built without it.
pub fn open_learners(
    section: &DeviceSection,
    precision: TensorPrecision,
) -> Result<Vec<LearnerDevice>, DeviceError> {
    let open = |device: &Device| match device {
        Device::Cpu => Ok(LearnerDevice::Processor),
        Device::Cuda(_) => {
            let opened = device_name(*device).open()?.autodiff();
            Ok(LearnerDevice::Tensors(opened, precision))
        }
    };
    section.learners.iter().map(open).collect()
}

/// The memory of a device, as its driver tells it; of the processor, the host's.
pub fn total_bytes(device: Device) -> Option<usize> {
    match device {
        Device::Cpu => host_memory::total_bytes(),
        Device::Cuda(_) => device_name(device).memory().map(|memory| memory.total_bytes),
    }
}

/// Bytes as an operator reads them.
pub fn in_words(bytes: usize) -> String {
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    if mebibytes < 1024.0 { format!("{mebibytes:.1} MiB") } else { format!("{:.2} GiB", mebibytes / 1024.0) }
}

const fn gpu(device: Device) -> Option<usize> {
    match device {
        Device::Cpu => None,
        Device::Cuda(number) => Some(number),
    }
}

#[cfg(test)]
mod tests {
    use still_operator::config::ConfigLayers;

    use super::*;

    const GIB: usize = 1 << 30;

    /// Sizes of Qwen2.5-7B.
    fn qwen_7b() -> DecoderConfig {
        let json = serde_json::json!({
            "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 3584,
            "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
            "num_key_value_heads": 4, "vocab_size": 152_064, "rms_norm_eps": 1e-6,
            "max_position_embeddings": 32768, "hidden_act": "silu", "rope_theta": 1_000_000.0,
            "tie_word_embeddings": false
        });
        DecoderConfig::from_hugging_face(&json).unwrap()
    }

    fn config(text: &str) -> Config {
        ConfigLayers::new().text("a test", text).load().unwrap().config
    }

    #[test]
    fn on_the_processor_what_is_asked_for_stands() {
        let config = config("[exploration]\nconcurrent_rollouts = 30\n");
        let placement = Placement::new(&config, &qwen_7b(), 0, |_| None).unwrap();
        assert_eq!(placement.samplers[0].rollouts, 30);
        assert!(placement.all().all(|placed| placed.rollouts == placed.wanted_rollouts));
    }

    #[test]
    fn a_gpu_is_shared_by_all_that_runs_on_it_and_never_overfull() {
        let text = "[device]\nlearners = [\"cuda:0\", \"cuda:2\"]\n\
                    samplers = [\"cuda:0\", \"cuda:1\", \"cuda:2\"]\n\
                    evaluator = \"cuda:0\"\nprecision = \"bf16\"\n\
                    [exploration]\nconcurrent_rollouts = 128\n[exploration.sampling]\nmax_new_tokens = 16384\n\
                    [evaluation]\nconcurrent_rollouts = 64\n[evaluation.sampling]\nmax_new_tokens = 8192\n";
        let (config, decoder, learner) = (config(text), qwen_7b(), 20 * GIB);
        let placement = Placement::new(&config, &decoder, learner, |_| Some(80 * GIB)).unwrap();
        let [shared, alone, beside] = &placement.samplers[..] else { unreachable!("three samplers") };
        assert_eq!((shared.wanted_rollouts, alone.wanted_rollouts), (128, 128));
        assert!(shared.rollouts < alone.rollouts && alone.rollouts < 128, "{placement:?}");
        assert!((shared.rollouts..alone.rollouts).contains(&beside.rollouts), "{placement:?}");
        let evaluator = placement.evaluator.as_ref().unwrap();
        assert!(evaluator.rollouts >= 1);
        let taken = shared.memory(&decoder).total() + evaluator.memory(&decoder).total() + learner;
        let planned = (80.0 * GIB as f64 * PLANNED_SHARE) as usize;
        assert!(taken <= planned, "{taken} of {planned}");
        // not a rollout less than there is room for, but for rounding
        let more = GeneratorPlacement { rollouts: alone.rollouts + 1, ..alone.clone() };
        assert!(more.memory(&decoder).total() > planned);
    }

    #[test]
    fn a_gpu_that_holds_nothing_is_refused_with_the_remedy() {
        let text = "[device]\nsamplers = [\"cuda:3\"]\n";
        let error = Placement::new(&config(text), &qwen_7b(), 0, |_| Some(8 * GIB)).unwrap_err();
        assert_eq!(error.exit, Exit::Device);
        assert!(error.message.contains("cuda:3") && error.message.contains("bf16"), "{}", error.message);
    }

    #[test]
    fn what_is_foretold_of_the_processor_is_what_its_decoder_takes() {
        let placed = GeneratorPlacement {
            device: Device::Cpu,
            precision: TensorPrecision::F32,
            wanted_rollouts: 3,
            rollouts: 3,
            tokens: 70,
        };
        let decoder = DecoderConfig { layer_count: 2, vocabulary_size: 100, ..qwen_7b() };
        let memory = placed.memory(&decoder);
        let cache = still_decoder::KeyValueCache::memory_bytes(&decoder, 3, 70);
        assert_eq!(memory.cache, cache);
        assert!(memory.weights >= decoder.parameter_count() * 4 / 10 * 9);
    }
}
