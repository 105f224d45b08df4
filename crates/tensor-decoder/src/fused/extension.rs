//! Host operators as nodes of burn's autodiff graph.
#![expect(
    clippy::too_many_arguments,
    reason = "a decoder layer has its input, nine parameters and the factors of its adapters"
)]

use std::{fmt, sync::Arc};

use burn::{
    backend::{
        Backend, Dispatch, Flex, TensorMetadata,
        autodiff::{
            Autodiff,
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        backend_extension,
        tensor::FloatTensor,
    },
    tensor::{Shape, Tensor, TensorData},
};

use super::{HostOperator, Kept};

/// A shared host operator, as it travels through burn.
pub(crate) type SharedOperator = Arc<dyn HostOperator>;

/// Backends that take host operators. Nothing but [`apply`] calls these.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait HostOperators: Backend {
    /// An operator of one input.
    fn host_unary(a: FloatTensor<Self>, operator: SharedOperator) -> FloatTensor<Self>;

    /// An operator of two inputs.
    fn host_binary(a: FloatTensor<Self>, b: FloatTensor<Self>, operator: SharedOperator)
    -> FloatTensor<Self>;

    /// An operator of eleven inputs.
    fn host_layer(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
        e: FloatTensor<Self>,
        f: FloatTensor<Self>,
        g: FloatTensor<Self>,
        h: FloatTensor<Self>,
        i: FloatTensor<Self>,
        j: FloatTensor<Self>,
        k: FloatTensor<Self>,
        operator: SharedOperator,
    ) -> FloatTensor<Self>;
}

/// Runs an operator on tensors of the CPU backend, with or without autodiff.
pub(crate) fn apply<const OUT: usize>(
    operator: impl HostOperator + 'static,
    inputs: Vec<burn::backend::DispatchTensor>,
) -> Tensor<OUT> {
    let operator: SharedOperator = Arc::new(operator);
    let count = inputs.len();
    let output = match <[_; 1]>::try_from(inputs) {
        Ok([a]) => Dispatch::host_unary(a, operator),
        Err(inputs) => match <[_; 2]>::try_from(inputs) {
            Ok([a, b]) => Dispatch::host_binary(a, b, operator),
            Err(inputs) => match <[_; 11]>::try_from(inputs) {
                Ok([a, b, c, d, e, f, g, h, i, j, k]) => {
                    Dispatch::host_layer(a, b, c, d, e, f, g, h, i, j, k, operator)
                }
                Err(_) => unreachable!("no operator of {count} inputs is defined"),
            },
        },
    };
    Tensor::from_dispatch(output)
}

/// A backend whose tensors can be read and made as host slices.
pub(crate) trait HostTensors: Backend {
    /// Runs an operator's forward pass.
    fn run<const N: usize>(
        operator: &SharedOperator,
        inputs: &[FloatTensor<Self>; N],
        keeps: bool,
    ) -> (FloatTensor<Self>, Option<Kept>);

    /// Runs an operator's backward pass; gives the gradients of the inputs that are `wanted`.
    fn run_backward<const N: usize>(
        operator: &SharedOperator,
        inputs: &[FloatTensor<Self>; N],
        kept: Option<&Kept>,
        grad: FloatTensor<Self>,
        wanted: [bool; N],
    ) -> Vec<Option<FloatTensor<Self>>>;
}

impl HostTensors for Flex {
    fn run<const N: usize>(
        operator: &SharedOperator,
        inputs: &[FloatTensor<Self>; N],
        keeps: bool,
    ) -> (FloatTensor<Self>, Option<Kept>) {
        let inputs = inputs.each_ref().map(FloatTensor::<Self>::to_contiguous);
        let slices = inputs.each_ref().map(|tensor| tensor.as_slice::<f32>().unwrap_or_default());
        let output = operator.forward(&slices, keeps);
        let data = TensorData::new(output.values, Shape::from(output.shape));
        (FloatTensor::<Self>::from_data(data), output.kept)
    }

    fn run_backward<const N: usize>(
        operator: &SharedOperator,
        inputs: &[FloatTensor<Self>; N],
        kept: Option<&Kept>,
        grad: FloatTensor<Self>,
        wanted: [bool; N],
    ) -> Vec<Option<FloatTensor<Self>>> {
        let inputs = inputs.each_ref().map(FloatTensor::<Self>::to_contiguous);
        let slices = inputs.each_ref().map(|tensor| tensor.as_slice::<f32>().unwrap_or_default());
        let grad = grad.to_contiguous();
        let gradients = operator.backward(&slices, kept, grad.as_slice::<f32>().unwrap_or_default());
        gradients
            .into_iter()
            .zip(&inputs)
            .zip(wanted)
            .map(|((values, input), is_wanted)| {
                let zeros = || vec![0.0; input.shape().num_elements()];
                is_wanted.then(|| {
                    let values = if values.is_empty() { zeros() } else { values };
                    FloatTensor::<Self>::from_data(TensorData::new(values, input.shape()))
                })
            })
            .collect()
    }
}

impl HostOperators for Flex {
    fn host_unary(a: FloatTensor<Self>, operator: SharedOperator) -> FloatTensor<Self> {
        Self::run(&operator, &[a], false).0
    }

    fn host_binary(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        operator: SharedOperator,
    ) -> FloatTensor<Self> {
        Self::run(&operator, &[a, b], false).0
    }

    fn host_layer(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
        e: FloatTensor<Self>,
        f: FloatTensor<Self>,
        g: FloatTensor<Self>,
        h: FloatTensor<Self>,
        i: FloatTensor<Self>,
        j: FloatTensor<Self>,
        k: FloatTensor<Self>,
        operator: SharedOperator,
    ) -> FloatTensor<Self> {
        Self::run(&operator, &[a, b, c, d, e, f, g, h, i, j, k], false).0
    }
}

impl<B: HostTensors, C: CheckpointStrategy> HostOperators for Autodiff<B, C> {
    fn host_unary(a: FloatTensor<Self>, operator: SharedOperator) -> FloatTensor<Self> {
        record::<B, C, 1>([a], operator)
    }

    fn host_binary(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        operator: SharedOperator,
    ) -> FloatTensor<Self> {
        record::<B, C, 2>([a, b], operator)
    }

    fn host_layer(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
        e: FloatTensor<Self>,
        f: FloatTensor<Self>,
        g: FloatTensor<Self>,
        h: FloatTensor<Self>,
        i: FloatTensor<Self>,
        j: FloatTensor<Self>,
        k: FloatTensor<Self>,
        operator: SharedOperator,
    ) -> FloatTensor<Self> {
        record::<B, C, 11>([a, b, c, d, e, f, g, h, i, j, k], operator)
    }
}

/// The backward step of every host operator.
#[derive(Debug)]
struct HostStep;

/// What the backward step needs.
struct HostState<B: Backend, const N: usize> {
    operator: SharedOperator,
    inputs: [FloatTensor<B>; N],
    kept: Option<Kept>,
}

impl<B: Backend, const N: usize> Clone for HostState<B, N> {
    fn clone(&self) -> Self {
        Self { operator: Arc::clone(&self.operator), inputs: self.inputs.clone(), kept: self.kept.clone() }
    }
}

impl<B: Backend, const N: usize> fmt::Debug for HostState<B, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostState").field("operator", &self.operator).finish_non_exhaustive()
    }
}

impl<B: HostTensors, const N: usize> Backward<B, N> for HostStep {
    type State = HostState<B, N>;

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let HostState { operator, inputs, kept } = ops.state;
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let gradients = B::run_backward(&operator, &inputs, kept.as_ref(), grad, wanted);
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

/// Runs an operator and records its backward step where an input is tracked.
fn record<B: HostTensors, C: CheckpointStrategy, const N: usize>(
    inputs: [FloatTensor<Autodiff<B, C>>; N],
    operator: SharedOperator,
) -> FloatTensor<Autodiff<B, C>> {
    let nodes = inputs.each_ref().map(FloatTensor::<Autodiff<B, C>>::node);
    let inputs = inputs.map(FloatTensor::<Autodiff<B, C>>::into_primitive);
    match Backward::<B, N>::prepare::<C>(HostStep, nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let (output, kept) = B::run(&operator, &inputs, true);
            prepared.finish(HostState { operator, inputs, kept }, output)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(B::run(&operator, &inputs, false).0),
    }
}
