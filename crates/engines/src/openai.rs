//! Servers that speak as `OpenAI`'s do: text in and out, through chat or completions. They take no weights, so they draw for
//! no round; a teacher is one of them.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde_json::{Value, json};
use still_domain::{FinishReason, SamplingSettings};
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::{
    http::{Address, Http, HttpFault},
    teacher::{TeacherSection, TextApi},
};

/// Longest wait for an answer that takes no work.
const WORD: Duration = Duration::from_secs(30);
/// The first wait before a question is asked again; it doubles.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest such wait.
const MAX_WAIT: Duration = Duration::from_mins(1);
/// Of an answer that is none, what is told.
const MAX_TOLD_CHARACTERS: usize = 200;

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct TextQuestion {
    /// What the system says; nothing where it is empty.
    pub system: String,
    /// The user's turn, or the prompt.
    pub text: String,
    /// How tokens are drawn.
    pub sampling: SamplingSettings,
    /// Seed of the draw, where the server obeys one.
    pub seed: u64,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextAnswer {
    /// The response; without the thought where the server tells that apart.
    pub text: String,
    /// The thought, where the server tells it apart.
    pub thought: Option<String>,
    /// Why it ended.
    pub finish: FinishReason,
    /// Tokens of it as the server counts them.
    pub tokens: Option<u64>,
    /// Where it was drawn.
    pub server: String,
}

/// Why a question brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TextFault {
    /// This question can never be answered.
    #[error("{0}")]
    Refused(String),
    /// No question can be answered as things are set: the key, the model's name, the address.
    #[error("{0}")]
    Setting(String),
    /// It came to nothing as often as is allowed.
    #[error("{0}")]
    Failed(String),
}

/// Servers of one model, as one.
#[derive(Debug)]
pub struct TextServers {
    servers: Vec<TextServer>,
    section: TeacherSection,
    model: String,
    room: Semaphore,
}

/// One of them.
#[derive(Debug)]
struct TextServer {
    http: Http,
    /// What every path begins with.
    prefix: String,
    in_flight: AtomicUsize,
}

impl TextServers {
    /// Looks at the servers that a section names: which model do they serve?
    ///
    /// # Errors
    /// When the key cannot be had, no server answers, or the model is not there: with the remedy.
    pub async fn open(section: &TeacherSection) -> Result<Self, String> {
        let key = section.key()?;
        let mut servers = Vec::new();
        for address in &section.addresses {
            let (address, prefix) = Address::with_path(address)?;
            let http = Http::new(address, key.as_deref(), section.certificate_file.as_deref())?;
            servers.push(TextServer { http, prefix, in_flight: AtomicUsize::new(0) });
        }
        let mut opened = Self {
            room: Semaphore::new(section.max_in_flight * servers.len().max(1)),
            servers,
            section: section.clone(),
            model: section.model.clone(),
        };
        if opened.model.is_empty() {
            opened.model = opened.only_model().await?;
        }
        Ok(opened)
    }

    /// The model that is asked.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The only model of the first server.
    async fn only_model(&self) -> Result<String, String> {
        let server = self.servers.first().ok_or("`teacher.addresses` names no server")?;
        let models = server.http.get(&format!("{}/models", server.prefix), WORD).await;
        let models = models.map_err(|fault| told(server, &fault))?;
        let names: Vec<&str> = models["data"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|model| model["id"].as_str())
            .collect();
        match names[..] {
            [only] => Ok(only.to_owned()),
            _ => Err(format!(
                "{} serves {} models: name one as `teacher.model`{}",
                server.http.address(),
                names.len(),
                if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) }
            )),
        }
    }

    /// Asks the server that holds least, and again where that comes to nothing that may come to something.
    ///
    /// # Errors
    /// When it can never be answered, or came to nothing as often as `teacher.retries` allows.
    pub async fn ask(&self, question: &TextQuestion) -> Result<TextAnswer, TextFault> {
        let _room = self.room.acquire().await.map_err(|_| TextFault::Failed("it is closed".to_owned()))?;
        let body = self.body(question);
        let (mut wait, mut tries) = (FIRST_WAIT, 0);
        loop {
            let least = self.servers.iter().min_by_key(|server| server.in_flight.load(Ordering::Relaxed));
            let Some(server) = least else {
                return Err(TextFault::Setting("`teacher.addresses` names no server".to_owned()));
            };
            server.in_flight.fetch_add(1, Ordering::Relaxed);
            let within = Some(Duration::from_secs(self.section.max_answer_seconds));
            let path = format!("{}{}", server.prefix, self.section.api.path());
            let answer = server.http.post(&path, Some(&body), within).await;
            server.in_flight.fetch_sub(1, Ordering::Relaxed);
            let fault = match answer {
                Ok(answer) => return read(&answer, self.section.api, server),
                Err(fault) => fault,
            };
            let reason = told(server, &fault);
            tries += 1;
            match fault.status() {
                Some(400 | 413 | 422) => return Err(TextFault::Refused(reason)),
                Some(401 | 403 | 404) => return Err(TextFault::Setting(reason)),
                _ if tries > self.section.retries => {
                    return Err(TextFault::Failed(format!("asked {tries} times: {reason}")));
                }
                _ => tracing::debug!(reason, "a question is asked again"),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(MAX_WAIT);
        }
    }

    fn body(&self, question: &TextQuestion) -> Value {
        let sampling = &question.sampling;
        let mut body = json!({
            "model": self.model,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": question.seed >> 1,
            "n": 1,
        });
        body[self.section.longest_name.as_str()] = json!(sampling.max_new_tokens);
        // no part of the interface: a server that has them is told them where they change anything
        if sampling.top_k != 0 {
            body["top_k"] = json!(sampling.top_k);
        }
        if sampling.min_p > 0.0 {
            body["min_p"] = json!(sampling.min_p);
        }
        match self.section.api {
            TextApi::Chat => {
                let mut messages = Vec::new();
                if !question.system.is_empty() {
                    messages.push(json!({"role": "system", "content": question.system}));
                }
                messages.push(json!({"role": "user", "content": question.text}));
                body["messages"] = messages.into();
            }
            TextApi::Completions => body["prompt"] = json!(format!("{}{}", question.system, question.text)),
        }
        for (name, value) in &self.section.extra {
            body[name.as_str()] = value.clone();
        }
        body
    }
}

fn read(answer: &Value, api: TextApi, server: &TextServer) -> Result<TextAnswer, TextFault> {
    let choice = &answer["choices"][0];
    let (text, thought) = match api {
        TextApi::Chat => {
            let message = &choice["message"];
            let thought = ["reasoning_content", "reasoning"].iter().find_map(|name| message[name].as_str());
            (message["content"].as_str(), thought.filter(|thought| !thought.trim().is_empty()))
        }
        TextApi::Completions => (choice["text"].as_str(), None),
    };
    let finish = match choice["finish_reason"].as_str() {
        Some("stop" | "eos") => Some(FinishReason::Stop),
        Some("length") => Some(FinishReason::Length),
        _ => None,
    };
    let (Some(finish), true) = (finish, text.is_some() || thought.is_some()) else {
        let short: String = answer.to_string().chars().take(MAX_TOLD_CHARACTERS).collect();
        return Err(TextFault::Refused(format!(
            "{}: an answer without a text: {short}",
            server.http.address()
        )));
    };
    Ok(TextAnswer {
        text: text.unwrap_or_default().to_owned(),
        thought: thought.map(str::to_owned),
        finish,
        tokens: answer["usage"]["completion_tokens"].as_u64(),
        server: server.http.address().to_string(),
    })
}

fn told(server: &TextServer, fault: &HttpFault) -> String {
    let address = server.http.address();
    match fault.status() {
        Some(401 | 403) => {
            format!("{address}: {fault}; see `teacher.key_file` and `teacher.key_variable`")
        }
        Some(404) => format!(
            "{address}: {fault}; see `teacher.addresses` (with its path, often /v1) and `teacher.model`"
        ),
        _ => format!("{address}: {fault}"),
    }
}
