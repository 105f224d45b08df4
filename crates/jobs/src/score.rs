//! `stilld score`: the log-probability of every token of texts.

use std::{
    io::{BufRead, Write, stdout},
    ops::Range,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use still_control::{Exit, Failure, OrExit};
use still_daemon::cli::ScoreArguments;
use still_decoder::{Segments, Threads, model_hidden_states, token_log_probabilities};
use still_machine::{Model, device_name};
use still_policy::{DeviceName, Scorer, TensorPrecision};
use still_text::{ChatContext, Tokenizer, thought};

use super::{chat_context, open_input, output_failed, precision};

/// What comes back for a line.
#[derive(Debug, Serialize)]
struct Score {
    token_ids: Vec<u32>,
    /// In nats, one for every token after the first.
    log_probabilities: Vec<f32>,
    /// Of everything after the first token; `None` of one token.
    perplexity: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thought_perplexity: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    solution_perplexity: Option<f64>,
}

/// Scores a file line by line; the first broken line ends the job.
pub fn score(arguments: &ScoreArguments) -> Result<Exit, Failure> {
    let input = open_input(&arguments.input)?;
    let model = Model::from_arguments(&arguments.model)?;
    let device = arguments.device;
    let place = Place::new(&model, device_name(device), precision(device))?;
    let mut out = stdout().lock();
    let (mut count, mut sum, mut lines) = (0_usize, 0.0, 0_u64);
    for (index, line) in input.lines().enumerate() {
        let named = |reason: String| format!("`{}`, line {}: {reason}", arguments.input.display(), index + 1);
        let line = line.map_err(|error| named(error.to_string())).or_exit(Exit::BadInput)?;
        if line.trim().is_empty() {
            continue;
        }
        let tokens = tokens_of_line(&line, &model.tokenizer).and_then(|tokens| known(tokens, &model));
        let tokens = tokens.map_err(named).or_exit(Exit::BadInput)?;
        let score = score_tokens(tokens, &model, &place).map_err(named).or_exit(Exit::Internal)?;
        lines += 1;
        count += score.log_probabilities.len();
        sum += score.log_probabilities.iter().map(|value| f64::from(*value)).sum::<f64>();
        let shown = if arguments.json {
            serde_json::to_string(&score).or_exit(Exit::Internal)?
        } else {
            format!("line {}: {}", index + 1, summary(&score))
        };
        writeln!(out, "{shown}").map_err(|error| output_failed(&error))?;
    }
    if lines == 0 {
        let message = format!("`{}` holds no line to score", arguments.input.display());
        return Err(Failure::new(Exit::BadInput, message));
    }
    if !arguments.json {
        let mean = sum / count.max(1) as f64;
        writeln!(out, "{lines} lines, {count} tokens scored, perplexity {:.4}", (-mean).exp())
            .map_err(|error| output_failed(&error))?;
    }
    Ok(Exit::Success)
}

/// The tokens of a line, which holds exactly one of `text`, `messages` and `token_ids`.
fn tokens_of_line(line: &str, tokenizer: &Tokenizer) -> Result<Vec<u32>, String> {
    let line: Value = serde_json::from_str(line).map_err(|error| format!("it is no JSON: {error}"))?;
    let line = line.as_object().ok_or("it is no JSON object; write {\"text\": \"...\"}")?;
    let given = |field: &str| line.get(field).filter(|value| !value.is_null());
    match (given("text"), given("messages"), given("token_ids")) {
        (Some(text), None, None) => {
            let text = text.as_str().ok_or("`text` is no string")?;
            tokenizer.encode(text, true).map_err(|error| format!("`text`: {error}"))
        }
        (None, Some(messages), None) => {
            let messages = messages.as_array().filter(|messages| !messages.is_empty());
            let messages = messages
                .ok_or(
                    "`messages` is no list of messages; write [{\"role\": \"user\", \"content\": \"...\"}]",
                )?
                .clone();
            let template = tokenizer
                .chat_template()
                .ok_or("the model has no chat template for `messages`; give `text`")?;
            let context = ChatContext { messages, ..chat_context(line)? };
            let text = template.render_context(&context).map_err(|error| format!("`messages`: {error}"))?;
            tokenizer.encode(&text, false).map_err(|error| format!("`messages`: {error}"))
        }
        (None, None, Some(tokens)) => {
            Vec::deserialize(tokens).map_err(|error| format!("`token_ids` is no list of token ids: {error}"))
        }
        (None, None, None) => Err("give one of `text`, `messages` and `token_ids`".to_owned()),
        _ => Err("give only one of `text`, `messages` and `token_ids`".to_owned()),
    }
}

/// The tokens, if there are any and the model knows and has room for them all.
fn known(tokens: Vec<u32>, model: &Model) -> Result<Vec<u32>, String> {
    let (vocabulary, longest) = (model.config.vocabulary_size, model.config.max_position_count);
    if let Some(unknown) = tokens.iter().find(|token| **token as usize >= vocabulary) {
        return Err(format!("token {unknown} is not among the model's {vocabulary}; use its own tokenizer"));
    }
    match tokens.len() {
        0 => Err("there is no token to score; give at least two".to_owned()),
        count if count > longest => {
            Err(format!("{count} tokens are more than the model's {longest} positions; shorten the text"))
        }
        _ => Ok(tokens),
    }
}

/// Where the model runs.
enum Place {
    /// The processor, on so many threads.
    Processor(Threads),
    /// A device that holds the weights.
    Device(Box<Scorer>),
}

impl Place {
    fn new(model: &Model, device: DeviceName, precision: TensorPrecision) -> Result<Self, Failure> {
        if device == DeviceName::Cpu {
            return Ok(Self::Processor(Threads::new(
                std::thread::available_parallelism().map_or(1, Into::into),
            )));
        }
        let device = device.open().or_exit(Exit::Device)?;
        let scorer = Scorer::new(model.config.clone(), &model.weights, &device, precision);
        scorer.map(|scorer| Self::Device(Box::new(scorer))).or_exit(Exit::Device)
    }

    /// The log-probability of every token after the first.
    fn log_probabilities(&self, tokens: &[u32], model: &Model) -> Result<Vec<f32>, String> {
        let threads = match self {
            Self::Processor(threads) => threads,
            Self::Device(scorer) => {
                return scorer.log_probabilities(tokens).map_err(|error| error.to_string());
            }
        };
        let Some((_, targets)) = tokens.split_first().filter(|(_, targets)| !targets.is_empty()) else {
            return Ok(Vec::new());
        };
        let inputs = tokens.get(..targets.len()).unwrap_or_default();
        let segments = Segments::from_lengths([inputs.len()]);
        let hidden = model_hidden_states(&model.config, &model.weights, &segments, inputs, threads)
            .map_err(|error| error.to_string())?;
        let head = model.weights.head().as_f32().ok_or("the head is not in f32")?;
        Ok(token_log_probabilities(&hidden, head, model.config.hidden_size, targets, threads).values)
    }
}

fn score_tokens(tokens: Vec<u32>, model: &Model, place: &Place) -> Result<Score, String> {
    let log_probabilities = place.log_probabilities(&tokens, model)?;
    let decoded = model.tokenizer.decode_with_ends(&tokens).map_err(|error| error.to_string())?;
    let (thought, solution) = marked_spans(&decoded.text);
    let perplexity_of = |span: Range<usize>| {
        let tokens = decoded.tokens_of(span);
        // nothing foretells the first token
        let scored = tokens.start.saturating_sub(1)..tokens.end.saturating_sub(1);
        log_probabilities.get(scored).and_then(perplexity)
    };
    Ok(Score {
        perplexity: perplexity(&log_probabilities),
        thought_perplexity: thought.and_then(perplexity_of),
        solution_perplexity: solution.and_then(perplexity_of),
        log_probabilities,
        token_ids: tokens,
    })
}

/// Where the last thought and the last solution lie, tags left out. Prompts may show the tags as well, so a
/// span begins at the last opening tag.
fn marked_spans(text: &str) -> (Option<Range<usize>>, Option<Range<usize>>) {
    let thought = between(text, thought::BEGIN_OF_THOUGHT, thought::END_OF_THOUGHT);
    let solution = between(text, thought::BEGIN_OF_SOLUTION, thought::END_OF_SOLUTION);
    if thought.is_some() || solution.is_some() {
        return (thought, solution);
    }
    let Some(thought) = between(text, thought::BEGIN_OF_THINK, thought::END_OF_THINK) else {
        return (None, None);
    };
    // white space may stand between the thought and its closing tag
    let closing = text.get(thought.end..).and_then(|rest| rest.find(thought::END_OF_THINK)).unwrap_or(0);
    let solution = thought.end + closing + thought::END_OF_THINK.len()..text.len();
    (Some(thought), Some(solution).filter(|span| !span.is_empty()))
}

fn between(text: &str, begin: &str, end: &str) -> Option<Range<usize>> {
    let start = text.rfind(begin)? + begin.len();
    let inner = text.get(start..)?;
    let inner = inner.get(..inner.find(end)?)?;
    let content = inner.trim();
    let start = start + (inner.len() - inner.trim_start().len());
    (!content.is_empty()).then(|| start..start + content.len())
}

/// `exp` of the mean negative log-probability; `None` of nothing.
fn perplexity(log_probabilities: &[f32]) -> Option<f64> {
    let sum: f64 = log_probabilities.iter().map(|value| f64::from(*value)).sum();
    (!log_probabilities.is_empty()).then(|| (-sum / log_probabilities.len() as f64).exp())
}

fn summary(score: &Score) -> String {
    let mut text = format!("{} tokens", score.token_ids.len());
    let perplexities = [
        ("perplexity", score.perplexity),
        ("thought", score.thought_perplexity),
        ("solution", score.solution_perplexity),
    ];
    for (name, value) in perplexities {
        if let Some(value) = value {
            text.push_str(&format!(", {name} {value:.4}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use still_daemon::config::ModelSource;

    use super::*;

    const RESPONSE: &str = "7*7=?<|begin_of_thought|>7*7=49;<|end_of_thought|><|begin_of_solution|>\\boxed{49}<|end_of_solution|>";

    fn processor() -> Place {
        Place::Processor(Threads::single())
    }

    /// The path that GPUs take, on the device that is always there.
    fn device(model: &Model) -> Place {
        let device = DeviceName::Cpu.open().unwrap();
        let scorer = Scorer::new(model.config.clone(), &model.weights, &device, TensorPrecision::F32);
        Place::Device(Box::new(scorer.unwrap()))
    }

    #[test]
    fn a_line_has_one_value_for_every_token_after_the_first_and_its_spans() {
        let model = Model::from_source(&ModelSource::Embedded, true).unwrap();
        let line = serde_json::json!({ "text": RESPONSE }).to_string();
        let tokens = tokens_of_line(&line, &model.tokenizer).unwrap();
        let score = score_tokens(tokens.clone(), &model, &processor()).unwrap();
        assert_eq!(score.log_probabilities.len() + 1, tokens.len());
        assert!(score.log_probabilities.iter().all(|value| value.is_finite() && *value <= 0.0));
        let end =
            tokens.iter().position(|id| model.tokenizer.token_to_id(thought::END_OF_THOUGHT) == Some(*id));
        let start = model.tokenizer.encode("7*7=?", true).unwrap().len() + 1;
        let thought = perplexity(&score.log_probabilities[start - 1..end.unwrap() - 1]);
        assert_eq!(score.thought_perplexity, thought);
        assert!(score.solution_perplexity.is_some());
    }

    #[test]
    fn a_token_is_judged_by_what_stands_before_it_alone() {
        let model = Model::from_source(&ModelSource::Embedded, true).unwrap();
        for place in [processor(), device(&model)] {
            let whole = score_tokens(vec![8, 9, 10, 11, 12], &model, &place).unwrap().log_probabilities;
            let start = score_tokens(vec![8, 9, 10], &model, &place).unwrap().log_probabilities;
            assert!(
                whole.iter().zip(&start).all(|(one, two)| (one - two).abs() < 1e-5),
                "{whole:?} {start:?}"
            );
            assert_eq!(score_tokens(vec![8], &model, &place).unwrap().perplexity, None);
        }
    }

    #[test]
    fn a_device_tells_what_the_processor_does() {
        let model = Model::from_source(&ModelSource::Embedded, true).unwrap();
        let tokens = model.tokenizer.encode(RESPONSE, true).unwrap();
        let here = processor().log_probabilities(&tokens, &model).unwrap();
        let there = device(&model).log_probabilities(&tokens, &model).unwrap();
        assert_eq!(here.len(), there.len());
        assert!(here.iter().zip(&there).all(|(one, two)| (one - two).abs() < 1e-4), "{here:?} {there:?}");
    }

    #[test]
    fn a_line_that_cannot_be_scored_is_refused_with_its_remedy() {
        let model = Model::from_source(&ModelSource::Embedded, true).unwrap();
        for (line, part) in [
            ("{", "no JSON"),
            ("[]", "no JSON object"),
            ("{}", "one of `text`"),
            ("{\"text\": 3}", "`text` is no string"),
            ("{\"text\": \"1\", \"token_ids\": [1]}", "only one of `text`"),
            ("{\"messages\": []}", "`messages` is no list"),
            ("{\"messages\": \"hi\"}", "`messages` is no list"),
            ("{\"token_ids\": [1.5]}", "`token_ids` is no list of token ids"),
            ("{\"token_ids\": [-1]}", "`token_ids` is no list of token ids"),
            ("{\"token_ids\": []}", "at least two"),
            ("{\"token_ids\": [99]}", "own tokenizer"),
        ] {
            let found = tokens_of_line(line, &model.tokenizer).and_then(|tokens| known(tokens, &model));
            assert!(found.as_ref().is_err_and(|error| error.contains(part)), "{line}: {found:?}");
        }
    }

    #[test]
    fn the_last_marked_part_counts_and_either_style_is_found() {
        let text = format!("show <think>a</think> b {RESPONSE}");
        let (thought, solution) = marked_spans(&text);
        assert_eq!((&text[thought.unwrap()], &text[solution.unwrap()]), ("7*7=49;", "\\boxed{49}"));
        let text = "p <think> t </think>s";
        let (thought, solution) = marked_spans(text);
        assert_eq!((&text[thought.unwrap()], &text[solution.unwrap()]), ("t", "s"));
    }
}
