//! What each sealing decided of the pool's trajectories, and why.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{AttemptId, RoundNumber};

/// What one sealing decided otherwise than the sealings before it: a trajectory that is not named stands where the
/// last record that names it has put it. So a pool that grows for weeks is not written anew every round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealingDecisions {
    /// The round that was sealed.
    pub round: RoundNumber,
    /// Trajectories by what was decided of them, in words; sorted.
    pub decided: BTreeMap<String, Vec<AttemptId>>,
}

/// What a sealing decided of one trajectory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealingDecision {
    /// The round that was sealed.
    pub round: RoundNumber,
    /// What was decided, in words.
    pub decision: String,
}

impl SealingDecisions {
    /// What of `decisions` differs from what stood `before`; `None` when nothing does.
    pub fn since(
        before: &BTreeMap<AttemptId, String>,
        round: RoundNumber,
        decisions: BTreeMap<AttemptId, String>,
    ) -> Option<Self> {
        let mut decided: BTreeMap<String, Vec<AttemptId>> = BTreeMap::new();
        for (id, decision) in decisions {
            if before.get(&id) != Some(&decision) {
                decided.entry(decision).or_default().push(id);
            }
        }
        (!decided.is_empty()).then_some(Self { round, decided })
    }

    /// Puts every trajectory that it names where it was put.
    pub fn apply(self, standing: &mut BTreeMap<AttemptId, String>) {
        for (decision, ids) in self.decided {
            standing.extend(ids.into_iter().map(|id| (id, decision.clone())));
        }
    }

    /// What it says of one trajectory.
    pub fn of(&self, id: &AttemptId) -> Option<SealingDecision> {
        let (decision, _) = self.decided.iter().find(|(_, ids)| ids.binary_search(id).is_ok())?;
        Some(SealingDecision { round: self.round, decision: decision.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decisions(words: &[(&str, &str)]) -> BTreeMap<AttemptId, String> {
        words.iter().map(|(id, decision)| (id.parse().unwrap(), (*decision).to_owned())).collect()
    }

    #[test]
    fn only_what_changes_is_recorded_and_all_of_it_is_found_again() {
        let first = decisions(&[("p#0", "joins"), ("p#1", "left out"), ("q#0", "left out")]);
        let second = decisions(&[("p#0", "stays"), ("p#1", "left out"), ("q#0", "joins"), ("q#1", "joins")]);
        let mut standing = BTreeMap::new();
        let one = SealingDecisions::since(&standing, RoundNumber(1), first.clone()).unwrap();
        one.clone().apply(&mut standing);
        assert_eq!(standing, first);
        let two = SealingDecisions::since(&standing, RoundNumber(2), second.clone()).unwrap();
        assert_eq!(two.decided.values().map(Vec::len).sum::<usize>(), 3, "p#1 stands where it stood");
        assert_eq!(two.of(&"p#1".parse().unwrap()), None);
        assert_eq!(one.of(&"p#1".parse().unwrap()).unwrap().decision, "left out");
        two.apply(&mut standing);
        assert_eq!(standing, second);
        assert_eq!(SealingDecisions::since(&standing, RoundNumber(3), second), None);
    }
}
