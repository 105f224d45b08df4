//! The decoder as a burn module.

use std::{fmt, sync::Arc};

use burn::{
    module::{Module, Param},
    tensor::{DType, Device, FloatDType, Gradients, Tensor, TensorData},
};
use still_decoder::{
    DecoderConfig, DecoderWeights, Matrix, RopeTable, Segments, Threads, embedding_backward,
};

use crate::{
    adapters::{Adapters, Projection},
    batch::TokenBatch,
    composed,
    fused::{self, Embed, RmsNorm, TargetLogProbabilities, WeightedLikelihood},
    gradients::host_values,
    matrix::{FusedMatrix, tensor},
    parameters::{Parameters, floats_mut},
};

/// One block's parameters, in the orientation of Hugging Face (`[out, in]`), fused: `qkv` holds the rows of
/// the query, key and value projections, `gate_up` those of gate and up.
#[derive(Module, Debug)]
pub struct DecoderLayer {
    pub(crate) input_norm: Param<Tensor<1>>,
    pub(crate) qkv: FusedMatrix,
    pub(crate) qkv_bias: Option<Param<Tensor<1>>>,
    pub(crate) query_norm: Option<Param<Tensor<1>>>,
    pub(crate) key_norm: Option<Param<Tensor<1>>>,
    pub(crate) output: FusedMatrix,
    pub(crate) post_attention_norm: Param<Tensor<1>>,
    pub(crate) gate_up: FusedMatrix,
    pub(crate) down: FusedMatrix,
    /// Indices in [`Projection::ALL`] of the projections with a low-rank change, ascending.
    pub(crate) adapted: Vec<usize>,
}

/// A Llama, Qwen2 or Qwen3 decoder.
#[derive(Module, Debug)]
pub struct Decoder {
    pub(crate) embedding: Param<Tensor<2>>,
    pub(crate) layers: Vec<DecoderLayer>,
    pub(crate) final_norm: Param<Tensor<1>>,
    pub(crate) head: Option<Param<Tensor<2>>>,
    /// What low-rank changes are scaled by; none where all parameters are trained.
    pub(crate) adapter_scale: Option<f64>,
}

/// How a forward pass runs.
#[derive(Debug, Clone)]
pub struct ForwardSettings {
    /// The decoder's sizes.
    pub config: Arc<DecoderConfig>,
    /// Threads of the CPU's fused operators.
    pub threads: Threads,
    /// Compute a layer's activations again in the backward pass instead of keeping them. The composed
    /// operators always do.
    pub recompute: bool,
    /// Use fused operators: on the CPU alone.
    pub fused: bool,
    /// Who hears of every layer that a pass has gone through.
    pub observer: LayerObserver,
}

/// Hears of every layer that a batch has gone through, forward or backward: what tells that a long pass is alive. On a
/// GPU, whose work is queued, it may hear of a layer before that is computed.
#[derive(Clone, Default)]
pub struct LayerObserver(Option<Arc<dyn Fn() + Send + Sync>>);

impl LayerObserver {
    /// `passed` is called after each layer of each pass.
    pub fn new(passed: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(passed)))
    }

    pub(crate) fn passed(&self) {
        if let Some(passed) = &self.0 {
            passed();
        }
    }
}

impl fmt::Debug for LayerObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LayerObserver").field(&self.0.is_some()).finish()
    }
}

/// How a decoder's matrices are stored on the device; norms, biases and adapters are f32 always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TensorPrecision {
    /// Single precision.
    #[default]
    F32,
    /// The upper half of single precision. Norms and softmax are computed in f32 all the same, logits from where they
    /// leave the head (as transformers does); [`DeviceDecoder`](crate::DeviceDecoder) holds the head itself in f32.
    /// Only composed operators take it.
    Bf16,
}

impl TensorPrecision {
    const fn dtype(self) -> FloatDType {
        match self {
            Self::F32 => FloatDType::F32,
            Self::Bf16 => FloatDType::BF16,
        }
    }

    /// Bytes of a number.
    pub fn bytes(self) -> usize {
        self.storage_dtype().size()
    }

    /// The number format on the device.
    pub(crate) fn storage_dtype(self) -> DType {
        self.dtype().into()
    }
}

impl Decoder {
    /// Puts parameters on a device; on one with autodiff all of them are trained.
    pub fn from_weights(weights: &DecoderWeights, device: &Device, precision: TensorPrecision) -> Self {
        Self::build(weights, device, precision, true)
    }

    /// Puts a base and its adapters on a device; on one with autodiff only the adapters are trained.
    pub fn with_adapters(
        base: &DecoderWeights,
        adapters: &Adapters,
        config: &DecoderConfig,
        device: &Device,
        precision: TensorPrecision,
    ) -> Self {
        Self::frozen(base, device, precision).adapted(adapters, config, device)
    }

    /// Puts a base on a device that adapters will be trained beside.
    pub fn frozen(base: &DecoderWeights, device: &Device, precision: TensorPrecision) -> Self {
        Self::build(base, device, precision, false)
    }

    /// A [frozen](Self::frozen) decoder with adapters, which alone are trained; a clone shares the base.
    #[must_use]
    pub fn adapted(mut self, adapters: &Adapters, config: &DecoderConfig, device: &Device) -> Self {
        self.adapter_scale = Some(f64::from(adapters.scale));
        for (index, adapter) in adapters.enumerate() {
            let Some(layer) = self.layers.get_mut(index) else { continue };
            let projection = adapter.projection;
            let matrix = match projection {
                Projection::Query | Projection::Key | Projection::Value => &mut layer.qkv,
                Projection::Output => &mut layer.output,
                Projection::Gate | Projection::Up => &mut layer.gate_up,
                Projection::Down => &mut layer.down,
            };
            matrix.change(adapter, projection.first_row(config), adapters.scale, device);
            layer.adapted.push(projection as usize);
        }
        self
    }

    fn build(weights: &DecoderWeights, device: &Device, precision: TensorPrecision, trained: bool) -> Self {
        let vector = |values: &[f32]| {
            let tensor = Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device);
            Param::from_tensor(tensor).set_require_grad(trained)
        };
        let table = |matrix: &Matrix| {
            Param::from_tensor(tensor(matrix, device).cast(precision.dtype())).set_require_grad(trained)
        };
        let matrix = |matrix: &Matrix| FusedMatrix::new(table(matrix));
        let optional = |values: &Option<Vec<f32>>| values.as_deref().map(vector);
        let layers = weights.layers.iter().map(|layer| DecoderLayer {
            input_norm: vector(&layer.input_norm),
            qkv: matrix(&layer.qkv),
            qkv_bias: optional(&layer.qkv_bias),
            query_norm: optional(&layer.query_norm),
            key_norm: optional(&layer.key_norm),
            output: matrix(&layer.output),
            post_attention_norm: vector(&layer.post_attention_norm),
            gate_up: matrix(&layer.gate_up),
            down: matrix(&layer.down),
            adapted: Vec::new(),
        });
        Self {
            embedding: table(&weights.embedding),
            layers: layers.collect(),
            final_norm: vector(&weights.final_norm),
            head: weights.head.as_ref().map(table),
            adapter_scale: None,
        }
    }

    /// Log-probabilities of a batch's targets, in nats, without a graph.
    ///
    /// # Shapes
    /// - output: `[targets]`
    pub fn target_log_probabilities(&self, batch: &TokenBatch, settings: &ForwardSettings) -> Tensor<1> {
        let plain = self.valid();
        if settings.fused {
            plain.fused_log_probabilities(batch, settings)
        } else {
            composed::target_log_probabilities(&plain, batch, settings)
        }
    }

    /// A loss of the targets' log-probabilities (`[targets]` to a scalar, `[1]`), and the gradient of every
    /// trained parameter. The decoder's device has autodiff.
    pub fn loss_and_gradients(
        &self,
        batch: &TokenBatch,
        settings: &ForwardSettings,
        loss: impl FnOnce(Tensor<1>) -> Tensor<1>,
    ) -> (f64, Parameters) {
        if !settings.fused {
            return composed::loss_and_gradients(self, batch, settings, loss);
        }
        let embedded = self.embedded_leaf(batch, settings);
        let loss = loss(self.fused_targets(embedded.clone(), batch, settings));
        let gradients = loss.backward();
        (scalar(loss), self.fused_gradients(&embedded, gradients, batch, settings))
    }

    /// The log-probabilities of the targets, summed and times `weight`, and the gradient of that in every
    /// trained parameter: a quarter fewer products at the head than a loss that is not known beforehand.
    pub fn weighted_likelihood_and_gradients(
        &self,
        batch: &TokenBatch,
        settings: &ForwardSettings,
        weight: f64,
    ) -> (f64, Parameters) {
        if !settings.fused {
            let loss = |found: Tensor<1>| found.sum().mul_scalar(weight);
            return composed::loss_and_gradients(self, batch, settings, loss);
        }
        let likelihood = WeightedLikelihood {
            hidden_size: settings.config.hidden_size,
            rows: batch.rows.clone().into(),
            targets: batch.targets.clone().into(),
            weight,
            trains_head: self.trains_tables(),
            threads: settings.threads.clone(),
        };
        let embedded = self.embedded_leaf(batch, settings);
        let x = self.fused_hidden(embedded.clone(), batch, settings);
        let value: Tensor<1> = fused::apply(likelihood, vec![x.into_dispatch(), self.head().into_dispatch()]);
        let gradients = value.backward();
        (scalar(value), self.fused_gradients(&embedded, gradients, batch, settings))
    }

    /// Whether embedding and head are trained; beside adapters they stay as they are.
    pub(crate) const fn trains_tables(&self) -> bool {
        self.adapter_scale.is_none()
    }

    fn head(&self) -> Tensor<2> {
        self.head.as_ref().unwrap_or(&self.embedding).val()
    }

    /// Log-probabilities of a batch's targets, in nats, by the fused operators of the CPU; on the graph of
    /// what is trained where the device has autodiff.
    ///
    /// # Shapes
    /// - output: `[targets]`
    pub fn fused_log_probabilities(&self, batch: &TokenBatch, settings: &ForwardSettings) -> Tensor<1> {
        self.fused_targets(self.embedded(batch, settings), batch, settings)
    }

    fn fused_targets(&self, x: Tensor<2>, batch: &TokenBatch, settings: &ForwardSettings) -> Tensor<1> {
        let targets = TargetLogProbabilities {
            hidden_size: settings.config.hidden_size,
            rows: batch.rows.clone().into(),
            targets: batch.targets.clone().into(),
            trains_head: self.trains_tables(),
            threads: settings.threads.clone(),
        };
        let x = self.fused_hidden(x, batch, settings);
        fused::apply(targets, vec![x.into_dispatch(), self.head().into_dispatch()])
    }

    /// A batch's embedded tokens, `[tokens, hidden]`.
    fn embedded(&self, batch: &TokenBatch, settings: &ForwardSettings) -> Tensor<2> {
        let embed = Embed {
            tokens: batch.tokens.clone().into(),
            hidden_size: settings.config.hidden_size,
            multiplier: settings.config.embedding_multiplier,
        };
        fused::apply(embed, vec![self.embedding.val().into_dispatch()])
    }

    /// The same where a graph begins; tracked where the embedding is trained.
    fn embedded_leaf(&self, batch: &TokenBatch, settings: &ForwardSettings) -> Tensor<2> {
        self.embedded(batch, settings).detach().set_require_grad(self.trains_tables())
    }

    /// The gradients of a backward pass that ended at the embedded tokens. Theirs is added to the rows of the
    /// table that they came from: the few thousand of a batch, not a second table to be added to the head's.
    fn fused_gradients(
        &self,
        embedded: &Tensor<2>,
        mut gradients: Gradients,
        batch: &TokenBatch,
        settings: &ForwardSettings,
    ) -> Parameters {
        let grad = embedded.grad_remove(&mut gradients);
        let mut parameters = self.gradients(gradients);
        if let (Parameters::Full(weights), Some(grad)) = (&mut parameters, grad) {
            let multiplier = settings.config.embedding_multiplier;
            let table = floats_mut(&mut weights.embedding);
            embedding_backward(&host_values(grad), &batch.tokens, multiplier, table);
        }
        parameters
    }

    /// What the head reads, `[tokens, hidden]`, from the embedded tokens.
    fn fused_hidden(&self, mut x: Tensor<2>, batch: &TokenBatch, settings: &ForwardSettings) -> Tensor<2> {
        let config = &settings.config;
        let rope = Arc::new(RopeTable::new(config, batch.segments.longest()));
        let segments = Arc::new(batch.segments.clone());
        for layer in &self.layers {
            x = layer.forward_fused(x, &rope, &segments, settings);
        }
        let norm = RmsNorm {
            hidden_size: config.hidden_size,
            epsilon: config.rms_norm_epsilon,
            threads: settings.threads.clone(),
        };
        fused::apply(norm, vec![x.into_dispatch(), self.final_norm.val().into_dispatch()])
    }
}

impl DecoderLayer {
    /// The fused projections, in the order of [`Projection`].
    pub(crate) fn matrices(&self) -> [&FusedMatrix; 4] {
        [&self.qkv, &self.output, &self.gate_up, &self.down]
    }

    fn forward_fused(
        &self,
        x: Tensor<2>,
        rope: &Arc<RopeTable>,
        segments: &Arc<Segments>,
        settings: &ForwardSettings,
    ) -> Tensor<2> {
        let operator = fused::DecoderLayer {
            config: Arc::clone(&settings.config),
            rope: Arc::clone(rope),
            segments: Arc::clone(segments),
            threads: settings.threads.clone(),
            recompute: settings.recompute,
            observer: settings.observer.clone(),
            changes: (!self.adapted.is_empty()).then(|| self.matrices().map(FusedMatrix::change_shapes)),
        };
        // what a decoder does not have is passed as an empty constant
        let device = x.device();
        let optional = |parameter: &Option<Param<Tensor<1>>>| match parameter {
            Some(parameter) => parameter.val().into_dispatch(),
            None => Tensor::<1>::zeros([1], &device).into_dispatch(),
        };
        let factors: Vec<_> = self.matrices().into_iter().flat_map(FusedMatrix::factors).collect();
        let factors =
            if factors.is_empty() { Tensor::<1>::zeros([1], &device) } else { Tensor::cat(factors, 0) };
        let inputs = vec![
            x.into_dispatch(),
            self.input_norm.val().into_dispatch(),
            self.qkv.base.val().into_dispatch(),
            optional(&self.qkv_bias),
            optional(&self.query_norm),
            optional(&self.key_norm),
            self.output.base.val().into_dispatch(),
            self.post_attention_norm.val().into_dispatch(),
            self.gate_up.base.val().into_dispatch(),
            self.down.base.val().into_dispatch(),
            factors.into_dispatch(),
        ];
        fused::apply(operator, inputs)
    }
}

/// The number in a tensor of one.
pub(crate) fn scalar(tensor: Tensor<1>) -> f64 {
    f64::from(host_values(tensor).first().copied().unwrap_or(f32::NAN))
}
