//! SmolLM2-135M-Instruct, in the folder `STILL_SMOLLM2_DIR`, against what transformers computed.

mod support;

use std::path::Path;

use still_decoder::hugging_face::load_folder;
use still_decoder::{CpuDecoder, Span};

/// The largest difference of a logit.
const TOLERANCE: f32 = 2e-3;
/// A greedy token is certain when the best logit leads by this much.
const MARGIN: f64 = 0.02;

#[test]
#[ignore = "on a model that .ci/long fetches"]
fn logits_and_greedy_continuations_match_transformers() {
    let folder = std::env::var_os("STILL_SMOLLM2_DIR").unwrap();
    let (config, weights) = load_folder(Path::new(&folder)).unwrap();
    let reference = support::json(Path::new("tests/fixtures/smollm2/reference.json"));
    let vocabulary = config.vocabulary_size;
    let mut decoder = CpuDecoder::new(config, &weights, 1, 512, 2);
    let mut logits = Vec::new();
    let mut largest = 0.0_f32;
    for prompt in reference["prompts"].as_array().unwrap() {
        let ids: Vec<u32> = serde_json::from_value(prompt["ids"].clone()).unwrap();
        let expected: Vec<f32> = serde_json::from_value(prompt["prompt_token_logprobs"].clone()).unwrap();
        for (start, token) in ids.iter().enumerate() {
            let tokens = std::slice::from_ref(token);
            decoder.step(&[Span { slot: 0, start, tokens, wants_logits: true }], &mut logits);
            if let Some((next, expected)) = ids.get(start + 1).zip(expected.get(start)) {
                let total: f64 = logits.iter().map(|logit| f64::from(*logit).exp()).sum();
                let found = f64::from(logits[*next as usize]) - total.ln();
                assert!((found - f64::from(*expected)).abs() < f64::from(TOLERANCE), "{found} {expected}");
            }
        }
        let top: Vec<usize> = serde_json::from_value(prompt["last_logits_top50"]["ids"].clone()).unwrap();
        let values: Vec<f32> = serde_json::from_value(prompt["last_logits_top50"]["values"].clone()).unwrap();
        for (id, value) in top.into_iter().zip(values) {
            largest = largest.max((logits[id] - value).abs());
        }
        let greedy: Vec<u32> = serde_json::from_value(prompt["greedy32"].clone()).unwrap();
        let margins: Vec<f64> = serde_json::from_value(prompt["greedy32_margins"].clone()).unwrap();
        for ((start, expected), margin) in (ids.len()..).zip(&greedy).zip(margins) {
            if margin <= MARGIN {
                break;
            }
            let best =
                (0..vocabulary).max_by(|left, right| logits[*left].total_cmp(&logits[*right])).unwrap();
            assert_eq!(best as u32, *expected, "{}", prompt["prompt"]);
            let tokens = [best as u32];
            decoder.step(&[Span { slot: 0, start, tokens: &tokens, wants_logits: true }], &mut logits);
        }
    }
    assert!(largest < TOLERANCE, "{largest}");
    eprintln!("largest difference of a top-50 logit: {largest}");
}
