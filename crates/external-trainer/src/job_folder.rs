//! What is to be trained, as files: the folder that a trainer is handed.
//!
//! | file or folder | what it holds |
//! |---|---|
//! | `job.json` | the job: what it starts from, how it trains, where its data is, with hashes; written last |
//! | `examples.jsonl` | an example a line: tokens, which of them the loss covers, texts |
//! | `steps.jsonl` | an optimizer step a line: its examples and its learning rate |
//! | `checkpoints/` | where the trainer puts checkpoints |
//! | `output/` | where it puts the trained model |
//! | `checkpoint-request` | is there while a checkpoint is asked for; the trainer removes it |
//! | `trainer.log` | what the trainer says |
//!
//! A folder is named by its round and by the fingerprint of its job, so that a daemon that comes up again finds it. Its
//! files are written aside, synced and renamed.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use still_domain::{Algorithm, Recipe, RoundNumber, fingerprint::NamedFields};
use still_recipe::{DpoSettings, LearnerSettings, LoraSettings, Precision, TrainingSection};
use still_roles::{SourceError, TrainingJob};
use still_text::Tokenizer;
use still_training_data::{
    DataError, DataOrder, EncodingRules, ExampleEncoder, Examples, JobVersion, Sequence, encode_all, identity,
};
use thiserror::Error;

/// The version of the folder's layout.
pub(crate) const FORMAT: u32 = 1;
/// Says that the folder that it is in is complete.
pub(crate) const COMPLETE_FILE: &str = "complete.json";
/// What is hashed, and the version of that.
const CONTEXT: &str = "still external training job 1";
const JOB_FILE: &str = "job.json";
const EXAMPLES_FILE: &str = "examples.jsonl";
const STEPS_FILE: &str = "steps.jsonl";
const REQUEST_FILE: &str = "checkpoint-request";
/// Folders of earlier jobs that are kept, for their logs and data.
const KEPT_JOBS: usize = 3;
/// Sequences that the trained model is asked about before it is a candidate.
const PROBES: usize = 4;

/// Why a job cannot be handed out.
#[derive(Debug, Error)]
pub(crate) enum FolderError {
    /// It can never be trained.
    #[error("{0}")]
    Refused(String),
    /// The disk fails, or the set cannot be read.
    #[error("{0}")]
    Disk(String),
}

/// A job's folder, with its files in place.
#[derive(Debug)]
pub(crate) struct JobFolder {
    path: PathBuf,
    file: JobFile,
    probes: Vec<Sequence>,
}

/// `job.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct JobFile {
    format: u32,
    /// The fingerprint.
    job: String,
    round: RoundNumber,
    recipe: Recipe,
    objective: Algorithm,
    seed: u64,
    /// The Hugging Face folder that training starts from; preferences are compared with it too.
    base: PathBuf,
    examples: DataFile,
    steps: DataFile,
    /// Examples of the set that were longer than `hyperparameters.max_sequence_tokens`.
    left_out: usize,
    hyperparameters: LearnerSettings,
    precision: Precision,
    micro_batch_tokens: u32,
    recompute_activations: bool,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    dpo: Option<DpoSettings>,
    /// Adapters to train instead of all parameters.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    lora: Option<LoraSettings>,
    padding_token: u32,
    checkpoint_every_steps: u64,
    checkpoints: PathBuf,
    output: PathBuf,
    checkpoint_request: PathBuf,
}

/// A file of data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct DataFile {
    file: PathBuf,
    /// Its lines.
    count: u64,
    sha256: String,
}

/// What a folder is made of.
pub(crate) struct Contents<'a> {
    pub(crate) root: &'a Path,
    pub(crate) job: &'a TrainingJob,
    pub(crate) settings: &'a TrainingSection,
    pub(crate) encoder: &'a dyn ExampleEncoder,
    pub(crate) tokenizer: &'a Tokenizer,
    /// Positions that the model has.
    pub(crate) positions: usize,
    /// The folder of the policy that training starts from.
    pub(crate) base: PathBuf,
}

impl JobFolder {
    /// Writes a job's folder, or finds it as it was written, and removes those of jobs long before. Gives as well how
    /// many examples were left out. Blocks.
    ///
    /// # Errors
    /// When the job can never be trained, or the disk fails.
    pub(crate) fn prepare(contents: &Contents<'_>) -> Result<Self, FolderError> {
        let Contents { root, job, settings, encoder, tokenizer, positions, base } = contents;
        let [version, ..] = JobVersion::ALL;
        let hyperparameters = version.settings(job, settings);
        let limit = EncodingRules::longest(hyperparameters.max_sequence_tokens, *positions);
        let rules = EncodingRules {
            limit,
            span: settings.dpo.span,
            compares_like_with_like: version.compares_like_with_like(),
        };
        let (examples, left_out) = encode_all(*encoder, &*job.examples, job.objective, rules)?;
        if examples.is_empty() {
            let reason = format!("no example is left of {left_out} once those over {limit} tokens are out");
            return Err(FolderError::Refused(reason));
        }
        let lora = (settings.lora.rank > 0).then(|| settings.lora.clone());
        let dpo = (job.objective == Algorithm::Dpo).then(|| settings.dpo.clone());
        let name = fingerprint(job, settings, hyperparameters, &examples);
        let short = name.get(..16).unwrap_or(&name);
        let path = root.join(format!("round-{}-{short}", job.round));
        let disk = |error: io::Error| FolderError::Disk(format!("`{}`: {error}", path.display()));
        fs::create_dir_all(path.join("checkpoints")).map_err(disk)?;
        let examples_file = write_lines(&path, EXAMPLES_FILE, |out| {
            (0..examples.len()).try_fold(0, |count, place| {
                write_line(out, &example_line(&examples, place, tokenizer)?).map(|()| count + 1)
            })
        });
        let steps_file = write_lines(&path, STEPS_FILE, |out| {
            let mut order = DataOrder::new(version, job.seed, examples.lengths(), hyperparameters);
            let total = order.total_steps(hyperparameters);
            (0..total).try_fold(0, |count, step| {
                let learning_rate = hyperparameters.learning_rate(step, total);
                let line =
                    json!({"step": step + 1, "examples": order.batch(step), "learning_rate": learning_rate});
                write_line(out, &line).map(|()| count + 1)
            })
        });
        let file = JobFile {
            format: FORMAT,
            job: name,
            round: job.round,
            recipe: job.recipe,
            objective: job.objective,
            seed: job.seed,
            base: base.clone(),
            examples: examples_file.map_err(disk)?,
            steps: steps_file.map_err(disk)?,
            left_out,
            hyperparameters: hyperparameters.clone(),
            precision: settings.precision,
            micro_batch_tokens: settings.micro_batch_tokens,
            recompute_activations: settings.recompute_activations,
            dpo,
            lora,
            padding_token: tokenizer.padding_id().or(tokenizer.end_id()).unwrap_or_default(),
            checkpoint_every_steps: job.checkpoint_every_steps,
            checkpoints: path.join("checkpoints"),
            output: path.join("output"),
            checkpoint_request: path.join(REQUEST_FILE),
        };
        let json = serde_json::to_vec_pretty(&file).map_err(io::Error::from).map_err(disk)?;
        replace(&path, JOB_FILE, |out| out.write_all(&json)).map_err(disk)?;
        remove_earlier(root, &path).map_err(disk)?;
        let probes = examples.sequences().into_iter().take(PROBES).cloned().collect();
        Ok(Self { path, file, probes })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The job's fingerprint.
    pub(crate) fn job(&self) -> &str {
        &self.file.job
    }

    /// Optimizer steps of the whole job.
    pub(crate) const fn total_steps(&self) -> u64 {
        self.file.steps.count
    }

    /// Examples of the set that are not among those to train on.
    pub(crate) const fn left_out(&self) -> usize {
        self.file.left_out
    }

    /// Where the trainer puts checkpoints.
    pub(crate) fn checkpoints(&self) -> &Path {
        &self.file.checkpoints
    }

    /// Where it puts the trained model.
    pub(crate) fn output(&self) -> &Path {
        &self.file.output
    }

    /// Where its log is.
    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("trainer.log")
    }

    /// Sequences to ask the trained model about.
    pub(crate) fn probes(&self) -> &[Sequence] {
        &self.probes
    }

    /// Asks the trainer for a checkpoint.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn request_checkpoint(&self) -> io::Result<()> {
        File::create(&self.file.checkpoint_request).map(drop)
    }

    /// Takes the request back: nobody waits for a checkpoint.
    pub(crate) fn withdraw_request(&self) {
        // the trainer may have taken it up
        let _ = fs::remove_file(&self.file.checkpoint_request);
    }

    /// Removes what a start left in `output`, unless it is complete.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn clear_output(&self) -> io::Result<()> {
        remove_folder(self.output())
    }

    /// Removes the data of a job that is over; what it said and was told stays, for those who look.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn finish(&self) -> io::Result<()> {
        self.clear_output()?;
        remove_folder(self.checkpoints())
    }

    /// Whether the trainer has said, by a file, that its output is complete.
    pub(crate) fn has_output(&self) -> bool {
        self.output().join(COMPLETE_FILE).is_file()
    }
}

/// The name of a job: everything that its steps depend on.
fn fingerprint(
    job: &TrainingJob,
    settings: &TrainingSection,
    hyperparameters: &LearnerSettings,
    examples: &Examples,
) -> String {
    let mut hasher = Sha256::new();
    identity::visit_sequences(examples, |bytes| hasher.update(bytes));
    let start = job.start.as_ref().and_then(|start| start.checkpoint.as_ref());
    let mut fields = NamedFields::new(CONTEXT)
        .text("training_set", job.training_set.as_str())
        .number("seed", job.seed)
        .text("start", start.map_or("base", |checkpoint| checkpoint.as_str()))
        .record("job", &identity::settings(hyperparameters))
        .text("precision", identity::precision_name(settings.precision))
        .bytes("examples", &hasher.finalize());
    if job.objective == Algorithm::Dpo {
        fields = fields.record("dpo", &identity::preferences(&settings.dpo));
    }
    if settings.lora.rank > 0 {
        fields = fields.record("lora", &identity::adapters(&settings.lora));
    }
    fields.finish()
}

/// A line of `examples.jsonl`.
fn example_line(examples: &Examples, place: usize, tokenizer: &Tokenizer) -> io::Result<serde_json::Value> {
    let text = |tokens: &[u32]| tokenizer.decode(tokens).map_err(io::Error::other);
    let missing = || io::Error::other(format!("there is no example {place}"));
    let response = |sequence: &Sequence| -> io::Result<serde_json::Value> {
        let (_, tokens) = sequence.tokens.split_at(sequence.prompt_tokens);
        let target = &sequence.target;
        let covered = [target.start - sequence.prompt_tokens, target.end - sequence.prompt_tokens];
        Ok(json!({"text": text(tokens)?, "tokens": tokens, "loss": covered}))
    };
    let prompt = |sequence: &Sequence| -> io::Result<serde_json::Value> {
        let (tokens, _) = sequence.tokens.split_at(sequence.prompt_tokens);
        Ok(json!({"text": text(tokens)?, "tokens": tokens}))
    };
    match examples {
        Examples::Sft(sequences) => {
            let sequence = sequences.get(place).ok_or_else(missing)?;
            Ok(json!({"prompt": prompt(sequence)?, "response": response(sequence)?}))
        }
        Examples::Dpo(pairs) => {
            let (chosen, rejected) = pairs.get(place).ok_or_else(missing)?;
            Ok(
                json!({"prompt": prompt(chosen)?, "chosen": response(chosen)?, "rejected": response(rejected)?}),
            )
        }
    }
}

fn write_line(out: &mut dyn Write, line: &serde_json::Value) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

/// Writes a file of lines in place of one that was there.
fn write_lines(
    folder: &Path,
    name: &str,
    write: impl FnOnce(&mut dyn Write) -> io::Result<u64>,
) -> io::Result<DataFile> {
    let mut count = 0;
    replace(folder, name, |out| {
        count = write(out)?;
        Ok(())
    })?;
    let file = folder.join(name);
    let sha256 = hash(&file)?;
    Ok(DataFile { file, count, sha256 })
}

/// Writes a file aside, syncs it and renames it into place.
pub(crate) fn replace(
    folder: &Path,
    name: &str,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let aside = folder.join(format!(".{name}.part"));
    let mut out = BufWriter::new(File::create(&aside)?);
    write(&mut out)?;
    out.into_inner()?.sync_all()?;
    fs::rename(&aside, folder.join(name))?;
    File::open(folder)?.sync_all()
}

/// SHA-256 of a file, in hexadecimal.
fn hash(path: &Path) -> io::Result<String> {
    let (mut file, mut hasher, mut part) = (File::open(path)?, Sha256::new(), vec![0; 1 << 20]);
    loop {
        let count = file.read(&mut part)?;
        let Some(read) = part.get(..count).filter(|read| !read.is_empty()) else { break };
        hasher.update(read);
    }
    let digest = hasher.finalize();
    Ok(digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}")))
}

/// Removes the folders of jobs other than the newest few.
fn remove_earlier(root: &Path, present: &Path) -> io::Result<()> {
    let mut others: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        if path != present && path.join(JOB_FILE).is_file() {
            others.push((fs::metadata(path.join(JOB_FILE))?.modified()?, path));
        }
    }
    others.sort();
    let gone = others.len().saturating_sub(KEPT_JOBS);
    others.iter().take(gone).try_for_each(|(_, path)| remove_folder(path))
}

/// Removes a folder; one that is not there is no error.
pub(crate) fn remove_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl From<DataError> for FolderError {
    fn from(error: DataError) -> Self {
        match error {
            DataError::Refused(reason) => Self::Refused(reason),
            DataError::Source(SourceError(reason)) => Self::Disk(reason),
        }
    }
}
