//! Which candidate is preferred to which.

use std::cmp::{Ordering, Reverse};

use still_domain::fingerprint::of_words;

use super::{LengthPreference, Order, PerplexityPreference, SelectionConfig};
use crate::candidate::Candidate;

/// The preferred first: by the sum of the ranks by perplexity and by length; where that says nothing the newest
/// policy's, then the first attempt. Each comes with its sum of ranks. Where chance decides, by the hash of each name.
pub(super) fn by_preference<'pool>(
    config: &SelectionConfig,
    candidates: Vec<&'pool Candidate>,
) -> Vec<(usize, &'pool Candidate)> {
    if config.order == Order::Random {
        let mut candidates = candidates;
        candidates.sort_by_cached_key(|one| of_words(&one.id.to_string()));
        return candidates.into_iter().enumerate().collect();
    }
    let mut ranks = vec![0_usize; candidates.len()];
    let perplexity: Vec<_> = candidates.iter().map(|one| one.perplexity_over(config.span)).collect();
    match config.perplexity {
        PerplexityPreference::High => {
            add_ranks(&mut ranks, &perplexity, |one, two| prefer(*one, *two, |one, two| two.total_cmp(&one)));
        }
        PerplexityPreference::Low => {
            add_ranks(&mut ranks, &perplexity, |one, two| prefer(*one, *two, |one, two| one.total_cmp(&two)));
        }
        PerplexityPreference::None => {}
    }
    let tokens: Vec<_> = candidates.iter().map(|one| one.tokens_over(config.span)).collect();
    match config.length {
        LengthPreference::Long => add_ranks(&mut ranks, &tokens, |one, two| two.cmp(one)),
        LengthPreference::Short => add_ranks(&mut ranks, &tokens, u32::cmp),
        LengthPreference::None => {}
    }
    let mut ranked: Vec<_> = ranks.into_iter().zip(candidates).collect();
    ranked.sort_by_key(|(rank, one)| (*rank, Reverse(one.version), one.id.number));
    ranked
}

/// Orders by a measure that may be missing; what has none comes last.
pub(crate) fn prefer(one: Option<f32>, two: Option<f32>, order: impl Fn(f32, f32) -> Ordering) -> Ordering {
    match (one, two) {
        (Some(one), Some(two)) => order(one, two),
        (one, two) => one.is_none().cmp(&two.is_none()),
    }
}

/// Adds to each rank the number of candidates that are strictly better; equals share a rank.
fn add_ranks<T>(ranks: &mut [usize], measures: &[T], order: impl Fn(&T, &T) -> Ordering) {
    let mut indices: Vec<usize> = (0..measures.len()).collect();
    indices.sort_by(|one, two| order(&measures[*one], &measures[*two]));
    let mut rank = 0;
    for (position, index) in indices.iter().enumerate() {
        if position > 0 && order(&measures[indices[position - 1]], &measures[*index]) != Ordering::Equal {
            rank = position;
        }
        ranks[*index] += rank;
    }
}

/// The values between which the quantiles `[low, high]` of `values` lie, both included; `None` where all are
/// allowed or there is none.
pub(super) fn bounds(mut values: Vec<f64>, [low, high]: [f64; 2]) -> Option<[f64; 2]> {
    if low <= 0.0 && high >= 1.0 {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let at = |position: usize| values.get(position.min(last)).copied();
    Some([at((low * last as f64).ceil() as usize)?, at((high * last as f64).floor() as usize)?])
}
