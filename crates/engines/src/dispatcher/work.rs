//! What a server is asked for whoever holds a lane, and the asking.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use still_domain::{AttemptId, PolicyRef, Trajectory, VersionSpan};
use still_roles::{FinishedRollout, Rollout, ScoreRequest};

use crate::{
    endpoint::{Endpoint, Serves},
    engine::{Fault, Request},
    protocol,
    seams::Texts,
};

/// What is asked for.
#[derive(Debug)]
pub(crate) enum Work {
    /// A response to a problem.
    Rollout(Rollout),
    /// What a policy thinks of a sequence, which its holder knows by a number.
    Sequence { number: u64, request: ScoreRequest },
}

/// What its holder calls it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum WorkName {
    Rollout(AttemptId),
    Sequence(u64),
}

/// What it came to.
pub(crate) enum Answer {
    Rollout(Box<FinishedRollout>),
    /// From the first token on whose log-probability is wanted.
    Scores(Vec<f32>),
}

/// What is needed to ask for it.
pub(super) struct Asking {
    /// Names it on the server.
    pub(super) name: String,
    pub(super) policy: PolicyRef,
    /// What the server serves, of that policy.
    pub(super) serves: Serves,
    pub(super) texts: Arc<dyn Texts>,
    pub(super) stop_ids: Arc<[u32]>,
}

impl Work {
    pub(super) fn name(&self) -> WorkName {
        match self {
            Self::Rollout(rollout) => WorkName::Rollout(rollout.id.clone()),
            Self::Sequence { number, .. } => WorkName::Sequence(*number),
        }
    }

    /// What shares a prefix goes by one number. Servers keep no prefix of what they score.
    pub(super) fn group(&self) -> Option<u64> {
        match self {
            Self::Rollout(rollout) => {
                let mut hasher = DefaultHasher::new();
                rollout.id.problem.hash(&mut hasher);
                Some(hasher.finish())
            }
            Self::Sequence { .. } => None,
        }
    }

    /// Tokens that are drawn at most, or read.
    pub(super) fn max_tokens(&self) -> u32 {
        match self {
            Self::Rollout(rollout) => rollout.sampling.max_new_tokens,
            Self::Sequence { request, .. } => u32::try_from(request.tokens.len()).unwrap_or(u32::MAX),
        }
    }

    /// Tokens that an answer to it brought.
    pub(super) fn tokens_of(&self, answer: &Answer) -> u32 {
        match answer {
            Answer::Rollout(rollout) => rollout.trajectory.tokens.len() as u32,
            Answer::Scores(_) => self.max_tokens(),
        }
    }

    /// Asks a server for it.
    pub(super) async fn ask(&self, endpoint: &Endpoint, asking: Asking) -> Result<Answer, Fault> {
        match self {
            Self::Rollout(rollout) => draw(endpoint, rollout, asking).await.map(Answer::Rollout),
            Self::Sequence { request, .. } => {
                let mut values = protocol::score(endpoint, &asking.serves, &request.tokens).await?;
                values.drain(..request.from.saturating_sub(1).min(values.len()));
                Ok(Answer::Scores(values))
            }
        }
    }
}

/// Draws a rollout on a server.
async fn draw(endpoint: &Endpoint, rollout: &Rollout, asking: Asking) -> Result<Box<FinishedRollout>, Fault> {
    let Asking { name, policy, serves: Serves { version, adapter, .. }, texts, stop_ids } = asking;
    let prompt = texts.prompt(&rollout.problem).map_err(Fault::Refused)?;
    let prompt_token_count = prompt.len() as u32;
    let (sampling, seed) = (rollout.sampling, rollout.seed);
    let request = Request { name, prompt, sampling, seed, stop_ids, version, adapter };
    let response = protocol::generate(endpoint, &request).await?;
    let read =
        texts.read(&response.tokens, response.finish, &response.log_probabilities).map_err(Fault::Refused)?;
    let end = response.tokens.len() as u32;
    let provenance = endpoint.provenance(texts.prompt_name());
    Ok(Box::new(FinishedRollout {
        measures: read.measures,
        is_well_formed: read.is_well_formed,
        trajectory: Trajectory {
            id: rollout.id.clone(),
            prompt_token_count,
            tokens: response.tokens,
            log_probabilities: response.log_probabilities,
            sampling_log_probabilities: Vec::new(),
            text: read.text,
            sampling: rollout.sampling,
            seed: rollout.seed,
            finish: response.finish,
            versions: vec![VersionSpan { policy: policy.name, start: 0, end }],
            provenance: Some(provenance.id()),
        },
        provenance: Some(Arc::new(provenance)),
    }))
}

/// A rollout that was withdrawn: what the server had drawn of it went with its connection.
pub(super) fn cancelled(rollout: &Rollout) -> FinishedRollout {
    FinishedRollout::undrawn(rollout.id.clone(), rollout.seed, rollout.sampling, None)
}
