//! Adapters act as merged weights do, get their share of the gradient, and survive PEFT's files.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use still_decoder::{DecoderConfig, DecoderWeights, Threads};
use still_tensor_decoder::{
    Adapters, Decoder, Device, ForwardSettings, HostDecoder, LayerObserver, LoraConfig, MergedDecoder,
    ParameterList, Parameters, Projection, TensorPrecision, TokenBatch, TrainableDecoder, peft,
};

fn config() -> DecoderConfig {
    let json = serde_json::json!({
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 16,
        "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "head_dim": 4, "vocab_size": 19, "rms_norm_eps": 1e-5, "max_position_embeddings": 64,
        "hidden_act": "silu", "rope_theta": 10000.0, "tie_word_embeddings": true
    });
    DecoderConfig::from_hugging_face(&json).unwrap()
}

fn settings() -> ForwardSettings {
    ForwardSettings {
        config: Arc::new(config()),
        threads: Threads::new(2),
        recompute: false,
        observer: LayerObserver::default(),
    }
}

fn batch() -> TokenBatch {
    let (one, two) = ([3, 1, 4, 1, 5, 9, 2], [6, 5, 3, 5]);
    TokenBatch::new([(&one[..], 2..7), (&two[..], 1..4)], 19).unwrap()
}

fn lora(targets: &[Projection]) -> LoraConfig {
    LoraConfig { rank: 2, alpha: 3.0, targets: targets.to_vec() }
}

/// Adapters that change something.
fn busy_adapters(targets: &[Projection]) -> Adapters {
    let mut adapters = Adapters::new(&lora(targets), &config(), 3).unwrap();
    for (index, (_, values)) in adapters.values_mut().into_iter().enumerate() {
        for (position, value) in values.iter_mut().enumerate() {
            *value = ((index * 31 + position * 17) % 23) as f32 / 40.0 - 0.25;
        }
    }
    adapters
}

fn assert_close(name: &str, one: &[f32], two: &[f32]) {
    assert_eq!(one.len(), two.len(), "{name}");
    let scale = one.iter().fold(1e-3_f32, |scale, value| scale.max(value.abs()));
    for (one, two) in one.iter().zip(two) {
        assert!((one - two).abs() <= 3e-5 * scale, "{name}: {one} is not {two} at scale {scale}");
    }
}

#[test]
fn adapters_act_as_the_merged_weights_do_and_get_their_share_of_the_gradient() {
    let (config, device) = (config(), Device::flex().autodiff());
    let weights = DecoderWeights::random(&config, 12);
    for targets in [&[Projection::Value, Projection::Query, Projection::Down][..], &Projection::ALL] {
        let adapters = busy_adapters(targets);
        let merged = adapters.merge(&weights, &config);
        assert!(merged != weights);
        let whole = HostDecoder::whole(Arc::new(merged));
        let mean = -1.0 / batch().targets.len() as f64;
        let (loss, whole) = whole.weighted_likelihood_and_gradients(&batch(), &settings(), mean);
        let Parameters::Full(whole) = whole else { panic!("all parameters are trained") };
        let whole = whole.to_named(&config);
        let decoders: [Box<dyn TrainableDecoder>; 3] = [
            Box::new(HostDecoder::adapted(Arc::new(weights.clone()), adapters.clone())),
            Box::new(MergedDecoder::new(&weights, adapters.clone(), &settings())),
            Box::new(Decoder::with_adapters(&weights, &adapters, &config, &device, TensorPrecision::F32)),
        ];
        for decoder in decoders {
            let found = decoder.weighted_likelihood_and_gradients(&batch(), &settings(), mean);
            assert_close("loss", &[loss as f32], &[found.0 as f32]);
            let Parameters::Adapters(found) = found.1 else { panic!("adapters are trained") };
            assert_eq!(found.values().len(), adapters.values().len());
            for (layer, (factors, found)) in adapters.layers.iter().zip(&found.layers).enumerate() {
                for (factors, found) in factors.iter().zip(found) {
                    assert_eq!(factors.projection, found.projection);
                    let name = format!("model.layers.{layer}.{}.weight", factors.projection.module());
                    let whole = &whole.iter().find(|tensor| tensor.name == name).unwrap().values;
                    let [output, input] = factors.projection.shape(&config);
                    let (down, up) = (factors.down.as_f32().unwrap(), factors.up.as_f32().unwrap());
                    // d/dB = scale * G A', d/dA = scale * B' G
                    let sum = |count: usize, term: &dyn Fn(usize) -> f32| {
                        adapters.scale * (0..count).map(term).sum::<f32>()
                    };
                    let of_up: Vec<f32> = (0..output * 2)
                        .map(|at| sum(input, &|k| whole[at / 2 * input + k] * down[at % 2 * input + k]))
                        .collect();
                    let of_down: Vec<f32> = (0..2 * input)
                        .map(|at| sum(output, &|k| up[k * 2 + at / input] * whole[k * input + at % input]))
                        .collect();
                    assert_close(&name, &of_up, found.up.as_f32().unwrap());
                    assert_close(&name, &of_down, found.down.as_f32().unwrap());
                }
            }
        }
    }
}

#[test]
fn fresh_adapters_change_nothing_and_empty_ones_are_refused() {
    let config = config();
    let weights = DecoderWeights::random(&config, 13);
    let adapters = Adapters::new(&lora(&[Projection::Query]), &config, 4).unwrap();
    assert!(adapters.merge(&weights, &config) == weights);
    assert!(adapters.values().iter().any(|(_, values)| values.iter().any(|value| *value != 0.0)));
    assert!(Adapters::new(&lora(&[]), &config, 4).is_err());
    assert!(Adapters::new(&LoraConfig { rank: 0, ..lora(&[Projection::Up]) }, &config, 4).is_err());
}

#[test]
fn adapters_survive_peft_files_and_unknown_arithmetic_is_refused() {
    let adapters = busy_adapters(&[Projection::Query, Projection::Gate]);
    let folder = tempfile::tempdir().unwrap();
    peft::save(folder.path(), &adapters, "base", Some("c0ffee")).unwrap();
    assert!(peft::load(folder.path(), &config()).unwrap() == adapters);

    let path = folder.path().join("adapter_config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"revision\": \"c0ffee\""), "{text}");
    let changes = [
        ("\"use_rslora\": false", "\"use_rslora\": true", "use_rslora"),
        ("q_proj", "embed_tokens", "embed_tokens"),
        ("q_proj", "k_proj", "k_proj.lora_A"),
        ("\"r\": 2", "\"r\": 3", "lora_A"),
        ("\"bias\": \"none\"", "\"init_lora_weights\": \"pissa_niter_4\"", "init_lora_weights"),
        ("\"bias\": \"none\"", "\"init_lora_weights\": \"olora\"", "init_lora_weights"),
        (
            "\"bias\": \"none\"",
            "\"init_lora_weights\": \"corda\"",
            "path_initial_model_for_weight_conversion",
        ),
        ("\"bias\": \"none\"", "\"init_lora_weights\": \"loftq\"", "init_lora_weights"),
        ("\"bias\": \"none\"", "\"init_lora_weights\": \"lora_ga\"", "init_lora_weights"),
    ];
    for (from, to, named) in changes {
        assert!(text.contains(from), "{from}: {text}");
        std::fs::write(&path, text.replace(from, to)).unwrap();
        let error = peft::load(folder.path(), &config()).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
    let plain = [
        "\"init_lora_weights\": true",
        "\"init_lora_weights\": false",
        "\"init_lora_weights\": \"gaussian\"",
        "\"target_parameters\": [], \"rank_pattern\": {}, \"layers_to_transform\": []",
        "\"target_modules\": \".*\\\\.(q_proj|gate_proj)\"",
        "\"target_modules\": [\"self_attn.q_proj\", \"mlp.gate_proj\", \"q_proj\"]",
    ];
    for plain in plain {
        // of a field that stands there twice the later counts
        std::fs::write(&path, text.replace("\n}", &format!(", {plain}\n}}"))).unwrap();
        assert!(peft::load(folder.path(), &config()).unwrap() == adapters, "{plain}");
    }
    for (targets, named) in [("[\"q_proj\"]", "layers.0.mlp.gate_proj.lora_A"), ("[]", "target_modules")] {
        std::fs::write(&path, text.replace("\n}", &format!(", \"target_modules\": {targets}\n}}"))).unwrap();
        let error = peft::load(folder.path(), &config()).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}
