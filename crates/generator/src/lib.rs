//! The generator of this process made real: problems go in as text, judged-to-be trajectories come out.
//!
//! [`PolicyGenerator`] puts a [`Prompter`](still_text::Prompter) in front of the generation engine of
//! `still-rollout`, and measures what the engine brings: lengths and perplexities of thought and solution.
//! It is generic over the engine's model, so the CPU's decoder and a GPU's share it.

mod measure;
mod policy_generator;

use still_domain::Statement;
use still_text::Question;

pub use measure::{MeasuredResponse, measured};
pub use policy_generator::{GeneratorConfig, PolicyGenerator};

/// A statement as it is asked.
pub fn question_of(statement: &Statement) -> Question<'_> {
    let kind = statement.kind.map_or("", |kind| kind.name());
    Question { text: &statement.text, kind, source: &statement.source }
}
