//! What the gate decides on: whom a candidate is compared with, and how often it has been asked.

use still_curation::{PairedDifference, Rival, Rivals};
use still_domain::{Evaluation, PolicyOrigin, PolicyScores, Recipe, Round, RoundNumber, RoundPhase};

use super::RoundMachine;
use crate::ground::store_access::effective_version;

impl RoundMachine {
    /// The imitated policy is always promoted: nothing explores without one. What it is worth beside the base model is
    /// told all the same.
    pub(super) fn decide(&self, round: &Round, candidate: &Evaluation) -> (bool, String) {
        if round.recipe() == Recipe::Imitation {
            let mut decision = "promoted: the imitated policy is the first".to_owned();
            if let Some(difference) = against_base(round) {
                decision += &format!(", {difference}");
            }
            return (true, decision);
        }
        let rivals = Rivals { incumbent: self.incumbent(), best: self.best() };
        let decision = self.config.gate.decide(candidate, rivals, self.comparison(round));
        (decision.is_promoted, decision.to_string())
    }

    /// How many candidates of the run the gate has compared when it is done with a round's, imitation's not
    /// counted: it is never compared.
    pub(super) fn comparison(&self, at_work: &Round) -> u32 {
        let is_compared = |round: &&Round| {
            round.round > RoundNumber::IMITATION && round.round < at_work.round && round.evaluation.is_some()
        };
        u32::try_from(self.rounds.iter().filter(is_compared).count() + 1).unwrap_or(u32::MAX)
    }

    /// How the best policy that was ever promoted was scored; the newest of equals.
    fn best(&self) -> Option<&Evaluation> {
        let promoted = self.rounds.iter().filter(|round| round.phase == RoundPhase::Promoted);
        let scored = promoted.filter_map(|round| round.evaluation.as_ref());
        scored.max_by(|one, two| one.accuracy.value.total_cmp(&two.accuracy.value))
    }

    /// How the policy in force was scored when it was promoted.
    pub(super) fn incumbent(&self) -> Option<&Evaluation> {
        let record = self.policies.last()?;
        let version = effective_version(&self.policies, record);
        let record = self.policies.iter().find(|record| record.version == version)?;
        match record.origin {
            PolicyOrigin::Base => self.base().map(|scores| &scores.dev),
            PolicyOrigin::Round(number) => {
                self.rounds.iter().find(|round| round.round == number)?.evaluation.as_ref()
            }
            PolicyOrigin::Operator(_) => None,
        }
    }

    /// How the base model was scored.
    pub(crate) fn base(&self) -> Option<&PolicyScores> {
        self.rounds.iter().find_map(|round| round.base.as_ref())
    }
}

/// How the candidate of a round compares with the base model that was scored in it.
fn against_base(round: &Round) -> Option<PairedDifference> {
    PairedDifference::of(round.evaluation.as_ref()?, &round.base.as_ref()?.dev, Rival::Base)
}

/// What to tell of a round whose candidate solves fewer problems than the base model that was scored in it.
pub(in crate::rounds) fn worse_than_base(round: &Round) -> Option<String> {
    let difference = against_base(round).filter(|difference| difference.value < 0.0)?;
    let candidate = if round.recipe() == Recipe::Imitation { "the imitated policy" } else { "the candidate" };
    Some(format!(
        "{candidate} of round {} is worse than the base model: {difference}; look at the demonstrations, at \
         `training`, and at the format that answers are asked for in",
        round.round
    ))
}
