//! The daemon from start to end: what is opened, in which order, and what it is wired to.
//!
//! ```text
//! configuration → data directory (locked) → control socket → page → task → model → memory → roles → actors
//! ```
//!
//! Three files are the whole program: this one says what there is, `actors/src/ground/protocol.rs` who says what to
//! whom, and `actors/src/rounds/round_machine/mod.rs` what decides what happens next.
//!
//! | word | what it means |
//! |---|---|
//! | role | work that actors oversee and know nothing of: generators, the learner, the verifier |
//! | placement | the device of a generator, and how many rollouts at once its memory allows ([`still_machine::placement`]) |
//! | [`GeneratorShape`] | a placement with all else that a generator is made of |
//! | [`LiveControlPlane`] | the control plane: the running system as clients see and steer it |
//! | [`Admission`] | what may enter the store, at a start and whenever a client imports |
//!
//! Everything that can refuse does so before the first actor starts: a bad configuration, a directory or a
//! port in use, a file with a broken line, a model that cannot be loaded, a device that is not there. Until
//! the whole task is checked, nothing of the run is written: taking the directory makes its store, or brings
//! it to the present format, and sweeps away what a crash left of checkpoints. All of it is done beside the signals: one
//! that comes meanwhile ends the program. After that the actors own the work, and this waits for their end.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use still_actors::{Clock, FinishReason, Roles, StartError, System};
use still_control::{Exit, Failure, OrExit, SOCKET_NAME};
use still_domain::{CHECKPOINTS_NAME, PolicyRecord};
use still_embedded::EmbeddedGenerator;
use still_engines::{Fleet, LaunchSeams, Launcher, Placement, schedule::Lane};
use still_judge::StandardVerifier;
use still_library::PolicyLibrary;
use still_machine::{
    Encoder, GeneratorPlacement, GeneratorShape, Model, fleet, fleet_scorers,
    plan::Plan,
    preflight::{problem_check, refuse_misfit, remarks},
    prompter, response_judge, same_answer, settings as machine_settings, training, verifier,
};
use still_operator::{
    admission::{Admission, AdmissionRules, JudgeCheck},
    cli::RunArguments,
    config::{Config, LoadedConfig},
    control::{ControlPlane, ControlServer},
    http::PageServer,
    progress::Progress,
    records::StoreRecords,
    serve::raise_descriptors,
    signals::{EndSignals, exit_at_once},
    suspects::SameAnswer,
};
use still_process::Turns;
use still_roles::GeneratorFactory;
use still_store::{CheckpointFolders, RunIdentity, Store};
use still_telemetry::{Exporter, event::ServersMeasured};
use still_text::Prompter;
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};

use crate::{farewell::farewell, logging, plane::LiveControlPlane, preflight, settings, task};

/// The folder of what a command is to train, inside the data directory.
const TRAINING: &str = "training";
/// The folder of policies that servers are named, inside the data directory.
const PUBLICATIONS: &str = "published";
/// The folder of what servers print that the daemon starts itself, inside the data directory.
const SERVERS: &str = "servers";
/// Longest wait for clients and pages once the actors have ended.
const PATIENCE: Duration = Duration::from_secs(5);
/// A start that takes longer says what it is at, each time that so long has passed.
const QUIET: Duration = Duration::from_secs(30);

/// Runs the daemon; gives how it ended.
pub(crate) fn run(arguments: &RunArguments) -> Result<Exit, Failure> {
    let LoadedConfig { config, .. } = arguments.load().map_err(|error| Failure::new(error.exit(), error))?;
    logging::start(&config.log)?;
    if arguments.dry_run {
        return preflight::dry_run(&config);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().or_exit(Exit::Internal)?;
    let ended = runtime.block_on(serve(config));
    // a blocking thread that hangs must not keep a daemon that has ended
    runtime.shutdown_timeout(PATIENCE);
    ended
}

async fn serve(config: Config) -> Result<Exit, Failure> {
    let started = Instant::now();
    let descriptors = raise_descriptors();
    tracing::debug!(descriptors, "files and connections that may be open");
    let drain_asked = follow_signals()?;
    let Opened { store, checkpoints, socket, page } = Opened::open(&config).await?;
    let exporter = Exporter::install().or_exit(Exit::Internal)?;
    let mut progress = Progress::new(config.log.progress_style());

    let (stage, mut stages) = watch::channel("reading the task");
    let (of, on, beside) = (config.clone(), store.clone(), checkpoints.clone());
    let preparing = tokio::task::spawn_blocking(move || Prepared::new(&of, &on, &beside, &stage));
    let Some(prepared) = while_preparing(preparing, &mut stages, &drain_asked, &mut progress).await? else {
        progress.announce(&["ended while it was starting: nothing was at work yet".to_owned()]);
        return Ok(Exit::Success);
    };
    let Prepared { roles, fleet, launch, admission, same_answer, told } = prepared;
    let records = store.clone();

    // nothing is started that a start may still refuse
    let launcher = match (&fleet, launch) {
        (Some(fleet), Some(seams)) => {
            let runtime = tokio::runtime::Handle::current();
            Launcher::start(fleet, &config.engines, seams, &runtime).or_exit(Exit::Configuration)?
        }
        _ => None,
    };
    let system = System::start(settings::system(&config), store.clone(), checkpoints, roles).await;
    let system = system.map_err(|error| Failure::new(exit_of(&error), error))?;
    let plane = Arc::new(LiveControlPlane {
        system: system.clone(),
        records: StoreRecords::new(store, admission, config.exploration.curriculum()),
        data_dir: std::path::absolute(&config.run.data_dir).unwrap_or_else(|_| config.run.data_dir.clone()),
        page: page.as_ref().map(PageServer::address),
        answer_kind: config.verifier.kind,
        format: config.task.format.into(),
        same_answer,
        started,
        fleet,
    });
    let is_told = config.log.shows_progress();
    let watchers = Watchers::start(progress, &plane, &told, socket, page, exporter);
    let drained = system.clone();
    tokio::spawn(async move {
        drain_asked.notified().await;
        drained.drain();
    });

    let reason = system.finished().await;
    // waits for processes to end
    let _ended = tokio::task::spawn_blocking(move || drop(launcher)).await;
    watchers.end().await;
    if is_told && reason.is_success() {
        farewell(&config, &records);
    }
    match reason {
        FinishReason::RoundsDone
        | FinishReason::Drained
        | FinishReason::DrainedInPart { .. }
        | FinishReason::Stopped => Ok(Exit::Success),
        FinishReason::NotImitated { .. } => Err(Failure::new(Exit::BadInput, reason)),
        FinishReason::NoResult { .. } => Err(Failure::new(Exit::NoResult, reason)),
        FinishReason::StoreFailed { .. } => Err(Failure::new(Exit::Store, reason)),
        FinishReason::MeltDown { .. } => Err(Failure::new(Exit::MeltDown, reason)),
    }
}

/// What is read, checked and written before the first actor starts.
struct Prepared {
    roles: Roles,
    /// The servers that draw, where rollouts are drawn by some.
    fleet: Option<Fleet>,
    /// What servers that the daemon starts itself need.
    launch: Option<LaunchSeams>,
    admission: Admission,
    same_answer: SameAnswer,
    /// What an operator should know.
    told: Vec<String>,
}

impl Prepared {
    /// Blocks; `stage` says what is at work.
    fn new(
        config: &Config,
        store: &Store,
        checkpoints: &CheckpointFolders,
        stage: &watch::Sender<&'static str>,
    ) -> Result<Self, Failure> {
        let verifier = Arc::new(verifier(&config.verifier));
        let task = task::read(config, &verifier)?;
        stage.send_replace("reading the model");
        let model = Model::load(config)?;
        let clock = clock(store)?;
        let prompter = prompter(&model, &config.task, Some(clock))?;
        let check = problem_check(config, &model, prompter.clone(), Arc::clone(&verifier));
        let rules = AdmissionRules {
            decontamination: config.decontamination.clone(),
            cleaning: config.cleaning.clone(),
            hygiene: config.hygiene.clone(),
            explore_imitated: config.exploration.explore_imitated,
        };
        let admission = Admission::new(rules, check, response_judge(Arc::clone(&verifier)));
        let same_answer = same_answer(Arc::clone(&verifier));
        let BuiltRoles { roles, fleet, launch } =
            build_roles(config, &model, &prompter, checkpoints, Arc::clone(&verifier), admission.check())?;
        let mut told = task.told.clone();
        let identity = identity(config, &model, &prompter);
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            data_dir = %config.run.data_dir.display(),
            model = %config.model.source,
            sizes = model.sizes(),
            seed = config.run.seed,
            rounds = config.run.rounds,
            "stilld starts"
        );
        stage.send_replace("checking the task and making it durable");
        told.push(task::make_durable(task, config, store, &verifier, &admission, &identity)?);
        stage.send_replace("judging rollouts made elsewhere");
        told.extend(task::import_rollouts(config, store, &prompter, &verifier)?);
        task::warn_of_untrainable(config, store, &prompter)?;
        stage.send_replace("checking the policy in force");
        refuse_damaged_policy(store, checkpoints, config)?;
        Ok(Self { roles, fleet, launch, admission, same_answer, told })
    }
}

/// Waits for what is prepared, and says what is at work when that takes long; `None` where a signal came first.
async fn while_preparing(
    mut preparing: JoinHandle<Result<Prepared, Failure>>,
    stages: &mut watch::Receiver<&'static str>,
    drain_asked: &Notify,
    progress: &mut Progress,
) -> Result<Option<Prepared>, Failure> {
    let began = Instant::now();
    let mut quiet = tokio::time::interval_at((began + QUIET).into(), QUIET);
    loop {
        tokio::select! {
            prepared = &mut preparing => return prepared.or_exit(Exit::Internal)?.map(Some),
            () = drain_asked.notified() => return Ok(None),
            _ = quiet.tick() => {
                let (stage, seconds) = (*stages.borrow_and_update(), began.elapsed().as_secs());
                tracing::info!(seconds, "still starting: {stage}");
                progress.announce(&[format!("still starting, for {seconds} s: {stage}")]);
            }
        }
    }
}

/// Refuses to start from a policy whose files are not what was written, and names one whose are.
fn refuse_damaged_policy(
    store: &Store,
    checkpoints: &CheckpointFolders,
    config: &Config,
) -> Result<(), Failure> {
    let policies = store.policies().or_exit(Exit::Store)?;
    let is_whole = |policy: &PolicyRecord| match &policy.checkpoint {
        Some(id) => checkpoints.is_intact(id).or_exit(Exit::Store),
        None => Ok(true),
    };
    let Some((in_force, earlier)) = policies.split_last() else { return Ok(()) };
    if is_whole(in_force)? {
        return Ok(());
    }
    let mut remedy = "restore it from a copy".to_owned();
    for policy in earlier.iter().rev() {
        if is_whole(policy)? {
            let data_dir = config.run.data_dir.display();
            remedy.push_str(&format!(
                ", or go on from version {0}: `stilld policies promote {0} --data-dir {data_dir}`",
                policy.version
            ));
            break;
        }
    }
    let checkpoint = in_force.checkpoint.as_ref().map(ToString::to_string).unwrap_or_default();
    let message = format!(
        "checkpoint {checkpoint} of policy {}, which is in force, is missing or damaged: {remedy}; `stilld check {}` \
         tells everything that is",
        in_force.version,
        config.run.data_dir.display()
    );
    Err(Failure::new(Exit::Store, message))
}

/// Told when a signal asks for a drain: one that comes while things are being opened is followed as soon as
/// there is something to drain. A second signal ends the process at once.
fn follow_signals() -> Result<Arc<Notify>, Failure> {
    let drain_asked = Arc::new(Notify::new());
    let ask = Arc::clone(&drain_asked);
    EndSignals::install().or_exit(Exit::Internal)?.watch(move |_| ask.notify_one(), exit_at_once);
    Ok(drain_asked)
}

/// The time that prompts are told: that of the run's first start, so that a problem is one prompt in all of the run.
fn clock(store: &Store) -> Result<i64, Failure> {
    let known = store.identity().or_exit(Exit::Store)?.and_then(|identity| identity.clock());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Ok(known.unwrap_or_else(|| i64::try_from(now).unwrap_or(i64::MAX)))
}

/// What makes this run this run: a store is never continued under another identity. What asks is a part of it: what was
/// drawn after one prompt is not trained on after another.
pub(crate) fn identity(config: &Config, model: &Model, prompter: &Prompter) -> RunIdentity {
    let facts = [
        ("model", config.model.source.to_string()),
        ("model sizes", model.sizes()),
        ("task", config.task.source.name().to_owned()),
    ];
    let facts = facts.into_iter().chain(prompter.identity());
    let facts = facts.map(|(name, value)| (name.to_owned(), value));
    let identity = RunIdentity { seed: config.run.seed, facts: facts.collect() };
    match prompter.book().now.filter(|_| prompter.tells_time()) {
        Some(now) => identity.with_clock(now),
        None => identity,
    }
}

/// What no other daemon may have open at the same time.
struct Opened {
    store: Store,
    checkpoints: CheckpointFolders,
    socket: ControlServer,
    /// `None` where no address is configured.
    page: Option<PageServer>,
}

impl Opened {
    async fn open(config: &Config) -> Result<Self, Failure> {
        let data_dir = &config.run.data_dir;
        let store = Store::open(data_dir).or_exit(Exit::Store)?;
        let checkpoints =
            CheckpointFolders::open(&data_dir.join(CHECKPOINTS_NAME), store.clone()).or_exit(Exit::Store)?;
        let socket = ControlServer::bind(&data_dir.join(SOCKET_NAME)).await;
        let socket = socket.map_err(|error| Failure::new(error.exit(), error))?;
        let page = match config.http.address() {
            None => None,
            Some(address) => {
                Some(PageServer::bind(address).await.map_err(|error| Failure::new(error.exit(), error))?)
            }
        };
        Ok(Self { store, checkpoints, socket, page })
    }
}

/// Whoever hears what happens: the terminal, clients of the control socket, readers of the page.
struct Watchers {
    tasks: Vec<JoinHandle<()>>,
    shutdown: watch::Sender<bool>,
}

impl Watchers {
    fn start(
        mut progress: Progress,
        plane: &Arc<LiveControlPlane>,
        told: &[String],
        socket: ControlServer,
        page: Option<PageServer>,
        exporter: Exporter,
    ) -> Self {
        let (shutdown, asked) = watch::channel(false);
        progress.announce(&greeting(plane, socket.path()));
        progress.announce(told);
        let mut tasks = vec![tokio::spawn(progress.follow(plane.events()))];
        // a server's errors are its clients': the work goes on without them
        let serving = socket.serve(Arc::clone(plane), shutdown_asked(asked.clone()));
        tasks.push(tokio::spawn(async move {
            let _ = serving.await;
        }));
        if let Some(page) = page {
            let (system, fleet) = (plane.system.clone(), plane.fleet.clone());
            let servers = ServersMeasured::default();
            let metrics = move || {
                system.refresh_metrics();
                let found: Vec<_> = fleet.iter().flat_map(Fleet::servers).collect();
                servers.emit(&found);
                exporter.render()
            };
            let serving = page.serve(Arc::clone(plane), metrics, shutdown_asked(asked));
            tasks.push(tokio::spawn(async move {
                let _ = serving.await;
            }));
        }
        Self { tasks, shutdown }
    }

    /// Reports what is still to be reported, then lets them go; who takes too long is cut off.
    async fn end(self) {
        self.shutdown.send_replace(true);
        let reported = async {
            for task in self.tasks {
                let _ = task.await;
            }
        };
        let _late_ones_are_cut_off = tokio::time::timeout(PATIENCE, reported).await;
    }
}

/// Over when the servers are to shut down; a sender that is gone asks for it as well.
async fn shutdown_asked(mut asked: watch::Receiver<bool>) {
    let _ = asked.wait_for(|is_asked| *is_asked).await;
}

/// How the program ends when its actors cannot be started.
const fn exit_of(error: &StartError) -> Exit {
    match error {
        StartError::Setting { .. } => Exit::Configuration,
        StartError::Actor { .. } => Exit::Internal,
    }
}

/// The work that the actors oversee, and the servers that some of it is done by.
struct BuiltRoles {
    roles: Roles,
    fleet: Option<Fleet>,
    launch: Option<LaunchSeams>,
}

/// Builds the work that the actors oversee.
fn build_roles(
    config: &Config,
    model: &Model,
    prompter: &Prompter,
    checkpoints: &CheckpointFolders,
    verifier: Arc<StandardVerifier>,
    check: JudgeCheck,
) -> Result<BuiltRoles, Failure> {
    let plan = Plan::of(config, &model.config)?;
    refuse_misfit(&plan)?;
    for remark in remarks(config, model) {
        tracing::warn!("{remark}");
    }
    let placement = plan.placement;
    let shape = |placed: &GeneratorPlacement, threads| GeneratorShape {
        device: placed.device,
        precision: placed.precision,
        threads: machine_settings::threads(threads),
        rollouts: placed.rollouts,
        tokens: placed.tokens,
        prompter: prompter.clone(),
        stop_strings: Vec::new(),
    };
    for placed in placement.all().filter(|placed| placed.rollouts < placed.wanted_rollouts) {
        let (device, rollouts, wanted) = (placed.device, placed.rollouts, placed.wanted_rollouts);
        tracing::warn!(%device, rollouts, wanted, "fewer rollouts at once than asked for fit the memory");
    }
    let checkpoints = checkpoints.clone();
    let library = Arc::new(model.library(move |checkpoint| checkpoints.folder(checkpoint)));
    // what computes in this process does so with these, and what a server serves is told by them: a model that cannot
    // be read is reported now
    library.base_weights().or_exit(Exit::BadInput)?;
    let device = &config.device;
    let (generators, evaluation_generator, fleet) = if let Some(evaluator) = &placement.evaluator {
        let samplers = placement.samplers.iter().enumerate().map(|(index, placed)| {
            generator(format!("sampler-{index}"), model, &library, shape(placed, device.sampler_threads))
        });
        let evaluator = shape(evaluator, device.evaluator_threads);
        let evaluator = generator("evaluator".to_owned(), model, &library, evaluator)?;
        (samplers.collect::<Result<_, _>>()?, evaluator, None)
    } else {
        let data_dir = std::path::absolute(&config.run.data_dir).or_exit(Exit::Internal)?;
        let fleet = fleet(
            config,
            model,
            prompter,
            &library,
            data_dir.join(PUBLICATIONS),
            &tokio::runtime::Handle::current(),
        )?;
        (
            vec![fleet.generators("servers", Lane::Exploration)],
            fleet.generators("servers (evaluation)", Lane::Evaluation),
            Some(fleet),
        )
    };
    let (turns, launch) = if fleet.is_some() { launching(config, &library)? } else { (None, None) };
    let encoder = Arc::new(Encoder::new(prompter.clone()));
    // the learner does not work while a set is chosen
    let learner = device.learners.first().copied().unwrap_or_default();
    let roles = Roles {
        generators,
        evaluation_generator,
        training: training(config, model, &library, encoder, config.run.data_dir.join(TRAINING), turns)?,
        scorer: match &fleet {
            Some(fleet) => fleet_scorers(fleet, prompter),
            None => model.scorers(&library, learner, prompter),
        },
        // engines are compared with what is computed here
        learner_scorer: model.learner_scorers(&library, learner, prompter),
        verifier,
        check,
        clock: Clock::system(),
    };
    Ok(BuiltRoles { roles, fleet, launch })
}

/// What servers need that the daemon starts itself, and where the trainer asks for devices that it shares with them.
fn launching(
    config: &Config,
    library: &PolicyLibrary,
) -> Result<(Option<Turns>, Option<LaunchSeams>), Failure> {
    if !config.engines.iter().any(|section| section.launch) {
        return Ok((None, None));
    }
    let model = library.base_folder().or_exit(Exit::Configuration)?;
    let model = std::path::absolute(model).or_exit(Exit::Internal)?;
    let shares = config.engines.iter().any(|section| section.placement == Placement::Turns);
    let (turns, giver) = shares.then(Turns::pair).unzip();
    Ok((turns, Some(LaunchSeams { model, folder: config.run.data_dir.join(SERVERS), turns: giver })))
}

fn generator(
    name: String,
    model: &Model,
    library: &Arc<PolicyLibrary>,
    shape: GeneratorShape,
) -> Result<GeneratorFactory, Failure> {
    // a device that cannot generate is reported now, not by an actor that fails again and again
    model.generator(library, &shape).or_exit(Exit::Device)?;
    let (model, library) = (model.clone(), Arc::clone(library));
    Ok(EmbeddedGenerator::factory(name, move || model.generator(&library, &shape)))
}

/// Where the daemon can be reached.
fn greeting(plane: &LiveControlPlane, socket: &Path) -> Vec<String> {
    let mut lines = vec![
        format!("data directory  {}", plane.data_dir.display()),
        format!(
            "control socket  {} (stillctl --data-dir {} status)",
            socket.display(),
            plane.data_dir.display()
        ),
    ];
    if let Some(address) = plane.page {
        lines.push(format!("metrics page    http://{address}/metrics (dashboard: http://{address}/)"));
    }
    lines
}
