//! What can go wrong between text and token ids, each with its remedy.

use std::path::PathBuf;

use thiserror::Error;

/// Why a tokenizer could not be read, written or used.
#[derive(Debug, Error)]
pub enum TokenizerError {
    /// A file that must be there is not, or cannot be read.
    #[error("`{path}` cannot be read: {source}; {remedy}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A file is not what its name says.
    #[error("`{path}` is not valid: {reason}; {remedy}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A file names a token that the vocabulary lacks.
    #[error(
        "`{path}` names the {role} `{token}`, which tokenizer.json lacks; copy both files from one model folder"
    )]
    UnknownToken {
        /// The file that names the token.
        path: PathBuf,
        /// The token's part, such as `eos_token`.
        role: &'static str,
        /// The token.
        token: String,
    },
    /// A file could not be written.
    #[error("`{path}` cannot be written: {source}; check that the folder exists and the disk has room")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The tokenizer refused its input.
    #[error("the tokenizer cannot {action}: {reason}")]
    Refused {
        /// What was asked of it.
        action: &'static str,
        /// What it said.
        reason: String,
    },
}

/// Why a conversation could not be rendered.
#[derive(Debug, Error)]
pub enum TemplateError {
    /// The template's text is not a template.
    #[error(
        "the chat template cannot be compiled: {0}; check `chat_template.jinja` or `tokenizer_config.json`"
    )]
    Compile(String),
    /// The template failed on this conversation, perhaps by its own `raise_exception`.
    #[error("the chat template refuses the conversation: {0}")]
    Render(String),
    /// A prompt style asks for a chat template and the tokenizer has none.
    #[error("the tokenizer has no chat template; use the `raw` prompt style, or an instruction-tuned model")]
    Missing,
}

/// Why messages are no conversation that a model can learn from.
#[derive(Debug, Error)]
pub enum ConversationError {
    /// There is no template, or it refuses the messages.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The tokenizer refused the text.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The last message is none of the assistant with something to say.
    #[error(
        "a message of `assistant` with `content` is missing; write the user's turn, then the assistant's"
    )]
    NoAnswer,
    /// The template leaves out what the answer holds.
    #[error(
        "the model's chat template leaves `{0}` of the answer out, so that it could not be learnt; write it into \
         `content`, or take a model whose template reads it"
    )]
    LeftOut(&'static str),
    /// What stands before the answer is another text once there is an answer.
    #[error(
        "the model's chat template renders what stands before the answer otherwise once the answer is there, so that \
         no prompt leads to it; leave the line out, or take another template"
    )]
    Rewritten,
}
