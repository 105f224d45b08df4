//! Parameters as a list: what the optimizer and the checkpoints walk over.

use still_decoder::{DecoderConfig, DecoderWeights, Matrix};

/// What a parameter is, as far as weight decay goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A projection.
    Matrix,
    /// The embedding or the head.
    Embedding,
    /// A norm's scale or a bias.
    Vector,
}

/// Every parameter's values, in an order that never changes.
pub(crate) fn values(weights: &DecoderWeights) -> Vec<(String, &[f32])> {
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

/// The same list, to change.
pub(crate) fn values_mut(weights: &mut DecoderWeights) -> Vec<(Role, &mut [f32])> {
    let mut list = vec![(Role::Embedding, floats_mut(&mut weights.embedding))];
    for layer in &mut weights.layers {
        list.push((Role::Vector, &mut layer.input_norm));
        list.push((Role::Matrix, floats_mut(&mut layer.qkv)));
        for values in [&mut layer.qkv_bias, &mut layer.query_norm, &mut layer.key_norm].into_iter().flatten()
        {
            list.push((Role::Vector, values));
        }
        list.push((Role::Matrix, floats_mut(&mut layer.output)));
        list.push((Role::Vector, &mut layer.post_attention_norm));
        list.push((Role::Matrix, floats_mut(&mut layer.gate_up)));
        list.push((Role::Matrix, floats_mut(&mut layer.down)));
    }
    list.push((Role::Vector, &mut weights.final_norm));
    if let Some(head) = &mut weights.head {
        list.push((Role::Embedding, floats_mut(head)));
    }
    list
}

/// Parameters of this shape, all zero.
pub(crate) fn zeros(config: &DecoderConfig) -> DecoderWeights {
    DecoderWeights::zeros(config)
}

fn floats(matrix: &Matrix) -> &[f32] {
    // masters, moments and gradients are made as f32 and stay so
    matrix.as_f32().unwrap_or_default()
}

fn floats_mut(matrix: &mut Matrix) -> &mut [f32] {
    matrix.as_f32_mut().unwrap_or_default()
}
