//! Servers that speak as `OpenAI`'s do, as engines: they take no weights while they are up, so each policy has a process of
//! its own, which the daemon starts.
//!
//! | what | how |
//! |---|---|
//! | a response | `/v1/completions` with the prompt's ids, and log-probabilities of the tokens as texts |
//! | a score | the same with `echo` |
//! | new weights | another process |
//! | load | nothing is told: whether `/v1/models` answers |
//!
//! Of a response only text comes back, so its ids are made of that here, piece by piece as the server tells them: what it
//! drew may have been other ids of the same text, and every trajectory says so. A process holds the weights that it began
//! with for as long as it lives, so what they are called is told here and never there.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};
use still_domain::FinishReason;

use crate::{
    endpoint::{About, Adapter, Endpoint, Prepared},
    engine::{Fault, Load, Request, Response, Scores},
    http::HttpFault,
    protocol::{LoadFault, Look, Protocol, fault_of, nanoseconds, room, short, signed_seed, told},
    seams::Texts,
};

const COMPLETIONS: &str = "/v1/completions";
const MODELS: &str = "/v1/models";
/// What is said of whatever such a server cannot be asked.
const UNABLE: &str = "a server that speaks as OpenAI's do takes no weights while it is up";
/// What weights are called that nobody has named.
const UNNAMED: &str = "unnamed";

/// The protocol.
pub(crate) struct Completions;

impl Protocol for Completions {
    const CONTEXT_OPTION: &'static str = "context";

    async fn look(endpoint: &Endpoint) -> Result<Look, String> {
        let models = models(endpoint, endpoint.patience.word).await?;
        let first = &models["data"][0];
        let model =
            first["id"].as_str().ok_or_else(|| format!("it serves no model: {MODELS} says {models}"))?;
        let about = About {
            model: model.to_owned(),
            context: first["max_model_len"].as_u64().unwrap_or(u64::MAX),
            has_generate: Some(false),
            version: None,
            precision: None,
            adapters: None,
        };
        let version = Self::version(endpoint).await?;
        Ok(Look { about, is_paused: false, version, adapters: Vec::new() })
    }

    async fn pause(_: &Endpoint) -> Result<(), String> {
        Ok(())
    }

    async fn load(_: &Endpoint, _: &Prepared, _: &str) -> Result<(), LoadFault> {
        Err(LoadFault { reason: UNABLE.to_owned(), is_whole: true })
    }

    async fn name(endpoint: &Endpoint, version: &str) -> Result<(), String> {
        endpoint.set_named(version);
        Ok(())
    }

    async fn resume(_: &Endpoint) -> Result<(), String> {
        Ok(())
    }

    async fn version(endpoint: &Endpoint) -> Result<String, String> {
        Ok(endpoint.named().unwrap_or_else(|| UNNAMED.to_owned()))
    }

    async fn poll(endpoint: &Endpoint) -> Result<Load, String> {
        models(endpoint, endpoint.patience.sign).await?;
        // whether it draws is seen by its answers alone: deadlines are what finds one that hangs
        Ok(Load { generated_tokens: nanoseconds() as u64, ..Load::default() })
    }

    async fn generate(endpoint: &Endpoint, request: &Request) -> Result<Response, Fault> {
        let about =
            endpoint.about().ok_or_else(|| Fault::Failed("nothing is known of the server".to_owned()))?;
        let room = room(about.context, &request.prompt, Self::CONTEXT_OPTION)?;
        let sampling = &request.sampling;
        let mut body = json!({
            "model": about.model,
            "prompt": request.prompt,
            "max_tokens": u64::from(sampling.max_new_tokens).min(room),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": signed_seed(request),
            "logprobs": 1,
            "n": 1,
        });
        // no part of the interface: a server that has them is told them where they change anything
        for (name, value, is_set) in [
            ("top_k", json!(sampling.top_k), sampling.top_k != 0),
            ("min_p", json!(sampling.min_p), sampling.min_p > 0.0),
            (
                "repetition_penalty",
                json!(sampling.repetition_penalty),
                (sampling.repetition_penalty - 1.0).abs() > f32::EPSILON,
            ),
        ] {
            if is_set {
                body[name] = value;
            }
        }
        let answer = endpoint.http.post(COMPLETIONS, Some(&body), None).await;
        let answer = answer.map_err(|fault| fault_of(&fault))?;
        if endpoint.named().as_ref() != Some(&request.version) {
            return Err(Fault::OtherWeights("it has been given another name meanwhile".to_owned()));
        }
        let texts =
            endpoint.texts.as_ref().ok_or_else(|| Fault::Failed("nobody reads its texts".to_owned()))?;
        read_choice(&answer["choices"][0], &**texts)
    }

    async fn score(endpoint: &Endpoint, _: Option<&Adapter>, tokens: &[u32]) -> Result<Scores, Fault> {
        let about =
            endpoint.about().ok_or_else(|| Fault::Failed("nothing is known of the server".to_owned()))?;
        let body = json!({
            "model": about.model, "prompt": tokens, "max_tokens": 1, "temperature": 0.0, "echo": true, "logprobs": 1
        });
        let answer = endpoint.http.post(COMPLETIONS, Some(&body), Some(endpoint.patience.load)).await;
        let answer = answer.map_err(|fault| fault_of(&fault))?;
        let version = Self::version(endpoint).await.map_err(Fault::Failed)?;
        read_scores(&answer["choices"][0], tokens.len(), version)
    }

    async fn load_adapter(_: &Endpoint, _: &Adapter, _: &Path) -> Result<(), HttpFault> {
        Err(HttpFault::Broken(UNABLE.to_owned()))
    }

    async fn unload_adapter(_: &Endpoint, _: &str) -> Result<(), HttpFault> {
        Err(HttpFault::Broken(UNABLE.to_owned()))
    }
}

async fn models(endpoint: &Endpoint, patience: Duration) -> Result<Value, String> {
    endpoint.http.get(MODELS, patience).await.map_err(|fault| told(&fault))
}

/// A token as a server tells it.
struct Piece<'a> {
    text: &'a str,
    log_probability: f32,
}

/// A response, its ids made of its text.
fn read_choice(choice: &Value, texts: &dyn Texts) -> Result<Response, Fault> {
    let failed = |reason: &str| Fault::Failed(format!("an answer that is none: {reason}: {}", short(choice)));
    let finish = match choice["finish_reason"].as_str() {
        Some("stop" | "eos") => FinishReason::Stop,
        Some("length") => FinishReason::Length,
        Some("abort") => return Err(Fault::Aborted("the server ended it before its time".to_owned())),
        _ => return Err(failed("no known reason of its end")),
    };
    let text = choice["text"].as_str().ok_or_else(|| failed("no text"))?;
    let pieces = pieces(&choice["logprobs"]).ok_or_else(|| {
        failed("no log-probability of every token: the server has to tell them (`logprobs`)")
    })?;
    let retokenized = match by_pieces(text, &pieces, texts) {
        Some(retokenized) => retokenized,
        None => whole(text, &pieces, texts).map_err(|reason| failed(&reason))?,
    };
    let (mut tokens, mut log_probabilities) = retokenized;
    let is_ended = tokens.last().is_some_and(|last| texts.stop_ids().contains(last));
    if let (FinishReason::Stop, false, Some(stop)) = (finish, is_ended, texts.stop_ids().first()) {
        // no server of this kind has to tell the token that ended it
        tokens.push(*stop);
        log_probabilities.push(0.0);
    }
    if tokens.is_empty() {
        return Err(failed("nothing was drawn"));
    }
    Ok(Response { tokens, log_probabilities, finish })
}

fn pieces(logprobs: &Value) -> Option<Vec<Piece<'_>>> {
    let (texts, values) = (logprobs["tokens"].as_array()?, logprobs["token_logprobs"].as_array()?);
    if texts.len() != values.len() {
        return None;
    }
    let pieces = texts.iter().zip(values);
    pieces
        .map(|(text, value)| Some(Piece { text: text.as_str()?, log_probability: value.as_f64()? as f32 }))
        .collect()
}

/// The ids of every piece by itself; `None` where that is not the text. A piece that the text leaves out is a special token.
fn by_pieces(text: &str, pieces: &[Piece<'_>], texts: &dyn Texts) -> Option<(Vec<u32>, Vec<f32>)> {
    let (mut tokens, mut log_probabilities) = (Vec::new(), Vec::new());
    let (mut rest, mut carried) = (text, 0.0);
    for piece in pieces {
        let ids = texts.tokens(piece.text).ok()?;
        rest = match rest.strip_prefix(piece.text) {
            Some(after) => after,
            None if ids.len() == 1 => rest,
            None => return None,
        };
        carried += piece.log_probability;
        for id in ids {
            tokens.push(id);
            log_probabilities.push(std::mem::take(&mut carried));
        }
    }
    if let Some(last) = log_probabilities.last_mut() {
        *last += carried;
    }
    // some tokenizers write a piece by itself in other words than within a text
    let is_the_text = rest.is_empty() && texts.text(&tokens).ok()? == joined(pieces);
    is_the_text.then_some((tokens, log_probabilities))
}

fn joined(pieces: &[Piece<'_>]) -> String {
    pieces.iter().map(|piece| piece.text).collect()
}

/// The ids of the whole text; what all pieces bring is shared out among them.
fn whole(text: &str, pieces: &[Piece<'_>], texts: &dyn Texts) -> Result<(Vec<u32>, Vec<f32>), String> {
    let tokens = texts.tokens(text)?;
    let sum: f32 = pieces.iter().map(|piece| piece.log_probability).sum();
    let share = sum / tokens.len().max(1) as f32;
    let log_probabilities = vec![share; tokens.len()];
    Ok((tokens, log_probabilities))
}

/// Log-probabilities of a prompt's tokens, of which the server counts as many as it was given, and one drawn behind them.
fn read_scores(choice: &Value, count: usize, version: String) -> Result<Scores, Fault> {
    let values = choice["logprobs"]["token_logprobs"].as_array().filter(|values| values.len() >= count);
    let values = values.and_then(|values| {
        let values = values.iter().take(count).skip(1);
        values.map(|value| value.as_f64().map(|value| value as f32)).collect::<Option<Vec<f32>>>()
    });
    let log_probabilities = values.ok_or_else(|| {
        Fault::Failed(
            "it does not tell what it thinks of a prompt: a server is wanted whose /v1/completions knows `echo` with `logprobs`"
                .to_owned(),
        )
    })?;
    Ok(Scores { log_probabilities, versions: Some(vec![version]) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seams::ReadResponse;
    use still_domain::{Measures, Statement};

    /// Words are tokens of one letter, `<e>` ends and `ab` may be one token.
    #[derive(Debug)]
    struct Letters;

    const STOP: u32 = 1;
    const PAIR: u32 = 2;

    impl Texts for Letters {
        fn prompt(&self, _: &Statement) -> Result<Vec<u32>, String> {
            Ok(vec![])
        }

        fn read(&self, tokens: &[u32], _: FinishReason, _: &[f32]) -> Result<ReadResponse, String> {
            let text = self.text(tokens)?;
            Ok(ReadResponse { text, measures: Measures::default(), is_well_formed: true })
        }

        fn tokens(&self, text: &str) -> Result<Vec<u32>, String> {
            let (mut rest, mut ids) = (text, Vec::new());
            while let Some(letter) = rest.chars().next() {
                let known =
                    [("<e>", STOP), ("ab", PAIR)].into_iter().find(|(word, _)| rest.starts_with(word));
                let (id, length) =
                    known.map_or((letter as u32, letter.len_utf8()), |(word, id)| (id, word.len()));
                ids.push(id);
                rest = &rest[length..];
            }
            Ok(ids)
        }

        fn text(&self, tokens: &[u32]) -> Result<String, String> {
            let one = |id: &u32| match *id {
                STOP => "<e>".to_owned(),
                PAIR => "ab".to_owned(),
                letter => char::from_u32(letter).into_iter().collect(),
            };
            Ok(tokens.iter().map(one).collect())
        }

        fn prompt_name(&self) -> &'static str {
            "letters"
        }

        fn stop_ids(&self) -> &[u32] {
            &[STOP]
        }

        fn probe(&self) -> Vec<u32> {
            vec![]
        }
    }

    fn read(text: &str, finish: &str, pieces: &[(&str, f32)]) -> Result<Response, Fault> {
        let tokens: Vec<_> = pieces.iter().map(|(text, _)| text).collect();
        let values: Vec<_> = pieces.iter().map(|(_, value)| value).collect();
        let logprobs = json!({"tokens": tokens, "token_logprobs": values});
        let choice = json!({"text": text, "finish_reason": finish, "logprobs": logprobs});
        read_choice(&choice, &Letters)
    }

    #[test]
    fn ids_are_made_of_the_pieces_that_a_server_tells() {
        let c = u32::from('c');
        // the token that ended it is told, or is not
        let told = read("abc", "stop", &[("ab", -1.0), ("c", -0.5), ("<e>", -0.25)]).unwrap();
        assert_eq!((told.tokens, told.log_probabilities), (vec![PAIR, c, STOP], vec![-1.0, -0.5, -0.25]));
        let silent = read("abc", "stop", &[("ab", -1.0), ("c", -0.5)]).unwrap();
        assert_eq!((silent.tokens, silent.log_probabilities), (vec![PAIR, c, STOP], vec![-1.0, -0.5, 0.0]));
        let cut = read("abc", "length", &[("ab", -1.0), ("c", -0.5)]).unwrap();
        assert_eq!((cut.tokens.len(), cut.finish), (2, FinishReason::Length));
        // a piece that is two ids here keeps its log-probability once
        let longer = read("cab", "length", &[("cab", -1.5)]).unwrap();
        assert_eq!((longer.tokens, longer.log_probabilities), (vec![c, PAIR], vec![-1.5, 0.0]));
        // parts of a letter
        let parts = read("\u{e9}c", "length", &[("\u{fffd}", -1.0), ("", -1.0), ("c", -1.0)]).unwrap();
        assert_eq!((parts.tokens, parts.log_probabilities), (vec![0xe9, c], vec![-1.5, -1.5]));
    }

    #[test]
    fn an_answer_without_what_is_needed_is_none() {
        assert!(matches!(read("a", "abort", &[("a", -1.0)]), Err(Fault::Aborted(_))));
        assert!(matches!(read("a", "because", &[("a", -1.0)]), Err(Fault::Failed(_))));
        assert!(matches!(read("", "length", &[]), Err(Fault::Failed(_))));
        let silent = read_choice(&json!({"text": "a", "finish_reason": "stop"}), &Letters);
        assert!(matches!(silent, Err(Fault::Failed(reason)) if reason.contains("`logprobs`")));
        let echo = json!({"logprobs": {"token_logprobs": [null, -1.0, -2.0, -9.0]}});
        let scores = read_scores(&echo, 3, "v".to_owned()).unwrap();
        assert_eq!(scores.log_probabilities, [-1.0, -2.0]);
        let deaf = json!({"logprobs": {"token_logprobs": [-9.0]}});
        let refused = read_scores(&deaf, 3, "v".to_owned());
        assert!(matches!(refused, Err(Fault::Failed(reason)) if reason.contains("`echo`")));
    }
}
