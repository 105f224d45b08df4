//! Tokens for many rows at once, on one thread or several.

use std::{
    sync::{Mutex, PoisonError},
    thread,
};

use still_domain::SamplingSettings;

use super::{Draw, Sampler, SamplingError};
use crate::penalty::SeenTokens;

/// Logits in a batch below which threads cost more than they bring.
const MIN_LOGITS_FOR_THREADS: usize = 1 << 18;

/// One row to draw a token for.
#[derive(Debug)]
pub(crate) struct DrawRow<'a> {
    pub(crate) logits: &'a mut [f32],
    pub(crate) settings: &'a SamplingSettings,
    pub(crate) seen: Option<&'a SeenTokens>,
    pub(crate) seed: u64,
    pub(crate) index: u64,
}

/// Makes `draws` the tokens of `rows`, in order. Each sampler may get a thread of its own; what is drawn
/// does not depend on that.
pub(crate) fn draw_rows(
    samplers: &mut [Sampler],
    mut rows: Vec<DrawRow<'_>>,
    draws: &mut Vec<Result<Draw, SamplingError>>,
) {
    draws.clear();
    draws.resize(rows.len(), Err(SamplingError::NotFinite));
    let logits: usize = rows.iter().map(|row| row.logits.len()).sum();
    let threads = if logits < MIN_LOGITS_FOR_THREADS { 1 } else { samplers.len().min(rows.len()) };
    if threads < 2 {
        if let Some(sampler) = samplers.first_mut() {
            draw_share(sampler, &mut rows, draws);
        }
        return;
    }
    let share = rows.len().div_ceil(threads);
    let shares: Vec<_> =
        samplers.iter_mut().zip(rows.chunks_mut(share)).zip(draws.chunks_mut(share)).collect();
    let shares = Mutex::new(shares);
    let next = || shares.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let work = || {
        while let Some(((sampler, rows), draws)) = next() {
            draw_share(sampler, rows, draws);
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            // what a thread that the system refuses would have drawn, the others draw
            let _refused = thread::Builder::new().spawn_scoped(scope, work).is_err();
        }
        work();
    });
}

fn draw_share(sampler: &mut Sampler, rows: &mut [DrawRow<'_>], draws: &mut [Result<Draw, SamplingError>]) {
    for (row, draw) in rows.iter_mut().zip(draws) {
        *draw = sampler.draw(row.logits, row.settings, row.seen, row.seed, row.index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_draw_what_one_draws() {
        let settings = SamplingSettings { top_p: 0.9, ..SamplingSettings::default() };
        let width = 40_000;
        let draw_with = |threads: usize| {
            let mut logits: Vec<f32> = (0..7 * width).map(|i| ((i * 7919) % 10_007) as f32 / 900.0).collect();
            let rows = logits
                .chunks_mut(width)
                .zip(0..)
                .map(|(logits, seed)| DrawRow { logits, settings: &settings, seen: None, seed, index: 3 })
                .collect();
            let mut draws = Vec::new();
            draw_rows(&mut vec![Sampler::new(); threads], rows, &mut draws);
            draws
        };
        let alone = draw_with(1);
        assert!(alone.len() == 7 && alone.iter().all(Result::is_ok));
        assert_eq!(alone, draw_with(3));
    }
}
