//! Tokenizers of the class of Llama 2, which transformers makes anew of vocabulary and merges, whatever else their
//! `tokenizer.json` says.

use tokenizers::{
    ModelWrapper, NormalizerWrapper,
    decoders::{DecoderWrapper, byte_fallback::ByteFallback, fuse::Fuse, sequence::Sequence, strip::Strip},
    normalizers::Replace,
    pre_tokenizers::metaspace::{Metaspace, PrependScheme},
};

use super::{
    files::{Companions, PrefixSpace},
    refused,
};
use crate::error::TokenizerError;

/// What a blank is in the vocabulary.
const BLANK: char = '\u{2581}';

/// Makes a tokenizer as the class does: a blank before a text where `add_prefix_space` and `legacy` put one, and nothing
/// else changed before it is cut. Vocabularies of bytes under that class (`DeepSeek-R1-Distill`) are left as they are:
/// transformers knows their models by name.
pub(super) fn made_as_llama(
    tokenizer: &mut tokenizers::Tokenizer,
    companions: &Companions,
) -> Result<(), TokenizerError> {
    let Some(prefix) = companions.llama_prefix_space() else { return Ok(()) };
    let has_blanks = tokenizer.get_vocab(false).keys().any(|token| token.starts_with(BLANK));
    let ModelWrapper::BPE(model) = tokenizer.get_model() else { return Ok(()) };
    if !has_blanks {
        return Ok(());
    }
    let failed = |error: tokenizers::Error| refused("be made as its class makes it", &*error);
    let replace = Replace::new(BLANK.to_string(), " ".to_owned()).map_err(failed)?;
    let mut model = model.clone();
    (model.fuse_unk, model.byte_fallback, model.unk_token) = (true, true, None);
    let scheme = match prefix {
        PrefixSpace::Never => PrependScheme::Never,
        PrefixSpace::First => PrependScheme::First,
        PrefixSpace::Always => PrependScheme::Always,
    };
    let mut decoders: Vec<DecoderWrapper> =
        vec![replace.into(), ByteFallback::new().into(), Fuse::new().into()];
    if prefix != PrefixSpace::Never {
        decoders.push(Strip::new(' ', 1, 0).into());
    }
    tokenizer.with_model(model);
    tokenizer.with_normalizer(None::<NormalizerWrapper>).map_err(failed)?;
    tokenizer.with_pre_tokenizer(Some(Metaspace::new(BLANK, scheme, false)));
    tokenizer.with_decoder(Some(Sequence::new(decoders)));
    Ok(())
}
