use super::*;
use crate::testing;

fn llama() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 32, "hidden_size": 16,
        "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "rms_norm_eps": 1e-5,
        "hidden_act": "silu", "rope_theta": 10000.0, "max_position_embeddings": 64
    })
}

#[test]
fn what_is_written_is_read_back() {
    for architecture in [Architecture::Llama, Architecture::Qwen2, Architecture::Qwen3] {
        let config = DecoderConfig {
            architecture,
            attention_bias: architecture == Architecture::Qwen2,
            query_key_norm: architecture == Architecture::Qwen3,
            embedding_multiplier: 1.0,
            special_tokens: SpecialTokens { begin: Some(1), end: vec![2, 3], padding: None },
            rope: RopeConfig {
                theta: 5e5,
                scaling: Some(Llama3Scaling {
                    factor: 8.0,
                    low_frequency_factor: 1.0,
                    high_frequency_factor: 4.0,
                    original_max_position_count: 64,
                }),
            },
            ..testing::quick_start()
        };
        assert_eq!(DecoderConfig::from_hugging_face(&config.to_hugging_face()).unwrap(), config);
    }
}

#[test]
fn missing_heads_and_widths_have_their_defaults() {
    let config = DecoderConfig::from_hugging_face(&llama()).unwrap();
    assert_eq!((config.key_value_head_count, config.head_dim), (4, 4));
    assert!(!config.tied_embeddings);
}

#[test]
fn what_changes_the_arithmetic_is_refused_by_name() {
    let cases = [
        ("model_type", json!("mistral"), "`model_type`"),
        ("architectures", json!(["LlamaForSequenceClassification"]), "`architectures`"),
        ("hidden_act", json!("gelu"), "`hidden_act`"),
        ("mlp_bias", json!(true), "`mlp_bias`"),
        ("attention_bias", json!(true), "`attention_bias`"),
        ("layer_types", json!(["full_attention", "sliding_attention"]), "`layer_types`"),
        ("rope_scaling", json!({"type": "linear", "factor": 2.0}), "`rope_scaling.rope_type`"),
        ("rope_scaling", json!({"rope_type": "llama3", "factor": 2.0}), "`rope_scaling.low_freq_factor`"),
        ("rope_parameters", json!({"rope_type": "yarn", "factor": 2.0}), "`rope_parameters.rope_type`"),
        ("partial_rotary_factor", json!(0.5), "`partial_rotary_factor`"),
        ("quantization_config", json!({"bits": 4}), "`quantization_config`"),
        ("num_experts", json!(8), "`num_experts`"),
        ("final_logit_softcapping", json!(30.0), "`final_logit_softcapping`"),
        ("vocab_size", json!(-1), "`vocab_size`"),
        ("hidden_size", Value::Null, "`hidden_size`"),
    ];
    for (field, value, named) in cases {
        let mut json = llama();
        json[field] = value;
        let message = DecoderConfig::from_hugging_face(&json).unwrap_err().to_string();
        assert!(message.contains(named), "{field}: {message}");
    }
}

#[test]
fn llama3_scaling_that_gives_no_finite_positions_is_refused_by_name() {
    let cases = [
        ("factor", json!(0)),
        ("factor", json!(-8.0)),
        ("low_freq_factor", json!(0.0)),
        ("high_freq_factor", json!(1.0)),
        ("original_max_position_embeddings", json!(-1)),
        ("original_max_position_embeddings", json!(0)),
        ("original_max_position_embeddings", json!(64.5)),
        ("original_max_position_embeddings", Value::Null),
    ];
    for (field, value) in cases {
        let mut json = llama();
        json["rope_scaling"] = json!({
            "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64
        });
        assert!(DecoderConfig::from_hugging_face(&json).is_ok());
        json["rope_scaling"][field] = value;
        let message = DecoderConfig::from_hugging_face(&json).unwrap_err().to_string();
        assert!(message.contains(field), "{field}: {message}");
    }
}

#[test]
fn positions_under_both_names_are_read_where_they_mean_the_same() {
    let mut json = llama();
    json["rope_theta"] = Value::Null;
    json["rope_parameters"] = json!({"rope_type": "default", "rope_theta": 5e5});
    let rope = RopeConfig { theta: 5e5, scaling: None };
    for nothing in [Value::Null, json!({})] {
        json["rope_scaling"] = nothing;
        assert_eq!(DecoderConfig::from_hugging_face(&json).unwrap().rope, rope);
    }
    let refused = |json: &Value| DecoderConfig::from_hugging_face(json).unwrap_err().to_string();
    json["rope_scaling"] = json!({"rope_type": "yarn", "factor": 4.0});
    assert!(refused(&json).contains("`rope_scaling.rope_type`"), "{}", refused(&json));
    // without a base of its own, the old name means 10,000
    json["rope_scaling"] = json!({"rope_type": "default"});
    assert!(refused(&json).contains("rope_parameters"), "{}", refused(&json));
    json["rope_theta"] = json!(5e5);
    assert_eq!(DecoderConfig::from_hugging_face(&json).unwrap().rope, rope);
    json["rope_scaling"] = json!({
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64
    });
    assert!(refused(&json).contains("rope_parameters"), "{}", refused(&json));
    json["rope_scaling"] = json!({});
    json["rope_parameters"] = json!({"rope_type": "yarn", "factor": 4.0});
    assert!(refused(&json).contains("`rope_parameters.rope_type`"), "{}", refused(&json));
}

#[test]
fn a_sliding_window_is_an_obstacle_where_it_narrows_a_layer() {
    let absent = || Value::String("absent".to_owned());
    let cases = [
        (json!(false), json!(32), json!(0), true),
        (json!(true), json!(32), json!(0), false),
        (json!(true), json!(32), json!(1), false),
        (json!(true), json!(32), json!(2), true),
        (json!(true), Value::Null, json!(0), true),
        // the width has a default
        (json!(true), absent(), json!(1), false),
        // and so have the layers that see everything: 28, which are all of them
        (json!(true), absent(), absent(), true),
    ];
    for (used, width, whole_layers, is_served) in cases {
        let mut json = llama();
        for (field, value) in
            [("use_sliding_window", &used), ("sliding_window", &width), ("max_window_layers", &whole_layers)]
        {
            if *value != absent() {
                json[field] = value.clone();
            }
        }
        let read = DecoderConfig::from_hugging_face(&json);
        assert_eq!(read.is_ok(), is_served, "{used} {width} {whole_layers}: {read:?}");
    }
    let mut json = llama();
    json["use_sliding_window"] = json!(true);
    json["num_hidden_layers"] = json!(29);
    let message = DecoderConfig::from_hugging_face(&json).unwrap_err().to_string();
    assert!(message.contains("`use_sliding_window`"), "{message}");
}
