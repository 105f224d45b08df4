//! A tokenizer with what surrounds it in a Hugging Face folder: special tokens, stop tokens, chat template.

mod added;
mod files;
mod quick_start;
mod sentence_piece;
mod token_bytes;

use std::{
    collections::BTreeMap,
    fmt,
    path::Path,
    sync::{Arc, OnceLock},
};

use tokenizers::decoders::DecoderWrapper;

use crate::{
    chat_template::ChatTemplate,
    conversation,
    error::TokenizerError,
    incremental::{DecodedTokens, IncrementalDecoder},
};
use added::{add_missing_tokens, surround_as_llama, tokens_before};
use files::Companions;
use sentence_piece::made_as_llama;
use token_bytes::TokenBytes;

/// The longest run of white space in a text, and one more.
const MAX_BLANKS: usize = 1_000_000;

/// The special tokens by the names that chat templates know them under (`bos_token`, `eos_token`, ...).
pub type SpecialTokens = BTreeMap<String, String>;

/// A tokenizer; cheap to clone.
#[derive(Clone)]
pub struct Tokenizer {
    inner: Arc<Inner>,
}

struct Inner {
    tokenizer: tokenizers::Tokenizer,
    token_bytes: TokenBytes,
    companions: Companions,
    chat_template: Option<ChatTemplate>,
    roles: RoleIds,
    /// What the post-processor puts before a text.
    before: Vec<u32>,
    /// How the chat template ends the assistant's turn, and the token that it ends with.
    turn_end: OnceLock<(String, Option<u32>)>,
    /// What the tokenizer and its template are, as a hash of what was read.
    fingerprint: String,
}

#[derive(Debug, Clone, Default)]
struct RoleIds {
    beginning: Option<u32>,
    end: Option<u32>,
    padding: Option<u32>,
    stop: Vec<u32>,
}

impl Tokenizer {
    /// Reads a model folder: `tokenizer.json` must be there; `tokenizer_config.json`,
    /// `special_tokens_map.json`, `generation_config.json` and `chat_template.jinja` may be.
    pub fn load(folder: &Path) -> Result<Self, TokenizerError> {
        let path = folder.join(files::TOKENIZER);
        let content = std::fs::read(&path).map_err(|source| TokenizerError::Read {
            path: path.clone(),
            source,
            remedy: "point at a Hugging Face model folder that holds a fast tokenizer",
        })?;
        let malformed = |reason: String| TokenizerError::Malformed {
            path: path.clone(),
            reason,
            remedy: "copy it again from the model's repository",
        };
        // the library panics at a decoder that is no JSON
        serde_json::from_slice::<serde_json::Value>(&content)
            .map_err(|error| malformed(error.to_string()))?;
        let read = blake3::hash(&content);
        let tokenizer =
            tokenizers::Tokenizer::from_bytes(content).map_err(|error| malformed(error.to_string()))?;
        Self::assemble(tokenizer, Companions::load(folder)?, folder, read.as_bytes())
    }

    /// The embedded tokenizer of the quick start, 26 entries: padding and end token, the paper's four tags,
    /// `\boxed{`, `Wait,` and the single characters `0`-`9`, `+-*=;?}` and space. Other characters encode
    /// to nothing.
    pub fn quick_start() -> Result<Self, TokenizerError> {
        let (tokenizer, companions) = (quick_start::tokenizer()?, quick_start::companions());
        Self::assemble(tokenizer, companions, Path::new("quick start"), b"quick start")
    }

    /// Writes the tokenizer's files into `folder`, so that `transformers` loads them beside the weights.
    pub fn save(&self, folder: &Path) -> Result<(), TokenizerError> {
        let json =
            self.inner.tokenizer.to_string(true).map_err(|error| refused("be written as JSON", &*error))?;
        files::write(&folder.join(files::TOKENIZER), &json)?;
        self.inner.companions.save(folder)
    }

    /// Token ids of `text`. Special and added tokens written out in `text` become their ids.
    ///
    /// `with_special_tokens` adds what the model's post-processor adds around a text (such as a beginning
    /// token); leave it off for responses and for rendered chats, which bring their own.
    pub fn encode(&self, text: &str, with_special_tokens: bool) -> Result<Vec<u32>, TokenizerError> {
        refuse_endless_blanks(text)?;
        let encoding = self.inner.tokenizer.encode_fast(text, with_special_tokens);
        Ok(encoding.map_err(|error| refused("encode the text", &*error))?.get_ids().to_vec())
    }

    /// The text of `ids`, special tokens written out; bytes that form no character become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        self.inner.tokenizer.decode(ids, false).map_err(|error| refused("decode the tokens", &*error))
    }

    /// The text of `ids` with the special tokens left out.
    pub fn decode_without_special_tokens(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        self.inner.tokenizer.decode(ids, true).map_err(|error| refused("decode the tokens", &*error))
    }

    /// The text of `ids` together with where each token's text ends.
    pub fn decode_with_ends(&self, ids: &[u32]) -> Result<DecodedTokens, TokenizerError> {
        DecodedTokens::new(self, ids)
    }

    /// A decoder for tokens that come one by one.
    pub fn incremental_decoder(&self) -> IncrementalDecoder {
        IncrementalDecoder::new(self.clone())
    }

    /// The bytes that `id` adds to a text, empty for an id without a token. They may end inside a character.
    pub fn token_bytes(&self, id: u32) -> &[u8] {
        self.inner.token_bytes.get(id)
    }

    /// Whether [`Self::token_bytes`] joined give [`Self::decode`] exactly, as they do for byte-level
    /// tokenizers. Others (`SentencePiece`) treat a leading space differently.
    pub fn bytes_are_exact(&self) -> bool {
        self.inner.token_bytes.is_exact()
    }

    /// The id of a token given as the vocabulary writes it.
    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        self.inner.tokenizer.token_to_id(token)
    }

    /// The token of an id as the vocabulary writes it.
    pub fn id_to_token(&self, id: u32) -> Option<String> {
        self.inner.tokenizer.id_to_token(id)
    }

    /// Number of ids in use, added tokens included: one more than the largest id. A model's embedding may
    /// be larger.
    pub fn vocabulary_size(&self) -> usize {
        self.inner.token_bytes.len()
    }

    /// The id that begins a text, where the model has one.
    pub fn beginning_id(&self) -> Option<u32> {
        self.inner.roles.beginning
    }

    /// The id that ends a text.
    pub fn end_id(&self) -> Option<u32> {
        self.inner.roles.end
    }

    /// The id that fills up short rows.
    pub fn padding_id(&self) -> Option<u32> {
        self.inner.roles.padding
    }

    /// The ids that end generation, in ascending order: those of `generation_config.json` and the end id.
    pub fn stop_ids(&self) -> &[u32] {
        &self.inner.roles.stop
    }

    /// The tokens that the model puts before a text, such as a beginning token; what it puts behind one is left out.
    pub fn tokens_before(&self) -> &[u32] {
        &self.inner.before
    }

    /// The text that ends the assistant's turn in the chat template, up to and with its special token; empty where the
    /// template has none, or there is no template.
    pub fn turn_end(&self) -> &str {
        &self.turn_end_with_id().0
    }

    fn turn_end_with_id(&self) -> &(String, Option<u32>) {
        self.inner.turn_end.get_or_init(|| {
            let text = conversation::turn_end_of(self).unwrap_or_default();
            let id = self.encode(&text, false).ok().and_then(|ids| ids.last().copied());
            (text, id)
        })
    }

    /// A hash of all that the folder says of tokens and of the chat template: prompts of another one are other tokens.
    pub fn fingerprint(&self) -> &str {
        &self.inner.fingerprint
    }

    /// Whether a token ends a turn: one that ends generation, or the template's own.
    pub fn is_turn_end(&self, id: u32) -> bool {
        self.stop_ids().contains(&id) || self.turn_end_with_id().1 == Some(id)
    }

    /// Whether a text ends with a token that ends a turn.
    pub(crate) fn ends_turn(&self, text: &str) -> bool {
        self.without_turn_end(text).is_some()
    }

    /// The length of a text without the token at its end that ends a turn; `None` where there is none.
    pub(crate) fn without_turn_end(&self, text: &str) -> Option<usize> {
        let trimmed = text.trim_end();
        let of_template = self.turn_end().trim();
        let stops = self.stop_ids().iter().filter_map(|id| self.id_to_token(*id));
        let ends = stops.chain(Some(of_template.to_owned())).filter(|end| !end.is_empty());
        ends.filter_map(|end| trimmed.strip_suffix(end.as_str()).map(str::len)).min()
    }

    /// The special tokens as they are written in a text.
    pub(crate) fn special_texts(&self) -> impl Iterator<Item = &str> {
        let added = self.inner.tokenizer.get_added_vocabulary().get_added_tokens_decoder();
        added.values().filter(|token| token.special).map(|token| token.content.as_str())
    }

    /// The special tokens by name.
    pub fn special_tokens(&self) -> &SpecialTokens {
        &self.inner.companions.special_tokens
    }

    /// The chat template, where the model has one.
    pub fn chat_template(&self) -> Option<&ChatTemplate> {
        self.inner.chat_template.as_ref()
    }

    /// Whether a token is one byte of a character that has no token of its own.
    pub(crate) fn is_byte(&self, id: u32) -> bool {
        self.id_to_token(id).is_some_and(|token| token_bytes::fallback_byte(&token).is_some())
    }

    pub(crate) fn inner(&self) -> &tokenizers::Tokenizer {
        &self.inner.tokenizer
    }

    fn assemble(
        mut tokenizer: tokenizers::Tokenizer,
        companions: Companions,
        folder: &Path,
        read: &[u8],
    ) -> Result<Self, TokenizerError> {
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| refused("switch truncation off", &*error))?;
        made_as_llama(&mut tokenizer, &companions)?;
        add_missing_tokens(&mut tokenizer, &companions, folder)?;
        tokenizer.set_encode_special_tokens(companions.splits_special_tokens);
        surround_as_llama(&mut tokenizer, &companions, folder)?;
        let roles = resolve_roles(&tokenizer, &companions, folder)?;
        let chat_template = companions
            .chat_template
            .as_deref()
            .map(|source| {
                let template = ChatTemplate::new(source, companions.special_tokens.clone())?;
                match companions.named_templates.get(files::TOOL_USE) {
                    Some(source) => template.with_tool_use(source),
                    None => Ok(template),
                }
            })
            .transpose()
            .map_err(|error| TokenizerError::Malformed {
                path: folder.join(files::CONFIG),
                reason: error.to_string(),
                remedy: "repair the chat template or remove it",
            })?;
        let token_bytes = TokenBytes::new(&tokenizer).map_err(|largest| TokenizerError::Malformed {
            path: folder.join(files::TOKENIZER),
            reason: format!("the id {largest} lies far beyond the number of its tokens"),
            remedy: "copy it again from the model's repository",
        })?;
        let before = tokens_before(&tokenizer);
        let turn_end = OnceLock::new();
        let fingerprint = companions.fingerprint(read);
        let inner =
            Inner { tokenizer, token_bytes, companions, chat_template, roles, before, turn_end, fingerprint };
        Ok(Self { inner: Arc::new(inner) })
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer")
            .field("vocabulary_size", &self.vocabulary_size())
            .field("roles", &self.inner.roles)
            .finish_non_exhaustive()
    }
}

/// The library's patterns give up without a word on longer runs of white space before a word.
fn refuse_endless_blanks(text: &str) -> Result<(), TokenizerError> {
    if text.len() < MAX_BLANKS {
        return Ok(());
    }
    let mut run = 0;
    for character in text.chars() {
        run = if character.is_whitespace() { run + 1 } else { 0 };
        if run >= MAX_BLANKS {
            let reason = format!("it has a run of {MAX_BLANKS} blanks or more; shorten the run");
            return Err(TokenizerError::Refused { action: "encode the text", reason });
        }
    }
    Ok(())
}

fn refused(action: &'static str, error: &dyn std::error::Error) -> TokenizerError {
    TokenizerError::Refused { action, reason: error.to_string() }
}

fn resolve_roles(
    tokenizer: &tokenizers::Tokenizer,
    companions: &Companions,
    folder: &Path,
) -> Result<RoleIds, TokenizerError> {
    let id_of = |role| special_id(role, tokenizer, companions, folder);
    let generation = &companions.generation;
    let end = id_of("eos_token")?.or_else(|| generation.stop_ids.first().copied());
    let mut stop = generation.stop_ids.clone();
    stop.extend(end);
    stop.sort_unstable();
    stop.dedup();
    Ok(RoleIds {
        beginning: id_of("bos_token")?.or(generation.beginning_id),
        end,
        padding: id_of("pad_token")?.or(generation.padding_id),
        stop,
    })
}

/// The id of a special token, where the model has it.
fn special_id(
    role: &'static str,
    tokenizer: &tokenizers::Tokenizer,
    companions: &Companions,
    folder: &Path,
) -> Result<Option<u32>, TokenizerError> {
    let Some(token) = companions.special_tokens.get(role) else { return Ok(None) };
    let unknown =
        || TokenizerError::UnknownToken { path: folder.join(files::CONFIG), role, token: token.clone() };
    tokenizer.token_to_id(token).ok_or_else(unknown).map(Some)
}

/// How the tokenizer's decoder joins tokens.
fn is_byte_level(tokenizer: &tokenizers::Tokenizer) -> bool {
    matches!(tokenizer.get_decoder(), Some(DecoderWrapper::ByteLevel(_)))
}
