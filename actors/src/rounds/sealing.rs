//! What a round is trained on: `D_t`, as the configuration selects it from the pool.

use std::collections::BTreeMap;

use ractor::ActorProcessingErr;
use still_curation::{Candidate, ProblemTraits, SelectionContext};
use still_domain::{
    Algorithm, Problem, ProblemId, Round, RoundNumber, TrainingSet, TrainingSetContent, TrainingSetId,
};

use crate::{config::SystemConfig, ground::ledger::Ledger};

/// `D_t` of a round under the hash of its content, grown from the `previous` set, and the round with the count
/// of what is new in it. Nothing is durable yet. Blocks.
pub(crate) fn sealed(
    ledger: &Ledger,
    config: &SystemConfig,
    mut round: Round,
    previous: Option<TrainingSetId>,
    pool: &[Candidate],
) -> Result<(TrainingSet, Round), ActorProcessingErr> {
    let is_imitation = round.round == RoundNumber(0);
    let algorithm = if is_imitation { Algorithm::Sft } else { config.round.algorithm };
    let mut content = TrainingSetContent {
        round: round.round,
        algorithm,
        query: serde_json::Value::Null,
        previous: previous.clone(),
        demonstrations: Vec::new(),
        trajectories: Vec::new(),
        pairs: Vec::new(),
    };
    let limit = Some(config.round.max_sequence_tokens).filter(|limit| *limit > 0);
    let selected = match algorithm {
        Algorithm::Sft => {
            let demonstrations = ledger.store.demonstrations()?;
            content.demonstrations = demonstrations.into_iter().map(|one| one.id).collect();
            if is_imitation {
                0
            } else {
                let members = match previous {
                    Some(id) => ledger.store.training_set(&id)?.map(|set| set.content.trajectories),
                    None => None,
                };
                let context = SelectionContext {
                    previous: members.unwrap_or_default().into_iter().collect(),
                    problems: ledger.store.problems()?.into_iter().map(traits).collect(),
                    max_sequence_tokens: limit,
                    demonstrations: content.demonstrations.len() as u64,
                };
                let selection = config.selection.select(&context, pool);
                round.tally.decisions = named(selection.counts());
                content.query = serde_json::to_value(&config.selection)?;
                content.trajectories = selection.members;
                selection.selected.len()
            }
        }
        Algorithm::Dpo => {
            content.query = serde_json::to_value(&config.pairs)?;
            let selection = config.pairs.pair(pool, limit);
            round.tally.decisions = named(selection.counts());
            content.pairs = selection.pairs;
            content.pairs.len()
        }
    };
    round.tally.selected = selected as u64;
    Ok((content.seal(), round))
}

fn traits(problem: Problem) -> (ProblemId, ProblemTraits) {
    (problem.id, ProblemTraits { level: problem.level, source: problem.source })
}

fn named(counts: BTreeMap<&'static str, u64>) -> BTreeMap<String, u64> {
    counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}
