//! `AdamW` and Muon on the host, with global-norm clipping.
//!
//! `AdamW` (Loshchilov and Hutter 2019, arXiv 1711.05101) updates every number on its own, Muon every projection on its
//! own, and sums run in a fixed order: so the bits do not depend on the number of threads.
//!
//! Muon with momentum `m`, rate `r` and decay `d` makes of a projection `W` of `a` rows and `b` columns with gradient `G`
//! (Liu et al. 2025, arXiv 2502.16982):
//!
//! ```text
//! M ← m M + G
//! W ← (1 - r d) W - 0.2 r √max(a, b) orthogonalize(m M + G)
//! ```
//!
//! so that the root of the mean square of a change is that of `AdamW`, whose rates and decay it therefore shares.

use std::panic::resume_unwind;

use still_decoder::{Threads, orthogonalize};
use still_recipe::OptimizerName;
use still_tensor_decoder::{ParameterList, Parameters, Role};

use crate::trained::Trained;

/// Numbers of a tensor from which on threads share it.
const SHARED_LENGTH: usize = 1 << 18;
/// The root of the mean square of `AdamW`'s changes, over its rate.
const CHANGE_OF_ADAMW: f64 = 0.2;
/// Partial sums that a norm keeps apart.
const LANES: usize = 8;

/// The moments of every parameter, and how often they were updated.
#[derive(Debug, Clone)]
pub(crate) struct Optimizer {
    pub(crate) name: OptimizerName,
    pub(crate) first: Parameters,
    /// Muon has none of matrices.
    pub(crate) second: Parameters,
    /// Updates made: skipped steps make none.
    pub(crate) updates: u64,
}

/// What one update goes by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Update<'a, D> {
    /// The learning rate.
    pub(crate) rate: f64,
    /// What gradients are scaled by as they are read.
    pub(crate) gradient_scale: f32,
    /// The first is Muon's momentum.
    pub(crate) betas: [f64; 2],
    pub(crate) epsilon: f64,
    /// Decoupled weight decay of a role.
    pub(crate) decay: D,
    pub(crate) threads: &'a Threads,
}

/// A projection that Muon updates.
struct Projection<'a> {
    values: &'a mut [f32],
    gradient: &'a [f32],
    momentum: &'a mut [f32],
    columns: usize,
    keep: f32,
}

/// The factors of one update, in f32.
#[derive(Debug, Clone, Copy)]
struct Factors {
    gradient_scale: f32,
    betas: [f32; 2],
    /// `1 - beta`, taken before rounding: in f32 it would be off by 5e-5 at 0.999.
    rests: [f32; 2],
    correction: f32,
    step_size: f32,
    epsilon: f32,
}

impl Optimizer {
    /// No update made yet.
    pub(crate) fn new(name: OptimizerName, trained: &Trained) -> Self {
        let mut second = trained.zeros_like();
        if name == OptimizerName::Muon {
            second.empty_matrices();
        }
        Self { name, first: trained.zeros_like(), second, updates: 0 }
    }

    /// Updates what is trained.
    pub(crate) fn update<D: Fn(Role) -> f64>(
        &mut self,
        trained: &mut Trained,
        gradients: &Parameters,
        update: &Update<'_, D>,
    ) {
        self.updates += 1;
        let updates = self.updates.min(i32::MAX as u64) as i32;
        let [beta_1, beta_2] = update.betas;
        let factors = Factors {
            gradient_scale: update.gradient_scale,
            betas: update.betas.map(|beta| beta as f32),
            rests: update.betas.map(|beta| (1.0 - beta) as f32),
            correction: (1.0 - beta_2.powi(updates)).sqrt() as f32,
            step_size: (update.rate / (1.0 - beta_1.powi(updates))) as f32,
            epsilon: update.epsilon as f32,
        };
        let moments = self.first.values_mut().into_iter().zip(self.second.values_mut());
        let mut projections = Vec::new();
        for (((role, values), (_, gradient)), ((_, first), (_, second))) in
            trained.values_mut().into_iter().zip(gradients.values()).zip(moments)
        {
            let keep = (1.0 - update.rate * (update.decay)(role)) as f32;
            if let (OptimizerName::Muon, Role::Matrix { columns, projections: rows }) = (self.name, role) {
                let matrix = Projection { values, gradient, momentum: first, columns, keep };
                projections.extend(matrix.cut(rows));
                continue;
            }
            let share = match values.len() {
                length if length < SHARED_LENGTH => length.max(1),
                length => length.div_ceil(update.threads.count()),
            };
            let shares = values.chunks_mut(share).zip(gradient.chunks(share));
            let moments = first.chunks_mut(share).zip(second.chunks_mut(share));
            std::thread::scope(|scope| {
                let mut own = None;
                for ((values, gradient), (first, second)) in shares.zip(moments) {
                    let work = move || factors.update(values, gradient, first, second, keep);
                    // the caller takes the first share
                    if own.is_none() {
                        own = Some(work);
                    } else {
                        scope.spawn(work);
                    }
                }
                if let Some(mut work) = own {
                    work();
                }
            });
        }
        let rate = update.rate;
        update.threads.for_each_item(&mut projections, |projection| projection.update(factors, rate));
    }
}

impl Projection<'_> {
    /// The projections of so many rows that a matrix holds.
    fn cut(self, rows: [usize; 3]) -> impl Iterator<Item = Self> {
        let Self { mut values, mut gradient, mut momentum, columns, keep } = self;
        rows.into_iter().filter(|rows| *rows > 0).map(move |rows| {
            let length = rows * columns;
            Self {
                values: values.split_off_mut(..length).unwrap_or_default(),
                gradient: gradient.split_off(..length).unwrap_or_default(),
                momentum: momentum.split_off_mut(..length).unwrap_or_default(),
                columns,
                keep,
            }
        })
    }

    fn update(&mut self, Factors { gradient_scale, betas: [momentum, _], .. }: Factors, rate: f64) {
        let rows = self.values.len() / self.columns.max(1);
        let step = (CHANGE_OF_ADAMW * rate * (rows.max(self.columns) as f64).sqrt()) as f32;
        let moments = self.momentum.iter_mut().zip(self.gradient);
        let mut change: Vec<f32> = moments
            .map(|(moment, gradient)| {
                let gradient = gradient * gradient_scale;
                *moment = momentum * *moment + gradient;
                momentum * *moment + gradient
            })
            .collect();
        orthogonalize(&mut change, self.columns);
        for (value, change) in self.values.iter_mut().zip(change) {
            *value = *value * self.keep - step * change;
        }
    }
}

impl Factors {
    fn update(&self, values: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32], keep: f32) {
        let moments = first.iter_mut().zip(second.iter_mut());
        for ((value, gradient), (first, second)) in values.iter_mut().zip(gradient).zip(moments) {
            let gradient = gradient * self.gradient_scale;
            *first = self.betas[0] * *first + self.rests[0] * gradient;
            *second = self.betas[1] * *second + self.rests[1] * gradient * gradient;
            let denominator = second.sqrt() / self.correction + self.epsilon;
            *value = *value * keep - self.step_size * *first / denominator;
        }
    }
}

/// The global norm of all gradients.
pub(crate) fn global_norm(gradients: &Parameters, threads: usize) -> f64 {
    let (values, threads) = (gradients.values(), threads.max(1));
    // shares are cut between blocks of one size, so that the sums are the same for any number of threads
    let blocks: Vec<&[f32]> = values.iter().flat_map(|(_, values)| values.chunks(SHARED_LENGTH)).collect();
    let share = if blocks.len() < 2 * threads { blocks.len() } else { blocks.len().div_ceil(threads) };
    let sums = |blocks: &[&[f32]]| blocks.iter().map(|block| squares(block)).collect::<Vec<f64>>();
    let mut shares = blocks.chunks(share.max(1));
    let own = shares.next().unwrap_or_default();
    let total: f64 = std::thread::scope(|scope| {
        let others: Vec<_> = shares.map(|share| scope.spawn(move || sums(share))).collect();
        let own = sums(own);
        let others =
            others.into_iter().map(|other| other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        own.into_iter().chain(others.flatten()).sum()
    });
    total.sqrt()
}

fn squares(values: &[f32]) -> f64 {
    let mut lanes = [0.0_f64; LANES];
    for chunk in values.chunks(LANES) {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += f64::from(*value) * f64::from(*value);
        }
    }
    lanes.iter().sum()
}

/// What gradients of this norm are scaled by, so that none exceeds `clip_norm`; 0 never clips.
pub(crate) fn clip_scale(norm: f64, clip_norm: f64) -> f32 {
    // torch's clip_grad_norm_ adds the same term before it divides
    if clip_norm > 0.0 { (clip_norm / (norm + 1e-6)).min(1.0) as f32 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two steps worked out in numpy with 64 bits, from the formulas at the top of this file and of
    /// `still_decoder::orthogonalize`.
    #[test]
    fn a_projection_goes_the_way_of_the_formulas_whichever_matrix_it_stands_in() {
        let start = [0.5, -0.25, 0.125, 1.0, 0.75, -0.5];
        let gradients = [[0.1, 0.2, -0.3, 0.05, -0.15, 0.25], [-0.2, 0.1, 0.05, 0.3, 0.1, -0.1]];
        let expected = [
            0.495_984_474_758_799,
            -0.257_338_121_220_737,
            0.129_742_723_124_143,
            0.987_676_511_742_079,
            0.745_706_311_917_094,
            -0.500_384_296_571_287,
        ];
        let factors = Factors {
            gradient_scale: 0.5,
            betas: [0.9, 0.0],
            rests: [0.0; 2],
            correction: 0.0,
            step_size: 0.0,
            epsilon: 0.0,
        };
        // beside another projection of one row, which changes nothing for it
        let mut values: Vec<f32> = start.into_iter().chain([1.0, 2.0, 3.0]).collect();
        let mut momentum = vec![0.0; 9];
        for gradient in gradients {
            let gradient: Vec<f32> = gradient.into_iter().chain([1.0, -1.0, 0.5]).collect();
            let (values, momentum) = (&mut values[..], &mut momentum[..]);
            let matrix = Projection { values, gradient: &gradient, momentum, columns: 3, keep: 1.0 - 0.002 };
            let cut: Vec<_> = matrix.cut([2, 0, 1]).collect();
            assert_eq!(cut.len(), 2);
            for mut projection in cut {
                projection.update(factors, 0.02);
            }
        }
        for (found, expected) in values.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-6, "{found} is not {expected}");
        }
        assert!((momentum[3] - 0.1725).abs() < 1e-6, "{momentum:?}");
    }

    #[test]
    fn the_norm_is_the_same_bits_for_any_number_of_threads() {
        let json = serde_json::json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 192,
            "intermediate_size": 1024, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 4, "vocab_size": 4096, "rms_norm_eps": 1e-5,
            "max_position_embeddings": 256, "hidden_act": "silu", "tie_word_embeddings": true
        });
        let config = still_decoder::DecoderConfig::from_hugging_face(&json).unwrap();
        let gradients = Parameters::Full(still_decoder::DecoderWeights::random(&config, 3));
        let one = global_norm(&gradients, 1);
        let values = gradients.values();
        let plain = values.iter().flat_map(|(_, values)| values.iter());
        let expected = plain.map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        assert!((one - expected).abs() < 1e-9 * expected, "{one} {expected}");
        for threads in [0, 2, 3, 16] {
            assert_eq!(global_norm(&gradients, threads).to_bits(), one.to_bits(), "{threads} threads");
        }
    }
}
