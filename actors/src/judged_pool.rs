//! The judged attempts as the rounds count them: which came of whose policy, and what they came to.

use std::collections::BTreeMap;

use still_domain::{AttemptId, Outcome, PolicyVersion, Round};

use crate::protocol::JudgedFact;

/// Every durable attempt, with a tally by policy so that no question needs a walk through all of them.
#[derive(Debug, Default)]
pub(crate) struct JudgedPool {
    facts: BTreeMap<AttemptId, JudgedFact>,
    by_version: BTreeMap<PolicyVersion, VersionTally>,
}

/// What one policy's attempts came to.
#[derive(Debug, Default)]
struct VersionTally {
    outcomes: BTreeMap<Outcome, u64>,
    eligible: u64,
}

impl JudgedPool {
    /// Takes in durable attempts; those that are known already change nothing.
    pub(crate) fn add(&mut self, facts: &[JudgedFact]) {
        for fact in facts {
            if self.facts.contains_key(&fact.candidate.id) {
                continue;
            }
            let tally = self.by_version.entry(fact.version).or_default();
            *tally.outcomes.entry(fact.candidate.outcome).or_default() += 1;
            let is_right = fact.candidate.outcome == Outcome::Correct;
            tally.eligible += u64::from(is_right && fact.candidate.rejection.is_none());
            self.facts.insert(fact.candidate.id.clone(), fact.clone());
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        self.facts.len() as u64
    }

    /// All of them, by problem and attempt.
    pub(crate) fn facts(&self) -> impl Iterator<Item = &JudgedFact> {
        self.facts.values()
    }

    /// All of them by outcome.
    pub(crate) fn outcomes(&self) -> BTreeMap<Outcome, u64> {
        summed(self.by_version.values().flat_map(|tally| &tally.outcomes))
    }

    /// Outcomes that count for a round: those of its policy, and of later ones that an operator put in force
    /// meanwhile, that no earlier one of `rounds` counted. A round that was rejected leaves its policy to the
    /// next one.
    pub(crate) fn outcomes_of(&self, round: &Round, rounds: &[Round]) -> BTreeMap<Outcome, u64> {
        let mut outcomes = summed(self.tallies_of(round).flat_map(|tally| &tally.outcomes));
        for (outcome, count) in before(round, rounds).flat_map(|earlier| &earlier.tally.outcomes) {
            let left = outcomes.entry(*outcome).or_default();
            *left = left.saturating_sub(*count);
        }
        outcomes.retain(|_, count| *count > 0);
        outcomes
    }

    /// Right and hygienic trajectories of a round; those of rejected rounds before it are counted out by
    /// their right ones, so it errs on the low side.
    pub(crate) fn eligible_of(&self, round: &Round, rounds: &[Round]) -> u64 {
        let all: u64 = self.tallies_of(round).map(|tally| tally.eligible).sum();
        let counted =
            before(round, rounds).filter_map(|earlier| earlier.tally.outcomes.get(&Outcome::Correct));
        all.saturating_sub(counted.sum())
    }

    fn tallies_of(&self, round: &Round) -> impl Iterator<Item = &VersionTally> {
        self.by_version.range(round.policy_version..).map(|(_, tally)| tally)
    }
}

/// Rounds before `round` that counted attempts of its policy.
fn before<'rounds>(round: &Round, rounds: &'rounds [Round]) -> impl Iterator<Item = &'rounds Round> {
    let (number, version) = (round.round, round.policy_version);
    rounds.iter().filter(move |earlier| earlier.round < number && earlier.policy_version >= version)
}

fn summed<'tally>(counts: impl Iterator<Item = (&'tally Outcome, &'tally u64)>) -> BTreeMap<Outcome, u64> {
    let mut outcomes: BTreeMap<Outcome, u64> = BTreeMap::new();
    for (outcome, count) in counts {
        *outcomes.entry(*outcome).or_default() += count;
    }
    outcomes
}
