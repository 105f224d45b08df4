//! One token from one row of logits.
//!
//! The order is that of transformers: repetition penalty, temperature, top-k, top-p, min-p. Of tokens equally likely
//! at the k-th rank, those of lower ids are kept, where transformers keeps all. Two
//! log-probabilities come with the token: under the unmodified distribution (what the policy thinks) and
//! under the one that it was drawn from.

mod rows;

use still_domain::SamplingSettings;
use thiserror::Error;

use crate::{
    exponential::{BLOCK, block_maxima, exponentials, finite_maximum, sum_of_exponentials},
    penalty::{SeenTokens, penalise},
    random::uniform,
};

pub(crate) use rows::{DrawRow, draw_rows};

/// How many candidates are put in order at first; then four times as many.
const FIRST_SORT: usize = 64;

/// A drawn token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draw {
    /// The token.
    pub token: u32,
    /// Its log-probability under the unmodified distribution, in nats.
    pub log_probability: f32,
    /// Its log-probability under the distribution it was drawn from, in nats; 0 when greedy.
    pub sampling_log_probability: f32,
}

/// Why no token could be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SamplingError {
    /// The logits hold NaN or +infinity, or nothing finite: the policy is broken.
    #[error("the logits are not finite")]
    NotFinite,
}

/// Why sampling settings make no sense.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum SettingsError {
    /// A setting outside its range.
    #[error("{name} is {value}, but must be {range}")]
    OutOfRange {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: f32,
        /// What it may be.
        range: &'static str,
    },
}

/// Draws tokens; keeps its working memory from one row to the next.
#[derive(Debug, Clone, Default)]
pub struct Sampler {
    weights: Vec<f32>,
    sums: Vec<f64>,
    maxima: Vec<f32>,
    order: Vec<f32>,
    candidates: Vec<Candidate>,
    saved: Vec<f32>,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    weight: f32,
    token: u32,
}

/// Checks that every setting lies in its range.
pub fn validate(settings: &SamplingSettings) -> Result<(), SettingsError> {
    let check = |name, value: f32, is_right: bool, range| {
        if is_right && value.is_finite() {
            Ok(())
        } else {
            Err(SettingsError::OutOfRange { name, value, range })
        }
    };
    let SamplingSettings { temperature, top_p, min_p, repetition_penalty, .. } = *settings;
    check("temperature", temperature, temperature >= 0.0, "0 (greedy) or more")?;
    check("top_p", top_p, top_p > 0.0 && top_p <= 1.0, "above 0 and at most 1")?;
    check("min_p", min_p, (0.0..=1.0).contains(&min_p), "between 0 and 1")?;
    check("repetition_penalty", repetition_penalty, repetition_penalty > 0.0, "above 0")
}

impl Sampler {
    /// A sampler.
    pub fn new() -> Self {
        Self::default()
    }

    /// Draws token number `index` of the row whose seed is `seed`. `seen` are the tokens of prompt and
    /// response so far, needed for a repetition penalty. `logits` is working memory afterwards.
    ///
    /// # Shapes
    /// `logits` is `[vocabulary]`.
    pub fn draw(
        &mut self,
        logits: &mut [f32],
        settings: &SamplingSettings,
        seen: Option<&SeenTokens>,
        seed: u64,
        index: u64,
    ) -> Result<Draw, SamplingError> {
        let maximum = finite_maximum(logits).ok_or(SamplingError::NotFinite)?;
        let penalised = seen.filter(|seen| penalises(settings) && !seen.ids().is_empty());
        let is_plain = penalised.is_none() && leaves_logits_as_they_are(settings.temperature);
        let raw_sum = if is_plain {
            exponentials(logits, maximum, 1.0, &mut self.weights, &mut self.sums)
        } else {
            sum_of_exponentials(logits, maximum, 1.0)
        };
        if let Some(seen) = penalised {
            penalise(logits, seen.ids(), settings.repetition_penalty, &mut self.saved);
        }
        // a penalty may have made a logit infinite
        let reshaped = if penalised.is_some() {
            finite_maximum(logits).ok_or(SamplingError::NotFinite)?
        } else {
            maximum
        };
        // of a smaller one the inverse is no finite number
        let (token, sampling_log_probability) = if settings.temperature < f32::MIN_POSITIVE {
            (first_maximum(logits, reshaped), 0.0)
        } else {
            let total = if is_plain {
                raw_sum
            } else {
                let scale = 1.0 / settings.temperature;
                exponentials(logits, reshaped, scale, &mut self.weights, &mut self.sums)
            };
            self.draw_weighted(total, settings, uniform(seed, index))
        };
        let raw_logit = penalised
            .and_then(|seen| seen.ids().iter().position(|&id| id == token))
            .and_then(|index| self.saved.get(index))
            .or_else(|| logits.get(token as usize))
            .copied()
            .unwrap_or(f32::NEG_INFINITY);
        let log_probability = (f64::from(raw_logit) - f64::from(maximum) - raw_sum.ln()) as f32;
        Ok(Draw { token, log_probability, sampling_log_probability })
    }

    /// A token by its weight, and the logarithm of its share. `point` is in `[0, 1)`.
    fn draw_weighted(&mut self, total: f64, settings: &SamplingSettings, point: f64) -> (u32, f32) {
        let keeps_all_by_k = settings.top_k == 0 || settings.top_k as usize >= self.weights.len();
        if keeps_all_by_k && settings.top_p >= 1.0 && settings.min_p <= 0.0 {
            let token = self.token_at(point * total);
            let weight = self.weights.get(token).copied().unwrap_or(0.0);
            return (token as u32, (f64::from(weight) / total).ln() as f32);
        }
        let total = self.keep_candidates(total, settings, keeps_all_by_k);
        let mut left = point * total;
        let mut chosen = self.candidates.first().copied().unwrap_or(Candidate { weight: 1.0, token: 0 });
        for candidate in &self.candidates {
            chosen = *candidate;
            left -= f64::from(candidate.weight);
            if left < 0.0 {
                break;
            }
        }
        (chosen.token, (f64::from(chosen.weight) / total).ln() as f32)
    }

    /// The token at `point` of the row of weights, `0 <= point < total`; never one of weight 0.
    fn token_at(&self, point: f64) -> usize {
        let mut left = point;
        let mut last = 0;
        for (number, (block, &sum)) in self.weights.chunks(BLOCK).zip(&self.sums).enumerate() {
            if left >= sum && number + 1 < self.sums.len() {
                left -= sum;
                continue;
            }
            for (index, &weight) in block.iter().enumerate() {
                if weight > 0.0 {
                    last = number * BLOCK + index;
                    left -= f64::from(weight);
                    if left < 0.0 {
                        return last;
                    }
                }
            }
        }
        // rounding left a little over: the last token with a weight, or the heaviest if the last block has none
        if self.weights.get(last).is_some_and(|&weight| weight > 0.0) {
            last
        } else {
            let heaviest = finite_maximum(&self.weights).unwrap_or_default();
            first_maximum(&self.weights, heaviest) as usize
        }
    }

    /// Fills `candidates` with the tokens that top-k, top-p and min-p keep, heaviest first; gives the sum of
    /// their weights.
    fn keep_candidates(&mut self, total: f64, settings: &SamplingSettings, keeps_all_by_k: bool) -> f64 {
        block_maxima(&self.weights, &mut self.maxima);
        let floor = if keeps_all_by_k {
            self.floor_of_nucleus(total, settings)
        } else {
            self.floor_of_top_k(settings)
        };
        let candidates = &mut self.candidates;
        candidates.clear();
        for ((block, &maximum), start) in
            self.weights.chunks(BLOCK).zip(&self.maxima).zip((0..).step_by(BLOCK))
        {
            if maximum >= floor {
                let kept = block.iter().zip(start..).filter(|&(&weight, _)| weight > 0.0 && weight >= floor);
                candidates.extend(kept.map(|(&weight, token)| Candidate { weight, token }));
            }
        }
        let mut total = total;
        if !keeps_all_by_k {
            let kept = settings.top_k as usize;
            if kept < candidates.len() {
                candidates.select_nth_unstable_by(kept, heavier_first);
                candidates.truncate(kept);
            }
            total = weight_of(candidates);
        }
        if settings.top_p < 1.0 {
            keep_nucleus(candidates, total * f64::from(settings.top_p));
        } else {
            candidates.sort_unstable_by(heavier_first);
        }
        let heavy_enough = candidates.partition_point(|candidate| candidate.weight >= settings.min_p);
        candidates.truncate(heavy_enough.max(1));
        weight_of(candidates)
    }

    /// A weight that every token kept by top-p and min-p has at least.
    fn floor_of_nucleus(&self, total: f64, settings: &SamplingSettings) -> f32 {
        // the heaviest token has the weight 1, so min-p is a bound on the weight itself
        if settings.top_p >= 1.0 {
            return settings.min_p;
        }
        // tokens below this bound weigh less than (1 - top_p) of the total all together, so none of them is
        // among the heaviest that make up top_p
        let bound = total * (1.0 - f64::from(settings.top_p)) / self.weights.len() as f64;
        settings.min_p.max(bound as f32)
    }

    /// A weight that every token kept by top-k has at least: the k-th largest of the blocks' maxima, as
    /// there are k tokens that reach it.
    fn floor_of_top_k(&mut self, settings: &SamplingSettings) -> f32 {
        let kept = settings.top_k as usize;
        if self.maxima.len() < kept {
            return 0.0;
        }
        self.order.clear();
        self.order.extend_from_slice(&self.maxima);
        let (_, floor, _) = self.order.select_nth_unstable_by(kept - 1, |a, b| b.total_cmp(a));
        *floor
    }
}

/// Whether the settings make tokens seen before less likely, or more.
#[expect(clippy::float_cmp, reason = "exactly 1 means no penalty")]
pub(crate) fn penalises(settings: &SamplingSettings) -> bool {
    settings.repetition_penalty != 1.0
}

#[expect(clippy::float_cmp, reason = "exactly 1 means no change")]
fn leaves_logits_as_they_are(temperature: f32) -> bool {
    temperature == 1.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature of a comparison")]
fn heavier_first(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    b.weight.total_cmp(&a.weight).then(a.token.cmp(&b.token))
}

fn weight_of(candidates: &[Candidate]) -> f64 {
    candidates.iter().map(|candidate| f64::from(candidate.weight)).sum()
}

/// Keeps the heaviest candidates, in order, until their sum reaches `wanted`; puts only as many in order as
/// that takes.
fn keep_nucleus(candidates: &mut Vec<Candidate>, wanted: f64) {
    let (mut ordered, mut batch, mut sum) = (0, FIRST_SORT, 0.0);
    while ordered < candidates.len() {
        let rest = candidates.get_mut(ordered..).unwrap_or_default();
        if batch < rest.len() {
            rest.select_nth_unstable_by(batch, heavier_first);
        }
        let length = batch.min(rest.len());
        let next = rest.get_mut(..length).unwrap_or_default();
        next.sort_unstable_by(heavier_first);
        for (index, candidate) in next.iter().enumerate() {
            sum += f64::from(candidate.weight);
            if sum >= wanted {
                candidates.truncate(ordered + index + 1);
                return;
            }
        }
        ordered += length;
        batch *= 4;
    }
}

/// The first index of the row's largest element, `maximum`.
#[expect(clippy::float_cmp, reason = "it is one of the elements")]
fn first_maximum(row: &[f32], maximum: f32) -> u32 {
    row.iter().position(|&value| value == maximum).unwrap_or(0) as u32
}

#[cfg(test)]
mod tests;
