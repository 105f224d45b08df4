//! The daemon from start to end: what is opened, in which order, and what it is wired to.
//!
//! ```text
//! configuration → data directory (locked) → control socket → page → task into the store → model → actors
//! ```
//!
//! Everything that can refuse does so before the first actor starts: a bad configuration, a directory in
//! use, a port in use, a model that cannot be loaded. After that the actors own the work, and this waits for
//! their end or for a signal.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use still_actors::{Clock, FinishReason, RoleFactory, Roles, System};
use still_control::{Exit, SOCKET_NAME};
use still_curation::Decontamination;
use still_daemon::{
    cli::RunArguments,
    config::{Config, LoadedConfig, TaskSource},
    control::{ControlPlane, ControlServer},
    http::PageServer,
    import,
    progress::Progress,
    records::StoreRecords,
    signals::{EndSignals, exit_at_once},
};
use still_domain::Split;
use still_learning::{PolicyLearner, load_policy};
use still_policy::DeviceName;
use still_quickstart::GeneratedTask;
use still_roles::{Generator, Learner};
use still_store::{CheckpointFolders, RunIdentity, Store};
use tokio::sync::watch;

use crate::{
    failure::{Failure, OrExit},
    logging,
    model::{Model, Seats},
    placement::GeneratorPlace,
    plan,
    plane::Plane,
    settings,
    verifier::AnswerVerifier,
};

/// The folder of checkpoints inside the data directory.
const CHECKPOINTS: &str = "checkpoints";
/// Longest wait for clients and pages once the actors have ended.
const CLOSING: Duration = Duration::from_secs(5);

/// Runs the daemon; gives how it ended.
pub(crate) fn run(arguments: &RunArguments) -> Result<Exit, Failure> {
    let LoadedConfig { config, .. } = arguments.load().map_err(|error| Failure::new(error.exit(), error))?;
    logging::start(&config.log)?;
    if arguments.dry_run {
        return plan::print(&config).map(|()| Exit::Success);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().or_exit(Exit::Internal)?;
    let ended = runtime.block_on(serve(config));
    // a blocking thread that hangs must not keep a daemon that has ended
    runtime.shutdown_timeout(CLOSING);
    ended
}

async fn serve(config: Config) -> Result<Exit, Failure> {
    let started = Instant::now();
    let data_dir = config.run.data_dir.clone();
    let store = Store::open(&data_dir).or_exit(Exit::Store)?;
    let checkpoints =
        CheckpointFolders::open(&data_dir.join(CHECKPOINTS), store.clone()).or_exit(Exit::Store)?;
    let socket = ControlServer::bind(&data_dir.join(SOCKET_NAME)).await;
    let socket = socket.map_err(|error| Failure::new(error.exit(), error))?;
    let page = match config.http.address() {
        None => None,
        Some(address) => {
            Some(PageServer::bind(address).await.map_err(|error| Failure::new(error.exit(), error))?)
        }
    };
    let exporter = still_telemetry::Exporter::install().or_exit(Exit::Internal)?;

    import_task(&config, &store)?;
    let model = Model::load(&config)?;
    let roles = roles(&config, &model)?;
    let clock = roles.clock.clone();
    let system = System::start(settings::system(&config), store.clone(), checkpoints, roles).await;
    let system = system.or_exit(Exit::Configuration)?;
    let plane = Arc::new(Plane {
        system: system.clone(),
        records: StoreRecords::new(store),
        data_dir,
        page: page.as_ref().map(PageServer::address),
        answer_kind: config.verifier.kind,
        started,
        clock: Arc::new(move || clock.now_ms()),
    });

    let mut progress = Progress::new(config.log.progress);
    progress.announce(&greeting(&plane, socket.path()));
    let shown = tokio::spawn(progress.follow(plane.events()));
    let (close, closing) = watch::channel(false);
    let until_closed = |mut closing: watch::Receiver<bool>| async move {
        // a sender that is gone closes as well
        let _ = closing.wait_for(|closing| *closing).await;
    };
    let control = tokio::spawn(socket.serve(Arc::clone(&plane), until_closed(closing.clone())));
    let served = page.map(|page| {
        tokio::spawn(page.serve(Arc::clone(&plane), move || exporter.render(), until_closed(closing)))
    });
    let signals = EndSignals::install().or_exit(Exit::Internal)?;
    let drained = system.clone();
    signals.watch(move |_| drained.drain(), exit_at_once);

    let reason = system.finished().await;
    close.send_replace(true);
    let closed = async {
        // what is still being told to clients is told; their errors are theirs
        let _ = shown.await;
        let _ = control.await;
        if let Some(served) = served {
            let _ = served.await;
        }
    };
    let _late_clients_are_cut_off = tokio::time::timeout(CLOSING, closed).await;
    match reason {
        FinishReason::RoundsDone | FinishReason::Drained | FinishReason::Stopped => Ok(Exit::Success),
        FinishReason::StoreFailed { .. } => Err(Failure::new(Exit::Store, reason)),
        FinishReason::MeltDown { .. } => Err(Failure::new(Exit::MeltDown, reason)),
    }
}

/// The work that the actors oversee.
fn roles(config: &Config, model: &Model) -> Result<Roles, Failure> {
    let placement = plan::place(config, &model.config)?;
    let seats = |place: &GeneratorPlace, threads| Seats {
        device: place.device,
        precision: place.precision,
        threads,
        rollouts: place.rollouts,
        tokens: place.tokens,
        prompt: config.task.prompt.into(),
        stop_strings: Vec::new(),
    };
    for place in placement.all().filter(|place| place.rollouts < place.wanted_rollouts) {
        let (device, rollouts, wanted) = (place.device, place.rollouts, place.wanted_rollouts);
        tracing::warn!(%device, rollouts, wanted, "fewer rollouts at once than asked for fit the memory");
    }
    let device = &config.device;
    let samplers =
        placement.samplers.iter().map(|place| generator(model, seats(place, device.sampler_threads)));
    let evaluator = seats(&placement.evaluator, device.evaluator_threads);
    let base = Arc::clone(&model.weights);
    Ok(Roles {
        generators: samplers.collect::<Result<_, _>>()?,
        evaluation_generator: generator(model, evaluator)?,
        learner: learner(config, model)?,
        verifier: Arc::new(AnswerVerifier::new(config.verifier.profile)),
        base_weights: Arc::new(move || Ok(Arc::clone(&base))),
        checkpoint_weights: Arc::new(|folder: &Path| {
            let (_, weights) = load_policy(folder).map_err(|error| error.to_string())?;
            Ok(Arc::new(weights))
        }),
        clock: Clock::system(),
    })
}

fn generator(model: &Model, seats: Seats) -> Result<RoleFactory<dyn Generator>, Failure> {
    // a device that cannot generate is told now, not by an actor that fails again and again
    model.generator(&seats).or_exit(Exit::Device)?;
    let model = model.clone();
    Ok(RoleFactory::new(move || model.generator(&seats)))
}

fn learner(config: &Config, model: &Model) -> Result<RoleFactory<dyn Learner>, Failure> {
    let name: DeviceName = config.device.learner.to_string().parse().or_exit(Exit::Configuration)?;
    // a device that is not there is told now, not by the first training job
    name.open().or_exit(Exit::Device)?;
    let (settings, model, prompt) = (settings::learner(config), model.clone(), config.task.prompt.into());
    Ok(RoleFactory::new(move || {
        let device = name.open().map_err(|error| error.to_string())?.autodiff();
        let fused = name == DeviceName::Cpu;
        let encoder = Box::new(model.encoder(prompt));
        let base = model.base_policy();
        let learner: Box<dyn Learner> =
            Box::new(PolicyLearner::new(settings.clone(), base, encoder, device, fused));
        Ok(learner)
    }))
}

/// Makes the configured task durable. What is there already is no change, so every start does it.
fn import_task(config: &Config, store: &Store) -> Result<(), Failure> {
    let facts = [
        ("model".to_owned(), config.model.source.to_string()),
        ("task".to_owned(), format!("{:?}", config.task.source).to_lowercase()),
    ];
    store.identify(&RunIdentity { seed: config.run.seed, facts: facts.into() }).or_exit(Exit::Store)?;
    let GeneratedTask { demonstrations, mut problems, held_out } = read_task(config)?;
    let texts = held_out.iter().map(|problem| (problem.id.clone(), problem.text.as_str()));
    let decontamination = Decontamination::new(config.decontamination.clone(), texts);
    let before = problems.len();
    problems.retain(|problem| decontamination.check(&problem.text).is_none());
    if problems.len() < before {
        tracing::warn!(
            left_out = before - problems.len(),
            "problems that repeat a held-out one are not explored"
        );
    }
    store.import_demonstrations(&demonstrations).or_exit(Exit::Store)?;
    store.import_problems(&held_out).or_exit(Exit::Store)?;
    store.import_problems(&problems).or_exit(Exit::Store)?;
    Ok(())
}

/// Demonstrations, problems to explore and problems held out.
fn read_task(config: &Config) -> Result<GeneratedTask, Failure> {
    match config.task.source {
        TaskSource::Quickstart => {
            config.task.quickstart.generate(config.run.seed).or_exit(Exit::Configuration)
        }
        TaskSource::Files => {
            let failed = |error: import::ImportError| Failure::new(error.exit(), error);
            let files = &config.task.files;
            let problems = |paths: &[std::path::PathBuf], split| {
                let mut all = Vec::new();
                for path in paths {
                    let read = import::problems_from_file(path, split, config.verifier.kind);
                    all.extend(read.map_err(failed)?);
                }
                Ok::<_, Failure>(all)
            };
            let mut demonstrations = Vec::new();
            for path in &files.demonstrations {
                demonstrations.extend(import::demonstrations_from_file(path).map_err(failed)?);
            }
            let held_out = problems(&files.evaluation, Split::Evaluate)?;
            Ok(GeneratedTask {
                demonstrations,
                problems: problems(&files.problems, Split::Explore)?,
                held_out,
            })
        }
    }
}

/// Where the daemon can be reached.
fn greeting(plane: &Plane, socket: &Path) -> Vec<String> {
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
