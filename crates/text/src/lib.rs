//! Everything between text and token ids.
//!
//! | module | noun |
//! |---|---|
//! | [`Tokenizer`] | a Hugging Face tokenizer folder, or the embedded one of the quick start |
//! | [`IncrementalDecoder`] | token ids to text as they come, never a broken character |
//! | [`ChatTemplate`] | a conversation to a prompt, as transformers renders it |
//! | [`Conversation`] | a prompt with its answer as one text, rendered and tokenised once |
//! | [`Prompter`] | a problem to a prompt, and a response to its parts: style, texts, format |
//! | [`thought`] | thought and solution in a response: parsed, rendered, found among tokens |
//!
//! Nothing here panics on a token or a byte that a vocabulary lacks: such a byte encodes to nothing, such
//! a token decodes to nothing.

mod chat_template;
mod conversation;
mod error;
mod incremental;
mod prompt;
pub mod thought;
mod tokenizer;

pub use chat_template::{ChatContext, ChatMessage, ChatTemplate};
pub use conversation::{Conversation, EncodedConversation};
pub use error::{ConversationError, TemplateError, TokenizerError};
pub use incremental::{DecodedTokens, IncrementalDecoder};
pub use prompt::{EXPLORATION_PROMPT, PROBLEM_PLACEHOLDER, PromptBook, PromptStyle, Prompter, Question};
pub use thought::{Format, FormatError, ThoughtAndSolution};
pub use tokenizer::{SpecialTokens, Tokenizer};
