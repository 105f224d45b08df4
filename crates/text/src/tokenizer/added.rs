//! Which tokens of the vocabulary are added ones, and what stands around a text, as the files around `tokenizer.json` say.

use std::{fmt, path::Path};

use tokenizers::{AddedToken, processors::template::TemplateProcessing};

use super::{
    files::{self, AddedTokenEntry, Companions},
    refused, special_id,
};
use crate::error::TokenizerError;

/// Adds the tokens that only the files around `tokenizer.json` make added ones, or give other flags, as transformers does:
/// those with an id in its order, then special tokens that are no added tokens yet.
pub(super) fn add_missing_tokens(
    tokenizer: &mut tokenizers::Tokenizer,
    companions: &Companions,
    folder: &Path,
) -> Result<(), TokenizerError> {
    let known = tokenizer.get_added_tokens_decoder();
    let is_known = |entry: &AddedTokenEntry| known.values().any(|token| entry_of(token) == *entry);
    let listed = companions.added_tokens.iter().filter(|(_, entry)| !is_known(entry));
    for (&id, entry) in listed {
        add(tokenizer, entry)?;
        if tokenizer.token_to_id(&entry.content) != Some(id) {
            return Err(TokenizerError::Malformed {
                path: folder.join(files::CONFIG),
                reason: format!("added token `{}` cannot have the id {id}", entry.content),
                remedy: "copy tokenizer.json and tokenizer_config.json from one model folder",
            });
        }
    }
    for entry in &companions.special {
        let added = tokenizer.get_added_tokens_decoder();
        let is_added = added.values().any(|token| token.content == entry.content);
        // a role whose token the vocabulary lacks is refused by name where the roles are looked up
        if !is_added && tokenizer.token_to_id(&entry.content).is_some() {
            add(tokenizer, entry)?;
        }
    }
    Ok(())
}

fn add(tokenizer: &mut tokenizers::Tokenizer, entry: &AddedTokenEntry) -> Result<(), TokenizerError> {
    let token = AddedToken::from(entry.content.clone(), entry.special)
        .lstrip(entry.lstrip)
        .rstrip(entry.rstrip)
        .single_word(entry.single_word)
        .normalized(entry.normalized);
    tokenizer.add_tokens([token]).map(drop).map_err(|error| refused("take an added token", &*error))
}

fn entry_of(token: &AddedToken) -> AddedTokenEntry {
    AddedTokenEntry {
        content: token.content.clone(),
        lstrip: token.lstrip,
        rstrip: token.rstrip,
        single_word: token.single_word,
        normalized: token.normalized,
        special: token.special,
    }
}

/// What transformers does to a tokenizer of the class of Llama 2, whatever its `tokenizer.json` says: the tokens around
/// a text are those that `add_bos_token` and `add_eos_token` ask for. `DeepSeek-R1-Distill-Qwen` is such a one.
pub(super) fn surround_as_llama(
    tokenizer: &mut tokenizers::Tokenizer,
    companions: &Companions,
    folder: &Path,
) -> Result<(), TokenizerError> {
    let Some(roles) = companions.llama_surroundings() else { return Ok(()) };
    let mut tokens = Vec::new();
    let mut piece_of = |role: &'static str| {
        let id = special_id(role, tokenizer, companions, folder)?;
        Ok(id.zip(companions.special_tokens.get(role)).map(|(id, token)| {
            tokens.push((token.clone(), id));
            format!("{token}:0")
        }))
    };
    let before = if roles.begins { piece_of("bos_token")? } else { None };
    let after = if roles.ends { piece_of("eos_token")? } else { None };
    let pieces: Vec<String> = before.into_iter().chain(["$A:0".to_owned()]).chain(after).collect();
    let malformed = |error: &dyn fmt::Display| TokenizerError::Malformed {
        path: folder.join(files::CONFIG),
        reason: format!("its tokens cannot be put around a text: {error}"),
        remedy: files::REPAIR,
    };
    let template = TemplateProcessing::builder()
        .try_single(pieces)
        .map_err(|error| malformed(&error))?
        .special_tokens(tokens)
        .build()
        .map_err(|error| malformed(&error))?;
    tokenizer.with_post_processor(Some(template));
    Ok(())
}

/// What the post-processor puts before a text, seen on one.
pub(super) fn tokens_before(tokenizer: &tokenizers::Tokenizer) -> Vec<u32> {
    let ids = |text: &str, with: bool| {
        tokenizer.encode_fast(text, with).map(|encoding| encoding.get_ids().to_vec()).unwrap_or_default()
    };
    // a vocabulary may lack some of them
    let seen = ["1", "a", " ", "\n"].into_iter().find_map(|text| {
        let (alone, with) = (ids(text, false), ids(text, true));
        let at = with.windows(alone.len().max(1)).position(|window| window == alone)?;
        with.get(..at).map(<[u32]>::to_vec)
    });
    seen.unwrap_or_default()
}
