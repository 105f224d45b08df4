//! Sequences with the tokens that the loss covers.

use std::{ops::Range, sync::Arc};

use still_domain::{Algorithm, Statement};
use still_recipe::DpoSpan;
use still_roles::{Example, ExampleSource, PreferenceExample, Response, SftExample, SourceError};
use thiserror::Error;

/// Why a job's examples cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DataError {
    /// They can never be trained on as they are.
    #[error("{0}")]
    Refused(String),
    /// They cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// Makes tokens of problems and responses, as the policy's sampler does.
pub trait ExampleEncoder: Send + Sync {
    /// The prompt of a problem and a response to it end to end, as one text where the response is text; what ends the
    /// response's turn is the last of them.
    ///
    /// # Errors
    /// Why they cannot be encoded.
    fn encode(&self, problem: &Statement, response: &Response) -> Result<EncodedExample, String>;

    /// Which of a response's tokens make up its thought; `None` when it has none.
    fn thought(&self, response: &[u32]) -> Option<Range<usize>>;

    /// Writes the tokenizer's files beside a policy's weights.
    ///
    /// # Errors
    /// Why they cannot be written.
    fn save(&self, folder: &std::path::Path) -> Result<(), String>;
}

/// A prompt and a response end to end, before it is known what the loss covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedExample {
    /// The tokens.
    pub tokens: Vec<u32>,
    /// How many of them are the prompt's.
    pub prompt_tokens: usize,
}

/// A prompt and a response end to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// The tokens.
    pub tokens: Vec<u32>,
    /// How many of them are the prompt's.
    pub prompt_tokens: usize,
    /// Those that the loss covers.
    pub target: Range<usize>,
}

/// What a job trains on, as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Examples {
    /// Sequences.
    Sft(Arc<[Sequence]>),
    /// Chosen and rejected sequences.
    Dpo(Arc<[(Sequence, Sequence)]>),
}

impl Examples {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Sft(sequences) => sequences.len(),
            Self::Dpo(pairs) => pairs.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every sequence, chosen before rejected.
    pub fn sequences(&self) -> Vec<&Sequence> {
        match self {
            Self::Sft(sequences) => sequences.iter().collect(),
            Self::Dpo(pairs) => pairs.iter().flat_map(|(chosen, rejected)| [chosen, rejected]).collect(),
        }
    }

    /// The length of one, in tokens; of a pair, both responses with their prompts.
    pub fn length(&self, index: usize) -> usize {
        match self {
            Self::Sft(sequences) => sequences.get(index).map_or(0, |sequence| sequence.tokens.len()),
            Self::Dpo(pairs) => pairs.get(index).map_or(0, pair_length),
        }
    }

    /// The length of each.
    pub fn lengths(&self) -> Vec<usize> {
        (0..self.len()).map(|index| self.length(index)).collect()
    }
}

/// The length of a pair's responses, each with its prompt, in tokens.
pub const fn pair_length((chosen, rejected): &(Sequence, Sequence)) -> usize {
    chosen.tokens.len() + rejected.tokens.len()
}

/// How examples become sequences.
#[derive(Debug, Clone, Copy)]
pub struct EncodingRules {
    /// The longest sequence, in tokens; 0 sets no limit.
    pub limit: usize,
    /// Which tokens of a pair are compared.
    pub span: DpoSpan,
    /// A pair is compared as a whole where one of its responses has no thought.
    pub compares_like_with_like: bool,
}

/// Reads and encodes the examples of a job one by one, and leaves out those of which a part is too long. Gives how many
/// were left out.
///
/// # Errors
/// When one cannot be read or encoded, or is not of the kind that the objective takes.
pub fn encode_all(
    encoder: &dyn ExampleEncoder,
    source: &dyn ExampleSource,
    objective: Algorithm,
    rules: EncodingRules,
) -> Result<(Examples, usize), DataError> {
    let fits = |sequence: &Sequence| rules.limit == 0 || sequence.tokens.len() <= rules.limit;
    let (mut sequences, mut pairs) = (Vec::new(), Vec::new());
    for index in 0..source.count() {
        match (objective, source.read(index)?) {
            (Algorithm::Sft, Example::Sft(SftExample { problem, response })) => {
                let sequence = Encoded::new(encoder, &problem, &response)?.whole_response();
                sequences.extend(Some(sequence).filter(fits));
            }
            (Algorithm::Dpo, Example::Preference(PreferenceExample { problem, chosen, rejected })) => {
                let chosen = Encoded::new(encoder, &problem, &chosen)?;
                let rejected = Encoded::new(encoder, &problem, &rejected)?;
                let pair = rules.compared(chosen, rejected);
                if fits(&pair.0) && fits(&pair.1) {
                    pairs.push(pair);
                }
            }
            (Algorithm::Sft, Example::Preference(_)) | (Algorithm::Dpo, Example::Sft(_)) => {
                let reason = format!("example {index} is not of the kind that the job's objective takes");
                return Err(DataError::Refused(reason));
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

impl EncodingRules {
    /// The longest sequence of a job: what its settings say, and never more than the model has positions.
    pub fn longest(max_sequence_tokens: u32, positions: usize) -> usize {
        match max_sequence_tokens {
            0 => positions,
            limit => positions.min(limit as usize),
        }
    }

    /// A pair with the tokens that are compared.
    fn compared(self, chosen: Encoded, rejected: Encoded) -> (Sequence, Sequence) {
        let is_odd = chosen.thought.is_none() || rejected.thought.is_none();
        match self.span {
            DpoSpan::Thought if !(is_odd && self.compares_like_with_like) => {
                (chosen.thought_alone(), rejected.thought_alone())
            }
            DpoSpan::Thought | DpoSpan::Full => (chosen.whole_response(), rejected.whole_response()),
        }
    }
}

/// A prompt and a response end to end, before it is known which tokens the loss covers.
struct Encoded {
    tokens: Vec<u32>,
    response: Range<usize>,
    thought: Option<Range<usize>>,
}

impl Encoded {
    fn new(
        encoder: &dyn ExampleEncoder,
        problem: &Statement,
        response: &Response,
    ) -> Result<Self, DataError> {
        let refused =
            |reason: String| DataError::Refused(format!("the example of `{}`: {reason}", problem.text));
        let encoded = encoder.encode(problem, response).map_err(refused)?;
        let EncodedExample { tokens, prompt_tokens: start } = encoded;
        let response = tokens.get(start..).unwrap_or_default();
        if start == 0 || response.is_empty() {
            return Err(refused("its prompt or its response has no token".to_owned()));
        }
        let thought = encoder.thought(response).filter(|thought| !thought.is_empty());
        let thought = thought.map(|thought| start + thought.start..start + thought.end);
        Ok(Self { response: start..tokens.len(), tokens, thought })
    }

    /// The loss covers the response.
    fn whole_response(self) -> Sequence {
        Sequence { tokens: self.tokens, prompt_tokens: self.response.start, target: self.response }
    }

    /// The loss covers the thought; the response where there is none.
    fn thought_alone(self) -> Sequence {
        let prompt_tokens = self.response.start;
        Sequence { tokens: self.tokens, prompt_tokens, target: self.thought.unwrap_or(self.response) }
    }
}

#[cfg(test)]
mod tests {
    use still_roles::ExamplesInMemory;

    use super::*;

    /// Texts are bytes, and a thought ends at a full stop.
    struct Bytes;

    impl ExampleEncoder for Bytes {
        fn encode(&self, problem: &Statement, response: &Response) -> Result<EncodedExample, String> {
            let mut tokens: Vec<u32> = problem.bytes().map(u32::from).collect();
            let prompt_tokens = tokens.len();
            match response {
                Response::Tokens(drawn) => tokens.extend(drawn),
                Response::Text(text) => tokens.extend(text.bytes().map(u32::from)),
            }
            Ok(EncodedExample { tokens, prompt_tokens })
        }

        fn thought(&self, response: &[u32]) -> Option<Range<usize>> {
            response.iter().position(|token| *token == u32::from(b'.')).map(|end| 0..end)
        }

        fn save(&self, _: &std::path::Path) -> Result<(), String> {
            Ok(())
        }
    }

    #[test]
    fn a_thought_is_compared_with_a_thought_or_else_both_responses_whole_response() {
        let targets = |chosen: &str, rejected: &str, compares_like_with_like| {
            let [chosen, rejected] = [chosen, rejected].map(|text| Response::Text(text.to_owned()));
            let pair = PreferenceExample { problem: "?".into(), chosen, rejected };
            let source = ExamplesInMemory(vec![Example::Preference(pair)]);
            let rules = EncodingRules { limit: 0, span: DpoSpan::Thought, compares_like_with_like };
            let (examples, _) = encode_all(&Bytes, &source, Algorithm::Dpo, rules).unwrap();
            examples.sequences().into_iter().map(|sequence| sequence.target.clone()).collect::<Vec<_>>()
        };
        assert_eq!(targets("aa.b", "a.bb", true), [1..3, 1..2]);
        assert_eq!(targets("aa.b", "abb", true), [1..5, 1..4]);
        assert_eq!(targets("abb", "aa.b", true), [1..4, 1..5]);
        // as programs before had it
        assert_eq!(targets("aa.b", "abb", false), [1..3, 1..4]);
    }

    #[test]
    fn what_is_too_long_is_left_out_and_counted() {
        let example = |response: &str| {
            Example::Sft(SftExample { problem: "?".into(), response: Response::Text(response.to_owned()) })
        };
        let source = ExamplesInMemory(["a", "aaaa", "aaa"].map(example).to_vec());
        let rules = EncodingRules { limit: 4, span: DpoSpan::Full, compares_like_with_like: true };
        let (examples, left_out) = encode_all(&Bytes, &source, Algorithm::Sft, rules).unwrap();
        assert_eq!((examples.lengths(), left_out), (vec![2, 4], 1));
    }
}
