//! Lists of spellings, arranged so that few of them are tried at each place of a text.

/// Spellings in lower case, by their first or last byte.
pub(super) struct Table {
    spellings: &'static [&'static str],
    /// For each byte the spellings that have it there, one bit each.
    having: [u128; 256],
}

impl Table {
    pub(super) const fn by_first_byte(spellings: &'static [&'static str]) -> Self {
        Self::new(spellings, false)
    }

    pub(super) const fn by_last_byte(spellings: &'static [&'static str]) -> Self {
        Self::new(spellings, true)
    }

    const fn new(spellings: &'static [&'static str], last: bool) -> Self {
        assert!(spellings.len() <= u128::BITS as usize);
        let mut having = [0; 256];
        let mut index = 0;
        while index < spellings.len() {
            let bytes = spellings[index].as_bytes();
            having[bytes[if last { bytes.len() - 1 } else { 0 }] as usize] |= 1 << index;
            index += 1;
        }
        Self { spellings, having }
    }

    /// The spellings that have this byte, in either case, at their end of the table; in the list's order.
    pub(super) fn having(&self, byte: u8) -> impl Iterator<Item = &'static str> {
        let mut left = self.having.get(usize::from(byte.to_ascii_lowercase())).copied().unwrap_or(0);
        std::iter::from_fn(move || {
            let index = left.trailing_zeros() as usize;
            left &= left.wrapping_sub(1);
            self.spellings.get(index).copied()
        })
    }

    /// Whether a word is one of the spellings, whatever its case.
    pub(super) fn has(&self, word: &str) -> bool {
        let Some(first) = word.bytes().next() else { return false };
        let mut candidates = self.having(first);
        if word.is_ascii() {
            return candidates.any(|known| known.eq_ignore_ascii_case(word));
        }
        candidates.any(|known| known.chars().eq(word.chars().flat_map(char::to_lowercase)))
    }
}

/// Whether a text starts so, whatever the case of its ASCII letters.
pub(super) fn starts_with(text: &[u8], start: &str) -> bool {
    text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()))
}

/// Whether a text ends so, whatever the case of its ASCII letters.
pub(super) fn ends_with(text: &[u8], end: &str) -> bool {
    let start = text.len().checked_sub(end.len());
    start.and_then(|start| text.get(start..)).is_some_and(|tail| tail.eq_ignore_ascii_case(end.as_bytes()))
}
