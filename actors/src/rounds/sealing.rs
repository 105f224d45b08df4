//! What a round is trained on: `D_t`, as the configuration selects it from the pool.

use std::collections::BTreeSet;

use ractor::ActorProcessingErr;
use still_curation::Candidate;
use still_domain::{Algorithm, Round, RoundNumber, TrainingSet, TrainingSetContent, TrainingSetId};

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
