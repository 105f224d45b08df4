//! What a round is trained on: `D_t`, as the configuration selects it from the pool.

use std::collections::BTreeMap;

use ractor::ActorProcessingErr;
use still_curation::{Candidate, PairLimits, PairsConfig, ProblemTraits, SelectionConfig, SelectionContext};
use still_domain::{
    Algorithm, AttemptId, Problem, ProblemId, Recipe, Round, RoundPhase, SealingDecisions, TrainingSet,
    TrainingSetContent, TrainingSetId,
};

use crate::{ground::store_access::StoreAccess, rounds::rescoring::ranked_under};

/// How a set is made.
#[derive(Debug, Clone)]
pub(crate) struct SealingConfig {
    /// How rounds after imitation are trained.
    pub(crate) objective: Algorithm,
    pub(crate) selection: SelectionConfig,
    pub(crate) pairs: PairsConfig,
    /// The longest sequence that the learner takes, prompt included, in tokens; `None` sets no limit.
    pub(crate) max_sequence_tokens: Option<u32>,
}

/// What became of a round that was to be sealed.
pub(crate) struct Sealed {
    /// The round as it is durable now.
    pub(crate) round: Round,
    /// Examples in its set.
    pub(crate) examples: usize,
    /// What there is to tell of the set.
    pub(crate) warning: Option<String>,
}

impl SealingConfig {
    /// Chooses `D_t` and makes it durable with the round that trains on it, or with its rejection when there is
    /// nothing to train on. Blocks.
    pub(crate) fn seal(
        &self,
        access: &StoreAccess,
        round: Round,
        previous: Option<TrainingSetId>,
        pool: &[Candidate],
        now_ms: u64,
    ) -> Result<Sealed, ActorProcessingErr> {
        let Chosen { set, mut round, decisions } = sealed(access, self, round, previous, pool)?;
        let examples = set.example_count();
        if examples == 0 {
            round.phase = RoundPhase::Rejected;
            let is_of_pairs = round.recipe() == Recipe::Improvement && self.objective == Algorithm::Dpo;
            let why = if is_of_pairs {
                "rejected: there is no pair to train on: no problem has a right and a wrong attempt that may be paired"
            } else {
                "rejected: there is nothing to train on"
            };
            round.decision = Some(why.to_owned());
            round.ended_at_ms = Some(now_ms);
            access.store.put_round(&round)?;
            return Ok(Sealed { round, examples, warning: None });
        }
        round.phase = RoundPhase::Training;
        round.training_set = Some(set.id.clone());
        let standing = access.store.seal_round(&set, &round, decisions.as_ref())?;
        if standing.training_set.as_ref() == Some(&set.id) {
            return Ok(Sealed { round: standing, examples, warning: self.demonstration_warning(&set) });
        }
        // a conductor that is gone sealed it while this one came up: its set stands
        let set = access.store.training_set_of(standing.round)?;
        Ok(Sealed { round: standing, examples: set.map_or(0, |set| set.example_count()), warning: None })
    }

    /// What to tell of a set's share of demonstrations.
    fn demonstration_warning(&self, set: &TrainingSet) -> Option<String> {
        let TrainingSetContent { demonstrations, trajectories, .. } = &set.content;
        self.selection.demonstration_warning(demonstrations.len() as u64, trajectories.len() as u64)
    }
}

/// What a round is to be sealed with.
struct Chosen {
    set: TrainingSet,
    /// The round, with the counts of what was chosen.
    round: Round,
    /// What was decided of the pool otherwise than before.
    decisions: Option<SealingDecisions>,
}

/// `D_t` of a round under the hash of its content, grown from the `previous` set. Nothing is durable yet.
fn sealed(
    access: &StoreAccess,
    config: &SealingConfig,
    mut round: Round,
    previous: Option<TrainingSetId>,
    pool: &[Candidate],
) -> Result<Chosen, ActorProcessingErr> {
    let recipe = round.recipe();
    let algorithm = match recipe {
        Recipe::Imitation => Algorithm::Sft,
        Recipe::Improvement => config.objective,
    };
    let ranked;
    let pool = match round.tally.ranked_under {
        Some(policy) => {
            ranked = ranked_under(pool, &access.store.scores(policy)?);
            ranked.as_slice()
        }
        None => pool,
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
    let mut decisions = BTreeMap::new();
    let selected = match algorithm {
        Algorithm::Sft => {
            let demonstrations = access.store.demonstrations()?;
            content.demonstrations = demonstrations.into_iter().map(|one| one.id).collect();
            if recipe == Recipe::Imitation {
                0
            } else {
                let members = members_before(access, previous)?;
                let context = SelectionContext {
                    previous: members.into_iter().collect(),
                    problems: access.store.problems()?.into_iter().map(traits).collect(),
                    max_sequence_tokens: config.max_sequence_tokens,
                    demonstrations: content.demonstrations.len() as u64,
                };
                let selection = config.selection.select(&context, pool);
                round.tally.decisions = named(selection.counts());
                content.query = serde_json::to_value(&config.selection)?;
                decisions = in_words(selection.decisions);
                content.trajectories = selection.members;
                selection.selected.len()
            }
        }
        Algorithm::Dpo => {
            content.query = serde_json::to_value(&config.pairs)?;
            let limits = PairLimits {
                max_sequence_tokens: config.max_sequence_tokens,
                mixed_versions: config.selection.mixed_versions,
                max_problems_per_text: config.selection.max_problems_per_text,
            };
            let selection = config.pairs.pair(pool, &limits);
            round.tally.decisions = named(selection.counts());
            decisions = in_words(selection.decisions);
            content.pairs = selection.pairs;
            content.pairs.len()
        }
    };
    round.tally.selected = selected as u64;
    let decisions = SealingDecisions::since(&access.store.standing_decisions()?, round.round, decisions);
    Ok(Chosen { set: content.seal(), round, decisions })
}

/// The trajectories of the set that one grows from: a set of pairs holds none, and grew from the one before it.
fn members_before(
    access: &StoreAccess,
    mut previous: Option<TrainingSetId>,
) -> Result<Vec<AttemptId>, ActorProcessingErr> {
    while let Some(id) = previous {
        let Some(set) = access.store.training_set(&id)? else { break };
        if set.content.algorithm == Algorithm::Sft {
            return Ok(set.content.trajectories);
        }
        previous = set.content.previous;
    }
    Ok(Vec::new())
}

fn traits(problem: Problem) -> (ProblemId, ProblemTraits) {
    (problem.id, ProblemTraits { level: problem.level, source: problem.source })
}

fn in_words<D: ToString>(decisions: BTreeMap<AttemptId, D>) -> BTreeMap<AttemptId, String> {
    decisions.into_iter().map(|(id, decision)| (id, decision.to_string())).collect()
}

fn named(counts: BTreeMap<&'static str, u64>) -> BTreeMap<String, u64> {
    counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}
