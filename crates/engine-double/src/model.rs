//! The model behind a double: a thread that steps the generation engine, as vLLM's core does.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::Duration,
};

use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};
use still_decoder::{
    CpuDecoder, DecoderConfig, DecoderWeights, Matrix, Segments, Threads, WeightPrecision,
    hugging_face::load_folder, model_hidden_states, token_log_probabilities,
};
use still_domain::{FinishReason, PolicyVersion, SamplingSettings};
use still_rollout::{Engine, EngineConfig, Request, StepReport};
use tokio::sync::oneshot;

use crate::adapter::{AdapterFault, Factors};

/// What the numbers are off by while the cache holds what other weights computed.
const STALE: f32 = -0.375;

/// A response asked for.
pub(crate) struct Draw {
    /// The adapter that it is asked of.
    pub(crate) adapter: Option<String>,
    pub(crate) prompt: Vec<u32>,
    pub(crate) settings: SamplingSettings,
    pub(crate) seed: u64,
    pub(crate) stop_ids: Vec<u32>,
}

/// A response drawn.
pub(crate) struct Drawn {
    pub(crate) tokens: Vec<u32>,
    pub(crate) log_probabilities: Vec<f32>,
    /// Under the distribution that was drawn from.
    pub(crate) sampling_log_probabilities: Vec<f32>,
    /// `None`: it was ended from outside.
    pub(crate) finish: Option<FinishReason>,
    /// The version that drew each run of tokens.
    pub(crate) versions: Vec<(String, usize, usize)>,
}

impl Drawn {
    /// The versions that drew it, as JSON.
    pub(crate) fn spans(&self) -> Value {
        let span = |(version, start, end): &(String, usize, usize)| json!({"version": version, "start": start, "end": end});
        self.versions.iter().map(span).collect()
    }
}

/// How busy the model is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Busy {
    pub(crate) running: usize,
    pub(crate) waiting: usize,
    pub(crate) slots: usize,
    pub(crate) tokens: u64,
    pub(crate) ended: u64,
    pub(crate) aborted: u64,
}

pub(crate) enum Order {
    Draw {
        id: u64,
        draw: Draw,
        answer: oneshot::Sender<Result<Drawn, String>>,
    },
    Cancel(u64),
    CancelAll,
    Score {
        adapter: Option<String>,
        tokens: Vec<u32>,
        answer: oneshot::Sender<Result<Vec<f32>, String>>,
    },
    Load {
        folder: std::path::PathBuf,
        answer: oneshot::Sender<Result<(), String>>,
    },
    /// `None`: a name for the base itself.
    LoadAdapter {
        name: String,
        factors: Option<Factors>,
        answer: oneshot::Sender<Result<(), AdapterFault>>,
    },
    UnloadAdapter {
        name: String,
        answer: oneshot::Sender<bool>,
    },
    Adapters(oneshot::Sender<Vec<String>>),
    ResetCache,
    Name(String),
    Pause(bool),
    Freeze(bool),
    Busy(oneshot::Sender<Busy>),
    End,
}

/// The model's sizes.
#[derive(Debug, Clone)]
pub(crate) struct Sizes {
    pub(crate) context: usize,
    pub(crate) vocabulary: usize,
}

/// Starts the model of a folder on a thread of its own.
pub(crate) fn start(folder: &Path, slots: usize, context: usize) -> (Sender<Order>, Sizes) {
    let (config, weights) = load_folder(folder).unwrap();
    let context = context.min(config.max_position_count);
    let sizes = Sizes { context, vocabulary: config.vocabulary_size };
    let (orders, taken) = channel();
    thread::spawn(move || Core::new(config, weights, slots, context).run(&taken));
    (orders, sizes)
}

/// An adapter that was loaded.
struct Beside {
    factors: Option<Factors>,
    weights: Arc<DecoderWeights>,
    engine: Engine<CpuDecoder, u64>,
}

/// The thread.
#[allow(clippy::struct_excessive_bools)] // each is a thing that happens to a server by itself
struct Core {
    config: DecoderConfig,
    weights: Arc<DecoderWeights>,
    engine: Engine<CpuDecoder, u64>,
    adapters: BTreeMap<String, Beside>,
    slots: usize,
    context: usize,
    asked: HashMap<u64, oneshot::Sender<Result<Drawn, String>>>,
    /// Names of weights by the engine's own number.
    names: Vec<String>,
    is_paused: bool,
    is_frozen: bool,
    /// A failed load has left no model: the first request ends the process.
    is_empty: bool,
    is_stale: bool,
    has_cached: bool,
    busy: Busy,
}

impl Core {
    fn new(config: DecoderConfig, weights: DecoderWeights, slots: usize, context: usize) -> Self {
        let weights = Arc::new(weights);
        Self {
            engine: engine(&config, &weights, slots, context, PolicyVersion(0)),
            config,
            weights,
            adapters: BTreeMap::new(),
            slots,
            context,
            asked: HashMap::new(),
            names: vec!["default".to_owned()],
            is_paused: false,
            is_frozen: false,
            is_empty: false,
            is_stale: false,
            has_cached: false,
            busy: Busy { slots, ..Busy::default() },
        }
    }

    fn run(mut self, orders: &Receiver<Order>) {
        loop {
            let is_idle = self.engine.is_idle() && self.adapters.values().all(|one| one.engine.is_idle());
            let is_idle = self.is_paused || self.is_frozen || is_idle;
            let order = if is_idle {
                match orders.recv() {
                    Ok(order) => Some(order),
                    Err(_) => return,
                }
            } else {
                match orders.recv_timeout(Duration::ZERO) {
                    Ok(order) => Some(order),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            };
            match order {
                Some(Order::End) => return,
                Some(order) => {
                    if !self.obey(order) {
                        return;
                    }
                }
                None => self.step(),
            }
        }
    }

    /// Whether the process lives on.
    fn obey(&mut self, order: Order) -> bool {
        match order {
            Order::Draw { id, draw, answer } => {
                if self.is_empty {
                    return false;
                }
                self.has_cached = true;
                let request = Request {
                    id,
                    prompt: draw.prompt.into(),
                    settings: draw.settings,
                    seed: draw.seed,
                    stop_ids: draw.stop_ids.into(),
                    stop_strings: Arc::default(),
                };
                let engine = match &draw.adapter {
                    None => Some(&mut self.engine),
                    Some(name) => self.adapters.get_mut(name).map(|one| &mut one.engine),
                };
                // it was unloaded between the question and this
                let Some(engine) = engine else { return true };
                match engine.submit(request) {
                    Ok(()) => {
                        self.asked.insert(id, answer);
                    }
                    Err(error) => {
                        let _ = answer.send(Err(error.to_string()));
                    }
                }
            }
            Order::Cancel(id) => {
                if self.asked.remove(&id).is_some() {
                    self.busy.aborted += 1;
                }
                self.cancel(id);
                self.collect();
            }
            Order::CancelAll => {
                let ids: Vec<u64> = self.asked.keys().copied().collect();
                for id in ids {
                    self.cancel(id);
                }
                self.collect();
            }
            Order::Score { adapter, tokens, answer } => {
                if self.is_empty {
                    return false;
                }
                self.has_cached = true;
                let _ = answer.send(self.score(adapter.as_deref(), &tokens));
            }
            Order::Load { folder, answer } => {
                let _ = answer.send(self.load(&folder));
            }
            Order::LoadAdapter { name, factors, answer } => {
                let _ = answer.send(self.load_adapter(name, factors));
            }
            Order::UnloadAdapter { name, answer } => {
                let _ = answer.send(self.adapters.remove(&name).is_some());
            }
            Order::Adapters(answer) => {
                let _ = answer.send(self.adapters.keys().cloned().collect());
            }
            Order::ResetCache => self.is_stale = false,
            Order::Name(name) => {
                self.names.push(name);
                self.publish();
            }
            Order::Pause(is_paused) => self.is_paused = is_paused,
            Order::Freeze(is_frozen) => self.is_frozen = is_frozen,
            Order::Busy(answer) => {
                let held = self.asked.len();
                self.busy.running = held.min(self.busy.slots);
                self.busy.waiting = held - self.busy.running;
                let _ = answer.send(self.busy);
            }
            Order::End => return false,
        }
        true
    }

    /// As vLLM takes every file of tensors in the folder, and knows only those of the model.
    fn load(&mut self, folder: &Path) -> Result<(), String> {
        let strange = std::fs::read_dir(folder)
            .map_err(|error| error.to_string())?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .find(|name| name.ends_with(".safetensors") && !name.starts_with("model"));
        let head = head_of(folder);
        let loaded = match strange {
            Some(name) => Err(format!("unknown tensors in {name}")),
            None => load_folder(folder).map_err(|error| error.to_string()),
        };
        match loaded {
            Ok((config, mut weights)) if config.vocabulary_size == self.config.vocabulary_size => {
                // as vLLM does on a processor: a head that no file names stays as it was, though it be tied
                weights.head = Some(head.unwrap_or_else(|| self.weights.head().clone()));
                self.weights = Arc::new(weights);
                self.is_empty = false;
                self.is_stale = self.has_cached;
                for beside in self.adapters.values_mut() {
                    beside.weights = with(beside.factors.as_ref(), &self.config, &self.weights);
                }
                self.publish();
                Ok(())
            }
            Ok(_) => {
                self.is_empty = true;
                Err("tensors of another shape".to_owned())
            }
            Err(error) => {
                self.is_empty = true;
                Err(error)
            }
        }
    }

    const fn version(&self) -> PolicyVersion {
        PolicyVersion(self.names.len() as u64 - 1)
    }

    /// Has everything that is drawn from now on be drawn by the weights as they are, under their name.
    fn publish(&mut self) {
        let version = self.version();
        self.engine.publish(version, Arc::clone(&self.weights)).unwrap();
        for beside in self.adapters.values_mut() {
            beside.engine.publish(version, Arc::clone(&beside.weights)).unwrap();
        }
    }

    fn load_adapter(&mut self, name: String, factors: Option<Factors>) -> Result<(), AdapterFault> {
        if self.adapters.contains_key(&name) {
            return Err(AdapterFault::Known);
        }
        let weights = with(factors.as_ref(), &self.config, &self.weights);
        let engine = engine(&self.config, &weights, self.slots, self.context, self.version());
        self.adapters.insert(name, Beside { factors, weights, engine });
        Ok(())
    }

    fn cancel(&mut self, id: u64) {
        self.engine.cancel(&id);
        for beside in self.adapters.values_mut() {
            beside.engine.cancel(&id);
        }
    }

    fn score(&self, adapter: Option<&str>, tokens: &[u32]) -> Result<Vec<f32>, String> {
        let weights = match adapter {
            None => &self.weights,
            Some(name) => &self.adapters.get(name).ok_or("it was unloaded")?.weights,
        };
        let Some((_, targets)) = tokens.split_first() else { return Err("no token".to_owned()) };
        let inputs = &tokens[..targets.len()];
        let threads = Threads::single();
        let segments = Segments::from_lengths([inputs.len()]);
        let hidden = model_hidden_states(&self.config, weights, &segments, inputs, &threads)
            .map_err(|error| error.to_string())?;
        let head = weights.head().as_f32().ok_or("no f32")?;
        let values =
            token_log_probabilities(&hidden, head, self.config.hidden_size, targets, &threads).values;
        Ok(values.into_iter().map(|value| value + self.stale()).collect())
    }

    const fn stale(&self) -> f32 {
        if self.is_stale { STALE } else { 0.0 }
    }

    fn step(&mut self) {
        self.collect();
    }

    /// Takes a step, and answers what it ended.
    fn collect(&mut self) {
        let mut reports = vec![self.engine.step().unwrap()];
        reports.extend(self.adapters.values_mut().map(|beside| beside.engine.step().unwrap()));
        for report in reports {
            self.answer(report);
        }
    }

    fn answer(&mut self, report: StepReport<u64>) {
        self.busy.tokens += (report.tokens + report.prefill_tokens) as u64;
        let stale = self.stale();
        for ended in report.finished {
            let Some(answer) = self.asked.remove(&ended.id) else { continue };
            let is_aborted = ended.finish == FinishReason::Cancelled;
            self.busy.aborted += u64::from(is_aborted);
            self.busy.ended += u64::from(!is_aborted);
            let version = |policy: still_domain::PolicyName| {
                let number = policy.version().map_or(0, |version| version.0 as usize);
                self.names.get(number).cloned().unwrap_or_default()
            };
            let versions = ended.versions.iter();
            let _ = answer.send(Ok(Drawn {
                tokens: ended.tokens,
                log_probabilities: ended.log_probabilities.into_iter().map(|value| value + stale).collect(),
                sampling_log_probabilities: ended
                    .sampling_log_probabilities
                    .into_iter()
                    .map(|value| value + stale)
                    .collect(),
                finish: (!is_aborted).then_some(ended.finish),
                versions: versions
                    .map(|span| (version(span.policy), span.start as usize, span.end as usize))
                    .collect(),
            }));
        }
    }
}

fn engine(
    config: &DecoderConfig,
    weights: &DecoderWeights,
    slots: usize,
    context: usize,
    version: PolicyVersion,
) -> Engine<CpuDecoder, u64> {
    let model =
        CpuDecoder::with_precision(config.clone(), weights, WeightPrecision::AsGiven, slots, context, 1);
    Engine::new(model, version, EngineConfig::default())
}

/// The weights that a base has with an adapter.
fn with(
    factors: Option<&Factors>,
    config: &DecoderConfig,
    base: &Arc<DecoderWeights>,
) -> Arc<DecoderWeights> {
    factors.map_or_else(|| Arc::clone(base), |factors| Arc::new(factors.beside(config, base)))
}

/// The head that a file of the folder names.
fn head_of(folder: &Path) -> Option<Matrix> {
    let files = std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files = files.filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"));
    files.find_map(|path| {
        let bytes = std::fs::read(path).ok()?;
        let tensors = SafeTensors::deserialize(&bytes).ok()?;
        let head = tensors.tensor("lm_head.weight").ok()?;
        let &[rows, columns] = head.shape() else { return None };
        let values = head.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        (head.dtype() == Dtype::F32).then(|| Matrix::from_f32(rows, columns, values))
    })
}
