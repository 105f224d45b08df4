//! `AdamW` on host masters (Loshchilov and Hutter 2019, arXiv 1711.05101), with global-norm clipping.

use still_decoder::{DecoderConfig, DecoderWeights};

use crate::{
    config::JobConfig,
    parameters::{Role, values, values_mut, zeros},
};

/// The two moments of every parameter, and how often they were updated.
#[derive(Debug, Clone)]
pub(crate) struct Optimizer {
    pub(crate) first: DecoderWeights,
    pub(crate) second: DecoderWeights,
    /// Updates made: skipped steps make none.
    pub(crate) updates: u64,
}

impl Optimizer {
    pub(crate) fn new(config: &DecoderConfig) -> Self {
        Self { first: zeros(config), second: zeros(config), updates: 0 }
    }

    /// Takes one step on `masters`. Gradients are scaled by `scale` as they are read.
    pub(crate) fn step(
        &mut self,
        masters: &mut DecoderWeights,
        gradients: &DecoderWeights,
        scale: f32,
        rate: f64,
        config: &JobConfig,
    ) {
        self.updates += 1;
        let [beta_1, beta_2] = config.betas;
        let updates = self.updates.min(i32::MAX as u64) as i32;
        let correction_1 = 1.0 - beta_1.powi(updates);
        let correction_2 = (1.0 - beta_2.powi(updates)).sqrt();
        let step_size = (rate / correction_1) as f32;
        let (beta_1, beta_2, correction_2) = (beta_1 as f32, beta_2 as f32, correction_2 as f32);
        let epsilon = config.epsilon as f32;

        let moments = values_mut(&mut self.first).into_iter().zip(values_mut(&mut self.second));
        for (((role, parameter), (_, gradient)), ((_, first), (_, second))) in
            values_mut(masters).into_iter().zip(values(gradients)).zip(moments)
        {
            let decays = match role {
                Role::Matrix => true,
                Role::Embedding => config.decay_embeddings,
                Role::Vector => false,
            };
            let keep = if decays { (1.0 - rate * config.weight_decay) as f32 } else { 1.0 };
            let moments = first.iter_mut().zip(second.iter_mut());
            for ((value, gradient), (first, second)) in parameter.iter_mut().zip(gradient).zip(moments) {
                let gradient = gradient * scale;
                *first = beta_1 * *first + (1.0 - beta_1) * gradient;
                *second = beta_2 * *second + (1.0 - beta_2) * gradient * gradient;
                let denominator = second.sqrt() / correction_2 + epsilon;
                *value = *value * keep - step_size * *first / denominator;
            }
        }
    }
}

/// The global norm of all gradients.
pub(crate) fn global_norm(gradients: &DecoderWeights) -> f64 {
    let squares =
        |values: &[f32]| values.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>();
    values(gradients).iter().map(|(_, gradient)| squares(gradient)).sum::<f64>().sqrt()
}

/// What gradients of this norm are scaled by, so that none exceeds `clip_norm`; 0 never clips.
pub(crate) fn clip_scale(norm: f64, clip_norm: f64) -> f32 {
    // torch's clip_grad_norm_ adds the same term before it divides
    if clip_norm > 0.0 { (clip_norm / (norm + 1e-6)).min(1.0) as f32 } else { 1.0 }
}

/// Adds `more` to `sum`.
pub(crate) fn accumulate(sum: &mut DecoderWeights, more: &DecoderWeights) {
    for ((_, sum), (_, more)) in values_mut(sum).into_iter().zip(values(more)) {
        for (sum, more) in sum.iter_mut().zip(more) {
            *sum += more;
        }
    }
}
