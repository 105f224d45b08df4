//! `stilld generate`: responses from a model.

mod problems;

use std::{
    fs,
    io::{self, Read, Write, stdin, stdout},
    path::Path,
    sync::Arc,
};

use serde_json::{Map, Value, json};
use still_control::{Exit, Failure, OrExit};
use still_decoder::CpuDecoder;
use still_domain::{AnswerKind, PolicyVersion, SamplingSettings};
use still_machine::{Model, device_name, prompter, settings, weight_precision};
use still_operator::{
    cli::{GenerateArguments, SamplingArguments},
    config::PromptStyle,
};
use still_rollout::{Engine, EngineConfig, Request, StepModel, TokenText, validate};
use still_tensor_decoder::{CacheSize, DeviceDecoder, DeviceName};
use still_text::{Question, Tokenizer};

use super::{conversations::rendered, output_failed, precision, sign_of_life::SignOfLife};

/// Draws responses and prints them, as text or a JSON object each.
pub fn generate(arguments: &GenerateArguments) -> Result<Exit, Failure> {
    if arguments.count > 1 && arguments.sampling.temperature == 0.0 {
        let message =
            "at `--temperature 0` all responses are the same: give a temperature above 0, or `--count 1`";
        return Err(Failure::new(Exit::Usage, message));
    }
    if arguments.problems.is_some() {
        return problems::generate_for_problems(arguments);
    }
    let settings = settings(&arguments.sampling)?;
    let model = Model::to_generate(&arguments.model)?;
    let prompt: Arc<[u32]> = prompt(arguments, &model)?.into();
    let longest = model.config.max_position_count;
    if prompt.len() >= longest {
        let message = format!(
            "the prompt has {} tokens, but the model has {longest} positions; shorten it",
            prompt.len()
        );
        return Err(Failure::new(Exit::BadInput, message));
    }
    let tokens = longest.min(prompt.len() + settings.max_new_tokens.max(1) as usize);
    let slots = (arguments.count as usize).clamp(1, 64);
    let threads = settings::threads(0);
    let name = device_name(arguments.place.device);
    let precision = precision(arguments.place);
    let weights = model.weights()?;
    if name == DeviceName::Cpu {
        let precision = weight_precision(precision);
        let decoder = CpuDecoder::with_precision(model.config, &weights, precision, slots, tokens, threads);
        drop(weights);
        return respond(arguments, &model.tokenizer, decoder, &prompt);
    }
    let device = name.open().or_exit(Exit::Device)?;
    let size = CacheSize { slots, slot_capacity_tokens: tokens };
    let decoder = DeviceDecoder::new(model.config, &weights, &device, precision, size);
    drop(weights);
    respond(arguments, &model.tokenizer, decoder.or_exit(Exit::Device)?, &prompt)
}

/// What the model is asked, as the daemon asks it; or a conversation that it is to go on with.
fn prompt(arguments: &GenerateArguments, model: &Model) -> Result<Vec<u32>, Failure> {
    if let Some(path) = &arguments.messages {
        return conversation(path, &arguments.asked.variables, &model.tokenizer)
            .map_err(|reason| Failure::new(Exit::BadInput, format!("`{}`: {reason}", path.display())));
    }
    let mut text = arguments.prompt.clone().unwrap_or_default();
    if text == "-" {
        text.clear();
        let read = stdin().read_to_string(&mut text);
        read.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => "the prompt on standard input is not UTF-8: convert it".to_owned(),
            _ => format!("the prompt on standard input: {error}"),
        })
        .or_exit(Exit::BadInput)?;
    }
    let plain = if arguments.chat { PromptStyle::Chat } else { PromptStyle::Raw };
    let style = arguments.style.unwrap_or(plain);
    let prompter = prompter(model, &arguments.asked.section(style), None)?;
    let kind = arguments.kind.map_or("", AnswerKind::name);
    prompter.prompt(Question { text: &text, kind, source: "" }).or_exit(Exit::BadInput)
}

/// The tokens of a conversation in a file, with the opening of the assistant's turn.
fn conversation(
    path: &Path,
    variables: &[(String, Value)],
    tokenizer: &Tokenizer,
) -> Result<Vec<u32>, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let mut fields = match serde_json::from_str(&text).map_err(|error| format!("it is no JSON: {error}"))? {
        Value::Array(messages) => Map::from_iter([("messages".to_owned(), messages.into())]),
        Value::Object(fields) => fields,
        _ => {
            return Err(
                "it is no list of messages; write [{\"role\": \"user\", \"content\": \"...\"}]".to_owned()
            );
        }
    };
    let Some(Value::Array(messages)) = fields.remove("messages") else {
        return Err("`messages` is no list of messages".to_owned());
    };
    let text = rendered(messages, &fields, variables, tokenizer)?;
    tokenizer.encode(&text, false).map_err(|error| error.to_string())
}

/// Draws every response on a decoder that holds the model.
fn respond(
    arguments: &GenerateArguments,
    tokenizer: &Tokenizer,
    decoder: impl StepModel,
    prompt: &Arc<[u32]>,
) -> Result<Exit, Failure> {
    let settings = settings(&arguments.sampling)?;
    let bytes = tokenizer.clone();
    let text: Arc<dyn TokenText> =
        Arc::new(move |token: u32, text: &mut Vec<u8>| text.extend_from_slice(bytes.token_bytes(token)));
    let mut engine = Engine::new(decoder, PolicyVersion(0), EngineConfig::default()).with_token_text(text);
    for number in 0..arguments.count {
        let request = Request {
            id: number,
            prompt: Arc::clone(prompt),
            settings,
            seed: arguments.sampling.seed.wrapping_add(u64::from(number)),
            stop_ids: tokenizer.stop_ids().into(),
            stop_strings: arguments.stops.clone().into(),
        };
        engine.submit(request).or_exit(Exit::BadInput)?;
    }
    let mut out = stdout().lock();
    let (mut alive, mut drawn) = (SignOfLife::new(), 0);
    while !engine.is_idle() {
        let report = engine.step().or_exit(Exit::Device)?;
        drawn += report.tokens;
        if alive.is_due() {
            eprintln!("{drawn} tokens drawn");
        }
        if let Some(lost) = report.abandoned.first() {
            return Err(Failure::new(
                Exit::Device,
                format!("response {} was given up: {}", lost.id, lost.reason),
            ));
        }
        for ended in report.finished {
            let text = tokenizer.decode_without_special_tokens(&ended.tokens).or_exit(Exit::Internal)?;
            let line = if arguments.json {
                json!({
                    "prompt_ids": &**prompt,
                    "token_ids": ended.tokens,
                    "log_probabilities": ended.log_probabilities,
                    "sampling_log_probabilities": ended.sampling_log_probabilities,
                    "finish_reason": ended.finish,
                    "seed": arguments.sampling.seed.wrapping_add(u64::from(ended.id)),
                    "text": text,
                })
                .to_string()
            } else if arguments.count > 1 {
                format!("--- response {} of {}\n{text}", ended.id + 1, arguments.count)
            } else {
                text
            };
            writeln!(out, "{line}").map_err(|error| output_failed(&error))?;
        }
    }
    Ok(Exit::Success)
}

/// The command line's sampling settings.
///
/// # Errors
/// When one of them is out of its range.
pub(super) fn settings(arguments: &SamplingArguments) -> Result<SamplingSettings, Failure> {
    let settings = SamplingSettings {
        temperature: arguments.temperature,
        top_k: arguments.top_k,
        top_p: arguments.top_p,
        min_p: arguments.min_p,
        repetition_penalty: arguments.repetition_penalty,
        max_new_tokens: arguments.max_new_tokens,
    };
    validate(&settings).or_exit(Exit::Usage)?;
    Ok(settings)
}
