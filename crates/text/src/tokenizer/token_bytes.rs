//! The bytes of every token, in one arena: what stop strings and incremental decoding work on.

use tokenizers::decoders::DecoderWrapper;

use super::is_byte_level;

/// Ids without a token that a vocabulary may leave out.
const MAX_UNUSED_IDS: usize = 1 << 20;

/// The bytes of every token.
#[derive(Debug)]
pub(super) struct TokenBytes {
    arena: Vec<u8>,
    /// `starts[id]..starts[id + 1]` is the token's range in the arena.
    starts: Vec<u32>,
    is_exact: bool,
}

impl TokenBytes {
    /// # Errors
    /// The largest id, where it lies so far beyond the number of tokens that it must be a mistake.
    pub(super) fn new(tokenizer: &tokenizers::Tokenizer) -> Result<Self, u32> {
        let vocabulary = tokenizer.get_vocab(true);
        let largest = vocabulary.values().max().copied();
        let length = largest.map_or(0, |id| id as usize + 1);
        if let Some(largest) = largest
            && length > vocabulary.len() + MAX_UNUSED_IDS
        {
            return Err(largest);
        }
        let mut tokens: Vec<&str> = vec![""; length];
        for (token, &id) in &vocabulary {
            if let Some(entry) = tokens.get_mut(id as usize) {
                *entry = token;
            }
        }
        let byte_level = is_byte_level(tokenizer);
        let is_fused = matches!(tokenizer.get_decoder(), Some(DecoderWrapper::Fuse(_)));
        let mut table = Self {
            arena: Vec::with_capacity(length * 8),
            starts: Vec::with_capacity(length + 1),
            is_exact: byte_level || is_fused,
        };
        table.starts.push(0);
        for token in tokens {
            if byte_level {
                push_byte_level(token, &mut table.arena);
            } else if is_fused {
                table.arena.extend_from_slice(token.as_bytes());
            } else {
                push_sentence_piece(token, &mut table.arena);
            }
            table.starts.push(table.arena.len() as u32);
        }
        Ok(table)
    }

    /// The bytes of `id`; empty for an id without a token.
    pub(super) fn get(&self, id: u32) -> &[u8] {
        let id = id as usize;
        match (self.starts.get(id), self.starts.get(id + 1)) {
            (Some(&start), Some(&end)) => self.arena.get(start as usize..end as usize).unwrap_or(&[]),
            _ => &[],
        }
    }

    /// Number of ids.
    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether the bytes of a row of tokens are the text that the tokenizer decodes.
    pub(super) const fn is_exact(&self) -> bool {
        self.is_exact
    }
}

/// Undoes GPT-2's spelling of bytes as printable characters; a token that holds any other character is
/// written out as it is (as the byte-level decoder of `tokenizers` does).
fn push_byte_level(token: &str, arena: &mut Vec<u8>) {
    let start = arena.len();
    for character in token.chars() {
        if let Some(byte) = byte_of(character) {
            arena.push(byte);
        } else {
            arena.truncate(start);
            arena.extend_from_slice(token.as_bytes());
            return;
        }
    }
}

/// The byte that a character stands for in GPT-2's byte alphabet: printable Latin-1 for itself, the other
/// 68 bytes in ascending order from U+0100.
fn byte_of(character: char) -> Option<u8> {
    let code = character as u32;
    match code {
        0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => Some(code as u8),
        0x100..=0x120 => Some((code - 0x100) as u8),
        0x121..=0x142 => Some((code - 0x121 + 0x7f) as u8),
        0x143 => Some(0xad),
        _ => None,
    }
}

/// `SentencePiece` spelling: `▁` is a space, `<0x0A>` a byte.
fn push_sentence_piece(token: &str, arena: &mut Vec<u8>) {
    if let Some(byte) = fallback_byte(token) {
        arena.push(byte);
    } else {
        arena.extend_from_slice(token.replace('\u{2581}', " ").as_bytes());
    }
}

/// The byte that a token such as `<0x0A>` stands for.
pub(super) fn fallback_byte(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() == 2 { u8::from_str_radix(digits, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_byte_alphabet_names_every_byte_once() {
        let bytes: HashSet<u8> = ('\0'..='\u{200}').filter_map(byte_of).collect();
        assert_eq!(bytes.len(), 256);
        assert_eq!(('\0'..='\u{200}').filter_map(byte_of).count(), 256);
        assert_eq!(byte_of('Ġ'), Some(b' '));
        assert_eq!(byte_of('Ċ'), Some(b'\n'));
        assert_eq!(byte_of('Ń'), Some(0xad));
    }

    #[test]
    fn sentence_piece_bytes_and_spaces_are_undone() {
        let mut arena = Vec::new();
        for token in ["▁a", "<0xC3>", "<0x>", "<s>"] {
            push_sentence_piece(token, &mut arena);
        }
        assert_eq!(arena, b" a\xC3<0x><s>");
    }
}
