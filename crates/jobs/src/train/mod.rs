//! `stilld train`: a model on a file, outside of any round.
//!
//! | in the output folder | what it holds |
//! |---|---|
//! | `train.lock` | held while a training writes here |
//! | `checkpoints/step-N` | everything to go on from step N, the policy as a Hugging Face folder, and `manifest.json` with the hash of every file |
//! | `training` | what a command was given to train, where `training.engine = "command"` |
//! | `loss.jsonl`, `loss.svg` | the loss of every step, as numbers and as a picture |
//! | `adapter` | trained adapters in PEFT's layout, where `[training.lora]` asks for them and no `--adapter` was merged in before; those of checkpoints likewise |
//! | the rest | the trained policy as a Hugging Face folder, adapters merged in, once all steps are taken |

#[cfg(feature = "dashboard")]
mod charts;
mod examples;
mod losses;
mod output;
mod output_folder;
mod plot;
mod progress;
mod training_file;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{self, Sender},
    },
};

use still_control::{Exit, Failure, OrExit};
use still_decoder::hugging_face::{DEFAULT_MAX_SHARD_BYTES, Precision, save_folder};
use still_domain::{Algorithm, PolicyRef, Recipe, RoundNumber};
use still_library::Weights;
use still_machine::{Model, prompter, training};
use still_operator::{
    cli::{ModelArguments, TrainArguments, TrainCommand, WrittenPrecision},
    config::{Config, PromptStyle},
    signals::{EndSignals, exit_at_once},
};
use still_roles::{
    EventSink, ExamplesInMemory, TrainingEvent, TrainingFailure, TrainingJob, TrainingPlan, TrainingRun,
};
use still_text::Prompter;
use tokio::runtime::Runtime;

use self::{
    examples::{Prompts, RenderedPrompts, read_examples},
    losses::Losses,
    output::Checkpoints,
    output_folder::OutputFolder,
    progress::Progress,
};

/// The folder of trained adapters inside the output folder and inside a checkpoint's.
const ADAPTER: &str = "adapter";
/// The folder of what a command is to train, inside the output folder.
const TRAINING: &str = "training";
/// The round that a training outside of any is said to be of; its checkpoints are named without it.
const NO_ROUND: RoundNumber = RoundNumber(1);

/// What comes to the training of a file.
enum Happening {
    /// The training run reported something.
    Told(TrainingEvent),
    /// A signal asked for the end.
    Interrupted,
}

/// Trains on the file; the first signal ends it with a checkpoint, the second at once.
pub fn train(command: &TrainCommand, config: &Config) -> Result<Exit, Failure> {
    let (objective, arguments) = match command {
        TrainCommand::Sft(arguments) => (Algorithm::Sft, arguments),
        TrainCommand::Dpo(arguments) => (Algorithm::Dpo, arguments),
    };
    // before anything is written there
    let _held = OutputFolder::take(&arguments.out)?;
    let checkpoints = Checkpoints::open(&arguments.out, arguments.resume, config.checkpoints.keep_last)?;
    let (happen, happenings) = mpsc::channel();
    let (_interruption, keys) = (Interruption::watch(happen.clone())?, happen.clone());
    let model = Model::from_arguments(&arguments.model)?;
    let mut prompts = Prompts::new(asked(&model, config)?);
    let job = job(objective, arguments, config.checkpoints.every_steps, &mut prompts, checkpoints)?;
    let checkpoints = Arc::clone(&job.checkpoints);
    let library = Arc::new(model.library(move |checkpoint| checkpoints.folder(checkpoint)));
    let encoder = Arc::new(RenderedPrompts::new(prompts));
    let training = training(config, &model, &library, encoder, arguments.out.join(TRAINING), None)?;
    let events = EventSink::new(move |event| {
        let _has_ended = happen.send(Happening::Told(event));
    });
    let mut run = training.open(events).or_exit(Exit::Internal)?;
    run.start(job);
    let mut watched = Watched { objective, folder: arguments.out.clone(), keys, begun: None };
    let ended = happenings
        .iter()
        .find_map(|happening| watched.see(happening, &mut *run).transpose())
        .ok_or_else(|| Failure::new(Exit::Internal, "training ended without a word"))??;
    run.end();
    match ended {
        Ended::Halted => Ok(Exit::Interrupted),
        Ended::Done(policy, checkpoint) => {
            watched.refuse_nothing()?;
            let weights = library.host_weights(&policy).or_exit(Exit::Store)?;
            save_policy(&weights, arguments.precision, &checkpoint, &model, &arguments.out)?;
            eprintln!("the trained model is in `{}`", arguments.out.display());
            Ok(Exit::Success)
        }
    }
}

/// What asks the problems of a file. A model without a chat template has learnt from plain problems.
fn asked(model: &Model, config: &Config) -> Result<Prompter, Failure> {
    let mut task = config.task.clone();
    if model.tokenizer.chat_template().is_none() {
        task.prompt = PromptStyle::Raw;
    }
    prompter(model, &task, None)
}

fn job(
    objective: Algorithm,
    arguments: &TrainArguments,
    checkpoint_every_steps: u64,
    prompts: &mut Prompts,
    checkpoints: Checkpoints,
) -> Result<TrainingJob, Failure> {
    let examples = read_examples(objective, arguments, prompts)?;
    let ModelArguments { model, adapter, .. } = &arguments.model;
    let start =
        adapter.as_ref().map_or_else(|| model.to_string(), |folder| format!("{model} {}", folder.display()));
    let training_set = training_file::name(objective, &examples, &start);
    // what there is to resume may have been begun by a program that called it so
    let legacy = || training_file::legacy_name(objective, &examples, &start);
    Ok(TrainingJob {
        round: NO_ROUND,
        legacy_training_set: arguments.resume.then(legacy),
        checkpoints: Arc::new(checkpoints.of(training_set.clone())),
        training_set,
        recipe: Recipe::Improvement,
        objective,
        examples: Arc::new(ExamplesInMemory(examples)),
        start: None,
        seed: arguments.seed,
        checkpoint_every_steps,
    })
}

/// How a training ended.
enum Ended {
    /// A signal ended it, with a checkpoint.
    Halted,
    /// The policy that it brought, and the folder of its final checkpoint.
    Done(PolicyRef, PathBuf),
}

/// A training as it is shown and written down.
struct Watched {
    objective: Algorithm,
    folder: PathBuf,
    /// Where a key goes that asks for the end.
    keys: Sender<Happening>,
    begun: Option<Begun>,
}

/// A training that has begun.
struct Begun {
    plan: TrainingPlan,
    step: u64,
    /// Steps of this life of the process, and those of them that were left out.
    tried: u64,
    left_out: u64,
    losses: Losses,
    progress: Progress,
}

impl Watched {
    /// Shows what happened; how the training ended, once it has.
    fn see(&mut self, happening: Happening, run: &mut dyn TrainingRun) -> Result<Option<Ended>, Failure> {
        let event = match happening {
            Happening::Interrupted => {
                run.halt();
                return Ok(None);
            }
            Happening::Told(event) => event,
        };
        match event {
            TrainingEvent::Begun { plan, resumed_from, .. } if self.begun.is_none() => {
                if let Some(folder) = resumed_from {
                    eprintln!("going on from `{}`", folder.display());
                }
                let losses = Losses::open(&self.folder, plan.resumed_step)?;
                let (step, progress) = (plan.resumed_step, Progress::begin(plan, self.objective, &self.keys));
                self.begun = Some(Begun { plan, step, tried: 0, left_out: 0, losses, progress });
            }
            TrainingEvent::Progress { step, .. } => {
                if let Some(begun) = &mut self.begun {
                    begun.step = step.step;
                    begun.tried += 1;
                    begun.left_out += u64::from(step.skipped);
                    if step.rolled_back {
                        begun.losses.go_back(step.step)?;
                    } else {
                        begun.losses.add(&step)?;
                    }
                    begun.progress.show(&step);
                }
            }
            TrainingEvent::Advanced { share } => {
                if let Some(begun) = &mut self.begun {
                    begun.progress.show_share(share);
                }
            }
            TrainingEvent::Warning(message) => {
                let line = format!("warning: {message}");
                match &mut self.begun {
                    Some(begun) => begun.progress.say(&line),
                    None => eprintln!("{line}"),
                }
            }
            TrainingEvent::Done { round, checkpoint, folder, loss: _ } => {
                self.end()?;
                return Ok(Some(Ended::Done(PolicyRef::candidate(round, checkpoint), folder)));
            }
            TrainingEvent::Halted => {
                self.end()?;
                if let Some(Begun { plan, step, .. }) = &self.begun {
                    eprintln!("stopped after step {step} of {}; go on with --resume", plan.total_steps);
                }
                return Ok(Some(Ended::Halted));
            }
            TrainingEvent::Refused { reason, .. } => {
                self.end()?;
                return Err(Failure::new(Exit::BadInput, reason));
            }
            TrainingEvent::Failed(TrainingFailure::Device(reason)) => {
                return Err(Failure::new(Exit::Device, reason));
            }
            TrainingEvent::Failed(TrainingFailure::Disk(reason)) => {
                return Err(Failure::new(Exit::Store, reason));
            }
            TrainingEvent::Ready
            | TrainingEvent::Alive
            | TrainingEvent::Begun { .. }
            | TrainingEvent::Checkpointed { .. }
            | TrainingEvent::NothingToSave { .. } => {}
        }
        Ok(None)
    }

    /// Refuses a training of which not one step was taken: its policy is the one that it began with.
    fn refuse_nothing(&self) -> Result<(), Failure> {
        let Some(begun) =
            self.begun.as_ref().filter(|begun| begun.tried > 0 && begun.left_out == begun.tried)
        else {
            return Ok(());
        };
        let message = format!(
            "not one of {} steps could be taken, as no loss or gradient was finite, and no model is written: see with \
             `stilld score` whether the model's own log-probabilities are finite, else lower `peak_learning_rate`",
            begun.tried
        );
        Err(Failure::new(Exit::NoResult, message))
    }

    fn end(&mut self) -> Result<(), Failure> {
        let Some(begun) = &mut self.begun else { return Ok(()) };
        begun.progress.end();
        begun.losses.plot(&self.folder, self.objective)
    }
}

/// The trained policy, and its adapters beside it where they are of use.
fn save_policy(
    weights: &Weights,
    precision: WrittenPrecision,
    checkpoint: &Path,
    model: &Model,
    folder: &Path,
) -> Result<(), Failure> {
    let precision = match precision {
        WrittenPrecision::F32 => Precision::F32,
        WrittenPrecision::Bf16 => Precision::Bf16,
    };
    model.tokenizer.save(folder).or_exit(Exit::Store)?;
    save_folder(folder, &model.config, weights, precision, DEFAULT_MAX_SHARD_BYTES).or_exit(Exit::Store)?;
    let (trained, adapter) = (checkpoint.join(ADAPTER), folder.join(ADAPTER));
    if trained.is_dir() {
        let named = |error| format!("`{}`: {error}", adapter.display());
        copy_files(&trained, &adapter).map_err(named).or_exit(Exit::Store)?;
        eprintln!("its adapters are in `{}`", adapter.display());
    }
    Ok(())
}

fn copy_files(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// A signal that ends training after the step at work; the second ends the program at once.
struct Interruption {
    /// Watches while it lives.
    runtime: Option<Runtime>,
}

impl Interruption {
    /// Watches from now on, before the first long piece of work.
    fn watch(happen: Sender<Happening>) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.or_exit(Exit::Internal)?;
        {
            let _entered = runtime.enter();
            EndSignals::install().or_exit(Exit::Internal)?.watch(
                move |signal| {
                    eprintln!("{signal}: writing a checkpoint after this step; once more ends at once");
                    let _has_ended = happen.send(Happening::Interrupted);
                },
                exit_at_once,
            );
        }
        Ok(Self { runtime: Some(runtime) })
    }
}

impl Drop for Interruption {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
