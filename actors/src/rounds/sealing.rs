//! What a round is trained on: `D_t`, as the configuration selects it from the pool.

use std::collections::BTreeSet;

use ractor::ActorProcessingErr;
use still_curation::{Candidate, PairsConfig, SelectionConfig};
use still_domain::{Algorithm, Recipe, Round, TrainingSet, TrainingSetContent, TrainingSetId};

use crate::ground::ledger::Ledger;

/// How a set is made.
#[derive(Debug, Clone)]
pub(crate) struct SealingConfig {
    /// How rounds after imitation are trained.
    pub(crate) objective: Algorithm,
    pub(crate) selection: SelectionConfig,
    pub(crate) pairs: PairsConfig,
}

/// `D_t` of a round under the hash of its content, grown from the `previous` set, and the round with the count
/// of what is new in it. Nothing is durable yet. Blocks.
pub(crate) fn sealed(
    ledger: &Ledger,
    config: &SealingConfig,
    mut round: Round,
    previous: Option<TrainingSetId>,
    pool: &[Candidate],
) -> Result<(TrainingSet, Round), ActorProcessingErr> {
    let recipe = round.recipe();
    let algorithm = match recipe {
        Recipe::Imitation => Algorithm::Sft,
        Recipe::Improvement => config.objective,
    };
    let mut content = TrainingSetContent {
        round: round.round,
        algorithm,
        query: serde_json::Value::Null,
        previous: previous.clone(),
        demonstrations: Vec::new(),
        trajectories: Vec::new(),
        pairs: Vec::new(),
    };
    let selected = match algorithm {
        Algorithm::Sft => {
            let demonstrations = ledger.store.demonstrations()?;
            content.demonstrations = demonstrations.into_iter().map(|one| one.id).collect();
            if recipe == Recipe::Imitation {
                0
            } else {
                let members = match previous {
                    Some(id) => ledger.store.training_set(&id)?.map(|set| set.content.trajectories),
                    None => None,
                };
                let members: BTreeSet<_> = members.unwrap_or_default().into_iter().collect();
                let selection = config.selection.select(&members, pool);
                content.query = serde_json::to_value(&config.selection)?;
                content.trajectories = selection.members;
                selection.selected.len()
            }
        }
        Algorithm::Dpo => {
            content.query = serde_json::to_value(&config.pairs)?;
            content.pairs = config.pairs.pair(pool).pairs;
            content.pairs.len()
        }
    };
    round.tally.selected = selected as u64;
    Ok((content.seal(), round))
}
