//! `config.json` in and out: the old style (`rope_theta`, `rope_scaling`) and the new (`rope_parameters`).
//!
//! Reading is strict where arithmetic is at stake: a field that would change the result and is not served is refused by
//! its name, so that a checkpoint is never run as something it is not.

use serde_json::{Map, Value, json};

use super::{Architecture, DecoderConfig, Llama3Scaling, RopeConfig, SpecialTokens};
use crate::DecoderError;

/// Fields that other families use to change the arithmetic, with the value that leaves it unchanged.
const NEUTRAL_VALUES: [(&str, f64); 9] = [
    ("partial_rotary_factor", 1.0),
    ("embedding_multiplier", 1.0),
    ("residual_multiplier", 1.0),
    ("logits_scaling", 1.0),
    ("logit_scale", 1.0),
    ("pretraining_tp", 1.0),
    ("num_experts", 0.0),
    ("num_local_experts", 0.0),
    ("attention_dropout", 0.0),
];

/// Fields that change the arithmetic whenever they hold anything.
const ABSENT_FIELDS: [&str; 6] = [
    "quantization_config",
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "attention_multiplier",
    "no_rope_layers",
    "query_pre_attn_scalar",
];

/// The context length before llama3 scaling.
const ORIGINAL_LENGTH: &str = "original_max_position_embeddings";

/// `max_window_layers` where it is missing, as in transformers.
const DEFAULT_WHOLE_LAYERS: usize = 28;

impl DecoderConfig {
    /// Reads a `config.json`.
    ///
    /// # Errors
    /// Names the field when the architecture is unknown, a size is missing or a field changes the arithmetic.
    pub fn from_hugging_face(json: &Value) -> Result<Self, DecoderError> {
        let fields = json
            .as_object()
            .ok_or_else(|| DecoderError::configuration("(root)", "config.json must hold an object"))?;
        let architecture = architecture(fields)?;
        refuse_other_arithmetic(fields, architecture)?;
        let hidden_size = size(fields, "hidden_size")?;
        let attention_head_count = size(fields, "num_attention_heads")?;
        let head_dim = match optional_size(fields, "head_dim")? {
            Some(head_dim) => head_dim,
            None if architecture == Architecture::Qwen3 => 128,
            None if attention_head_count > 0 && hidden_size.is_multiple_of(attention_head_count) => {
                hidden_size / attention_head_count
            }
            None => {
                return Err(DecoderError::configuration(
                    "head_dim",
                    "it is missing and hidden_size is no multiple of num_attention_heads",
                ));
            }
        };
        let config = Self {
            architecture,
            vocabulary_size: size(fields, "vocab_size")?,
            hidden_size,
            intermediate_size: size(fields, "intermediate_size")?,
            layer_count: size(fields, "num_hidden_layers")?,
            attention_head_count,
            key_value_head_count: optional_size(fields, "num_key_value_heads")?
                .unwrap_or(attention_head_count),
            head_dim,
            rms_norm_epsilon: optional_number(fields, "rms_norm_eps")?.unwrap_or(1e-6) as f32,
            rope: rope(fields)?,
            tied_embeddings: flag(fields, "tie_word_embeddings")?.unwrap_or(false),
            attention_bias: architecture == Architecture::Qwen2,
            query_key_norm: architecture == Architecture::Qwen3,
            embedding_multiplier: 1.0,
            max_position_count: optional_size(fields, "max_position_embeddings")?.unwrap_or(2048),
            special_tokens: SpecialTokens {
                begin: ids(fields, "bos_token_id")?.first().copied(),
                end: ids(fields, "eos_token_id")?,
                padding: ids(fields, "pad_token_id")?.first().copied(),
            },
        };
        config.validate()?;
        Ok(config)
    }

    /// Writes a `config.json` that both the old and the new readers understand.
    ///
    /// An embedding multiplier is no Hugging Face field: see [`crate::hugging_face::save_folder`], which folds it into
    /// the weights before it writes.
    pub fn to_hugging_face(&self) -> Value {
        let (model_type, class) = match self.architecture {
            Architecture::Llama => ("llama", "LlamaForCausalLM"),
            Architecture::Qwen2 => ("qwen2", "Qwen2ForCausalLM"),
            Architecture::Qwen3 => ("qwen3", "Qwen3ForCausalLM"),
        };
        let scaling = self.rope.scaling.as_ref().map_or(Value::Null, |scaling| {
            json!({
                "rope_type": "llama3",
                "factor": scaling.factor,
                "low_freq_factor": scaling.low_frequency_factor,
                "high_freq_factor": scaling.high_frequency_factor,
                ORIGINAL_LENGTH: scaling.original_max_position_count,
            })
        });
        let mut json = json!({
            "architectures": [class],
            "model_type": model_type,
            "vocab_size": self.vocabulary_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.layer_count,
            "num_attention_heads": self.attention_head_count,
            "num_key_value_heads": self.key_value_head_count,
            "head_dim": self.head_dim,
            "hidden_act": "silu",
            "attention_dropout": 0.0,
            "rms_norm_eps": shortest(self.rms_norm_epsilon),
            "rope_theta": self.rope.theta,
            "rope_scaling": scaling,
            "tie_word_embeddings": self.tied_embeddings,
            "max_position_embeddings": self.max_position_count,
            "use_cache": true,
        });
        match self.architecture {
            Architecture::Llama => {
                json["attention_bias"] = json!(false);
                json["mlp_bias"] = json!(false);
            }
            Architecture::Qwen2 => json["use_sliding_window"] = json!(false),
            Architecture::Qwen3 => {
                json["attention_bias"] = json!(false);
                json["use_sliding_window"] = json!(false);
            }
        }
        if let Some(begin) = self.special_tokens.begin {
            json["bos_token_id"] = json!(begin);
        }
        match self.special_tokens.end.as_slice() {
            [] => json["eos_token_id"] = Value::Null,
            [one] => json["eos_token_id"] = json!(one),
            several => json["eos_token_id"] = json!(several),
        }
        if let Some(padding) = self.special_tokens.padding {
            json["pad_token_id"] = json!(padding);
        }
        json
    }
}

/// The f64 whose shortest decimal form is that of the f32: 1e-5, not 9.99999974e-6.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| f64::from(value))
}

fn architecture(fields: &Map<String, Value>) -> Result<Architecture, DecoderError> {
    let model_type = fields.get("model_type").and_then(Value::as_str);
    let (architecture, class) = match model_type {
        Some("llama") => (Architecture::Llama, "LlamaForCausalLM"),
        Some("qwen2") => (Architecture::Qwen2, "Qwen2ForCausalLM"),
        Some("qwen3") => (Architecture::Qwen3, "Qwen3ForCausalLM"),
        other => {
            return Err(DecoderError::configuration(
                "model_type",
                format!("{} is not served; llama, qwen2 and qwen3 are", other.unwrap_or("nothing")),
            ));
        }
    };
    if let Some(classes) = fields.get("architectures").and_then(Value::as_array)
        && !classes.is_empty()
        && !classes.iter().any(|name| name == class)
    {
        return Err(DecoderError::configuration(
            "architectures",
            format!("{} is not served; {class} is", Value::Array(classes.clone())),
        ));
    }
    Ok(architecture)
}

fn refuse_other_arithmetic(
    fields: &Map<String, Value>,
    architecture: Architecture,
) -> Result<(), DecoderError> {
    if let Some(activation) = present(fields, "hidden_act")
        && activation != "silu"
        && activation != "swish"
    {
        return Err(DecoderError::configuration(
            "hidden_act",
            format!("{activation} is not served; silu is"),
        ));
    }
    if flag(fields, "mlp_bias")? == Some(true) {
        return Err(DecoderError::configuration(
            "mlp_bias",
            "biases in the feed-forward layer are not served",
        ));
    }
    if architecture != Architecture::Qwen2 && flag(fields, "attention_bias")? == Some(true) {
        return Err(DecoderError::configuration(
            "attention_bias",
            "biases on all four attention projections are not served; Qwen2's three are",
        ));
    }
    if flag(fields, "use_sliding_window")? == Some(true) && has_window(fields)? {
        return Err(DecoderError::configuration(
            "use_sliding_window",
            "attention must see the whole context",
        ));
    }
    if let Some(kinds) = present(fields, "layer_types").and_then(Value::as_array)
        && let Some(kind) = kinds.iter().find(|kind| *kind != "full_attention")
    {
        return Err(DecoderError::configuration(
            "layer_types",
            format!("{kind} is not served; full_attention is"),
        ));
    }
    for (field, neutral) in NEUTRAL_VALUES {
        if let Some(value) = present(fields, field)
            && value.as_f64() != Some(neutral)
        {
            return Err(DecoderError::configuration(
                field,
                format!("{value} changes the arithmetic; only {neutral} is served"),
            ));
        }
    }
    for field in ABSENT_FIELDS {
        if let Some(value) = present(fields, field) {
            return Err(DecoderError::configuration(field, format!("{value} changes the arithmetic")));
        }
    }
    Ok(())
}

/// Whether a sliding window that is switched on narrows any layer. As in transformers, only an explicit null is no
/// width, and the first `max_window_layers` layers see everything.
fn has_window(fields: &Map<String, Value>) -> Result<bool, DecoderError> {
    let has_width = !fields.get("sliding_window").is_some_and(Value::is_null);
    let whole_layers = optional_size(fields, "max_window_layers")?.unwrap_or(DEFAULT_WHOLE_LAYERS);
    Ok(has_width && whole_layers < size(fields, "num_hidden_layers")?)
}

/// The rotary positions, under their old name, their new one, or both where the two mean the same.
fn rope(fields: &Map<String, Value>) -> Result<RopeConfig, DecoderError> {
    let read = |name: &str| match present(fields, name) {
        None => Ok(None),
        Some(Value::Object(parameters)) if parameters.is_empty() => Ok(None),
        Some(Value::Object(parameters)) => rope_of(name, parameters, fields).map(Some),
        Some(_) => Err(DecoderError::configuration(name, "it must be an object")),
    };
    match (read("rope_scaling")?, read("rope_parameters")?) {
        // transformers would take the old name and leave everything under the new one out, the base as well
        (Some(older), Some(newer)) if older != newer => Err(DecoderError::configuration(
            "rope_scaling",
            "it and rope_parameters mean different positions",
        )),
        (Some(rope), _) | (None, Some(rope)) => Ok(rope),
        (None, None) => rope_of("rope_scaling", &Map::new(), fields),
    }
}

/// The rotary positions that `parameters`, found under `name`, mean.
fn rope_of(
    name: &str,
    parameters: &Map<String, Value>,
    fields: &Map<String, Value>,
) -> Result<RopeConfig, DecoderError> {
    let theta = match optional_number(parameters, "rope_theta")? {
        Some(theta) => theta,
        None => optional_number(fields, "rope_theta")?.unwrap_or(10_000.0),
    };
    if let Some(factor) = optional_number(parameters, "partial_rotary_factor")?
        && (factor - 1.0).abs() > f64::EPSILON
    {
        return Err(DecoderError::configuration(
            format!("{name}.partial_rotary_factor"),
            format!("{factor} rotates only a part of a head"),
        ));
    }
    let kind = present(parameters, "rope_type").or_else(|| present(parameters, "type"));
    let scaling = match kind.map(|kind| kind.as_str().unwrap_or_default()) {
        Some("llama3") => {
            let missing = |field: &str| {
                DecoderError::configuration(format!("{name}.{field}"), "llama3 scaling needs it")
            };
            let number = |field: &str| optional_number(parameters, field)?.ok_or_else(|| missing(field));
            Some(Llama3Scaling {
                factor: number("factor")?,
                low_frequency_factor: number("low_freq_factor")?,
                high_frequency_factor: number("high_freq_factor")?,
                original_max_position_count: optional_size(parameters, ORIGINAL_LENGTH)?
                    .ok_or_else(|| missing(ORIGINAL_LENGTH))?,
            })
        }
        Some("default") => None,
        None if parameters.keys().all(|key| key == "rope_theta") => None,
        _ => {
            let kind = kind.map_or_else(|| "no type".to_owned(), ToString::to_string);
            return Err(DecoderError::configuration(
                format!("{name}.rope_type"),
                format!("{kind} is not served; default and llama3 are"),
            ));
        }
    };
    Ok(RopeConfig { theta, scaling })
}

/// The field's value unless it is missing or null.
fn present<'a>(fields: &'a Map<String, Value>, field: &str) -> Option<&'a Value> {
    fields.get(field).filter(|value| !value.is_null())
}

fn size(fields: &Map<String, Value>, field: &str) -> Result<usize, DecoderError> {
    optional_size(fields, field)?.ok_or_else(|| DecoderError::configuration(field, "it is missing"))
}

fn optional_size(fields: &Map<String, Value>, field: &str) -> Result<Option<usize>, DecoderError> {
    present(fields, field)
        .map(|value| {
            value
                .as_u64()
                .and_then(|value| usize::try_from(value).ok())
                .ok_or_else(|| DecoderError::configuration(field, format!("{value} is no whole number")))
        })
        .transpose()
}

fn optional_number(fields: &Map<String, Value>, field: &str) -> Result<Option<f64>, DecoderError> {
    present(fields, field)
        .map(|value| {
            value.as_f64().ok_or_else(|| DecoderError::configuration(field, format!("{value} is no number")))
        })
        .transpose()
}

fn flag(fields: &Map<String, Value>, field: &str) -> Result<Option<bool>, DecoderError> {
    present(fields, field)
        .map(|value| {
            value.as_bool().ok_or_else(|| {
                DecoderError::configuration(field, format!("{value} is neither true nor false"))
            })
        })
        .transpose()
}

/// One id or a list of them.
fn ids(fields: &Map<String, Value>, field: &str) -> Result<Vec<u32>, DecoderError> {
    let one = |value: &Value| {
        value
            .as_u64()
            .and_then(|id| u32::try_from(id).ok())
            .ok_or_else(|| DecoderError::configuration(field, format!("{value} is no token id")))
    };
    match present(fields, field) {
        None => Ok(Vec::new()),
        // some checkpoints write -1 for "none"
        Some(value) if value.as_i64() == Some(-1) => Ok(Vec::new()),
        Some(Value::Array(several)) => several.iter().map(one).collect(),
        Some(value) => Ok(vec![one(value)?]),
    }
}

#[cfg(test)]
mod tests;
