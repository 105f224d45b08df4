//! From burn's gradients to parameters on the host.

use std::cell::RefCell;

use burn::{
    module::Param,
    tensor::{FloatDType, Gradients, Tensor},
};
use still_decoder::{DecoderWeights, LayerWeights, Matrix};

use crate::{
    adapters::{Adapter, Adapters, Projection},
    parameters::Parameters,
    tensors::decoder::{Decoder, DecoderLayer},
};

/// Gradients of one or several backward passes over parts of one graph; a parameter's gradient is the sum.
/// Each is handed out once, and its memory with it.
pub(crate) struct Collected(RefCell<Vec<Gradients>>);

/// The gradients of what lies outside the blocks, summed in f32 over the backward passes that reach it.
#[derive(Default)]
pub(crate) struct OutsideGradients {
    embedding: Option<Tensor<2>>,
    final_norm: Option<Tensor<1>>,
    head: Option<Tensor<2>>,
}

/// A block's gradients.
pub(crate) enum LayerGradients {
    Full(Box<LayerWeights>),
    Adapters(Vec<Adapter>),
}

impl Decoder {
    /// Every trained parameter's gradient, from those of the blocks and of what lies outside them; zero where none reached.
    pub(crate) fn gradients_with_layers(
        &self,
        layers: Vec<LayerGradients>,
        outside: OutsideGradients,
    ) -> Parameters {
        let (mut full, mut adapters) = (Vec::new(), Vec::new());
        for layer in layers {
            match layer {
                LayerGradients::Full(layer) => full.push(*layer),
                LayerGradients::Adapters(layer) => adapters.push(layer),
            }
        }
        if let Some(scale) = self.adapter_scale {
            return Parameters::Adapters(Adapters { scale: scale as f32, layers: adapters });
        }
        Parameters::Full(DecoderWeights {
            embedding: matrix(&self.embedding, outside.embedding),
            layers: full,
            final_norm: vector(&self.final_norm, outside.final_norm),
            head: self.head.as_ref().map(|head| matrix(head, outside.head)),
        })
    }
}

impl DecoderLayer {
    /// The block's gradients.
    pub(crate) fn gradients(&self, from: &Collected) -> LayerGradients {
        if self.adapted.is_empty() {
            return LayerGradients::Full(Box::new(self.full_gradients(from)));
        }
        let changes = self.matrices().into_iter().flat_map(|matrix| &matrix.changes);
        let projections = self.adapted.iter().filter_map(|index| Projection::ALL.get(*index));
        let adapters = projections.zip(changes).map(|(projection, change)| Adapter {
            projection: *projection,
            down: from.matrix(&change.down),
            up: from.matrix(&change.up),
        });
        LayerGradients::Adapters(adapters.collect())
    }

    fn full_gradients(&self, from: &Collected) -> LayerWeights {
        let optional =
            |parameter: &Option<Param<Tensor<1>>>| parameter.as_ref().map(|parameter| from.vector(parameter));
        LayerWeights {
            input_norm: from.vector(&self.input_norm),
            qkv: from.matrix(&self.qkv.base),
            qkv_bias: optional(&self.qkv_bias),
            query_norm: optional(&self.query_norm),
            key_norm: optional(&self.key_norm),
            output: from.matrix(&self.output.base),
            post_attention_norm: from.vector(&self.post_attention_norm),
            gate_up: from.matrix(&self.gate_up.base),
            down: from.matrix(&self.down.base),
        }
    }
}

impl OutsideGradients {
    /// Adds what a backward pass left, which is taken out of it.
    pub(crate) fn add(&mut self, decoder: &Decoder, gradients: &mut Gradients) {
        add(&mut self.embedding, &decoder.embedding, gradients);
        add(&mut self.final_norm, &decoder.final_norm, gradients);
        if let Some(head) = &decoder.head {
            add(&mut self.head, head, gradients);
        }
    }
}

fn add<const D: usize>(sum: &mut Option<Tensor<D>>, parameter: &Param<Tensor<D>>, from: &mut Gradients) {
    if let Some(more) = parameter.val().grad_remove(from) {
        let more = more.cast(FloatDType::F32);
        *sum = Some(match sum.take() {
            Some(sum) => sum + more,
            None => more,
        });
    }
}

impl Collected {
    pub(crate) fn new(gradients: impl IntoIterator<Item = Gradients>) -> Self {
        Self(RefCell::new(gradients.into_iter().collect()))
    }

    fn vector(&self, parameter: &Param<Tensor<1>>) -> Vec<f32> {
        vector(parameter, self.sum(&parameter.val()))
    }

    fn matrix(&self, parameter: &Param<Tensor<2>>) -> Matrix {
        matrix(parameter, self.sum(&parameter.val()))
    }

    fn sum<const D: usize>(&self, parameter: &Tensor<D>) -> Option<Tensor<D>> {
        let mut gradients = self.0.borrow_mut();
        let found = gradients.iter_mut().filter_map(|gradients| parameter.grad_remove(gradients));
        found.reduce(|sum, more| sum + more)
    }
}

/// A parameter's gradient on the host; zero where none reached.
fn vector(parameter: &Param<Tensor<1>>, gradient: Option<Tensor<1>>) -> Vec<f32> {
    gradient.map_or_else(|| vec![0.0; parameter.val().dims()[0]], host_values)
}

fn matrix(parameter: &Param<Tensor<2>>, gradient: Option<Tensor<2>>) -> Matrix {
    let [rows, columns] = parameter.val().dims();
    let values = gradient.map_or_else(|| vec![0.0; rows * columns], host_values);
    Matrix::from_f32(rows, columns, values)
}

/// A tensor's values on the host, as f32.
pub(crate) fn host_values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().unwrap_or_default()
}
