//! Operators on host slices with their own backward pass, inside burn's autodiff graph.
//!
//! A [`HostOperator`] computes on `&[f32]`. `apply` makes it a node of the graph: burn sees one operator
//! with one to eleven inputs, calls its backward pass when the gradient of its output is known, and carries
//! the gradients of its inputs on. Only burn's CPU backend takes host operators.

mod extension;
mod operators;

use std::{any::Any, fmt, sync::Arc};

pub(crate) use extension::apply;
pub(crate) use operators::{
    ChangeShape, DecoderLayer, Embed, RmsNorm, TargetLogProbabilities, WeightedLikelihood,
};

/// What the forward pass keeps for the backward pass.
pub type Kept = Arc<dyn Any + Send + Sync>;

/// An operator on host slices.
pub trait HostOperator: Send + Sync + fmt::Debug {
    /// The output and its shape; `keeps` tells whether a backward pass will follow.
    fn forward(&self, inputs: &[&[f32]], keeps: bool) -> Output;

    /// The gradients of the inputs, each as long as its input; an empty one counts as zero.
    fn backward(&self, inputs: &[&[f32]], kept: Option<&Kept>, grad: &[f32]) -> Vec<Vec<f32>>;
}

/// What a forward pass gives.
pub struct Output {
    /// Row-major values.
    pub values: Vec<f32>,
    /// Their shape.
    pub shape: Vec<usize>,
    /// What the backward pass wants.
    pub kept: Option<Kept>,
}
