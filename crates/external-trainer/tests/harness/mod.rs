//! A run's model, a store of checkpoints, and trainers that are scripts of the shell.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, dead_code, unreachable_pub)]

use std::{
    collections::BTreeMap,
    fs,
    ops::Range,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver},
    },
    time::Duration,
};

use still_decoder::{
    DecoderConfig, DecoderWeights,
    hugging_face::{DEFAULT_MAX_SHARD_BYTES, Precision, save_folder},
};
use still_domain::{Algorithm, CheckpointId, Recipe, RoundNumber, Statement, TrainingSetId};
use still_external_trainer::ExternalTrainer;
use still_library::{BaseModel, PolicyLibrary};
use still_process::Turns;
use still_recipe::{LearnerSettings, TrainingCommand, TrainingEngine, TrainingSection};
use still_roles::{
    CheckpointStore, EventSink, Example, ExamplesInMemory, PreferenceExample, Response, SavedCheckpoint,
    SftExample, TrainingEvent, TrainingFailure, TrainingJob, TrainingRun,
};
use still_text::{Tokenizer, thought};
use still_training_data::{EncodedExample, ExampleEncoder};

/// Far more than anything here takes; a test that waits this long has found a hang.
const PATIENCE: Duration = Duration::from_mins(2);

/// What every script begins with.
const PRELUDE: &str = r#"#!/bin/sh
starts="$STILL_JOB/starts"
echo "${STILL_RESUME:-anew}" >> "$starts"
start=$(wc -l < "$starts")
say() { printf '%s\n' "$1"; }
progress() { say '{"event":"progress","step":'"$1"',"of":6,"loss":2.5,"gradient_norm":1.0,"learning_rate":1e-3,"tokens":40}'; }
checkpoint() {
    mkdir -p "$STILL_JOB/checkpoints/step-$1"
    echo "state after $1" > "$STILL_JOB/checkpoints/step-$1/state"
    printf '{"step":%s}' "$1" > "$STILL_JOB/checkpoints/step-$1/complete.json"
    say '{"event":"checkpoint","folder":"checkpoints/step-'"$1"'","step":'"$1"'}'
}
bring() {
    mkdir -p "$STILL_JOB/output"
    cp "$1"/* "$STILL_JOB/output"
    echo '{}' > "$STILL_JOB/output/complete.json"
    say '{"event":"done"}'
}
"#;

/// A tokenizer as the run's model uses it.
struct Encoder(Tokenizer);

impl ExampleEncoder for Encoder {
    fn encode(&self, problem: &Statement, response: &Response) -> Result<EncodedExample, String> {
        let Response::Text(text) = response else { panic!("texts alone") };
        let mut tokens = self.0.encode(problem, false).map_err(|error| error.to_string())?;
        let prompt_tokens = tokens.len();
        tokens.extend(self.0.encode(text, false).map_err(|error| error.to_string())?);
        tokens.extend(self.0.end_id());
        Ok(EncodedExample { tokens, prompt_tokens })
    }

    fn thought(&self, response: &[u32]) -> Option<Range<usize>> {
        let decoded = self.0.decode_with_ends(response).ok()?;
        let span = thought::parse(decoded.text.trim_end_matches("<eos>")).ok()?.thought_span;
        Some(decoded.tokens_of(span))
    }

    fn save(&self, folder: &Path) -> Result<(), String> {
        self.0.save(folder).map_err(|error| error.to_string())
    }
}

/// Checkpoints in a folder.
struct Checkpoints {
    root: PathBuf,
    committed: Mutex<Vec<SavedCheckpoint>>,
}

impl CheckpointStore for Checkpoints {
    fn newest_first(&self) -> Result<Vec<CheckpointId>, TrainingFailure> {
        let committed = self.committed.lock().unwrap();
        Ok(committed.iter().rev().map(|one| id_of(one.step)).collect())
    }

    fn damage(&self, _: &CheckpointId) -> Result<Option<String>, TrainingFailure> {
        Ok(None)
    }

    fn begin(&self, step: u64) -> Result<PathBuf, TrainingFailure> {
        let folder = self.pending(step);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Ok(folder)
    }

    fn commit(&self, saved: SavedCheckpoint) -> Result<CheckpointId, TrainingFailure> {
        let id = id_of(saved.step);
        let _ = fs::remove_dir_all(self.folder(&id));
        fs::rename(self.pending(saved.step), self.folder(&id)).unwrap();
        let mut committed = self.committed.lock().unwrap();
        committed
            .retain(|one| one.step != saved.step && saved.went_back_to.is_none_or(|step| one.step <= step));
        committed.push(saved);
        Ok(id)
    }

    fn folder(&self, id: &CheckpointId) -> PathBuf {
        self.root.join(id.as_str())
    }
}

impl Checkpoints {
    fn pending(&self, step: u64) -> PathBuf {
        self.root.join(format!("pending-{step}"))
    }
}

fn id_of(step: u64) -> CheckpointId {
    CheckpointId::new(format!("step-{step}"))
}

/// A run with a model in a folder and a script that trains.
pub struct Bench {
    pub folder: tempfile::TempDir,
    pub settings: TrainingSection,
    pub turns: Option<Turns>,
    checkpoints: Arc<Checkpoints>,
    config: DecoderConfig,
}

/// A training run that is open, and what it tells.
pub struct Open {
    pub run: Option<Box<dyn TrainingRun>>,
    pub events: Receiver<TrainingEvent>,
}

impl Bench {
    /// The script stands after [`PRELUDE`]; `$base` is the folder of the run's model.
    pub fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let config = config();
        write_model(&root.join("base"), &config, 7);
        let program = root.join("trainer");
        let base = root.join("base");
        fs::write(&program, format!("{PRELUDE}base='{}'\n{script}", base.display())).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(root.join("checkpoints")).unwrap();
        fs::create_dir(root.join("training")).unwrap();
        let improvement = LearnerSettings {
            steps: 6,
            batch_sequences: 2,
            warm_up_fraction: 0.5,
            ..LearnerSettings::default()
        };
        let command = TrainingCommand {
            program: program.to_string_lossy().into_owned(),
            arguments: vec!["{job}".to_owned()],
            environment: BTreeMap::from([("COLOUR".to_owned(), "green".to_owned())]),
            backoff_seconds: 0,
            ..TrainingCommand::default()
        };
        let settings = TrainingSection {
            engine: TrainingEngine::Command,
            command,
            preference: improvement.clone(),
            improvement,
            ..TrainingSection::default()
        };
        let checkpoints =
            Arc::new(Checkpoints { root: root.join("checkpoints"), committed: Mutex::default() });
        Self { folder, settings, turns: None, checkpoints, config }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Another model folder, for scripts to bring.
    pub fn model(&self, name: &str, change: impl FnOnce(&mut DecoderConfig)) -> PathBuf {
        let mut config = self.config.clone();
        change(&mut config);
        let folder = self.path(name);
        write_model(&folder, &config, 8);
        folder
    }

    pub fn open(&self) -> Open {
        let weights = Arc::new(DecoderWeights::random(&self.config, 7));
        let base = BaseModel::in_memory(Some(self.path("base")), weights);
        let checkpoints = self.path("checkpoints");
        let library = PolicyLibrary::new(
            base,
            move |id| checkpoints.join(id.as_str()),
            |_| Err("nothing is read here".to_owned()),
        );
        let tokenizer = Tokenizer::quick_start().unwrap();
        let trainer = ExternalTrainer {
            settings: self.settings.clone(),
            root: self.path("training"),
            config: self.config.clone(),
            library: Arc::new(library),
            encoder: Arc::new(Encoder(tokenizer.clone())),
            tokenizer,
            merge: Arc::new(|_, _| Err("no adapter is expected".to_owned())),
            turns: self.turns.clone(),
            threads: 1,
        };
        let (tell, events) = mpsc::channel();
        let sink = EventSink::new(move |event| {
            let _the_test_is_over = tell.send(event);
        });
        let mut open = Open { run: Some(trainer.factory("trainer").open(sink).unwrap()), events };
        assert_eq!(open.next(), TrainingEvent::Ready);
        open
    }

    pub fn job(&self, objective: Algorithm) -> TrainingJob {
        let text = |thought: &str| {
            let text = format!(
                "<|begin_of_thought|>{thought}<|end_of_thought|><|begin_of_solution|>6<|end_of_solution|>"
            );
            Response::Text(text)
        };
        let example = |number: usize| match objective {
            Algorithm::Sft => Example::Sft(SftExample {
                problem: format!("{number}*2=").into(),
                response: text(&format!("{number}+{number}")),
            }),
            Algorithm::Dpo => Example::Preference(PreferenceExample {
                problem: format!("{number}*2=").into(),
                chosen: text(&format!("{number}+{number};{number}")),
                rejected: text(&format!("{number}-{number}")),
            }),
        };
        TrainingJob {
            round: RoundNumber(3),
            training_set: TrainingSetId::new("set"),
            legacy_training_set: None,
            recipe: Recipe::Improvement,
            objective,
            examples: Arc::new(ExamplesInMemory((0..5).map(example).collect())),
            start: None,
            seed: u64::MAX,
            checkpoint_every_steps: 2,
            checkpoints: Arc::clone(&self.checkpoints) as Arc<dyn CheckpointStore>,
        }
    }

    /// The folder of the only job.
    pub fn job_folder(&self) -> PathBuf {
        let mut folders = fs::read_dir(self.path("training")).unwrap();
        let folder = folders.next().unwrap().unwrap().path();
        assert!(folders.next().is_none(), "one job has one folder");
        folder
    }

    /// What each start of the trainer was told to go on from.
    pub fn starts(&self) -> Vec<String> {
        let text = fs::read_to_string(self.job_folder().join("starts")).unwrap();
        let name = |line: &str| line.rsplit('/').next().unwrap().to_owned();
        text.lines().map(name).collect()
    }

    pub fn committed(&self) -> Vec<SavedCheckpoint> {
        self.checkpoints.committed.lock().unwrap().clone()
    }
}

impl Open {
    /// The next event but signs of life.
    pub fn next(&mut self) -> TrainingEvent {
        loop {
            match self.events.recv_timeout(PATIENCE).expect("an event within minutes") {
                TrainingEvent::Alive | TrainingEvent::Advanced { .. } => {}
                event => return event,
            }
        }
    }

    /// All events up to the first that `is_last`, which is the last of them.
    pub fn until(&mut self, is_last: impl Fn(&TrainingEvent) -> bool) -> Vec<TrainingEvent> {
        let mut seen = Vec::new();
        loop {
            let event = self.next();
            assert!(
                is_last(&event) || !matches!(event, TrainingEvent::Failed(_)),
                "{event:?} after {seen:?}"
            );
            seen.push(event);
            if is_last(seen.last().unwrap()) {
                return seen;
            }
        }
    }

    /// All events up to the end of the job.
    pub fn whole_job(&mut self) -> Vec<TrainingEvent> {
        self.until(|event| matches!(event, TrainingEvent::Done { .. } | TrainingEvent::Refused { .. }))
    }

    pub fn run(&mut self) -> &mut dyn TrainingRun {
        self.run.as_deref_mut().unwrap()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(run) = self.run.take() {
            run.end();
        }
    }
}

pub fn warnings(events: &[TrainingEvent]) -> String {
    let warnings = events.iter().filter_map(|event| match event {
        TrainingEvent::Warning(message) => Some(message.as_str()),
        _ => None,
    });
    warnings.collect::<Vec<_>>().join("\n")
}

/// Whether a process is there and no zombie.
pub fn lives(id: &str) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{}/stat", id.trim())) else { return false };
    !status.rsplit(')').next().unwrap().trim_start().starts_with('Z')
}

fn write_model(folder: &Path, config: &DecoderConfig, seed: u64) {
    let weights = DecoderWeights::random(config, seed);
    save_folder(folder, config, &weights, Precision::F32, DEFAULT_MAX_SHARD_BYTES).unwrap();
    Tokenizer::quick_start().unwrap().save(folder).unwrap();
}

fn config() -> DecoderConfig {
    let json = serde_json::json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 16,
        "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 1, "vocab_size": 26, "rms_norm_eps": 1e-5, "max_position_embeddings": 256,
        "hidden_act": "silu", "rope_theta": 10000.0, "tie_word_embeddings": true
    });
    DecoderConfig::from_hugging_face(&json).unwrap()
}
