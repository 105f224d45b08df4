//! The decoder as a burn module.

use std::sync::Arc;

use burn::{
    module::{Module, Param},
    tensor::{Device, Tensor, TensorData},
};
use still_decoder::{DecoderConfig, DecoderWeights, LayerWeights, Matrix, RopeTable, Segments, Threads};

use crate::{
    batch::TokenBatch,
    composed,
    fused::{self, Embed, RmsNorm, TargetLogProbabilities},
};

/// One block's parameters, in the orientation of Hugging Face (`[out, in]`), fused: `qkv` holds the rows of
/// the query, key and value projections, `gate_up` those of gate and up.
#[derive(Module, Debug)]
pub struct DecoderLayer {
    pub(crate) input_norm: Param<Tensor<1>>,
    pub(crate) qkv: Param<Tensor<2>>,
    pub(crate) qkv_bias: Option<Param<Tensor<1>>>,
    pub(crate) query_norm: Option<Param<Tensor<1>>>,
    pub(crate) key_norm: Option<Param<Tensor<1>>>,
    pub(crate) output: Param<Tensor<2>>,
    pub(crate) post_attention_norm: Param<Tensor<1>>,
    pub(crate) gate_up: Param<Tensor<2>>,
    pub(crate) down: Param<Tensor<2>>,
}

/// A Llama, Qwen2 or Qwen3 decoder.
#[derive(Module, Debug)]
pub struct Decoder {
    pub(crate) embedding: Param<Tensor<2>>,
    pub(crate) layers: Vec<DecoderLayer>,
    pub(crate) final_norm: Param<Tensor<1>>,
    pub(crate) head: Option<Param<Tensor<2>>>,
}

/// How a forward pass runs.
#[derive(Debug, Clone)]
pub struct ForwardSettings {
    /// The decoder's sizes.
    pub config: Arc<DecoderConfig>,
    /// Threads of the CPU's fused operators.
    pub threads: Threads,
    /// Compute a layer's activations again in the backward pass instead of keeping them.
    pub recompute: bool,
    /// Use fused operators: on the CPU alone.
    pub fused: bool,
}

impl Decoder {
    /// Puts parameters on a device; on one with autodiff they require gradients.
    pub fn from_weights(weights: &DecoderWeights, device: &Device) -> Self {
        let vector = |values: &[f32]| vector(values, device);
        let optional = |values: &Option<Vec<f32>>| values.as_deref().map(vector);
        let layers = weights.layers.iter().map(|layer| DecoderLayer {
            input_norm: vector(&layer.input_norm),
            qkv: matrix(&layer.qkv, device),
            qkv_bias: optional(&layer.qkv_bias),
            query_norm: optional(&layer.query_norm),
            key_norm: optional(&layer.key_norm),
            output: matrix(&layer.output, device),
            post_attention_norm: vector(&layer.post_attention_norm),
            gate_up: matrix(&layer.gate_up, device),
            down: matrix(&layer.down, device),
        });
        Self {
            embedding: matrix(&weights.embedding, device),
            layers: layers.collect(),
            final_norm: vector(&weights.final_norm),
            head: weights.head.as_ref().map(|head| matrix(head, device)),
        }
    }

    /// Log-probabilities of a batch's targets, in nats.
    ///
    /// # Shapes
    /// - output: `[targets]`
    pub fn target_log_probabilities(&self, batch: &TokenBatch, settings: &ForwardSettings) -> Tensor<1> {
        if !settings.fused {
            return composed::target_log_probabilities(self, batch, settings);
        }
        let config = &settings.config;
        let embed = Embed {
            tokens: batch.tokens.clone().into(),
            hidden_size: config.hidden_size,
            multiplier: config.embedding_multiplier,
        };
        let mut x: Tensor<2> = fused::apply(embed, vec![self.embedding.val().into_dispatch()]);
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
        let x: Tensor<2> = fused::apply(norm, vec![x.into_dispatch(), self.final_norm.val().into_dispatch()]);
        let head = self.head.as_ref().unwrap_or(&self.embedding).val();
        let targets = TargetLogProbabilities {
            hidden_size: config.hidden_size,
            rows: batch.rows.clone().into(),
            targets: batch.targets.clone().into(),
            threads: settings.threads.clone(),
        };
        fused::apply(targets, vec![x.into_dispatch(), head.into_dispatch()])
    }

    /// Every parameter's gradient, shaped as the parameters are; zero where none reached.
    pub fn gradients(&self, gradients: &burn::tensor::Gradients) -> DecoderWeights {
        let layers = self.layers.iter().map(|layer| LayerWeights {
            input_norm: vector_gradient(&layer.input_norm, gradients),
            qkv: matrix_gradient(&layer.qkv, gradients),
            qkv_bias: layer.qkv_bias.as_ref().map(|bias| vector_gradient(bias, gradients)),
            query_norm: layer.query_norm.as_ref().map(|norm| vector_gradient(norm, gradients)),
            key_norm: layer.key_norm.as_ref().map(|norm| vector_gradient(norm, gradients)),
            output: matrix_gradient(&layer.output, gradients),
            post_attention_norm: vector_gradient(&layer.post_attention_norm, gradients),
            gate_up: matrix_gradient(&layer.gate_up, gradients),
            down: matrix_gradient(&layer.down, gradients),
        });
        DecoderWeights {
            embedding: matrix_gradient(&self.embedding, gradients),
            layers: layers.collect(),
            final_norm: vector_gradient(&self.final_norm, gradients),
            head: self.head.as_ref().map(|head| matrix_gradient(head, gradients)),
        }
    }
}

impl DecoderLayer {
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
        };
        // what a decoder does not have is passed as an empty constant
        let device = x.device();
        let optional = |parameter: &Option<Param<Tensor<1>>>| match parameter {
            Some(parameter) => parameter.val().into_dispatch(),
            None => Tensor::<1>::zeros([1], &device).into_dispatch(),
        };
        let inputs = vec![
            x.into_dispatch(),
            self.input_norm.val().into_dispatch(),
            self.qkv.val().into_dispatch(),
            optional(&self.qkv_bias),
            optional(&self.query_norm),
            optional(&self.key_norm),
            self.output.val().into_dispatch(),
            self.post_attention_norm.val().into_dispatch(),
            self.gate_up.val().into_dispatch(),
            self.down.val().into_dispatch(),
        ];
        fused::apply(operator, inputs)
    }
}

fn vector(values: &[f32], device: &Device) -> Param<Tensor<1>> {
    let data = TensorData::new(values.to_vec(), [values.len()]);
    Param::from_tensor(Tensor::from_data(data, device))
}

fn matrix(matrix: &Matrix, device: &Device) -> Param<Tensor<2>> {
    let values = matrix.rows_to_f32(0, matrix.rows());
    let data = TensorData::new(values, [matrix.rows(), matrix.columns()]);
    Param::from_tensor(Tensor::from_data(data, device))
}

fn vector_gradient(parameter: &Param<Tensor<1>>, gradients: &burn::tensor::Gradients) -> Vec<f32> {
    let parameter = parameter.val();
    let length = parameter.dims()[0];
    parameter.grad(gradients).map_or_else(|| vec![0.0; length], host_values)
}

fn matrix_gradient(parameter: &Param<Tensor<2>>, gradients: &burn::tensor::Gradients) -> Matrix {
    let parameter = parameter.val();
    let [rows, columns] = parameter.dims();
    let values = parameter.grad(gradients).map_or_else(|| vec![0.0; rows * columns], host_values);
    Matrix::from_f32(rows, columns, values)
}

/// A tensor's values on the host, as f32.
fn host_values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().unwrap_or_default()
}
