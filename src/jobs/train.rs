//! `stilld train`: a model on a file, outside of any round.
//!
//! | in the output folder | what it holds |
//! |---|---|
//! | `checkpoints/step-N` | everything to go on from step N, and the policy as a Hugging Face folder |
//! | `loss.jsonl`, `loss.svg` | the loss of every step, as numbers and as a picture |
//! | the rest | the trained policy as a Hugging Face folder, once all steps are taken |
//!
//! A checkpoint is written under another name and then renamed: what is called `step-N` is complete.

use std::{
    fs::{self, File},
    io::{BufRead, Write},
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use still_control::Exit;
use still_daemon::{
    cli::{OnError, TrainArguments, TrainCommand},
    config::{Config, LoadedConfig},
    import,
    signals::{EndSignals, exit_at_once},
};
use still_decoder::hugging_face::{DEFAULT_MAX_SHARD_BYTES, Precision, save_folder};
use still_domain::{Algorithm, RoundNumber, TrainingSetId, seed};
use still_learning::{ExampleEncoder, PolicyLearner};
use still_policy::DeviceName;
use still_roles::{
    Initialisation, Learner, LearnerError, LearnerStep, PreferenceExample, Response, SftExample,
    TrainingExamples, TrainingJob,
};
use still_text::{ChatContext, PromptStyle, Tokenizer};

use super::open_input;
use crate::{
    failure::{Failure, OrExit},
    logging,
    model::{Encoder, Model},
    settings,
};

/// The folder of checkpoints inside the output folder.
const CHECKPOINTS: &str = "checkpoints";
/// Precedes the step in a checkpoint's name.
const STEP: &str = "step-";
/// A checkpoint that is being written.
const PENDING: &str = "pending";

/// Trains on the file; the first signal ends it with a checkpoint, the second at once.
pub(crate) fn train(command: &TrainCommand) -> Result<Exit, Failure> {
    let (algorithm, arguments) = match command {
        TrainCommand::Sft(arguments) => (Algorithm::Sft, arguments),
        TrainCommand::Dpo(arguments) => (Algorithm::Dpo, arguments),
    };
    let LoadedConfig { config, .. } = arguments.load().map_err(|error| Failure::new(error.exit(), error))?;
    logging::start(&config.log)?;
    let device: DeviceName = arguments.model.device.to_string().parse().or_exit(Exit::Configuration)?;
    let opened = device.open().or_exit(Exit::Device)?.autodiff();
    let output = Output::open(&arguments.out, arguments.resume)?;
    let model = Model::from_source(&arguments.model.model, arguments.model.offline)?;
    let prompts = Prompts { tokenizer: model.tokenizer.clone(), style: config.task.prompt.into() };
    let examples = read_examples(algorithm, arguments, &prompts)?;
    let job = TrainingJob {
        // any round but the imitation: `[training.improvement]` holds
        round: RoundNumber(1),
        training_set: name_of(&examples, &arguments.model.model.to_string()),
        examples,
        initialisation: Initialisation::Base,
        seed: arguments.seed,
        resume: output.resumed.clone(),
    };
    let encoder =
        RenderedPrompts { encoder: model.encoder(PromptStyle::Raw), tokenizer: model.tokenizer.clone() };
    let learner_config = settings::learner(&config);
    let fused = device == DeviceName::Cpu;
    let mut learner =
        PolicyLearner::new(learner_config, model.base_policy(), Box::new(encoder), opened, fused);
    let ended = run(&mut learner, job, &config, &output)?;
    if ended == Exit::Success {
        save_policy(&mut learner, &model, &arguments.out)?;
        eprintln!("the trained model is in `{}`", arguments.out.display());
    }
    learner.end();
    Ok(ended)
}

/// Takes the steps that are left.
fn run(
    learner: &mut dyn Learner,
    job: TrainingJob,
    config: &Config,
    output: &Output,
) -> Result<Exit, Failure> {
    // the signals are watched from before the first long piece of work on
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.or_exit(Exit::Internal)?;
    let interrupted = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&interrupted);
    let watched = {
        let _entered = runtime.enter();
        EndSignals::install().or_exit(Exit::Internal)?.watch(
            move |signal| {
                eprintln!("{signal}: writing a checkpoint after this step; once more ends at once");
                seen.store(true, Ordering::Relaxed);
            },
            exit_at_once,
        )
    };
    let algorithm = match &job.examples {
        TrainingExamples::Sft(_) => Algorithm::Sft,
        TrainingExamples::Dpo(_) => Algorithm::Dpo,
    };
    let plan = learner.begin(job).map_err(failed)?;
    let mut losses = Losses::open(&output.folder, plan.resumed_step)?;
    let (mut step, started, mut tokens) = (plan.resumed_step, Instant::now(), 0);
    eprintln!("{} of {} steps are taken", step, plan.total_steps);
    while step < plan.total_steps && !interrupted.load(Ordering::Relaxed) {
        let taken = learner.step().map_err(failed)?;
        tokens += taken.tokens;
        losses.add(&taken)?;
        if taken.step * 20 / plan.total_steps > step * 20 / plan.total_steps {
            tell(&taken, tokens, plan.resumed_step, started);
        }
        step = taken.step;
        let every = config.checkpoints.every_steps;
        if every > 0 && step.is_multiple_of(every) && step < plan.total_steps {
            output.save(learner, step, config.checkpoints.keep_last)?;
        }
    }
    watched.abort();
    runtime.shutdown_background();
    if step > plan.resumed_step {
        output.save(learner, step, config.checkpoints.keep_last)?;
    }
    losses.plot(&output.folder, algorithm)?;
    if step < plan.total_steps {
        eprintln!("stopped after step {step} of {}; go on with --resume", plan.total_steps);
        return Ok(Exit::Interrupted);
    }
    Ok(Exit::Success)
}

fn tell(taken: &LearnerStep, tokens: u64, resumed_step: u64, started: Instant) {
    let seconds = started.elapsed().as_secs_f64();
    let left = seconds / (taken.step - resumed_step).max(1) as f64 * (taken.total_steps - taken.step) as f64;
    eprintln!(
        "step {}/{} ({} %)  loss {:.4}  gradient norm {:.3}  learning rate {:.2e}  {:.0} tokens/s  {:.0} s left",
        taken.step,
        taken.total_steps,
        taken.step * 100 / taken.total_steps.max(1),
        taken.loss,
        taken.gradient_norm,
        taken.learning_rate,
        tokens as f64 / seconds.max(1e-9),
        left,
    );
}

fn failed(error: LearnerError) -> Failure {
    let exit = match &error {
        LearnerError::Refused(_) | LearnerError::Checkpoint { .. } => Exit::BadInput,
        LearnerError::Diverged { .. } | LearnerError::Device(_) => Exit::Device,
        LearnerError::NoJob => Exit::Internal,
    };
    Failure::new(exit, error)
}

fn save_policy(learner: &mut dyn Learner, model: &Model, folder: &Path) -> Result<(), Failure> {
    let weights = learner.weights().map_err(failed)?;
    model.tokenizer.save(folder).or_exit(Exit::Store)?;
    save_folder(folder, &model.config, &weights, Precision::F32, DEFAULT_MAX_SHARD_BYTES).or_exit(Exit::Store)
}

/// Names a set of examples by the start and by everything that is trained on.
fn name_of(examples: &TrainingExamples, model: &str) -> TrainingSetId {
    let seed = seed::derive(0, &["training file", model, &format!("{examples:?}")]);
    TrainingSetId::new(format!("file-{seed:016x}"))
}

/// The output folder.
struct Output {
    folder: PathBuf,
    checkpoints: PathBuf,
    /// The newest complete checkpoint, when it is to be gone on from.
    resumed: Option<PathBuf>,
}

impl Output {
    fn open(folder: &Path, resume: bool) -> Result<Self, Failure> {
        let checkpoints = folder.join(CHECKPOINTS);
        let named = |error| format!("`{}`: {error}", checkpoints.display());
        fs::create_dir_all(&checkpoints).map_err(named).or_exit(Exit::Store)?;
        let mut output = Self { folder: folder.to_owned(), checkpoints, resumed: None };
        let newest = output.steps()?.last().map(|step| output.checkpoint(*step));
        match newest {
            Some(newest) if resume => {
                eprintln!("going on from `{}`", newest.display());
                output.resumed = Some(newest);
            }
            Some(newest) => {
                let found = newest.display();
                let message =
                    format!("there is a checkpoint already, `{found}`: add --resume, or name another folder");
                return Err(Failure::new(Exit::BadInput, message));
            }
            None if resume => eprintln!("there is no checkpoint to go on from: starting afresh"),
            None => {}
        }
        Ok(output)
    }

    fn checkpoint(&self, step: u64) -> PathBuf {
        self.checkpoints.join(format!("{STEP}{step}"))
    }

    /// The steps of the complete checkpoints, ascending.
    fn steps(&self) -> Result<Vec<u64>, Failure> {
        let named = |error| format!("`{}`: {error}", self.checkpoints.display());
        let entries = fs::read_dir(&self.checkpoints).map_err(named).or_exit(Exit::Store)?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut steps: Vec<u64> = names.filter_map(|name| name.strip_prefix(STEP)?.parse().ok()).collect();
        steps.sort_unstable();
        Ok(steps)
    }

    /// Writes a checkpoint and removes those that are no longer among the `keep_last` newest.
    fn save(&self, learner: &mut dyn Learner, step: u64, keep_last: usize) -> Result<(), Failure> {
        let (pending, complete) = (self.checkpoints.join(PENDING), self.checkpoint(step));
        if complete.exists() {
            return Ok(());
        }
        let named = |error| format!("`{}`: {error}", pending.display());
        if pending.exists() {
            fs::remove_dir_all(&pending).map_err(named).or_exit(Exit::Store)?;
        }
        fs::create_dir(&pending).map_err(named).or_exit(Exit::Store)?;
        learner.save(&pending).map_err(failed)?;
        fs::rename(&pending, &complete).map_err(named).or_exit(Exit::Store)?;
        File::open(&self.checkpoints)
            .and_then(|folder| folder.sync_all())
            .map_err(named)
            .or_exit(Exit::Store)?;
        let steps = self.steps()?;
        for old in steps.iter().take(steps.len().saturating_sub(keep_last.max(1))) {
            fs::remove_dir_all(self.checkpoint(*old)).map_err(named).or_exit(Exit::Store)?;
        }
        Ok(())
    }
}

/// A step's line in the record of losses.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct StepLoss {
    step: u64,
    /// `None` where it was not finite.
    loss: Option<f64>,
    gradient_norm: Option<f64>,
    learning_rate: f64,
    tokens: u64,
}

/// The loss of every step, in a file as well.
struct Losses {
    steps: Vec<StepLoss>,
    file: File,
}

impl Losses {
    /// Takes over what an earlier run wrote up to the step that it is gone on from.
    fn open(folder: &Path, resumed_step: u64) -> Result<Self, Failure> {
        let path = folder.join("loss.jsonl");
        // a line cut off by a crash is past the checkpoint
        let earlier = fs::read_to_string(&path).unwrap_or_default();
        let steps: Vec<StepLoss> = earlier
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(|step: &StepLoss| step.step <= resumed_step)
            .collect();
        let named = |error| format!("`{}`: {error}", path.display());
        let mut losses =
            Self { steps: Vec::new(), file: File::create(&path).map_err(named).or_exit(Exit::Store)? };
        for step in steps {
            losses.push(step)?;
        }
        Ok(losses)
    }

    fn add(&mut self, taken: &LearnerStep) -> Result<(), Failure> {
        let finite = |value: f64| value.is_finite().then_some(value);
        self.push(StepLoss {
            step: taken.step,
            loss: finite(taken.loss),
            gradient_norm: finite(taken.gradient_norm),
            learning_rate: taken.learning_rate,
            tokens: taken.tokens,
        })
    }

    fn push(&mut self, step: StepLoss) -> Result<(), Failure> {
        let line = serde_json::to_string(&step).or_exit(Exit::Internal)?;
        writeln!(self.file, "{line}")
            .map_err(|error| format!("`loss.jsonl`: {error}"))
            .or_exit(Exit::Store)?;
        self.steps.push(step);
        Ok(())
    }

    fn plot(&self, folder: &Path, algorithm: Algorithm) -> Result<(), Failure> {
        let path = folder.join("loss.svg");
        let label = match algorithm {
            Algorithm::Sft => "loss (nats a token)",
            Algorithm::Dpo => "loss (mean over pairs)",
        };
        let points: Vec<(f64, f64)> =
            self.steps.iter().filter_map(|step| Some((step.step as f64, step.loss?))).collect();
        let written = fs::write(&path, plot(&points, label));
        written.map_err(|error| format!("`{}`: {error}", path.display())).or_exit(Exit::Store)
    }
}

/// A picture of `points` over the optimizer step, axes labelled.
fn plot(points: &[(f64, f64)], label: &str) -> String {
    const WIDTH: f64 = 720.0;
    const HEIGHT: f64 = 400.0;
    const LEFT: f64 = 80.0;
    const BOTTOM: f64 = 60.0;
    const MARGIN: f64 = 20.0;
    const TICKS: u32 = 5;
    let range = |values: &mut dyn Iterator<Item = f64>| {
        let (low, high) =
            values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        match low.partial_cmp(&high) {
            Some(std::cmp::Ordering::Less) => low..high,
            Some(std::cmp::Ordering::Equal) => low - 0.5..high + 0.5,
            _ => 0.0..1.0,
        }
    };
    let across = range(&mut points.iter().map(|point| point.0));
    let up = range(&mut points.iter().map(|point| point.1));
    let (right, base) = (WIDTH - MARGIN, HEIGHT - BOTTOM);
    let x = |value: f64| LEFT + (value - across.start) / (across.end - across.start) * (right - LEFT);
    let y = |value: f64| base - (value - up.start) / (up.end - up.start) * (base - MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <path d=\"M{LEFT} {MARGIN}V{base}H{right}\" fill=\"none\" stroke=\"black\"/>\n"
    );
    let at = |range: &Range<f64>, tick: u32| {
        range.start + (range.end - range.start) * f64::from(tick) / f64::from(TICKS)
    };
    for tick in 0..=TICKS {
        let (step, loss) = (at(&across, tick), at(&up, tick));
        let (column, row) = (x(step), y(loss));
        svg.push_str(&format!(
            "<text x=\"{column:.1}\" y=\"{}\" text-anchor=\"middle\">{step:.0}</text>\n\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{loss:.3}</text>\n\
             <path d=\"M{LEFT} {row:.1}H{right}\" stroke=\"#ddd\"/>\n",
            base + 18.0,
            LEFT - 8.0,
            row + 4.0,
        ));
    }
    let line: Vec<String> =
        points.iter().map(|(step, loss)| format!("{:.1},{:.1}", x(*step), y(*loss))).collect();
    svg.push_str(&format!(
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#1f77b4\" stroke-width=\"1.5\"/>\n\
         <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">optimizer step</text>\n\
         <text transform=\"translate(18 {}) rotate(-90)\" text-anchor=\"middle\">{label}</text>\n</svg>\n",
        line.join(" "),
        f64::midpoint(LEFT, right),
        HEIGHT - 16.0,
        f64::midpoint(MARGIN, base),
    ));
    svg
}

/// Makes tokens of prompts that are rendered already.
struct RenderedPrompts {
    encoder: Encoder,
    tokenizer: Tokenizer,
}

impl ExampleEncoder for RenderedPrompts {
    fn prompt(&self, rendered: &str) -> Result<Vec<u32>, String> {
        // a chat template brings its own special tokens
        let is_raw = self.tokenizer.chat_template().is_none();
        self.tokenizer.encode(rendered, is_raw).map_err(|error| error.to_string())
    }

    fn response(&self, response: &Response) -> Result<Vec<u32>, String> {
        self.encoder.response(response)
    }

    fn thought(&self, response: &[u32]) -> Option<Range<usize>> {
        self.encoder.thought(response)
    }

    fn save(&self, folder: &Path) -> Result<(), String> {
        self.encoder.save(folder)
    }
}

/// Renders problems and conversations as the model reads them.
struct Prompts {
    tokenizer: Tokenizer,
    /// How a problem is asked, where there is a chat template.
    style: PromptStyle,
}

impl Prompts {
    fn of_problem(&self, problem: &str) -> Result<String, String> {
        let style = if self.tokenizer.chat_template().is_some() { self.style } else { PromptStyle::Raw };
        style.render(problem, &self.tokenizer).map_err(|error| error.to_string())
    }

    /// Everything up to the answer, which begins where this ends.
    fn of_messages(&self, messages: &[Value]) -> Result<String, String> {
        if let Some(template) = self.tokenizer.chat_template() {
            let context = ChatContext {
                messages: messages.to_vec(),
                add_generation_prompt: true,
                ..ChatContext::default()
            };
            return template.render_context(&context).map_err(|error| error.to_string());
        }
        match messages {
            [only] => Ok(content(only, "user")?.to_owned()),
            _ => {
                Err("the model has no chat template: write one `user` and one `assistant` message".to_owned())
            }
        }
    }

    /// A prompt given as text or as messages.
    fn of_value(&self, prompt: &Value) -> Result<String, String> {
        match prompt {
            Value::String(problem) if !problem.trim().is_empty() => self.of_problem(problem),
            Value::Array(messages) => self.of_messages(messages),
            _ => Err("`prompt` is no text and no list of messages; fill it".to_owned()),
        }
    }

    fn sft(&self, fields: &Map<String, Value>, line: &str) -> Result<SftExample, String> {
        let (problem, text) = if let Some(Value::Array(messages)) = fields.get("messages") {
            let (last, before) = messages.split_last().ok_or("`messages` is empty; remove the line")?;
            (self.of_messages(before)?, content(last, "assistant")?.to_owned())
        } else if let (Some(prompt), Some(completion)) = (fields.get("prompt"), fields.get("completion")) {
            (self.of_value(prompt)?, answer("completion", completion)?)
        } else {
            let parsed = import::demonstrations(line.as_bytes(), "");
            if let Some(problem) = parsed.broken.first() {
                let field =
                    problem.field.as_ref().map_or_else(String::new, |field| format!("field `{field}`: "));
                return Err(format!("{field}{}; {}", problem.reason, problem.remedy));
            }
            let record = parsed.records.into_iter().next().ok_or("there is no example on the line")?;
            (self.of_problem(&record.problem)?, record.response)
        };
        Ok(SftExample { problem, response: Response::Text(text) })
    }

    fn pair(&self, fields: &Map<String, Value>) -> Result<PreferenceExample, String> {
        let field = |names: [&str; 3]| {
            let found = names.iter().find_map(|name| fields.get(*name));
            found.ok_or_else(|| format!("`{}` is missing; write `prompt`, `chosen` and `rejected`", names[0]))
        };
        let problem = self.of_value(field(["prompt", "problem", "question"])?)?;
        let response = |name| Ok::<_, String>(Response::Text(answer(name, field([name; 3])?)?));
        Ok(PreferenceExample { problem, chosen: response("chosen")?, rejected: response("rejected")? })
    }
}

/// A response given as text or as messages that end in the assistant's.
fn answer(name: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) if !text.is_empty() => Ok(text.clone()),
        Value::Array(messages) if !messages.is_empty() => {
            messages.last().map_or(Ok(""), |last| content(last, "assistant")).map(str::to_owned)
        }
        _ => Err(format!("`{name}` is no text and no list of messages; fill it")),
    }
}

fn content<'a>(message: &'a Value, role: &str) -> Result<&'a str, String> {
    let part = |name: &str| message.get(name).and_then(Value::as_str);
    match (part("role"), part("content")) {
        (Some(found), Some(content)) if found == role && !content.is_empty() => Ok(content),
        _ => {
            Err(format!("a message of `{role}` with `content` is missing; write the prompt, then the answer"))
        }
    }
}

/// The examples of the file; broken lines are told one by one.
fn read_examples(
    algorithm: Algorithm,
    arguments: &TrainArguments,
    prompts: &Prompts,
) -> Result<TrainingExamples, Failure> {
    let (mut sft, mut pairs, mut broken) = (Vec::new(), Vec::new(), 0_usize);
    let shown = arguments.data.display();
    for (index, line) in open_input(&arguments.data)?.lines().enumerate() {
        let line = line
            .map_err(|error| format!("`{shown}`, line {}: {error}", index + 1))
            .or_exit(Exit::BadInput)?;
        if line.trim().is_empty() {
            continue;
        }
        let fields = serde_json::from_str(&line).map_err(|error| format!("no JSON object: {error}"));
        let read = fields.and_then(|fields| {
            match algorithm {
                Algorithm::Sft => sft.push(prompts.sft(&fields, &line)?),
                Algorithm::Dpo => pairs.push(prompts.pair(&fields)?),
            }
            Ok::<_, String>(())
        });
        if let Err(reason) = read {
            broken += 1;
            eprintln!("`{shown}`, line {}: {reason}", index + 1);
        }
    }
    if broken > 0 && arguments.on_error == OnError::Abort {
        let message =
            format!("`{shown}` has {broken} broken lines: mend them, or leave them out with --on-error skip");
        return Err(Failure::new(Exit::BadInput, message));
    }
    if sft.is_empty() && pairs.is_empty() {
        return Err(Failure::new(Exit::BadInput, format!("`{shown}` holds no example")));
    }
    Ok(match algorithm {
        Algorithm::Sft => TrainingExamples::Sft(sft),
        Algorithm::Dpo => TrainingExamples::Dpo(pairs),
    })
}
