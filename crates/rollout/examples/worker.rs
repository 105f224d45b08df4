//! The engine as one of the workers of `benches/peers`: it measures what a line on standard input asks for and answers
//! with the seconds and the tokens on a line of its own.
//!
//! `worker MODEL_FOLDER as-given|bf16 THREADS ROWS SLOT_TOKENS`, then lines of
//! - `decode BATCH PROMPT STEPS`: steps of a batch whose prompts have been run;
//! - `prefill BATCH PROMPT`: prompts up to their first token;
//! - `queue PROMPT:NEW ...`: requests of mixed lengths, submitted all at once;
//! - `greedy NEW ID ...`: the likeliest tokens after a prompt, one by one, which are answered instead.
//!
//! Every token is drawn by the engine, its log-probability included, at temperature 0. No prompt occurs twice, so that
//! nothing comes from what a slot still holds.
#![expect(clippy::print_stdout, reason = "a worker answers on standard output")]

use std::{
    error::Error,
    io::{BufRead, Write, stdin, stdout},
    path::Path,
    sync::Arc,
    time::Instant,
};

use still_decoder::{CpuDecoder, WeightPrecision, hugging_face::load_folder_as_stored};
use still_rollout::{Engine, EngineConfig, PolicyVersion, Request, SamplingSettings, StepModel};

/// Tokens beyond the measured ones, so that no row ends while others are measured.
const SPARE_TOKENS: u32 = 256;

/// The engine and the number of the next request.
struct Worker {
    engine: Engine<CpuDecoder, u32>,
    next: u32,
}

/// Seconds and tokens.
type Measured = (f64, usize);

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [folder, precision, threads, slots, tokens] = words.as_slice() else {
        return Err("worker MODEL_FOLDER as-given|bf16 THREADS ROWS SLOT_TOKENS".into());
    };
    let (config, weights) = load_folder_as_stored(Path::new(folder))?;
    let precision = match precision.as_str() {
        "as-given" => WeightPrecision::AsGiven,
        "bf16" => WeightPrecision::Bf16,
        other => return Err(format!("`{other}` is no precision; give as-given or bf16").into()),
    };
    let threads = threads.parse()?;
    let (slots, tokens) = (slots.parse()?, tokens.parse()?);
    let decoder = CpuDecoder::with_precision(config, &weights, precision, slots, tokens, threads);
    drop(weights);
    let settings = EngineConfig { sampling_threads: threads, ..EngineConfig::default() };
    let mut worker = Worker { engine: Engine::new(decoder, PolicyVersion(0), settings), next: 0 };
    println!("ready");
    for line in stdin().lock().lines() {
        let line = line?;
        if let Some(words) = line.strip_prefix("greedy ") {
            println!("{}", worker.greedy(words)?);
        } else {
            let (seconds, tokens) = worker.measure(&line)?;
            println!("{seconds} {tokens}");
        }
        stdout().flush()?;
    }
    Ok(())
}

impl Worker {
    fn measure(&mut self, line: &str) -> Result<Measured, Box<dyn Error>> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["decode", batch, prompt, steps] => self.decode(batch.parse()?, prompt.parse()?, steps.parse()?),
            ["prefill", batch, prompt] => {
                let requests = vec![(prompt.parse()?, 1); batch.parse()?];
                let tokens = requests.iter().map(|(prompt, _)| prompt).sum();
                Ok((self.run(&requests)?.0, tokens))
            }
            ["queue", requests @ ..] => {
                let lengths = requests.iter().map(|request| {
                    let (prompt, new) = request.split_once(':').ok_or("a request is PROMPT:NEW")?;
                    Ok((prompt.parse()?, new.parse()?))
                });
                let lengths: Vec<(usize, u32)> = lengths.collect::<Result<_, Box<dyn Error>>>()?;
                self.run(&lengths)
            }
            _ => Err(format!("`{line}` is nothing to measure").into()),
        }
    }

    /// The likeliest tokens after a prompt, with a blank between them.
    fn greedy(&mut self, words: &str) -> Result<String, Box<dyn Error>> {
        let numbers = words.split_whitespace().map(str::parse).collect::<Result<Vec<u32>, _>>()?;
        let (new, prompt) = numbers.split_first().ok_or("greedy NEW ID ...")?;
        self.request(prompt.into(), *new)?;
        let mut drawn = Vec::new();
        while !self.engine.is_idle() {
            drawn.extend(self.engine.step()?.finished.into_iter().flat_map(|finished| finished.tokens));
        }
        Ok(drawn.iter().map(u32::to_string).collect::<Vec<_>>().join(" "))
    }

    /// Steps of a batch, from where every row has its first token.
    fn decode(&mut self, batch: usize, prompt: usize, steps: usize) -> Result<Measured, Box<dyn Error>> {
        let new = steps as u32 + SPARE_TOKENS;
        let ids = self.submit(&vec![(prompt, new); batch])?;
        let has_begun = |engine: &Engine<CpuDecoder, u32>| {
            ids.iter().all(|id| engine.progress(id).is_some_and(|progress| !progress.tokens.is_empty()))
        };
        while !has_begun(&self.engine) {
            self.engine.step()?;
        }
        let (start, mut tokens) = (Instant::now(), 0);
        for _ in 0..steps {
            tokens += self.engine.step()?.tokens;
        }
        let seconds = start.elapsed().as_secs_f64();
        for id in &ids {
            self.engine.cancel(id);
        }
        while !self.engine.is_idle() {
            self.engine.step()?;
        }
        Ok((seconds, tokens))
    }

    /// Requests from submission to the end of the last.
    fn run(&mut self, lengths: &[(usize, u32)]) -> Result<Measured, Box<dyn Error>> {
        let start = Instant::now();
        self.submit(lengths)?;
        let mut tokens = 0;
        while !self.engine.is_idle() {
            tokens += self.engine.step()?.tokens;
        }
        Ok((start.elapsed().as_secs_f64(), tokens))
    }

    /// Submits requests, given as tokens of the prompt and new tokens; returns their numbers.
    fn submit(&mut self, lengths: &[(usize, u32)]) -> Result<Vec<u32>, Box<dyn Error>> {
        let vocabulary = self.engine.model().vocabulary_size();
        let first = self.next;
        for (prompt, max_new_tokens) in lengths {
            let id = self.next as usize;
            let token = |position: usize| ((id * 7919 + position * 31 + 3) % vocabulary) as u32;
            self.request((0..*prompt).map(token).collect(), *max_new_tokens)?;
        }
        Ok((first..self.next).collect())
    }

    /// Submits one request.
    fn request(&mut self, prompt: Arc<[u32]>, max_new_tokens: u32) -> Result<(), Box<dyn Error>> {
        let settings = SamplingSettings { temperature: 0.0, max_new_tokens, ..SamplingSettings::default() };
        self.engine.submit(Request {
            id: self.next,
            prompt,
            settings,
            seed: 0,
            stop_ids: Arc::new([]),
            stop_strings: Arc::new([]),
        })?;
        self.next += 1;
        Ok(())
    }
}
