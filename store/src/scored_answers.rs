//! The answers that policies were scored by: what pass@k, a majority's accuracy and a grading by a mended verifier are
//! made of. Each stands under its policy and its name, so that a policy that is scored again replaces them.

use still_domain::{PolicyName, ScoredAnswer};

use crate::{
    error::StoreError,
    key::{Key, Kind},
    scan::Records,
    store::Store,
};

impl Store {
    /// Makes answers durable, all or none; those that are there already are replaced.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn put_scored_answers(&self, answers: &[ScoredAnswer]) -> Result<(), StoreError> {
        let put = |answer: &ScoredAnswer| self.put(&answer_key(answer), answer);
        self.commit(answers.iter().map(put).collect::<Result<_, _>>()?)
    }

    /// Every answer, by policy, problem and sample: published policies first, then the rounds' candidates.
    pub fn scored_answers(&self) -> Records<ScoredAnswer> {
        self.records(Key::of(Kind::ScoredAnswer))
    }
}

fn answer_key(answer: &ScoredAnswer) -> Key {
    let (kind, number) = match answer.policy {
        PolicyName::Published(version) => (0, version.0),
        PolicyName::Candidate { candidate } => (1, u64::from(candidate.0)),
    };
    let key = Key::of(Kind::ScoredAnswer).number(kind).number(number);
    key.text(answer.id.problem.as_str()).number(u64::from(answer.id.number.0))
}
