//! The decoder's operators, on the kernels of `still-decoder`.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use still_decoder::{
    ActivationMode, DecoderConfig, LayerActivations, LayerGradients, LayerPass, LayerView,
    LogLikelihoodGradients, LowRankView, ProjectionView, RopeTable, Segments, Threads, Trained,
    embedding_backward, embedding_forward, layer_backward, layer_forward, rms_norm_backward,
    rms_norm_forward, token_log_probabilities, token_log_probabilities_backward, weighted_log_likelihood,
};

use super::{HostOperator, Kept, Output};
use crate::decoder::LayerObserver;

/// Rows of the embedding table: `[vocabulary, hidden]` to `[tokens, hidden]`.
pub(crate) struct Embed {
    pub(crate) tokens: Arc<[u32]>,
    pub(crate) hidden_size: usize,
    pub(crate) multiplier: f32,
}

/// One decoder block: `[tokens, hidden]` to the same; parameters as in `still_decoder::LayerView`, and after them the
/// factors of all changes in one vector, in the order of the projections, of each `A` and then `B`.
pub(crate) struct DecoderLayer {
    pub(crate) config: Arc<DecoderConfig>,
    pub(crate) rope: Arc<RopeTable>,
    pub(crate) segments: Arc<Segments>,
    pub(crate) threads: Threads,
    pub(crate) recompute: bool,
    pub(crate) observer: LayerObserver,
    /// Of the four fused projections; none where they are trained themselves.
    pub(crate) changes: Option<[Vec<ChangeShape>; 4]>,
}

/// Where a change acts, and how far its factors reach in the vector that holds them all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChangeShape {
    pub(crate) rank: usize,
    /// Numbers of `A`.
    pub(crate) down: usize,
    /// Numbers of `B`.
    pub(crate) up: usize,
    pub(crate) first_row: usize,
    pub(crate) scale: f32,
}

/// Root-mean-square norm of `[tokens, hidden]` with a scale `[hidden]`.
pub(crate) struct RmsNorm {
    pub(crate) hidden_size: usize,
    pub(crate) epsilon: f32,
    pub(crate) threads: Threads,
}

/// Log-probabilities of targets: `[tokens, hidden]` and a head `[vocabulary, hidden]` to `[targets]`.
pub(crate) struct TargetLogProbabilities {
    pub(crate) hidden_size: usize,
    pub(crate) rows: Arc<[usize]>,
    pub(crate) targets: Arc<[u32]>,
    /// Whether the head's gradient is wanted.
    pub(crate) trains_head: bool,
    pub(crate) threads: Threads,
}

/// The log-probabilities of targets, summed and weighted: `[tokens, hidden]` and a head
/// `[vocabulary, hidden]` to `[1]`. Its gradients are made in the forward pass, from the same logits.
pub(crate) struct WeightedLikelihood {
    pub(crate) hidden_size: usize,
    pub(crate) rows: Arc<[usize]>,
    pub(crate) targets: Arc<[u32]>,
    pub(crate) weight: f64,
    /// Whether the head's gradient is wanted.
    pub(crate) trains_head: bool,
    pub(crate) threads: Threads,
}

impl HostOperator for Embed {
    fn forward(&self, inputs: &[&[f32]], _: bool) -> Output {
        let values = embedding_forward(inputs[0], self.hidden_size, &self.tokens, self.multiplier);
        Output { values, shape: vec![self.tokens.len(), self.hidden_size], kept: None }
    }

    fn backward(&self, inputs: &[&[f32]], _: Option<&Kept>, grad: &[f32]) -> Vec<Vec<f32>> {
        let mut table = vec![0.0; inputs[0].len()];
        embedding_backward(grad, &self.tokens, self.multiplier, &mut table);
        vec![table]
    }
}

impl DecoderLayer {
    fn pass(&self) -> LayerPass<'_> {
        LayerPass { config: &self.config, rope: &self.rope, segments: &self.segments, threads: &self.threads }
    }

    /// The changes of each projection, from the vector of all factors.
    fn changes<'a>(&self, factors: &'a [f32]) -> Option<[Vec<LowRankView<'a>>; 4]> {
        let mut rest = factors;
        let mut next = |count| {
            let (taken, more) = rest.split_at(count);
            rest = more;
            taken
        };
        let mut view = |shape: &ChangeShape| LowRankView {
            down: next(shape.down),
            up: next(shape.up),
            rank: shape.rank,
            first_row: shape.first_row,
            scale: shape.scale,
        };
        let shapes = self.changes.as_ref()?;
        Some(shapes.each_ref().map(|shapes| shapes.iter().map(&mut view).collect()))
    }

    /// Inputs: x, then the parameters in the order of `crate::decoder::DecoderLayer`.
    fn view<'a>(
        &self,
        inputs: &[&'a [f32]],
        changes: Option<&'a [Vec<LowRankView<'a>>; 4]>,
    ) -> LayerView<'a> {
        let projection = |input: usize, place: usize| ProjectionView {
            weight: inputs[input],
            trained: changes.map_or(Trained::Weight, |changes| Trained::Changes(&changes[place])),
        };
        LayerView {
            input_norm: inputs[1],
            qkv: projection(2, 0),
            qkv_bias: self.config.attention_bias.then_some(inputs[3]),
            query_norm: self.config.query_key_norm.then_some(inputs[4]),
            key_norm: self.config.query_key_norm.then_some(inputs[5]),
            output: projection(6, 1),
            post_attention_norm: inputs[7],
            gate_up: projection(8, 2),
            down: projection(9, 3),
        }
    }
}

impl HostOperator for DecoderLayer {
    fn forward(&self, inputs: &[&[f32]], keeps: bool) -> Output {
        let mode = if keeps && !self.recompute { ActivationMode::Keep } else { ActivationMode::Recompute };
        let changes = self.changes(inputs[10]);
        let (values, kept) = layer_forward(self.pass(), self.view(inputs, changes.as_ref()), inputs[0], mode);
        self.observer.passed();
        let shape = vec![self.segments.token_count(), self.config.hidden_size];
        Output { values, shape, kept: kept.map(|kept| Arc::new(kept) as Kept) }
    }

    fn backward(&self, inputs: &[&[f32]], kept: Option<&Kept>, grad: &[f32]) -> Vec<Vec<f32>> {
        let kept = kept.and_then(|kept| kept.downcast_ref::<LayerActivations>());
        let changes = self.changes(inputs[10]);
        let weights = self.view(inputs, changes.as_ref());
        let (x, mut gradients) = layer_backward(self.pass(), weights, inputs[0], kept, grad);
        self.observer.passed();
        let factors = if changes.is_some() {
            let LayerGradients { qkv, output, gate_up, down, .. } = &mut gradients;
            [qkv, output, gate_up, down].map(std::mem::take).concat()
        } else {
            Vec::new()
        };
        vec![
            x,
            gradients.input_norm,
            gradients.qkv,
            gradients.qkv_bias.unwrap_or_default(),
            gradients.query_norm.unwrap_or_default(),
            gradients.key_norm.unwrap_or_default(),
            gradients.output,
            gradients.post_attention_norm,
            gradients.gate_up,
            gradients.down,
            factors,
        ]
    }
}

impl HostOperator for RmsNorm {
    fn forward(&self, inputs: &[&[f32]], keeps: bool) -> Output {
        let (values, roots) = rms_norm_forward(inputs[0], inputs[1], self.epsilon, &self.threads);
        let shape = vec![values.len() / self.hidden_size, self.hidden_size];
        Output { values, shape, kept: keeps.then(|| Arc::new(roots) as Kept) }
    }

    fn backward(&self, inputs: &[&[f32]], kept: Option<&Kept>, grad: &[f32]) -> Vec<Vec<f32>> {
        let roots = kept.and_then(|kept| kept.downcast_ref::<Vec<f32>>()).cloned();
        let roots =
            roots.unwrap_or_else(|| rms_norm_forward(inputs[0], inputs[1], self.epsilon, &self.threads).1);
        let mut grad_x = vec![0.0; inputs[0].len()];
        let grad_scale = rms_norm_backward(inputs[0], inputs[1], &roots, grad, &mut grad_x, &self.threads);
        vec![grad_x, grad_scale]
    }
}

/// The rows of `hidden` (`[tokens, width]`) that are wanted.
fn gather(hidden: &[f32], rows: &[usize], width: usize) -> Vec<f32> {
    let mut gathered = Vec::with_capacity(rows.len() * width);
    for row in rows {
        gathered.extend_from_slice(&hidden[row * width..][..width]);
    }
    gathered
}

/// The way back of [`gather`], to `length` numbers; rows that were not wanted are 0.
fn scatter(gathered: &[f32], rows: &[usize], width: usize, length: usize) -> Vec<f32> {
    let mut values = vec![0.0; length];
    for (row, gathered) in rows.iter().zip(gathered.chunks_exact(width)) {
        values[row * width..][..width].copy_from_slice(gathered);
    }
    values
}

impl HostOperator for TargetLogProbabilities {
    fn forward(&self, inputs: &[&[f32]], keeps: bool) -> Output {
        let hidden = gather(inputs[0], &self.rows, self.hidden_size);
        let found =
            token_log_probabilities(&hidden, inputs[1], self.hidden_size, &self.targets, &self.threads);
        let kept = keeps.then(|| Arc::new(found.log_normalizers) as Kept);
        Output { values: found.values, shape: vec![self.targets.len()], kept }
    }

    fn backward(&self, inputs: &[&[f32]], kept: Option<&Kept>, grad: &[f32]) -> Vec<Vec<f32>> {
        let (width, head) = (self.hidden_size, inputs[1]);
        let hidden = gather(inputs[0], &self.rows, width);
        let normalizers = kept.and_then(|kept| kept.downcast_ref::<Vec<f32>>()).cloned();
        let normalizers = normalizers.unwrap_or_else(|| {
            token_log_probabilities(&hidden, head, width, &self.targets, &self.threads).log_normalizers
        });
        let (gathered, grad_head) = token_log_probabilities_backward(
            &hidden,
            head,
            width,
            &self.targets,
            &normalizers,
            grad,
            self.trains_head,
            &self.threads,
        );
        vec![scatter(&gathered, &self.rows, width, inputs[0].len()), grad_head]
    }
}

impl WeightedLikelihood {
    fn gradients(&self, inputs: &[&[f32]]) -> LogLikelihoodGradients {
        let hidden = gather(inputs[0], &self.rows, self.hidden_size);
        let weights = vec![self.weight as f32; self.targets.len()];
        weighted_log_likelihood(
            &hidden,
            inputs[1],
            self.hidden_size,
            &self.targets,
            &weights,
            self.trains_head,
            &self.threads,
        )
    }

    fn value(&self, log_probabilities: &[f32]) -> Output {
        let sum: f64 = log_probabilities.iter().map(|value| f64::from(*value)).sum();
        Output { values: vec![(self.weight * sum) as f32], shape: vec![1], kept: None }
    }
}

impl HostOperator for WeightedLikelihood {
    fn forward(&self, inputs: &[&[f32]], keeps: bool) -> Output {
        if !keeps {
            let hidden = gather(inputs[0], &self.rows, self.hidden_size);
            let width = self.hidden_size;
            let found = token_log_probabilities(&hidden, inputs[1], width, &self.targets, &self.threads);
            return self.value(&found.values);
        }
        let found = self.gradients(inputs);
        let output = self.value(&found.log_probabilities);
        Output { kept: Some(Arc::new(Mutex::new(Some(found)))), ..output }
    }

    fn backward(&self, inputs: &[&[f32]], kept: Option<&Kept>, grad: &[f32]) -> Vec<Vec<f32>> {
        let kept = kept.and_then(|kept| kept.downcast_ref::<Mutex<Option<LogLikelihoodGradients>>>());
        // the backward pass comes once, so the gradients move out
        let found = kept.and_then(|kept| kept.lock().unwrap_or_else(PoisonError::into_inner).take());
        let LogLikelihoodGradients { grad_hidden, mut grad_head, .. } =
            found.unwrap_or_else(|| self.gradients(inputs));
        let mut grad_hidden = scatter(&grad_hidden, &self.rows, self.hidden_size, inputs[0].len());
        let factor = grad.first().copied().unwrap_or(0.0);
        if factor.to_bits() != 1.0_f32.to_bits() {
            grad_hidden.iter_mut().chain(&mut grad_head).for_each(|value| *value *= factor);
        }
        vec![grad_hidden, grad_head]
    }
}

/// Shows operators by name: their batches would fill pages.
macro_rules! debug_by_name {
    ($($operator:ident),*) => {$(
        impl fmt::Debug for $operator {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($operator))
            }
        }
    )*};
}

debug_by_name!(Embed, DecoderLayer, RmsNorm, TargetLogProbabilities, WeightedLikelihood);
