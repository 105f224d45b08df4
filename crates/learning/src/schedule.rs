//! The learning rate of a step.

use std::f64::consts::PI;

/// A linear rise to the peak, then a fall to a last rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// Highest rate.
    pub peak: f64,
    /// Share of the steps over which the rate rises.
    pub warm_up_fraction: f64,
    /// The last rate as a share of the peak.
    pub final_fraction: f64,
    /// How the rate falls.
    pub decay: Decay,
}

/// How a rate falls after the warm-up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Decay {
    /// Half a cosine (Loshchilov and Hutter 2017, arXiv 1608.03983).
    #[default]
    Cosine,
    /// A straight line.
    Linear,
    /// Not at all.
    Constant,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { peak: 1e-5, warm_up_fraction: 0.1, final_fraction: 0.0, decay: Decay::Cosine }
    }
}

impl Schedule {
    /// The rate of step `step` (from 0) of `total` steps.
    pub fn rate(&self, step: u64, total: u64) -> f64 {
        let warm_up = (self.warm_up_fraction * total as f64).ceil();
        let step = step as f64;
        if step + 1.0 < warm_up {
            return self.peak * (step + 1.0) / warm_up;
        }
        let progress = ((step + 1.0 - warm_up) / (total as f64 - warm_up).max(1.0)).min(1.0);
        let share = match self.decay {
            Decay::Cosine => 0.5 * (1.0 + (PI * progress).cos()),
            Decay::Linear => 1.0 - progress,
            Decay::Constant => 1.0,
        };
        let floor = if self.decay == Decay::Constant { 0.0 } else { self.final_fraction };
        self.peak * (floor + (1.0 - floor) * share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(decay: Decay) -> Schedule {
        Schedule { peak: 2.0, warm_up_fraction: 0.1, final_fraction: 0.1, decay }
    }

    #[test]
    fn the_rate_rises_to_its_peak_and_falls_to_its_last_share() {
        for decay in [Decay::Cosine, Decay::Linear] {
            let rates: Vec<_> = (0..100).map(|step| schedule(decay).rate(step, 100)).collect();
            assert!((rates[0] - 0.2).abs() < 1e-12);
            assert!((rates[9] - 2.0).abs() < 1e-12);
            assert!(rates[..10].windows(2).all(|pair| pair[0] < pair[1]));
            assert!(rates[10..].windows(2).all(|pair| pair[0] > pair[1]));
            assert!((rates[99] - 0.2).abs() < 1e-12);
        }
        assert!((schedule(Decay::Cosine).rate(54, 100) - (0.2 + 1.8 * 0.5)).abs() < 1e-12);
        assert!((schedule(Decay::Constant).rate(99, 100) - 2.0).abs() < 1e-12);
    }
}
