//! The bridge between the fused matrices here and the tensors of a Hugging Face checkpoint.
//!
//! [`DecoderConfig::named_parameters`] is the one list of names, shapes and locations; reading, writing and the naming of
//! gradients all walk it.

use std::collections::BTreeMap;
use std::sync::Arc;

use half::bf16;

use super::{DecoderWeights, LayerWeights};
use crate::{DecoderConfig, DecoderError, Matrix, Storage};

/// Where a Hugging Face tensor lives in the fused weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterLocation {
    /// `model.embed_tokens.weight`
    Embedding,
    /// A norm of a block.
    LayerNorm {
        /// The block.
        layer: usize,
        /// Which norm.
        norm: LayerNorm,
    },
    /// A part of the fused bias of a block.
    QkvBias {
        /// The block.
        layer: usize,
        /// First entry in the fused bias.
        first_row: usize,
    },
    /// Consecutive rows of a fused matrix of a block.
    LayerMatrix {
        /// The block.
        layer: usize,
        /// Which fused matrix.
        matrix: LayerMatrix,
        /// First row in the fused matrix.
        first_row: usize,
    },
    /// `model.norm.weight`
    FinalNorm,
    /// `lm_head.weight`
    Head,
}

/// The norms of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerNorm {
    /// `input_layernorm`
    Input,
    /// `self_attn.q_norm`
    Query,
    /// `self_attn.k_norm`
    Key,
    /// `post_attention_layernorm`
    PostAttention,
}

/// The fused matrices of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerMatrix {
    /// Query, key and value projections.
    Qkv,
    /// Output projection.
    Output,
    /// Gate and up projections.
    GateUp,
    /// Down projection.
    Down,
}

/// One tensor of a checkpoint, without its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedParameter {
    /// The Hugging Face name.
    pub name: String,
    /// `[out, in]`, or `[size]` for a vector.
    pub shape: Vec<usize>,
    /// Where it lives here.
    pub location: ParameterLocation,
}

impl NamedParameter {
    /// Entries of the tensor.
    pub fn element_count(&self) -> usize {
        self.shape.iter().product()
    }
}

/// One tensor of a checkpoint, as f32.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// The Hugging Face name.
    pub name: String,
    /// `[out, in]`, or `[size]` for a vector.
    pub shape: Vec<usize>,
    /// The numbers, row-major.
    pub values: Vec<f32>,
}

impl DecoderConfig {
    /// Every tensor of a checkpoint of this shape, in the model's order.
    pub fn named_parameters(&self) -> Vec<NamedParameter> {
        let hidden = self.hidden_size;
        let (query, key_value, inner) = (self.query_size(), self.key_value_size(), self.intermediate_size);
        let mut list = vec![NamedParameter {
            name: "model.embed_tokens.weight".to_owned(),
            shape: vec![self.vocabulary_size, hidden],
            location: ParameterLocation::Embedding,
        }];
        for layer in 0..self.layer_count {
            let mut push = |name: &str, shape: Vec<usize>, location: ParameterLocation| {
                list.push(NamedParameter { name: format!("model.layers.{layer}.{name}"), shape, location });
            };
            let norm = |norm| ParameterLocation::LayerNorm { layer, norm };
            let rows = |matrix, first_row| ParameterLocation::LayerMatrix { layer, matrix, first_row };
            push("input_layernorm.weight", vec![hidden], norm(LayerNorm::Input));
            let projections = [("q", 0, query), ("k", query, key_value), ("v", query + key_value, key_value)];
            for (letter, first_row, size) in projections {
                let name = format!("self_attn.{letter}_proj");
                push(&format!("{name}.weight"), vec![size, hidden], rows(LayerMatrix::Qkv, first_row));
                if self.attention_bias {
                    push(
                        &format!("{name}.bias"),
                        vec![size],
                        ParameterLocation::QkvBias { layer, first_row },
                    );
                }
            }
            if self.query_key_norm {
                push("self_attn.q_norm.weight", vec![self.head_dim], norm(LayerNorm::Query));
                push("self_attn.k_norm.weight", vec![self.head_dim], norm(LayerNorm::Key));
            }
            push("self_attn.o_proj.weight", vec![hidden, query], rows(LayerMatrix::Output, 0));
            push("post_attention_layernorm.weight", vec![hidden], norm(LayerNorm::PostAttention));
            push("mlp.gate_proj.weight", vec![inner, hidden], rows(LayerMatrix::GateUp, 0));
            push("mlp.up_proj.weight", vec![inner, hidden], rows(LayerMatrix::GateUp, inner));
            push("mlp.down_proj.weight", vec![hidden, inner], rows(LayerMatrix::Down, 0));
        }
        list.push(NamedParameter {
            name: "model.norm.weight".to_owned(),
            shape: vec![hidden],
            location: ParameterLocation::FinalNorm,
        });
        if !self.tied_embeddings {
            list.push(NamedParameter {
                name: "lm_head.weight".to_owned(),
                shape: vec![self.vocabulary_size, hidden],
                location: ParameterLocation::Head,
            });
        }
        list
    }
}

impl DecoderWeights {
    /// Every tensor under its Hugging Face name, as f32, in the model's order.
    pub fn to_named(&self, config: &DecoderConfig) -> Vec<NamedTensor> {
        let tensor = |parameter: NamedParameter| NamedTensor {
            values: self.read(&parameter),
            name: parameter.name,
            shape: parameter.shape,
        };
        config.named_parameters().into_iter().map(tensor).collect()
    }

    /// Joins named tensors into fused weights of f32.
    ///
    /// # Errors
    /// Names the tensor that is missing, left over or misshapen.
    pub fn from_named(
        config: &DecoderConfig,
        tensors: impl IntoIterator<Item = NamedTensor>,
    ) -> Result<Self, DecoderError> {
        let location = || "the named tensors".to_owned();
        let mut by_name: BTreeMap<String, NamedTensor> =
            tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect();
        let mut weights = Self::zeros(config);
        for parameter in config.named_parameters() {
            let tensor = by_name.remove(&parameter.name).ok_or_else(|| DecoderError::MissingTensor {
                name: parameter.name.clone(),
                location: location(),
            })?;
            if tensor.shape != parameter.shape || tensor.values.len() != parameter.element_count() {
                return Err(DecoderError::MisshapenTensor {
                    name: parameter.name,
                    location: location(),
                    expected: parameter.shape,
                    found: tensor.shape,
                });
            }
            weights.write(&parameter, &tensor.values);
        }
        match by_name.into_keys().next() {
            Some(name) => Err(DecoderError::ExtraTensor { name, location: location() }),
            None => Ok(weights),
        }
    }

    /// Weights of f32 that are all zero.
    pub fn zeros(config: &DecoderConfig) -> Self {
        Self::filled(config, |rows, columns| Matrix::from_f32(rows, columns, vec![0.0; rows * columns]))
    }

    /// Weights that are all zero, with matrices of bf16.
    pub fn zeros_bf16(config: &DecoderConfig) -> Self {
        Self::filled(config, |rows, columns| {
            Matrix::from_bf16(rows, columns, vec![bf16::ZERO; rows * columns])
        })
    }

    /// The numbers of one named tensor, widened to f32.
    pub fn read(&self, parameter: &NamedParameter) -> Vec<f32> {
        let rows = parameter.shape.first().copied().unwrap_or_default();
        match parameter.location {
            ParameterLocation::Embedding => self.embedding.rows_to_f32(0, rows),
            ParameterLocation::FinalNorm => self.final_norm.clone(),
            ParameterLocation::Head => self.head().rows_to_f32(0, rows),
            ParameterLocation::LayerNorm { layer, norm } => {
                let layer = &self.layers[layer];
                match norm {
                    LayerNorm::Input => layer.input_norm.clone(),
                    LayerNorm::PostAttention => layer.post_attention_norm.clone(),
                    LayerNorm::Query => layer.query_norm.clone().unwrap_or_default(),
                    LayerNorm::Key => layer.key_norm.clone().unwrap_or_default(),
                }
            }
            ParameterLocation::QkvBias { layer, first_row } => {
                let bias = self.layers[layer].qkv_bias.as_deref().unwrap_or_default();
                bias[first_row..first_row + rows].to_vec()
            }
            ParameterLocation::LayerMatrix { layer, matrix, first_row } => {
                let layer = &self.layers[layer];
                let matrix = match matrix {
                    LayerMatrix::Qkv => &layer.qkv,
                    LayerMatrix::Output => &layer.output,
                    LayerMatrix::GateUp => &layer.gate_up,
                    LayerMatrix::Down => &layer.down,
                };
                matrix.rows_to_f32(first_row, rows)
            }
        }
    }

    /// Writes the numbers of one named tensor where they belong, rounding where the matrix is bf16.
    pub fn write(&mut self, parameter: &NamedParameter, values: &[f32]) {
        match parameter.location {
            ParameterLocation::Embedding => write_rows(&mut self.embedding, 0, values),
            ParameterLocation::FinalNorm => self.final_norm.copy_from_slice(values),
            ParameterLocation::Head => {
                write_rows(self.head.as_mut().unwrap_or(&mut self.embedding), 0, values);
            }
            ParameterLocation::LayerNorm { layer, norm } => {
                let layer = &mut self.layers[layer];
                let target = match norm {
                    LayerNorm::Input => Some(&mut layer.input_norm),
                    LayerNorm::PostAttention => Some(&mut layer.post_attention_norm),
                    LayerNorm::Query => layer.query_norm.as_mut(),
                    LayerNorm::Key => layer.key_norm.as_mut(),
                };
                if let Some(target) = target {
                    target.copy_from_slice(values);
                }
            }
            ParameterLocation::QkvBias { layer, first_row } => {
                if let Some(bias) = &mut self.layers[layer].qkv_bias {
                    bias[first_row..first_row + values.len()].copy_from_slice(values);
                }
            }
            ParameterLocation::LayerMatrix { layer, matrix, first_row } => {
                let layer = &mut self.layers[layer];
                let matrix = match matrix {
                    LayerMatrix::Qkv => &mut layer.qkv,
                    LayerMatrix::Output => &mut layer.output,
                    LayerMatrix::GateUp => &mut layer.gate_up,
                    LayerMatrix::Down => &mut layer.down,
                };
                write_rows(matrix, first_row, values);
            }
        }
    }

    fn filled(config: &DecoderConfig, matrix: impl Fn(usize, usize) -> Matrix) -> Self {
        let hidden = config.hidden_size;
        let layers = (0..config.layer_count).map(|_| LayerWeights {
            input_norm: vec![0.0; hidden],
            qkv: matrix(config.qkv_size(), hidden),
            qkv_bias: config.attention_bias.then(|| vec![0.0; config.qkv_size()]),
            query_norm: config.query_key_norm.then(|| vec![0.0; config.head_dim]),
            key_norm: config.query_key_norm.then(|| vec![0.0; config.head_dim]),
            output: matrix(hidden, config.query_size()),
            post_attention_norm: vec![0.0; hidden],
            gate_up: matrix(2 * config.intermediate_size, hidden),
            down: matrix(hidden, config.intermediate_size),
        });
        Self {
            embedding: matrix(config.vocabulary_size, hidden),
            layers: layers.collect(),
            final_norm: vec![0.0; hidden],
            head: (!config.tied_embeddings).then(|| matrix(config.vocabulary_size, hidden)),
        }
    }
}

fn write_rows(matrix: &mut Matrix, first_row: usize, values: &[f32]) {
    let start = first_row * matrix.columns();
    match matrix.storage_mut() {
        Storage::F32(target) => {
            Arc::make_mut(target)[start..start + values.len()].copy_from_slice(values);
        }
        Storage::Bf16(target) => {
            let target = &mut Arc::make_mut(target)[start..start + values.len()];
            for (target, value) in target.iter_mut().zip(values) {
                *target = bf16::from_f32(*value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Architecture, testing};

    #[test]
    fn weights_survive_naming() {
        let plain = testing::quick_start();
        let qwen2 = DecoderConfig {
            architecture: Architecture::Qwen2,
            attention_bias: true,
            tied_embeddings: false,
            key_value_head_count: 2,
            ..testing::quick_start()
        };
        let qwen3 = DecoderConfig {
            architecture: Architecture::Qwen3,
            query_key_norm: true,
            ..testing::quick_start()
        };
        for config in [plain, qwen2, qwen3] {
            let mut weights = DecoderWeights::random(&config, 3);
            for bias in weights.layers.iter_mut().filter_map(|layer| layer.qkv_bias.as_mut()) {
                bias.iter_mut().enumerate().for_each(|(index, value)| *value = index as f32);
            }
            let named = weights.to_named(&config);
            let count: usize = named.iter().map(|tensor| tensor.values.len()).sum();
            assert_eq!(count, config.parameter_count());
            assert_eq!(DecoderWeights::from_named(&config, named).unwrap(), weights);
        }
    }

    #[test]
    fn a_missing_an_extra_and_a_misshapen_tensor_are_named() {
        let config = testing::quick_start();
        let named = DecoderWeights::random(&config, 3).to_named(&config);
        let name = "model.layers.1.self_attn.k_proj.weight";
        let without: Vec<_> = named.iter().filter(|tensor| tensor.name != name).cloned().collect();
        let error = DecoderWeights::from_named(&config, without).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("missing"), "{error}");
        let mut extra = named.clone();
        extra.push(NamedTensor { name: "model.other".to_owned(), shape: vec![1], values: vec![0.0] });
        let error = DecoderWeights::from_named(&config, extra).unwrap_err().to_string();
        assert!(error.contains("model.other") && error.contains("not part"), "{error}");
        let mut misshapen = named;
        misshapen.iter_mut().filter(|tensor| tensor.name == name).for_each(|tensor| tensor.shape.push(1));
        let error = DecoderWeights::from_named(&config, misshapen).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("shape"), "{error}");
    }
}
