//! The judged attempts as the rounds count them: which came of whose policy, and what they came to.

use std::{borrow::Cow, collections::BTreeMap};

use still_curation::Candidate;
use still_domain::{AttemptId, Outcome, PolicyVersion, Round, VersionTally};

/// Every durable attempt, with a tally by policy so that no question needs a walk through all of them.
#[derive(Debug, Default)]
pub(crate) struct JudgedPool {
    facts: BTreeMap<AttemptId, Candidate>,
    by_version: BTreeMap<PolicyVersion, VersionTally>,
}

impl JudgedPool {
    /// Takes in durable attempts; those that are known already change nothing.
    pub(crate) fn add(&mut self, facts: &[Candidate]) {
        for fact in facts {
            if self.facts.contains_key(&fact.id) {
                continue;
            }
            let tally = self.by_version.entry(fact.version).or_default();
            tally.version = fact.version;
            *tally.outcomes.entry(fact.outcome).or_default() += 1;
            tally.eligible += u64::from(fact.is_eligible());
            self.facts.insert(fact.id.clone(), fact.clone());
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        self.facts.len() as u64
    }

    /// All of them, by problem and attempt.
    pub(crate) fn facts(&self) -> impl Iterator<Item = &Candidate> {
        self.facts.values()
    }

    /// All of them by outcome.
    pub(crate) fn outcomes(&self) -> BTreeMap<Outcome, u64> {
        summed(self.by_version.values().flat_map(|tally| &tally.outcomes))
    }

    /// What counts for a round, policy by policy: the attempts of its own policy, and of later ones that an
    /// operator put in force meanwhile, less what earlier ones of `rounds` counted of each. A round that was
    /// rejected leaves its policy to the next one.
    pub(crate) fn counting_for(&self, round: &Round, rounds: &[Round]) -> Vec<VersionTally> {
        let mut left: BTreeMap<_, _> = self
            .by_version
            .range(round.policy_version..)
            .map(|(version, tally)| (*version, tally.clone()))
            .collect();
        for earlier in rounds.iter().filter(|earlier| earlier.round < round.round) {
            for counted in &*counted_in(earlier) {
                let Some(tally) = left.get_mut(&counted.version) else { continue };
                tally.eligible = tally.eligible.saturating_sub(counted.eligible);
                for (outcome, count) in &counted.outcomes {
                    if let Some(left) = tally.outcomes.get_mut(outcome) {
                        *left = left.saturating_sub(*count);
                    }
                }
            }
        }
        for tally in left.values_mut() {
            tally.outcomes.retain(|_, count| *count > 0);
        }
        left.into_values().filter(|tally| !tally.outcomes.is_empty()).collect()
    }

    /// Outcomes that count for a round.
    pub(crate) fn outcomes_of(&self, round: &Round, rounds: &[Round]) -> BTreeMap<Outcome, u64> {
        summed(self.counting_for(round, rounds).iter().flat_map(|tally| &tally.outcomes))
    }

    /// Right and hygienic trajectories that count for a round.
    pub(crate) fn eligible_of(&self, round: &Round, rounds: &[Round]) -> u64 {
        self.counting_for(round, rounds).iter().map(|tally| tally.eligible).sum()
    }
}

/// What a round counted, policy by policy. A record of an earlier program does not tell them apart: all of it
/// is taken for the round's own policy's, and every right one for an eligible one.
pub(crate) fn counted_in(round: &Round) -> Cow<'_, [VersionTally]> {
    let tally = &round.tally;
    if !tally.by_version.is_empty() || tally.outcomes.is_empty() {
        return Cow::Borrowed(&tally.by_version);
    }
    Cow::Owned(vec![VersionTally {
        version: round.policy_version,
        outcomes: tally.outcomes.clone(),
        eligible: tally.outcomes.get(&Outcome::Correct).copied().unwrap_or(0),
    }])
}

fn summed<'tally>(counts: impl Iterator<Item = (&'tally Outcome, &'tally u64)>) -> BTreeMap<Outcome, u64> {
    let mut outcomes: BTreeMap<Outcome, u64> = BTreeMap::new();
    for (outcome, count) in counts {
        *outcomes.entry(*outcome).or_default() += count;
    }
    outcomes
}
