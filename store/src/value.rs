//! How a record becomes bytes: a version byte, eight bytes of checksum, `MessagePack` with field names.

use serde::{Serialize, de::DeserializeOwned};

use crate::{error::StoreError, key};

/// The layout written today. A byte once used is never used for another layout.
const LAYOUT: u8 = 1;
/// Bytes of the BLAKE3 checksum that are kept.
const CHECKSUM_BYTES: usize = 8;

/// Encodes a record.
pub(crate) fn encode<T: Serialize>(key: &[u8], record: &T) -> Result<Vec<u8>, StoreError> {
    let body = rmp_serde::to_vec_named(record)
        .map_err(|error| StoreError::Encode { key: key::name(key), reason: error.to_string() })?;
    let mut bytes = Vec::with_capacity(1 + CHECKSUM_BYTES + body.len());
    bytes.push(LAYOUT);
    bytes.extend(checksum(key, &body));
    bytes.extend(body);
    Ok(bytes)
}

/// Decodes a record that was written under `key`.
pub(crate) fn decode<T: DeserializeOwned>(key: &[u8], bytes: &[u8]) -> Result<T, StoreError> {
    let damaged = |reason: String| StoreError::Damaged { key: key::name(key), reason };
    let (layout, rest) = bytes.split_first().ok_or_else(|| damaged("it is empty".to_owned()))?;
    if *layout != LAYOUT {
        return Err(damaged(format!("its layout {layout} is unknown")));
    }
    let (sum, body) = rest
        .split_first_chunk::<CHECKSUM_BYTES>()
        .ok_or_else(|| damaged(format!("it ends after {} bytes", bytes.len())))?;
    if *sum != checksum(key, body) {
        return Err(damaged("its checksum does not fit".to_owned()));
    }
    rmp_serde::from_slice(body).map_err(|error| damaged(error.to_string()))
}

/// The key is part of the sum: a value under another record's key is damage too.
fn checksum(key: &[u8], body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(key.len() as u64).to_le_bytes());
    hasher.update(key);
    hasher.update(body);
    let mut sum = [0; CHECKSUM_BYTES];
    hasher.finalize_xof().fill(&mut sum);
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Written by the first version of this layout; a program that cannot read it has broken old stores.
    const GOLDEN: &[u8] = &[
        1, 97, 232, 69, 205, 138, 127, 198, 185, 130, 165, 114, 111, 117, 110, 100, 7, 164, 110, 97, 109,
        101, 161, 120,
    ];

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Sample {
        round: u32,
        name: String,
    }

    #[test]
    fn the_layout_has_not_changed() {
        let sample = Sample { round: 7, name: "x".to_owned() };
        assert_eq!(encode(b"k", &sample).unwrap(), GOLDEN);
        assert_eq!(decode::<Sample>(b"k", GOLDEN).unwrap(), sample);
    }

    proptest! {
        #[test]
        fn any_changed_byte_is_damage(position in 0..GOLDEN.len(), change in 1_u8..) {
            let mut bytes = GOLDEN.to_vec();
            bytes[position] ^= change;
            prop_assert!(decode::<Sample>(b"k", &bytes).is_err());
        }

        #[test]
        fn any_shortened_value_is_damage(length in 0..GOLDEN.len()) {
            prop_assert!(decode::<Sample>(b"k", &GOLDEN[..length]).is_err());
        }
    }

    #[test]
    fn a_value_under_another_key_is_damage() {
        assert!(decode::<Sample>(b"other", GOLDEN).is_err());
    }
}
