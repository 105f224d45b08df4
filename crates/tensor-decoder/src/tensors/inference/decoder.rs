//! The decoder that serves from a device: weights, cache, and one step over any mix of prompts and tokens.

use std::sync::Arc;

use burn::tensor::{DType, Device, ExecutionError, Int, Tensor, TensorData, activation};
use still_decoder::{DecoderConfig, DecoderWeights, RopeTable};
use still_rollout::{Span, StepError, StepModel};

use super::{
    attention::{GroupAttention, Heads, joined},
    cache::{DeviceCache, NewKeysAndValues},
    failure::guarded,
    layout::StepLayout,
    weights::{DeviceWeights, LayerTensors},
};
use crate::{
    CacheSize, TensorPrecision,
    memory::{MAX_SCORES, cache_bytes, weights_bytes},
    tensors::{composed::rms_norm, decoder::storage_dtype},
};

/// A decoder on a device, with its cache.
#[derive(Debug)]
pub struct DeviceDecoder {
    config: DecoderConfig,
    device: Device,
    weights: DeviceWeights,
    cache: DeviceCache,
    rope: RopeTensors,
    /// What matrices, keys and values are stored in.
    dtype: DType,
    max_scores: usize,
    /// What the next steps' device work ends with, in the tests of what happens then.
    #[cfg(test)]
    faults: std::cell::RefCell<Vec<Option<&'static str>>>,
    /// Dropped last, once the tensors are gone.
    _memory: MemoryCleanup,
}

/// Gives a thread's memory back to the driver when it is dropped: a fresh decoder on another thread has memory
/// of its own.
#[derive(Debug)]
struct MemoryCleanup(Device);

/// Cosines and sines of every position's angles, each twice over, `[positions, head_dim]` in f32.
#[derive(Debug)]
struct RopeTensors {
    cosines: Tensor<2>,
    sines: Tensor<2>,
}

/// What the layers of a step have in common.
struct Step {
    layout: StepLayout,
    groups: Vec<GroupAttention>,
    /// Of every row, `[rows, 1, head_dim]`.
    cosines: Tensor<3>,
    sines: Tensor<3>,
}

impl DeviceDecoder {
    /// Puts a decoder on a device, with an empty cache; all memory but a step's own is taken here.
    ///
    /// # Errors
    /// [`StepError::OutOfMemory`] when the device has not enough memory, with the bytes it would take.
    pub fn new(
        config: DecoderConfig,
        weights: &DecoderWeights,
        device: &Device,
        precision: TensorPrecision,
        size: CacheSize,
    ) -> Result<Self, StepError> {
        let dtype = storage_dtype(precision);
        let made = guarded(|| {
            let weights = DeviceWeights::new(weights, device, precision);
            weights.prove()?;
            let cache = DeviceCache::new(&config, size.slots, size.slot_capacity_tokens, device, dtype);
            cache.prove()?;
            let rope = RopeTensors::new(&config, size.slot_capacity_tokens, device);
            prove_rope(&rope)?;
            Ok((weights, cache, rope))
        });
        match made {
            Ok((weights, cache, rope)) => Ok(Self {
                device: device.clone(),
                weights,
                cache,
                rope,
                dtype,
                max_scores: MAX_SCORES,
                config,
                #[cfg(test)]
                faults: std::cell::RefCell::default(),
                _memory: MemoryCleanup(device.clone()),
            }),
            Err(StepError::OutOfMemory(reason)) => {
                device.memory_cleanup();
                let element = dtype.size();
                let weights = weights_bytes(&config, element);
                let tokens = size.slot_capacity_tokens;
                let cache = cache_bytes(&config, CacheSize { slot_capacity_tokens: tokens, ..size }, element);
                Err(StepError::OutOfMemory(format!(
                    "weights of {} MiB and a cache of {} MiB ({} rows of {tokens} tokens) do not fit: lower \
                     the rollouts at once or their length ({reason})",
                    weights >> 20,
                    cache >> 20,
                    size.slots,
                )))
            }
            Err(error) => Err(error),
        }
    }

    /// Holds at most this many attention scores at once, for less memory in a step.
    #[must_use]
    pub fn with_max_scores(self, max_scores: usize) -> Self {
        Self { max_scores, ..self }
    }

    /// The sizes.
    pub const fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// Bytes that weights and cache take, by the tensors that are there.
    #[cfg(test)]
    pub(crate) fn allocated_bytes(&self) -> [usize; 2] {
        [self.weights.allocated_bytes(), self.cache.allocated_bytes()]
    }

    /// The logits that are wanted, in `logits`, and what the cache is to take in.
    fn run(
        &self,
        layout: StepLayout,
        logits: &mut Vec<f32>,
    ) -> Result<(StepLayout, Vec<NewKeysAndValues>), ExecutionError> {
        let step = self.prepare(layout);
        let tokens = integers(step.layout.tokens.iter().map(|token| i64::from(*token)), &self.device);
        let embedded = self.weights.embedding.clone().select(0, tokens).cast(DType::F32);
        let mut x = embedded.mul_scalar(self.config.embedding_multiplier).cast(self.dtype);
        let mut brought = Vec::with_capacity(self.weights.layers.len());
        for (layer, cached) in self.weights.layers.iter().zip(self.cache.layers()) {
            let heads = self.heads(layer, &step, x.clone());
            let attended = step.groups.iter().map(|group| group.forward(cached, &heads));
            x = self.finish(layer, x, joined(attended.collect(), 0));
            brought.push(NewKeysAndValues { keys: heads.keys, values: heads.values });
        }
        #[cfg(test)]
        if let Some(fault) = self.faults.borrow_mut().pop().flatten() {
            std::panic::panic_any(fault);
        }
        self.read_logits(x, &step.layout, logits)?;
        Ok((step.layout, brought))
    }

    fn prepare(&self, layout: StepLayout) -> Step {
        let groups = layout.groups.iter();
        let groups =
            groups.map(|group| GroupAttention::new(&self.config, group, self.max_scores, &self.device));
        let positions = integers(layout.positions.iter().map(|position| *position as i64), &self.device);
        let shape = [layout.row_count(), 1, self.config.head_dim];
        let of_rows = |table: &Tensor<2>| table.clone().select(0, positions.clone()).reshape(shape);
        Step {
            groups: groups.collect(),
            cosines: of_rows(&self.rope.cosines),
            sines: of_rows(&self.rope.sines),
            layout,
        }
    }

    /// Queries, keys and values of every row; queries are scaled.
    fn heads(&self, layer: &LayerTensors, step: &Step, x: Tensor<2>) -> Heads {
        let config = &self.config;
        let rows = step.layout.row_count();
        let (query, key_value, dim) =
            (config.attention_head_count, config.key_value_head_count, config.head_dim);
        let normed = rms_norm(x, &layer.input_norm, config.rms_norm_epsilon);
        let mut qkv = normed.matmul(layer.qkv.clone().transpose());
        if let Some(bias) = &layer.qkv_bias {
            qkv = (qkv.cast(DType::F32) + bias.clone().unsqueeze_dim(0)).cast(self.dtype);
        }
        let qkv: Tensor<3> = qkv.reshape([rows, query + 2 * key_value, dim]);
        let values = qkv.clone().narrow(1, query + key_value, key_value);
        let mut turning = qkv.narrow(1, 0, query + key_value).cast(DType::F32);
        if let (Some(query_norm), Some(key_norm)) = (&layer.query_norm, &layer.key_norm) {
            let queries = rms_norm(turning.clone().narrow(1, 0, query), query_norm, config.rms_norm_epsilon);
            let keys = rms_norm(turning.narrow(1, query, key_value), key_norm, config.rms_norm_epsilon);
            turning = Tensor::cat(vec![queries, keys], 1);
        }
        let turned = step.turn(turning);
        let scale = 1.0 / (dim as f64).sqrt();
        let queries = turned.clone().narrow(1, 0, query).mul_scalar(scale).cast(self.dtype);
        let keys = turned.narrow(1, query, key_value).cast(self.dtype);
        Heads { queries, keys, values }
    }

    /// The rest of a block from the attended values, `[rows, query heads * head_dim]`.
    fn finish(&self, layer: &LayerTensors, x: Tensor<2>, attended: Tensor<2>) -> Tensor<2> {
        let inner = self.config.intermediate_size;
        let x = x + attended.matmul(layer.output.clone().transpose());
        let normed = rms_norm(x.clone(), &layer.post_attention_norm, self.config.rms_norm_epsilon);
        let gate_up = normed.matmul(layer.gate_up.clone().transpose());
        let gate = gate_up.clone().narrow(1, 0, inner);
        let up = gate_up.narrow(1, inner, inner);
        x + (activation::silu(gate) * up).matmul(layer.down.clone().transpose())
    }

    /// Brings the wanted rows' logits to the host; with none wanted, a number that tells of failures.
    fn read_logits(
        &self,
        x: Tensor<2>,
        layout: &StepLayout,
        logits: &mut Vec<f32>,
    ) -> Result<(), ExecutionError> {
        logits.clear();
        let wanted = layout.wanted_rows.len();
        if wanted == 0 {
            return super::cache::prove([x].into_iter());
        }
        // padding repeats the first row
        let padding = layout.wanted_rows.first().into_iter().cycle();
        let rows = layout.wanted_rows.iter().chain(padding).take(wanted.next_power_of_two());
        let rows: Vec<i64> = rows.map(|row| *row as i64).collect();
        let x = x.select(0, integers(rows.into_iter(), &self.device)).cast(DType::F32);
        let x = rms_norm(x, &self.weights.final_norm, self.config.rms_norm_epsilon);
        let found = x.matmul(self.weights.head().clone().transpose()).narrow(0, 0, wanted);
        let data = found.try_into_data()?;
        match data.as_slice::<f32>() {
            Ok(values) => logits.extend_from_slice(values),
            Err(error) => return Err(ExecutionError::WithContext { reason: error.to_string() }),
        }
        Ok(())
    }

    /// What an error of device work means: lack of memory only where the cache is still whole.
    fn judge(&self, error: StepError) -> StepError {
        let StepError::OutOfMemory(reason) = error else { return error };
        self.device.memory_cleanup();
        match guarded(|| self.cache.prove()) {
            Ok(()) => StepError::OutOfMemory(reason),
            Err(_) => StepError::Device(format!("the key-value cache was lost for want of memory: {reason}")),
        }
    }
}

impl StepModel for DeviceDecoder {
    type Weights = Arc<DecoderWeights>;

    fn vocabulary_size(&self) -> usize {
        self.config.vocabulary_size
    }

    fn slot_count(&self) -> usize {
        self.cache.slot_count()
    }

    fn slot_capacity_tokens(&self) -> usize {
        self.cache.capacity_tokens()
    }

    fn step(&mut self, spans: &[Span<'_>], logits: &mut Vec<f32>) -> Result<(), StepError> {
        logits.clear();
        if spans.is_empty() {
            return Ok(());
        }
        let layout = StepLayout::new(spans, self.cache.lengths(), self.cache.capacity_tokens())?;
        let ran = guarded(|| self.run(layout, logits));
        let (layout, brought) = ran.map_err(|error| self.judge(error))?;
        guarded(|| {
            self.cache.store(&layout, brought, &self.device);
            Ok(())
        })
    }

    fn copy_prefix(&mut self, from: usize, to: usize, tokens: usize) -> Result<(), StepError> {
        let held = self.cache.lengths();
        if held.get(from).is_none_or(|held| *held < tokens) || to >= held.len() {
            return Err(StepError::Device(format!(
                "slot {from} does not hold {tokens} tokens for slot {to}"
            )));
        }
        let copied = guarded(|| self.cache.copy_prefix(from, to, tokens, &self.device));
        copied.map_err(|error| self.judge(error))
    }

    fn clear(&mut self, slot: usize) -> Result<(), StepError> {
        guarded(|| {
            self.cache.clear(slot);
            self.cache.prove()
        })
    }

    fn set_weights(&mut self, weights: Self::Weights) -> Result<(), StepError> {
        let replaced = guarded(|| {
            self.weights.replace(&weights);
            self.weights.prove()
        });
        // half of the parameters may be gone: only a fresh decoder is sure to have one policy's
        replaced.map_err(|error| StepError::Device(format!("the weights were not replaced: {error}")))
    }
}

impl Drop for MemoryCleanup {
    fn drop(&mut self) {
        let cleaned = guarded(|| {
            self.0.memory_cleanup();
            Ok(())
        });
        // memory that is not given back is the next decoder's error, if it is one
        drop(cleaned);
    }
}

impl RopeTensors {
    fn new(config: &DecoderConfig, position_count: usize, device: &Device) -> Self {
        let rope = RopeTable::new(config, position_count);
        let table = |of: fn(&RopeTable, usize) -> &[f32]| {
            let positions = 0..position_count;
            let values: Vec<f32> = positions
                .flat_map(|position| {
                    let half = of(&rope, position);
                    half.iter().chain(half).copied()
                })
                .collect();
            let data = TensorData::new(values, [position_count, config.head_dim]);
            Tensor::from_data(data, (device, DType::F32))
        };
        Self { cosines: table(RopeTable::cosines), sines: table(RopeTable::sines) }
    }
}

impl Step {
    /// Turns every head by its row's position, half-split, in f32.
    fn turn(&self, heads: Tensor<3>) -> Tensor<3> {
        let half = heads.dims()[2] / 2;
        let left = heads.clone().narrow(2, 0, half);
        let right = heads.clone().narrow(2, half, half);
        let turned = Tensor::cat(vec![right.neg(), left], 2);
        heads * self.cosines.clone() + turned * self.sines.clone()
    }
}

fn prove_rope(rope: &RopeTensors) -> Result<(), ExecutionError> {
    super::cache::prove([rope.cosines.clone(), rope.sines.clone()].into_iter())
}

fn integers(values: impl ExactSizeIterator<Item = i64>, device: &Device) -> Tensor<1, Int> {
    let length = values.len();
    Tensor::from_data(TensorData::new(values.collect::<Vec<_>>(), [length]), device)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;
    use still_rollout::{Engine, EngineConfig, EngineError, PolicyVersion, Request, SamplingSettings};

    use super::*;

    fn engine(faults: &[Option<&'static str>]) -> Engine<DeviceDecoder, u32> {
        let json = json!({
            "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": 16,
            "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "head_dim": 4, "vocab_size": 29, "rms_norm_eps": 1e-5,
            "max_position_embeddings": 64, "hidden_act": "silu", "rope_theta": 10000.0,
            "tie_word_embeddings": true
        });
        let config = DecoderConfig::from_hugging_face(&json).unwrap();
        let weights = DecoderWeights::random(&config, 2);
        let size = CacheSize { slots: 4, slot_capacity_tokens: 60 };
        let decoder =
            DeviceDecoder::new(config, &weights, &Device::flex(), TensorPrecision::F32, size).unwrap();
        decoder.faults.replace(faults.iter().rev().copied().collect());
        let mut engine = Engine::new(decoder, PolicyVersion(0), EngineConfig::default());
        submit_all(&mut engine);
        engine
    }

    fn submit_all(engine: &mut Engine<DeviceDecoder, u32>) {
        for id in 0..6 {
            let request = Request {
                id,
                prompt: (0..5 + 3 * id).map(|position| position % 29).collect(),
                settings: SamplingSettings { max_new_tokens: 12, ..SamplingSettings::default() },
                seed: u64::from(id),
                stop_ids: Arc::new([]),
                stop_strings: Arc::new([]),
            };
            engine.submit(request).unwrap();
        }
    }

    fn tokens(mut engine: Engine<DeviceDecoder, u32>) -> (BTreeMap<u32, Vec<u32>>, usize) {
        let (mut drawn, mut put_back) = (BTreeMap::new(), 0);
        while !engine.is_idle() {
            let report = engine.step().unwrap();
            assert!(report.abandoned.is_empty());
            put_back += report.put_back;
            drawn.extend(report.finished.into_iter().map(|ended| (ended.id, ended.tokens)));
        }
        (drawn, put_back)
    }

    #[test]
    fn steps_that_run_out_of_memory_are_run_again_smaller_and_change_no_token() {
        const BURST: Option<&str> = Some("out of device memory allocating 7 bytes\nBacktrace:\n");
        let (undisturbed, _) = tokens(engine(&[]));
        assert_eq!(undisturbed.len(), 6);
        let faults = [BURST, None, None, None, BURST, None, None];
        let (disturbed, put_back) = tokens(engine(&faults));
        assert!(put_back > 0, "rows must have given way");
        assert_eq!(disturbed, undisturbed);
    }

    #[test]
    fn a_broken_policy_leaves_nothing_in_the_slots_it_used() {
        let (undisturbed, _) = tokens(engine(&[]));
        let mut engine = engine(&[]);
        let config = engine.model().config().clone();
        let good = DecoderWeights::random(&config, 2);
        let mut broken = good.clone();
        let embedding = &config.named_parameters()[0];
        broken.write(embedding, &vec![f32::NAN; embedding.shape.iter().product()]);
        engine.publish(PolicyVersion(1), Arc::new(broken)).unwrap();
        let mut abandoned = 0;
        while !engine.is_idle() {
            abandoned += engine.step().unwrap().abandoned.len();
        }
        assert_eq!(abandoned, 6);
        engine.publish(PolicyVersion(2), Arc::new(good)).unwrap();
        submit_all(&mut engine);
        assert_eq!(tokens(engine).0, undisturbed);
    }

    #[test]
    fn another_failure_of_the_device_ends_the_engine_and_not_the_process() {
        let mut engine = engine(&[None, Some("an illegal memory access")]);
        engine.step().unwrap();
        let error = engine.step().unwrap_err();
        assert!(matches!(&error, EngineError::Model(StepError::Device(text)) if text.contains("illegal")));
    }
}
