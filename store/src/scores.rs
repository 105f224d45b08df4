//! Perplexities of trajectories under policies that did not draw them. Beside the pool, not in it: what is scored
//! already is not scored again, and a trajectory stays as it was drawn.

use std::collections::BTreeMap;

use still_domain::{AttemptId, PolicyVersion, Score};

use crate::{
    error::StoreError,
    key::{Key, Kind},
    store::Store,
};

impl Store {
    /// Makes scores durable, all or none. One that is there already is replaced.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn put_scores(&self, scores: &[Score]) -> Result<(), StoreError> {
        let put = |score: &Score| self.put(&score_key(score), score);
        self.commit(scores.iter().map(put).collect::<Result<_, _>>()?)
    }

    /// Every score under a policy.
    pub fn scores(&self, policy: PolicyVersion) -> Result<BTreeMap<AttemptId, Score>, StoreError> {
        let scores = self.records::<Score>(Key::of(Kind::Score).number(policy.0));
        scores.map(|score| score.map(|score| (score.id.clone(), score))).collect()
    }
}

fn score_key(score: &Score) -> Key {
    let AttemptId { problem, number } = &score.id;
    Key::of(Kind::Score).number(score.policy.0).text(problem.as_str()).number(u64::from(number.0))
}
