//! Writes a Hugging Face folder again: `export FROM TO f32|bf16|f16 MAX_BYTES_OF_A_SHARD`.
//!
//! `benches/peers/check_export.py` loads what it wrote in transformers.

use std::{error::Error, path::Path};

use still_decoder::hugging_face::{Precision, load_folder, save_folder};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [from, to, precision, max_bytes] = words.as_slice() else {
        return Err("export FROM TO f32|bf16|f16 MAX_BYTES_OF_A_SHARD".into());
    };
    let precision = match precision.as_str() {
        "f32" => Precision::F32,
        "bf16" => Precision::Bf16,
        "f16" => Precision::F16,
        other => return Err(format!("`{other}` is no precision; give f32, bf16 or f16").into()),
    };
    let (config, weights) = load_folder(Path::new(from))?;
    save_folder(Path::new(to), &config, &weights, precision, max_bytes.parse()?)?;
    Ok(())
}
