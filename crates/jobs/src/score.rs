//! `stilld score`: the log-probability of every token of texts.

use std::{
    io::{BufRead, Write, stdout},
    ops::Range,
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use still_control::{Exit, Failure, OrExit};
use still_machine::{Model, PolicyScorer, device_name};
use still_operator::cli::ScoreArguments;
use still_roles::{ScoreError, ScoreRequest};
use still_text::{ChatContext, Tokenizer, thought};

use super::{chat_context, open_input, output_failed, usual_precision};

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
    let library = Arc::new(model.alone());
    // a model that cannot be read is reported before the first line
    let _held = library.base_weights().or_exit(Exit::BadInput)?;
    let mut scorer =
        PolicyScorer::new(library, model.config.clone(), device_name(device), usual_precision(device))?;
    let mut out = stdout().lock();
    let (mut count, mut sum, mut lines, mut broken) = (0_usize, 0.0, 0_u64, 0_u64);
    for (index, line) in input.lines().enumerate() {
        let named = |reason: String| format!("`{}`, line {}: {reason}", arguments.input.display(), index + 1);
        let line = line.map_err(|error| named(error.to_string())).or_exit(Exit::BadInput)?;
        if line.trim().is_empty() {
            continue;
        }
        let tokens = tokens_of_line(&line, &model.tokenizer).map_err(named).or_exit(Exit::BadInput)?;
        let score = match score_tokens(tokens, &model.tokenizer, &mut scorer) {
            Ok(score) => score,
            Err(ScoreError::Refused(reason)) => return Err(Failure::new(Exit::BadInput, named(reason))),
            Err(ScoreError::Failed(reason)) => return Err(Failure::new(Exit::Internal, named(reason))),
        };
        lines += 1;
        if score.log_probabilities.iter().all(|value| value.is_finite()) {
            count += score.log_probabilities.len();
            sum += score.log_probabilities.iter().map(|value| f64::from(*value)).sum::<f64>();
        } else {
            broken += 1;
            eprintln!("{}", named("its log-probabilities are not finite".to_owned()));
        }
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
    if broken == lines {
        let message = format!(
            "not one of {lines} lines has finite log-probabilities: the model's weights are broken, or too large for \
             the number format"
        );
        return Err(Failure::new(Exit::NoResult, message));
    }
    if broken > 0 {
        eprintln!(
            "{broken} of {lines} lines have log-probabilities that are not finite, and are not counted"
        );
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

fn score_tokens(
    tokens: Vec<u32>,
    tokenizer: &Tokenizer,
    scorer: &mut PolicyScorer,
) -> Result<Score, ScoreError> {
    let request = ScoreRequest { tokens, from: 1 };
    let log_probabilities = scorer.log_probabilities(&Model::policy(), &request)?;
    let tokens = request.tokens;
    let decoded =
        tokenizer.decode_with_ends(&tokens).map_err(|error| ScoreError::Failed(error.to_string()))?;
    let (thought, solution) = marked_spans(&decoded.text);
    let perplexity_of = |span: Range<usize>| {
        let tokens = decoded.tokens_of(span);
        // nothing predicts the first token
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
    use still_operator::config::ModelSource;
    use still_tensor_decoder::{DeviceName, TensorPrecision};

    use super::*;

    const RESPONSE: &str = "7*7=?<|begin_of_thought|>7*7=49;<|end_of_thought|><|begin_of_solution|>\\boxed{49}<|end_of_solution|>";

    fn scorer(model: &Model) -> PolicyScorer {
        let (library, config) = (Arc::new(model.alone()), model.config.clone());
        PolicyScorer::new(library, config, DeviceName::Cpu, TensorPrecision::F32).unwrap()
    }

    #[test]
    fn a_line_has_one_value_for_every_token_after_the_first_and_its_spans() {
        let model = Model::from_source(&ModelSource::Embedded, true).unwrap();
        let line = serde_json::json!({ "text": RESPONSE }).to_string();
        let tokens = tokens_of_line(&line, &model.tokenizer).unwrap();
        let score = score_tokens(tokens.clone(), &model.tokenizer, &mut scorer(&model)).unwrap();
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
        ] {
            let found = tokens_of_line(line, &model.tokenizer);
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
