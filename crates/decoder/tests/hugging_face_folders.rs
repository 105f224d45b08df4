//! Checkpoint folders: every precision and cut survives the way out and in, and what is wrong is named.

#![expect(clippy::unwrap_used, reason = "a fixture that cannot be read fails its test")]

mod support;

use std::path::Path;

use half::f16;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::json;
use still_decoder::hugging_face::{
    DEFAULT_MAX_SHARD_BYTES, Precision, load_folder, load_folder_as_stored, save_folder,
};
use still_decoder::{CpuDecoder, DecoderConfig, DecoderWeights, Span, Storage};
use support::{Fixture, MODELS};

#[test]
fn folders_of_every_architecture_survive_a_round_trip() {
    for name in MODELS {
        let fixture = Fixture::load(name);
        let (config, weights) = load_folder(&fixture.folder).unwrap();
        assert_eq!((&config, &weights), (&fixture.config, &fixture.weights), "{name}");
        let folder = tempfile::tempdir().unwrap();
        for max_shard_bytes in [DEFAULT_MAX_SHARD_BYTES, 100_000] {
            save_folder(folder.path(), &config, &weights, Precision::F32, max_shard_bytes).unwrap();
            assert_eq!(load_folder(folder.path()).unwrap(), (config.clone(), weights.clone()), "{name}");
            let single = folder.path().join("model.safetensors").exists();
            assert_eq!(single, max_shard_bytes == DEFAULT_MAX_SHARD_BYTES);
            assert_eq!(folder.path().join("model.safetensors.index.json").exists(), !single);
        }
        let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(!names.into_iter().any(|name| name.to_string_lossy().contains("partial")));
    }
}

#[test]
fn half_precision_files_hold_rounded_weights() {
    let fixture = Fixture::load("qwen2");
    let folder = tempfile::tempdir().unwrap();
    let save = |precision| {
        save_folder(folder.path(), &fixture.config, &fixture.weights, precision, 200_000).unwrap();
    };
    save(Precision::Bf16);
    let (_, stored) = load_folder_as_stored(folder.path()).unwrap();
    assert!(matches!(stored.embedding.storage(), Storage::Bf16(_)));
    let rounded = fixture.weights.to_bf16();
    assert_eq!(stored.embedding, rounded.embedding);
    assert_eq!(stored.layers[1].gate_up, rounded.layers[1].gate_up);
    assert_eq!(load_folder(folder.path()).unwrap().1, stored.to_f32());
    save(Precision::F16);
    let (_, stored) = load_folder_as_stored(folder.path()).unwrap();
    for (found, original) in
        stored.to_named(&fixture.config).iter().zip(fixture.weights.to_named(&fixture.config))
    {
        let expected: Vec<f32> = original.values.iter().map(|value| f16::from_f32(*value).to_f32()).collect();
        assert_eq!(found.values, expected, "{}", found.name);
    }
}

#[test]
fn numbers_beyond_f16_are_refused() {
    let fixture = Fixture::load("llama");
    let mut weights = fixture.weights.clone();
    weights.final_norm[3] = 1e6;
    let folder = tempfile::tempdir().unwrap();
    let error =
        save_folder(folder.path(), &fixture.config, &weights, Precision::F16, DEFAULT_MAX_SHARD_BYTES)
            .unwrap_err();
    assert!(error.to_string().contains("model.norm.weight"), "{error}");
}

#[test]
fn an_embedding_multiplier_is_folded_into_an_untied_checkpoint() {
    let fixture = Fixture::load("llama_smollm");
    let config = DecoderConfig { embedding_multiplier: 6.5, ..fixture.config.clone() };
    let folder = tempfile::tempdir().unwrap();
    save_folder(folder.path(), &config, &fixture.weights, Precision::F32, DEFAULT_MAX_SHARD_BYTES).unwrap();
    let (read, weights) = load_folder(folder.path()).unwrap();
    assert!(!read.tied_embeddings && (read.embedding_multiplier - 1.0).abs() < f32::EPSILON);
    let logits = |config: DecoderConfig, weights: &DecoderWeights| {
        let mut decoder = CpuDecoder::new(config, weights, 1, 64, 1);
        let mut logits = Vec::new();
        let span = Span { slot: 0, start: 0, tokens: &fixture.sequences[0], wants_logits: true };
        decoder.step(&[span], &mut logits);
        logits
    };
    assert_eq!(logits(read, &weights), logits(config, &fixture.weights));
}

#[test]
fn what_is_wrong_with_a_file_is_named() {
    let fixture = Fixture::load("llama");
    let name = "model.layers.1.mlp.up_proj.weight";
    let missing = edited(&fixture, |tensors| tensors.retain(|(other, ..)| other != name));
    assert!(missing.contains(name) && missing.contains("missing"), "{missing}");
    let extra = edited(&fixture, |tensors| {
        let (_, dtype, shape, bytes) = tensors[0].clone();
        tensors.push(("model.layers.2.surprise".to_owned(), dtype, shape, bytes));
    });
    assert!(extra.contains("surprise") && extra.contains("model.safetensors"), "{extra}");
    let misshapen = edited(&fixture, |tensors| {
        tensors.iter_mut().filter(|(other, ..)| other == name).for_each(|(_, _, shape, _)| shape.reverse());
    });
    assert!(misshapen.contains(name) && misshapen.contains("[64, 128]"), "{misshapen}");
    let integers = edited(&fixture, |tensors| {
        tensors.iter_mut().filter(|(other, ..)| other == name).for_each(|(_, dtype, ..)| *dtype = Dtype::I32);
    });
    assert!(integers.contains(name) && integers.contains("I32"), "{integers}");
}

#[test]
fn a_tied_checkpoint_may_repeat_its_embedding_but_not_change_it() {
    let fixture = Fixture::load("qwen3");
    let repeated = |change: u8| {
        edit(&fixture, |tensors| {
            let (_, dtype, shape, mut bytes) =
                tensors.iter().find(|(name, ..)| name == "model.embed_tokens.weight").unwrap().clone();
            bytes[2] ^= change;
            tensors.push(("lm_head.weight".to_owned(), dtype, shape, bytes));
        })
    };
    assert_eq!(load_folder(repeated(0).path()).unwrap().1, fixture.weights);
    let error = load_folder(repeated(1).path()).unwrap_err().to_string();
    assert!(error.contains("lm_head.weight"), "{error}");
}

#[test]
fn a_tied_checkpoint_may_hold_what_is_shared_under_the_heads_name_alone() {
    let fixture = Fixture::load("qwen3");
    let folder = edit(&fixture, |tensors| {
        for (name, ..) in tensors.iter_mut().filter(|(name, ..)| name == "model.embed_tokens.weight") {
            "lm_head.weight".clone_into(name);
        }
    });
    assert_eq!(load_folder(folder.path()).unwrap().1, fixture.weights);
}

#[test]
fn cut_off_and_senseless_files_are_refused() {
    let fixture = Fixture::load("llama");
    let folder = edit(&fixture, |_| {});
    let path = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    for (bytes, word) in [
        (&bytes[..bytes.len() - 4], "asks for"),
        (&bytes[..5], "model.safetensors"),
        (&[0xff; 64][..], "claims"),
        (&[8, 0, 0, 0, 0, 0, 0, 0, b'n', b'o', b'n', b's', b'e', b'n', b's', b'e'][..], "header"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let error = load_folder(folder.path()).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(load_folder(folder.path()).unwrap_err().to_string().contains("neither"));
    let index = folder.path().join("model.safetensors.index.json");
    std::fs::write(&index, json!({"weight_map": {"a": "../b.safetensors"}}).to_string()).unwrap();
    assert!(load_folder(folder.path()).unwrap_err().to_string().contains("no file name"));
    std::fs::remove_file(folder.path().join("config.json")).unwrap();
    assert!(load_folder(folder.path()).unwrap_err().to_string().contains("config.json"));
}

#[test]
fn sizes_that_no_file_has_are_refused_before_memory_is_taken() {
    let fixture = Fixture::load("llama");
    for (field, size, part) in [
        ("vocab_size", 10_000_000_000_000_u64, "model.embed_tokens.weight"),
        ("num_hidden_layers", 4_000_000_000, "model.layers.3999999999"),
        ("num_hidden_layers", 12, "model.layers."),
        ("intermediate_size", 1 << 40, "mlp.gate_proj.weight"),
    ] {
        let folder = edit(&fixture, |_| {});
        let path = folder.path().join("config.json");
        let mut json = support::json(&path);
        json[field] = json!(size);
        std::fs::write(&path, json.to_string()).unwrap();
        for error in [load_folder(folder.path()).err(), load_folder_as_stored(folder.path()).err()] {
            let error = error.unwrap().to_string();
            assert!(error.contains(part), "{field}: {error}");
        }
    }
}

#[test]
fn a_shard_without_its_tensor_is_named() {
    let fixture = Fixture::load("llama");
    let folder = tempfile::tempdir().unwrap();
    save_folder(folder.path(), &fixture.config, &fixture.weights, Precision::F32, 100_000).unwrap();
    let index = folder.path().join("model.safetensors.index.json");
    let mut json = support::json(&index);
    json["weight_map"]["model.norm.weight"] = json["weight_map"]["model.embed_tokens.weight"].clone();
    std::fs::write(&index, json.to_string()).unwrap();
    let error = load_folder(folder.path()).unwrap_err().to_string();
    assert!(error.contains("model.norm.weight") && error.contains("model-00001-of"), "{error}");
}

type Tensor = (String, Dtype, Vec<usize>, Vec<u8>);

/// The fixture's folder with its tensors changed.
fn edit(fixture: &Fixture, change: impl FnOnce(&mut Vec<Tensor>)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let copy = |name: &str| std::fs::copy(fixture.folder.join(name), folder.path().join(name)).unwrap();
    copy("config.json");
    let bytes = std::fs::read(fixture.folder.join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: Vec<Tensor> = file
        .tensors()
        .into_iter()
        .map(|(name, view)| (name, view.dtype(), view.shape().to_vec(), view.data().to_vec()))
        .collect();
    change(&mut tensors);
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        (name.as_str(), TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    let path: &Path = &folder.path().join("model.safetensors");
    safetensors::serialize_to_file(views, None, path).unwrap();
    folder
}

/// What reading the changed folder says.
fn edited(fixture: &Fixture, change: impl FnOnce(&mut Vec<Tensor>)) -> String {
    load_folder(edit(fixture, change).path()).unwrap_err().to_string()
}
