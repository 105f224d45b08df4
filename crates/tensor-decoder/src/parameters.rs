//! Parameters as a list: what an optimizer and a checkpoint walk over.

use still_decoder::{DecoderWeights, LayerWeights, Matrix};

use crate::adapters::Adapters;

/// What a parameter is, as far as an optimizer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A projection, or a factor of one.
    Matrix {
        /// Numbers of a row.
        columns: usize,
        /// Rows of each projection that it holds, one after the other; 0 where there is none.
        projections: [usize; 3],
    },
    /// The embedding or the head.
    Embedding,
    /// A norm's scale or a bias.
    Vector,
}

/// What an optimizer and a checkpoint walk over.
pub trait ParameterList {
    /// Every parameter's name and numbers, in an order that never changes.
    fn values(&self) -> Vec<(String, &[f32])>;

    /// The same list, to change.
    fn values_mut(&mut self) -> Vec<(Role, &mut [f32])>;
}

/// Numbers in the form of what is trained, on the host as f32: its gradients, and their moments.
#[derive(Debug, Clone, PartialEq)]
pub enum Parameters {
    /// Of every parameter of a decoder.
    Full(DecoderWeights),
    /// Of low-rank adapters beside a decoder that stays as it is.
    Adapters(Adapters),
}

impl ParameterList for DecoderWeights {
    fn values(&self) -> Vec<(String, &[f32])> {
        full_values(self)
    }

    fn values_mut(&mut self) -> Vec<(Role, &mut [f32])> {
        full_values_mut(self)
    }
}

impl ParameterList for Adapters {
    fn values(&self) -> Vec<(String, &[f32])> {
        self.factors()
    }

    fn values_mut(&mut self) -> Vec<(Role, &mut [f32])> {
        self.factors_mut().into_iter().map(whole).collect()
    }
}

impl ParameterList for Parameters {
    fn values(&self) -> Vec<(String, &[f32])> {
        match self {
            Self::Full(weights) => weights.values(),
            Self::Adapters(adapters) => adapters.values(),
        }
    }

    fn values_mut(&mut self) -> Vec<(Role, &mut [f32])> {
        match self {
            Self::Full(weights) => weights.values_mut(),
            Self::Adapters(adapters) => adapters.values_mut(),
        }
    }
}

impl Parameters {
    /// Zeros in the form of a decoder's parameters.
    pub fn zeros_like_weights(weights: &DecoderWeights) -> Self {
        Self::Full(zero_weights(weights))
    }

    /// Zeros in the form of adapters.
    pub fn zeros_like_adapters(adapters: &Adapters) -> Self {
        Self::Adapters(adapters.zeros_like())
    }

    /// Empties every matrix of a block, or factor of one; what else there is stays.
    pub fn empty_matrices(&mut self) {
        let matrices = match self {
            Self::Full(weights) => weights.layers.iter_mut().flat_map(layer_matrices_mut).collect(),
            Self::Adapters(adapters) => adapters.factors_mut(),
        };
        for matrix in matrices {
            *matrix = Matrix::from_f32(0, matrix.columns(), Vec::new());
        }
    }

    /// Adds `more`, of the same form.
    pub fn add(&mut self, more: &Self) {
        for ((_, sum), (_, more)) in self.values_mut().into_iter().zip(more.values()) {
            sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        }
    }
}

fn layer_matrices_mut(layer: &mut LayerWeights) -> [&mut Matrix; 4] {
    [&mut layer.qkv, &mut layer.output, &mut layer.gate_up, &mut layer.down]
}

/// Numbers of a matrix that was made as f32, as masters, moments and gradients are.
pub(crate) fn floats(matrix: &Matrix) -> &[f32] {
    matrix.as_f32().unwrap_or_default()
}

/// The same, to change.
pub(crate) fn floats_mut(matrix: &mut Matrix) -> &mut [f32] {
    matrix.as_f32_mut().unwrap_or_default()
}

/// A matrix of the same size, all zero.
pub(crate) fn zero_matrix(like: &Matrix) -> Matrix {
    Matrix::from_f32(like.rows(), like.columns(), vec![0.0; like.rows() * like.columns()])
}

fn zero_weights(like: &DecoderWeights) -> DecoderWeights {
    let zeros = |values: &Vec<f32>| vec![0.0; values.len()];
    let layer = |layer: &LayerWeights| LayerWeights {
        input_norm: zeros(&layer.input_norm),
        qkv: zero_matrix(&layer.qkv),
        qkv_bias: layer.qkv_bias.as_ref().map(zeros),
        query_norm: layer.query_norm.as_ref().map(zeros),
        key_norm: layer.key_norm.as_ref().map(zeros),
        output: zero_matrix(&layer.output),
        post_attention_norm: zeros(&layer.post_attention_norm),
        gate_up: zero_matrix(&layer.gate_up),
        down: zero_matrix(&layer.down),
    };
    DecoderWeights {
        embedding: zero_matrix(&like.embedding),
        layers: like.layers.iter().map(layer).collect(),
        final_norm: zeros(&like.final_norm),
        head: like.head.as_ref().map(zero_matrix),
    }
}

fn full_values(weights: &DecoderWeights) -> Vec<(String, &[f32])> {
    let mut list: Vec<(String, &[f32])> = vec![("embedding".to_owned(), floats(&weights.embedding))];
    for (index, layer) in weights.layers.iter().enumerate() {
        let mut add = |name: &str, values| list.push((format!("layers.{index}.{name}"), values));
        add("input_norm", &layer.input_norm);
        add("qkv", floats(&layer.qkv));
        let optional =
            [("qkv_bias", &layer.qkv_bias), ("query_norm", &layer.query_norm), ("key_norm", &layer.key_norm)];
        for (name, values) in optional {
            if let Some(values) = values {
                add(name, values);
            }
        }
        add("output", floats(&layer.output));
        add("post_attention_norm", &layer.post_attention_norm);
        add("gate_up", floats(&layer.gate_up));
        add("down", floats(&layer.down));
    }
    list.push(("final_norm".to_owned(), &weights.final_norm));
    if let Some(head) = &weights.head {
        list.push(("head".to_owned(), floats(head)));
    }
    list
}

fn matrix(matrix: &mut Matrix, projections: [usize; 3]) -> (Role, &mut [f32]) {
    (Role::Matrix { columns: matrix.columns(), projections }, floats_mut(matrix))
}

/// A matrix that is one projection, or a factor of one.
fn whole(of: &mut Matrix) -> (Role, &mut [f32]) {
    let rows = of.rows();
    matrix(of, [rows, 0, 0])
}

fn full_values_mut(weights: &mut DecoderWeights) -> Vec<(Role, &mut [f32])> {
    let mut list = vec![(Role::Embedding, floats_mut(&mut weights.embedding))];
    for layer in &mut weights.layers {
        list.push((Role::Vector, &mut layer.input_norm));
        let queries = layer.output.columns();
        let group = layer.qkv.rows().saturating_sub(queries) / 2;
        list.push(matrix(&mut layer.qkv, [queries, group, group]));
        for values in [&mut layer.qkv_bias, &mut layer.query_norm, &mut layer.key_norm].into_iter().flatten()
        {
            list.push((Role::Vector, values));
        }
        list.push(whole(&mut layer.output));
        list.push((Role::Vector, &mut layer.post_attention_norm));
        let inner = layer.down.columns();
        list.push(matrix(&mut layer.gate_up, [inner, inner, 0]));
        list.push(whole(&mut layer.down));
    }
    list.push((Role::Vector, &mut weights.final_norm));
    if let Some(head) = &mut weights.head {
        list.push((Role::Embedding, floats_mut(head)));
    }
    list
}
