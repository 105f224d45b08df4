//! Texts that stand under many problems: what answers everything has thought about nothing.
//!
//! A policy that is rewarded for right answers alone may learn a text that is right often enough: the commonest
//! answer behind a thought that fits any problem. Its answers are verified, well formed and of the right length. What
//! gives it away is that it stands word for word under problems that have nothing in common.

use std::collections::{HashMap, HashSet};

use still_domain::ProblemId;

use crate::candidate::Candidate;

/// Shorter texts are no thoughts: that two problems have the same bare answer says nothing.
const MIN_TOKENS: u32 = 32;

/// The texts that stand under more problems than may share one.
#[derive(Debug, Default)]
pub(crate) struct CommonTexts(HashSet<u128>);

impl CommonTexts {
    /// Those of a pool, right or wrong; `max_problems` of 0 finds none.
    pub(crate) fn of<'pool>(pool: impl IntoIterator<Item = &'pool Candidate>, max_problems: u32) -> Self {
        if max_problems == 0 {
            return Self::default();
        }
        let mut problems: HashMap<u128, HashSet<&ProblemId>> = HashMap::new();
        for candidate in pool.into_iter().filter(|candidate| candidate.response_tokens >= MIN_TOKENS) {
            problems.entry(candidate.fingerprint).or_default().insert(&candidate.id.problem);
        }
        let is_common = |problems: &HashSet<_>| problems.len() > max_problems as usize;
        Self(problems.iter().filter(|(_, problems)| is_common(problems)).map(|(text, _)| *text).collect())
    }

    /// Whether a response is one of them.
    pub(crate) fn contains(&self, candidate: &Candidate) -> bool {
        self.0.contains(&candidate.fingerprint)
    }
}
