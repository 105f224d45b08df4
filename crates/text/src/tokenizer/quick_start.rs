//! The embedded tokenizer of the quick start: 26 entries, no merges.

use serde_json::{Value, json};
use tokenizers::{
    AddedToken,
    decoders::fuse::Fuse,
    models::bpe::{BPE, Vocab},
};

use super::{files::Companions, refused};
use crate::{error::TokenizerError, thought};

const PADDING: &str = "<pad>";
const END: &str = "<eos>";
/// Entries of more than one character, by id.
const PIECES: [&str; 8] = [
    PADDING,
    END,
    thought::BEGIN_OF_THOUGHT,
    thought::END_OF_THOUGHT,
    thought::BEGIN_OF_SOLUTION,
    thought::END_OF_SOLUTION,
    "\\boxed{",
    "Wait,",
];
/// Single characters, whose ids follow those of the pieces.
const CHARACTERS: &str = "0123456789+-*=;? }";

pub(super) fn tokenizer() -> Result<tokenizers::Tokenizer, TokenizerError> {
    let mut vocabulary = Vocab::default();
    let entries = PIECES.iter().map(ToString::to_string).chain(CHARACTERS.chars().map(String::from));
    vocabulary.extend(entries.zip(0..));
    let model = BPE::builder()
        .vocab_and_merges(vocabulary, Vec::new())
        .build()
        .map_err(|error| refused("be built", &*error))?;
    let mut tokenizer = tokenizers::Tokenizer::new(model);
    tokenizer.with_decoder(Some(Fuse::default()));
    let added = PIECES.iter().map(|&piece| {
        let special = piece == PADDING || piece == END;
        AddedToken::from(piece, special).normalized(false)
    });
    tokenizer.add_tokens(added).map_err(|error| refused("take its added tokens", &*error))?;
    Ok(tokenizer)
}

pub(super) fn companions() -> Companions {
    let object = |value: Value| match value {
        Value::Object(map) => map,
        _ => serde_json::Map::new(),
    };
    Companions {
        config: object(json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "clean_up_tokenization_spaces": false,
            "model_max_length": 1024,
            "pad_token": PADDING,
            "eos_token": END,
        })),
        generation_config: object(json!({ "eos_token_id": 1, "pad_token_id": 0 })),
        special_tokens: [("pad_token", PADDING), ("eos_token", END)]
            .map(|(role, token)| (role.to_owned(), token.to_owned()))
            .into(),
        generation: super::files::GenerationIds {
            stop_ids: vec![1],
            beginning_id: None,
            padding_id: Some(0),
        },
        ..Companions::default()
    }
}
