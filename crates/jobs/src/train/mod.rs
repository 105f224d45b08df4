//! `stilld train`: a model on a file, outside of any round.
//!
//! | in the output folder | what it holds |
//! |---|---|
//! | `checkpoints/step-N` | everything to go on from step N, the policy as a Hugging Face folder, and `manifest.json` with the hash of every file |
//! | `loss.jsonl`, `loss.svg` | the loss of every step, as numbers and as a picture |
//! | `adapter` | trained adapters in PEFT's layout, where `[training.lora]` asks for them and no `--adapter` was merged in before; those of checkpoints likewise |
//! | the rest | the trained policy as a Hugging Face folder, adapters merged in, once all steps are taken |

mod examples;
mod losses;
mod output;
mod plot;
mod progress;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use still_control::{Exit, Failure, OrExit};
use still_daemon::{
    cli::{ModelArguments, TrainArguments, TrainCommand},
    config::Config,
    signals::{EndSignals, exit_at_once},
};
use still_decoder::hugging_face::{DEFAULT_MAX_SHARD_BYTES, Precision, save_folder};
use still_domain::{Algorithm, RoundNumber, TrainingSetId, seed};
use still_learning::PolicyLearner;
use still_machine::{Model, open_learners, settings};
use still_roles::{
    Initialisation, Learner, LearnerError, LearnerStep, TrainingExamples, TrainingJob, TrainingPlan,
};
use tokio::runtime::Runtime;

use self::{
    examples::{Prompts, RenderedPrompts, read_examples},
    losses::Losses,
    output::Output,
    progress::Progress,
};

/// The folder of trained adapters inside the output folder.
const ADAPTER: &str = "adapter";

/// Trains on the file; the first signal ends it with a checkpoint, the second at once.
pub fn train(command: &TrainCommand, config: &Config) -> Result<Exit, Failure> {
    let (algorithm, arguments) = match command {
        TrainCommand::Sft(arguments) => (Algorithm::Sft, arguments),
        TrainCommand::Dpo(arguments) => (Algorithm::Dpo, arguments),
    };
    let devices = open_learners(&config.device).or_exit(Exit::Device)?;
    let mut output = Output::open(&arguments.out, arguments.resume, config.checkpoints.keep_last)?;
    let interruption = Interruption::watch()?;
    let model = Model::from_arguments(&arguments.model)?;
    let mut prompts = Prompts::new(model.tokenizer.clone(), config.task.prompt.into());
    let job = job(algorithm, arguments, &mut prompts)?;
    let encoder = RenderedPrompts::new(&model, prompts);
    let (settings, fused) = (settings::learner(config), config.device.learns_on_cpu());
    let mut learner = PolicyLearner::new(settings, model.base_policy(), Box::new(encoder), devices, fused);
    let ended =
        run(&mut learner, &job, algorithm, config.checkpoints.every_steps, &mut output, &interruption)?;
    if ended == Exit::Success {
        save_policy(&mut learner, &model, &arguments.out)?;
        eprintln!("the trained model is in `{}`", arguments.out.display());
    }
    learner.end();
    Ok(ended)
}

fn job(
    algorithm: Algorithm,
    arguments: &TrainArguments,
    prompts: &mut Prompts,
) -> Result<TrainingJob, Failure> {
    let examples = read_examples(algorithm, arguments, prompts)?;
    let ModelArguments { model, adapter, .. } = &arguments.model;
    let start =
        adapter.as_ref().map_or_else(|| model.to_string(), |folder| format!("{model} {}", folder.display()));
    Ok(TrainingJob {
        // any round but the imitation: `[training.improvement]` holds
        round: RoundNumber(1),
        training_set: name_of(&examples, &start),
        examples,
        initialisation: Initialisation::Base,
        seed: arguments.seed,
        resume: None,
        rollbacks: 0,
    })
}

/// Begins the job, going on from the newest checkpoint that can be gone on from.
fn begin(learner: &mut dyn Learner, job: TrainingJob, output: &Output) -> Result<TrainingPlan, Failure> {
    let mut refused = None;
    for checkpoint in output.resumable()? {
        let folder = &checkpoint.folder;
        let begun = match checkpoint.check() {
            Ok(()) => learner.begin(TrainingJob { resume: Some(folder.clone()), ..job.clone() }),
            Err(damage) => Err(LearnerError::Checkpoint { path: folder.clone(), reason: damage.reason }),
        };
        match begun {
            Ok(plan) => {
                eprintln!("going on from `{}`", folder.display());
                return Ok(plan);
            }
            Err(error @ LearnerError::Checkpoint { .. }) => {
                eprintln!("warning: {error}; the one before is tried");
                refused.get_or_insert(error);
            }
            Err(error) => return Err(failed(error)),
        }
    }
    match refused {
        // a job that goes back has shown before that the folder is its own: what is left of it is diverging or damaged
        Some(error) if job.rollbacks == 0 => {
            let remedy = "no other checkpoint is left: name another output folder, or mend the settings";
            Err(Failure::new(Exit::BadInput, format!("{error}; {remedy}")))
        }
        _ => learner.begin(job).map_err(failed),
    }
}

/// Takes the steps of the job that are left.
fn run(
    learner: &mut dyn Learner,
    job: &TrainingJob,
    algorithm: Algorithm,
    checkpoint_every: u64,
    output: &mut Output,
    interruption: &Interruption,
) -> Result<Exit, Failure> {
    let plan = begin(learner, job.clone(), output)?;
    let mut losses = Losses::open(&output.folder, plan.resumed_step)?;
    let mut progress = Progress::begin(plan);
    let (mut step, mut saved_step) = (plan.resumed_step, plan.resumed_step);
    while step < plan.total_steps && !interruption.came() {
        output.check()?;
        let taken = match learner.step() {
            Err(LearnerError::BackToCheckpoint { diverged, rollbacks }) => {
                output.finish()?;
                let plan = begin(learner, TrainingJob { rollbacks, ..job.clone() }, output)?;
                LearnerStep { step: plan.resumed_step, rolled_back: true, ..*diverged }
            }
            taken => taken.map_err(failed)?,
        };
        step = taken.step;
        if taken.rolled_back {
            losses.go_back(step)?;
        } else {
            losses.add(&taken)?;
        }
        progress.show(&taken);
        let is_due = checkpoint_every > 0 && step.is_multiple_of(checkpoint_every) && step < plan.total_steps;
        if is_due || taken.rolled_back {
            output.save(
                learner.snapshot().map_err(failed)?,
                &job.training_set,
                step,
                step == plan.total_steps,
            )?;
            saved_step = step;
        }
    }
    progress.end();
    if step != saved_step {
        output.save(
            learner.snapshot().map_err(failed)?,
            &job.training_set,
            step,
            step == plan.total_steps,
        )?;
    }
    output.finish()?;
    losses.plot(&output.folder, algorithm)?;
    if step < plan.total_steps {
        eprintln!("stopped after step {step} of {}; go on with --resume", plan.total_steps);
        return Ok(Exit::Interrupted);
    }
    Ok(Exit::Success)
}

/// The trained policy, and its adapters beside it where they are of use.
fn save_policy(learner: &mut PolicyLearner, model: &Model, folder: &Path) -> Result<(), Failure> {
    let weights = learner.weights().map_err(failed)?;
    model.tokenizer.save(folder).or_exit(Exit::Store)?;
    save_folder(folder, &model.config, &weights, Precision::F32, DEFAULT_MAX_SHARD_BYTES)
        .or_exit(Exit::Store)?;
    let adapter = folder.join(ADAPTER);
    if learner.save_adapters(&adapter).map_err(failed)? {
        eprintln!("its adapters are in `{}`", adapter.display());
    }
    Ok(())
}

/// Names a set of examples by the start and by everything that is trained on.
fn name_of(examples: &TrainingExamples, model: &str) -> TrainingSetId {
    let seed = seed::derive(0, &["training file", model, &format!("{examples:?}")]);
    TrainingSetId::new(format!("file-{seed:016x}"))
}

fn failed(error: LearnerError) -> Failure {
    let exit = match &error {
        LearnerError::Refused(_) | LearnerError::Checkpoint { .. } => Exit::BadInput,
        LearnerError::Diverged { .. } | LearnerError::BackToCheckpoint { .. } | LearnerError::Device(_) => {
            Exit::Device
        }
        LearnerError::NoJob => Exit::Internal,
    };
    Failure::new(exit, error)
}

/// A signal that ends training after the step at work; the second ends the program at once.
struct Interruption {
    came: Arc<AtomicBool>,
    /// Watches while it lives.
    runtime: Option<Runtime>,
}

impl Interruption {
    /// Watches from now on, before the first long piece of work.
    fn watch() -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.or_exit(Exit::Internal)?;
        let came = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&came);
        {
            let _entered = runtime.enter();
            EndSignals::install().or_exit(Exit::Internal)?.watch(
                move |signal| {
                    eprintln!("{signal}: writing a checkpoint after this step; once more ends at once");
                    seen.store(true, Ordering::Relaxed);
                },
                exit_at_once,
            );
        }
        Ok(Self { came, runtime: Some(runtime) })
    }

    fn came(&self) -> bool {
        self.came.load(Ordering::Relaxed)
    }
}

impl Drop for Interruption {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
