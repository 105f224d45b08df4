//! Rotary positions, half-split: entry `i` of a head turns with entry `i + head_dim / 2`.
//!
//! Frequencies and angles are formed in f32, as transformers does, so that long contexts agree to the last bits.
#![expect(
    clippy::inline_always,
    reason = "only an inlined body is compiled for its caller's instruction set"
)]

use crate::{DecoderConfig, RopeConfig};

/// Cosines and sines of every position up to a length.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeTable {
    half: usize,
    cosines: Vec<f32>,
    sines: Vec<f32>,
}

impl RopeTable {
    /// The table for positions `0..position_count`.
    pub fn new(config: &DecoderConfig, position_count: usize) -> Self {
        let frequencies = inverse_frequencies(&config.rope, config.head_dim);
        let half = frequencies.len();
        let angles = (0..position_count)
            .flat_map(|position| frequencies.iter().map(move |frequency| position as f32 * frequency));
        let (mut cosines, mut sines) =
            (Vec::with_capacity(position_count * half), Vec::with_capacity(position_count * half));
        for angle in angles {
            cosines.push(f64::from(angle).cos() as f32);
            sines.push(f64::from(angle).sin() as f32);
        }
        Self { half, cosines, sines }
    }

    /// How many positions it covers.
    pub fn position_count(&self) -> usize {
        self.cosines.len().checked_div(self.half).unwrap_or_default()
    }

    /// Cosines of one position's angles, one for each pair of entries.
    pub fn cosines(&self, position: usize) -> &[f32] {
        self.at(position).0
    }

    /// Sines of one position's angles, one for each pair of entries.
    pub fn sines(&self, position: usize) -> &[f32] {
        self.at(position).1
    }

    /// Turns one head by its position.
    #[inline(always)]
    pub(crate) fn rotate(&self, head: &mut [f32], position: usize) {
        let (cosines, sines) = self.at(position);
        let (left, right) = head.split_at_mut(self.half);
        for (((left, right), cosine), sine) in left.iter_mut().zip(right).zip(cosines).zip(sines) {
            (*left, *right) = (*left * cosine - *right * sine, *right * cosine + *left * sine);
        }
    }

    /// Turns one head back: the rotation's inverse, which is its transpose.
    #[inline(always)]
    pub(crate) fn rotate_back(&self, head: &mut [f32], position: usize) {
        let (cosines, sines) = self.at(position);
        let (left, right) = head.split_at_mut(self.half);
        for (((left, right), cosine), sine) in left.iter_mut().zip(right).zip(cosines).zip(sines) {
            (*left, *right) = (*left * cosine + *right * sine, *right * cosine - *left * sine);
        }
    }

    #[inline(always)]
    fn at(&self, position: usize) -> (&[f32], &[f32]) {
        let range = position * self.half..(position + 1) * self.half;
        (&self.cosines[range.clone()], &self.sines[range])
    }
}

/// `theta^(-2i / head_dim)`, slowed for long contexts as Llama 3.1 does (transformers' `_compute_llama3_parameters`).
fn inverse_frequencies(rope: &RopeConfig, head_dim: usize) -> Vec<f32> {
    let plain = (0..head_dim / 2).map(|index| {
        let exponent = (2 * index) as f32 / head_dim as f32;
        (1.0 / rope.theta.powf(f64::from(exponent))) as f32
    });
    let Some(scaling) = &rope.scaling else {
        return plain.collect();
    };
    let original = scaling.original_max_position_count as f64;
    let longest = original / scaling.low_frequency_factor;
    let shortest = original / scaling.high_frequency_factor;
    let slowed = plain.map(|frequency| {
        let frequency = f64::from(frequency);
        let wavelength = std::f64::consts::TAU / frequency;
        if wavelength > longest {
            frequency / scaling.factor
        } else if wavelength < shortest {
            frequency
        } else {
            let smooth = (original / wavelength - scaling.low_frequency_factor)
                / (scaling.high_frequency_factor - scaling.low_frequency_factor);
            (1.0 - smooth) * frequency / scaling.factor + smooth * frequency
        }
    });
    slowed.map(|frequency| frequency as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Llama3Scaling, testing};

    #[test]
    fn llama3_frequencies_are_those_of_transformers() {
        let rope = RopeConfig {
            theta: 500_000.0,
            scaling: Some(Llama3Scaling {
                factor: 8.0,
                low_frequency_factor: 1.0,
                high_frequency_factor: 4.0,
                original_max_position_count: 64,
            }),
        };
        let expected = [1.0, 0.079_403, 0.004_700_754, 9.115_831e-4, 1.767_767e-4, 3.428_102e-5];
        for (found, expected) in inverse_frequencies(&rope, 16).iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-6 * expected, "{found} {expected}");
        }
    }

    #[test]
    fn turning_back_undoes_turning() {
        let table = RopeTable::new(&testing::quick_start(), 40);
        assert_eq!(table.position_count(), 40);
        let original: Vec<f32> = (0..16).map(|index| index as f32 - 7.5).collect();
        let mut head = original.clone();
        table.rotate(&mut head, 33);
        assert!((head[0] - original[0]).abs() > 0.1);
        table.rotate_back(&mut head, 33);
        for (found, expected) in head.iter().zip(&original) {
            assert!((found - expected).abs() < 1e-5);
        }
    }
}
