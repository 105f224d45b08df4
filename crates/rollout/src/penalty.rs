//! The tokens that a sequence has seen, for the repetition penalty.

/// A set of token ids that keeps the order of their coming.
#[derive(Debug, Clone, Default)]
pub struct SeenTokens {
    bits: Vec<u64>,
    ids: Vec<u32>,
}

impl SeenTokens {
    /// The set of `tokens`.
    pub fn new(vocabulary_size: usize, tokens: &[u32]) -> Self {
        let mut seen = Self { bits: vec![0; vocabulary_size.div_ceil(64)], ids: Vec::new() };
        for &token in tokens {
            seen.insert(token);
        }
        seen
    }

    /// Adds a token; one beyond the vocabulary is left out.
    pub fn insert(&mut self, token: u32) {
        let mask = 1 << (token % 64);
        if let Some(word) = self.bits.get_mut(token as usize / 64)
            && *word & mask == 0
        {
            *word |= mask;
            self.ids.push(token);
        }
    }

    /// The tokens, each once.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }
}

/// Makes tokens seen before less likely (Keskar et al. 2019, arXiv 1909.05858, section 4.1): positive logits
/// are divided by `penalty`, others multiplied by it. `saved` takes their former values, in `ids` order.
pub(crate) fn penalise(logits: &mut [f32], ids: &[u32], penalty: f32, saved: &mut Vec<f32>) {
    saved.clear();
    for &id in ids {
        let Some(logit) = logits.get_mut(id as usize) else {
            saved.push(f32::NEG_INFINITY);
            continue;
        };
        saved.push(*logit);
        *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_counts_once_and_strangers_not_at_all() {
        let mut seen = SeenTokens::new(70, &[3, 69, 3, 200]);
        seen.insert(69);
        seen.insert(5);
        assert_eq!(seen.ids(), [3, 69, 5]);
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "these are exact")]
    fn a_penalty_lowers_logits_of_either_sign() {
        let (mut logits, mut saved) = ([2.0, -2.0, 1.0, 0.0], Vec::new());
        penalise(&mut logits, &[0, 1, 3], 2.0, &mut saved);
        assert_eq!(logits, [1.0, -4.0, 1.0, 0.0]);
        assert_eq!(saved, [2.0, -2.0, 0.0]);
    }
}
