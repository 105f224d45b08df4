//! What a job trains on: a source that is read example by example, never a copy in memory.

use still_domain::Statement;
use thiserror::Error;

/// A response to train on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// Text that the learner tokenises and ends with the stop token.
    Text(String),
    /// The very tokens that a policy drew, its stop token included.
    Tokens(Vec<u32>),
}

/// A problem with a response to imitate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SftExample {
    /// The problem, before any prompt template.
    pub problem: Statement,
    /// The response; the loss covers its tokens only.
    pub response: Response,
}

/// A problem with a right and a wrong response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreferenceExample {
    /// The problem, before any prompt template.
    pub problem: Statement,
    /// The response to prefer.
    pub chosen: Response,
    /// The response to avoid.
    pub rejected: Response,
}

/// One example of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Example {
    /// Of supervised fine-tuning.
    Sft(SftExample),
    /// Of direct preference optimisation.
    Preference(PreferenceExample),
}

/// An example cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the training set cannot be read: {0}")]
pub struct SourceError(pub String);

/// The examples of a job, read in the set's order as often as they are asked for.
pub trait ExampleSource: Send + Sync {
    /// How many there are.
    fn count(&self) -> usize;

    /// Reads the example of an index, from 0.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    fn read(&self, index: usize) -> Result<Example, SourceError>;
}

/// Examples that are in memory already: those of a file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExamplesInMemory(pub Vec<Example>);

impl ExampleSource for ExamplesInMemory {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn read(&self, index: usize) -> Result<Example, SourceError> {
        let missing = || SourceError(format!("there is no example {index} of {}", self.0.len()));
        self.0.get(index).cloned().ok_or_else(missing)
    }
}
