//! The decoder as a burn module.

use burn::{
    module::{Module, Param},
    tensor::{DType, Device, FloatDType, Tensor, TensorData},
};
use still_decoder::{DecoderConfig, DecoderWeights, Loss, Matrix};

use super::{
    composed,
    gradients::host_values,
    matrix::{FusedMatrix, tensor},
};
use crate::{
    adapters::Adapters,
    batch::TokenBatch,
    parameters::Parameters,
    precision::TensorPrecision,
    trainable::{ForwardSettings, TrainableDecoder},
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
            let matrices = [&mut layer.qkv, &mut layer.output, &mut layer.gate_up, &mut layer.down];
            matrices[projection.fused_index()].change(
                adapter,
                projection.first_row(config),
                adapters.scale,
                device,
            );
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
            Param::from_tensor(tensor(matrix, device).cast(float_dtype(precision))).set_require_grad(trained)
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

    /// Whether embedding and head are trained; beside adapters they stay as they are.
    pub(crate) const fn trains_tables(&self) -> bool {
        self.adapter_scale.is_none()
    }
}

impl TrainableDecoder for Decoder {
    fn target_log_probabilities(&self, batch: &TokenBatch, settings: &ForwardSettings) -> Vec<f32> {
        host_values(composed::target_log_probabilities(&self.valid(), batch, settings))
    }

    /// The decoder's device has autodiff.
    fn loss_and_gradients(
        &self,
        batch: &TokenBatch,
        settings: &ForwardSettings,
        loss: &mut Loss<'_>,
    ) -> (f64, Parameters) {
        composed::loss_and_gradients(self, batch, settings, loss)
    }
}

/// The number format of matrices on the device.
pub(crate) fn storage_dtype(precision: TensorPrecision) -> DType {
    float_dtype(precision).into()
}

/// A number format as burn names it.
pub(crate) fn float_dtype(precision: TensorPrecision) -> FloatDType {
    match precision {
        TensorPrecision::F32 => FloatDType::F32,
        TensorPrecision::Bf16 => FloatDType::BF16,
    }
}

impl DecoderLayer {
    /// The fused projections, in the order of [`Projection`].
    pub(crate) fn matrices(&self) -> [&FusedMatrix; 4] {
        [&self.qkv, &self.output, &self.gate_up, &self.down]
    }
}
