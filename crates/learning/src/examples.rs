//! Sequences with the tokens that the loss covers.

use std::{ops::Range, sync::Arc};

use still_domain::Algorithm;
use still_embedded::LearnerError;
use still_recipe::DpoSpan;
use still_roles::{Example, ExampleSource, PreferenceExample, Response, SftExample};

/// Makes tokens of problems and responses, as the policy's sampler does.
pub trait ExampleEncoder: Send + Sync {
    /// The prompt of a problem.
    ///
    /// # Errors
    /// Why the problem cannot be encoded.
    fn prompt(&self, problem: &str) -> Result<Vec<u32>, String>;

    /// A response with its stop token at the end.
    ///
    /// # Errors
    /// Why the response cannot be encoded.
    fn response(&self, response: &Response) -> Result<Vec<u32>, String>;

    /// Which of a response's tokens make up its thought; `None` when it has none.
    fn thought(&self, response: &[u32]) -> Option<Range<usize>>;

    /// Writes the tokenizer's files beside a policy's weights.
    ///
    /// # Errors
    /// Why they cannot be written.
    fn save(&self, folder: &std::path::Path) -> Result<(), String>;
}

/// A prompt and a response end to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sequence {
    /// The tokens.
    pub(crate) tokens: Vec<u32>,
    /// Those that the loss covers.
    pub(crate) target: Range<usize>,
}

/// What a job trains on, as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Examples {
    /// Sequences.
    Sft(Arc<[Sequence]>),
    /// Chosen and rejected sequences.
    Dpo(Arc<[(Sequence, Sequence)]>),
}

impl Examples {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Sft(sequences) => sequences.len(),
            Self::Dpo(pairs) => pairs.len(),
        }
    }

    /// Every sequence, chosen before rejected.
    pub(crate) fn sequences(&self) -> Vec<&Sequence> {
        match self {
            Self::Sft(sequences) => sequences.iter().collect(),
            Self::Dpo(pairs) => pairs.iter().flat_map(|(chosen, rejected)| [chosen, rejected]).collect(),
        }
    }

    /// The length of one, in tokens; of a pair, both responses with their prompts.
    pub(crate) fn length(&self, index: usize) -> usize {
        match self {
            Self::Sft(sequences) => sequences.get(index).map_or(0, |sequence| sequence.tokens.len()),
            Self::Dpo(pairs) => pairs.get(index).map_or(0, pair_length),
        }
    }

    /// The length of each.
    pub(crate) fn lengths(&self) -> Vec<usize> {
        (0..self.len()).map(|index| self.length(index)).collect()
    }
}

/// The length of a pair's responses, each with its prompt, in tokens.
pub(crate) const fn pair_length((chosen, rejected): &(Sequence, Sequence)) -> usize {
    chosen.tokens.len() + rejected.tokens.len()
}

/// Reads and encodes the examples of a job one by one, and leaves out those of which a part is longer than `limit`
/// (0 has none). Gives how many were left out.
pub(crate) fn encode_all(
    encoder: &dyn ExampleEncoder,
    source: &dyn ExampleSource,
    objective: Algorithm,
    span: DpoSpan,
    limit: usize,
) -> Result<(Examples, usize), LearnerError> {
    let (mut sequences, mut pairs) = (Vec::new(), Vec::new());
    for index in 0..source.count() {
        match (objective, source.read(index)?) {
            (Algorithm::Sft, Example::Sft(SftExample { problem, response })) => {
                let sequence = encode(encoder, &problem, &response, DpoSpan::Full)?;
                sequences.extend(Some(sequence).filter(|sequence| fits(sequence, limit)));
            }
            (Algorithm::Dpo, Example::Preference(PreferenceExample { problem, chosen, rejected })) => {
                let chosen = encode(encoder, &problem, &chosen, span)?;
                let rejected = encode(encoder, &problem, &rejected, span)?;
                if fits(&chosen, limit) && fits(&rejected, limit) {
                    pairs.push((chosen, rejected));
                }
            }
            (Algorithm::Sft, Example::Preference(_)) | (Algorithm::Dpo, Example::Sft(_)) => {
                let reason = format!("example {index} is not of the kind that the job's objective takes");
                return Err(LearnerError::Refused(reason));
            }
        }
    }
    let examples = match objective {
        Algorithm::Sft => Examples::Sft(sequences.into()),
        Algorithm::Dpo => Examples::Dpo(pairs.into()),
    };
    let left_out = source.count() - examples.len();
    Ok((examples, left_out))
}

fn fits(sequence: &Sequence, limit: usize) -> bool {
    limit == 0 || sequence.tokens.len() <= limit
}

fn encode(
    encoder: &dyn ExampleEncoder,
    problem: &str,
    response: &Response,
    span: DpoSpan,
) -> Result<Sequence, LearnerError> {
    let refused = |reason: String| LearnerError::Refused(format!("the example of `{problem}`: {reason}"));
    let mut tokens = encoder.prompt(problem).map_err(refused)?;
    let response = encoder.response(response).map_err(refused)?;
    if tokens.is_empty() || response.is_empty() {
        return Err(refused("its prompt or its response has no token".to_owned()));
    }
    let start = tokens.len();
    let thought = match span {
        DpoSpan::Full => None,
        // a response without a thought is compared as a whole
        DpoSpan::Thought => encoder.thought(&response).filter(|thought| !thought.is_empty()),
    };
    let target = thought.unwrap_or(0..response.len());
    tokens.extend(response);
    Ok(Sequence { tokens, target: start + target.start..start + target.end })
}
