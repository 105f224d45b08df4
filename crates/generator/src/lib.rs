//! The generator of this process made real: problems go in as text, judged-to-be trajectories come out.
//!
//! [`PolicyGenerator`] puts a [`Prompter`] in front of the generation engine of
//! `still-rollout`, and measures what the engine brings: lengths and perplexities of thought and solution.
//! It is generic over the engine's model, so the CPU's decoder and a GPU's share it.

mod measure;
mod policy_generator;

use still_domain::{Statement, fingerprint::NamedFields};
use still_text::{Prompter, Question};

pub use measure::{MeasuredResponse, measured};
pub use policy_generator::{GeneratorConfig, PolicyGenerator};

/// A statement as it is asked.
pub fn question_of(statement: &Statement) -> Question<'_> {
    let kind = statement.kind.map_or("", |kind| kind.name());
    Question { text: &statement.text, kind, source: &statement.source }
}

/// Names what asks, as provenances name it: texts and style, format, tokenizer and chat template.
pub fn prompt_name(prompter: &Prompter) -> String {
    let identity = prompter.identity();
    let fields = identity
        .iter()
        .fold(NamedFields::new("still prompt 1"), |fields, (name, value)| fields.text(name, value));
    let mut name = fields.finish();
    name.truncate(16);
    name
}
