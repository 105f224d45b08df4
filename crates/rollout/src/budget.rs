//! How much may be on the device at once: lowered when its memory runs out, raised again with care.

/// Steps without trouble after which a quarter more is tried.
const STEPS_BEFORE_RAISE: u32 = 256;

/// Sequences at once, and prefill tokens a step: halved when memory runs out, raised by a quarter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Budget {
    max_sequences: usize,
    max_prefill_tokens: usize,
    sequences: usize,
    prefill_tokens: usize,
    quiet_steps: u32,
}

impl Budget {
    pub(crate) fn new(sequences: usize, prefill_tokens: usize) -> Self {
        let (sequences, prefill_tokens) = (sequences.max(1), prefill_tokens.max(1));
        Self {
            max_sequences: sequences,
            max_prefill_tokens: prefill_tokens,
            sequences,
            prefill_tokens,
            quiet_steps: 0,
        }
    }

    /// Sequences that may be active.
    pub(crate) const fn sequences(&self) -> usize {
        self.sequences
    }

    /// Prompt tokens that a step may run.
    pub(crate) const fn prefill_tokens(&self) -> usize {
        self.prefill_tokens
    }

    /// The device ran out of memory with `sequences` sequences and `prefill_tokens` prompt tokens in one step.
    /// Whether anything smaller is left to try.
    pub(crate) fn lower(&mut self, sequences: usize, prefill_tokens: usize) -> bool {
        self.quiet_steps = 0;
        if prefill_tokens > sequences.max(1) {
            self.prefill_tokens = (self.prefill_tokens.min(prefill_tokens) / 2).max(1);
            return true;
        }
        if sequences > 1 {
            self.sequences = (self.sequences.min(sequences) / 2).max(1);
            self.prefill_tokens = (self.prefill_tokens / 2).max(1);
            return true;
        }
        false
    }

    /// A step went well.
    pub(crate) fn step_went_well(&mut self) {
        if self.sequences == self.max_sequences && self.prefill_tokens == self.max_prefill_tokens {
            return;
        }
        self.quiet_steps += 1;
        if self.quiet_steps >= STEPS_BEFORE_RAISE {
            self.quiet_steps = 0;
            let raised = |value: usize, most: usize| (value + value.div_ceil(4)).min(most);
            self.sequences = raised(self.sequences, self.max_sequences);
            self.prefill_tokens = raised(self.prefill_tokens, self.max_prefill_tokens);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_cuts_the_prompt_chunk_first_then_the_rows_and_ends() {
        let mut budget = Budget::new(8, 512);
        assert!(budget.lower(8, 512));
        assert_eq!((budget.sequences(), budget.prefill_tokens()), (8, 256));
        assert!(budget.lower(8, 0));
        assert_eq!((budget.sequences(), budget.prefill_tokens()), (4, 128));
        let mut tries = 0;
        while budget.lower(budget.sequences(), budget.prefill_tokens()) {
            tries += 1;
            assert!(tries < 20);
        }
        assert_eq!((budget.sequences(), budget.prefill_tokens()), (1, 1));
    }

    #[test]
    fn quiet_steps_raise_it_again_to_its_first_size() {
        let mut budget = Budget::new(4, 64);
        budget.lower(4, 0);
        for _ in 0..STEPS_BEFORE_RAISE {
            assert_eq!(budget.sequences(), 2);
            budget.step_went_well();
        }
        assert_eq!(budget.sequences(), 3);
        for _ in 0..STEPS_BEFORE_RAISE * 20 {
            budget.step_went_well();
        }
        assert_eq!(budget, Budget::new(4, 64));
    }
}
