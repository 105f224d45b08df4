//! A store, checkpoints and roles; starts the program on them, as often as a test lets it die.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use still_actors::{
    Clock, Event, FinishReason, Roles, RoundSection, SupervisionSection, System, SystemConfig,
};
use still_curation::Evidence;
use still_domain::{AttemptId, JudgedTrajectory, Round, TrainingSetId};
use still_embedded::{EmbeddedGenerator, EmbeddedTraining};
use still_roles::GeneratorFactory;
use still_store::{CheckpointFolders, CheckpointsSection, Store};
use tempfile::TempDir;
use tokio::sync::broadcast;

use crate::{
    generator::{ScriptedGenerator, SkillOf},
    learner::ScriptedLearner,
    scorer::{scripted_learner_scorers, scripted_scorers},
    script::{Script, take_one},
    verifier::ScriptedVerifier,
    world::{BASE_SKILL, World},
};

/// The longest that a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Optimizer steps of every job.
pub const TRAINING_STEPS: u64 = 10;

/// A store, checkpoints and roles.
pub struct Harness {
    /// What goes wrong, what waits, and what was seen.
    pub script: Arc<Script>,
    /// The store, in memory: it survives the program, not the test.
    pub store: Store,
    /// The folders of checkpoints.
    pub checkpoints: CheckpointFolders,
    /// The roles; a test may put others in.
    pub roles: Roles,
    _folder: TempDir,
}

impl Harness {
    /// A harness whose store holds the world.
    pub fn new(world: World) -> Self {
        let harness = Self::on(Store::in_memory().unwrap());
        harness.store.import_problems(&world.problems()).unwrap();
        harness.store.import_demonstrations(&world.demonstrations()).unwrap();
        harness
    }

    /// A harness on a store of one's own.
    pub fn on(store: Store) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = CheckpointFolders::open(folder.path(), store.clone()).unwrap();
        let script = Arc::new(Script::default());
        Self { roles: roles(&script, &checkpoints), script, store, checkpoints, _folder: folder }
    }

    /// Starts the program.
    pub async fn start(&self, config: SystemConfig) -> System {
        System::start(config, self.store.clone(), self.checkpoints.clone(), self.roles.clone()).await.unwrap()
    }

    /// Runs the program to its end.
    pub async fn run(&self, config: SystemConfig) -> FinishReason {
        let system = self.start(config).await;
        finished(&system).await
    }

    /// The pool, by problem and attempt.
    pub fn pool(&self) -> Vec<JudgedTrajectory> {
        self.store.trajectories().collect::<Result<_, _>>().unwrap()
    }

    /// Names of the attempts in the pool, in order.
    pub fn attempts(&self) -> Vec<AttemptId> {
        self.pool().iter().map(|judged| judged.id().clone()).collect()
    }

    /// The rounds.
    pub fn rounds(&self) -> Vec<Round> {
        self.store.rounds().unwrap()
    }

    /// The sealed sets, by round.
    pub fn sets(&self) -> Vec<TrainingSetId> {
        self.rounds().into_iter().filter_map(|round| round.training_set).collect()
    }
}

/// A configuration of small rounds and fast restarts.
pub fn config(rounds: u32) -> SystemConfig {
    let mut config = SystemConfig {
        seed: 7,
        rounds,
        round: RoundSection { problems: 15, ..RoundSection::default() },
        checkpoints: CheckpointsSection { every_steps: 3, ..CheckpointsSection::default() },
        supervision: SupervisionSection {
            first_backoff_ms: 1,
            max_backoff_ms: 20,
            max_restarts: 50,
            ..SupervisionSection::default()
        },
        ..SystemConfig::default()
    };
    config.exploration.attempts_per_visit = 4;
    config.exploration.stop_after_correct = 2;
    config.exploration.park_after = 8;
    config.exploration.in_flight_attempts = 24;
    config.exploration.max_ahead_attempts = 40;
    config.verifiers.workers = 2;
    // a dozen held-out problems prove nothing
    config.gate.evidence = Evidence::Difference;
    config
}

/// Waits until the program has ended.
pub async fn finished(system: &System) -> FinishReason {
    tokio::time::timeout(PATIENCE, system.finished())
        .await
        .unwrap_or_else(|_| panic!("the program does not end: {:#?}", system.status()))
}

/// Waits for an event. A flood of them may hide any single one (a step of many, say), so ask for what is told again.
pub async fn wait_for(
    system: &System,
    events: &mut broadcast::Receiver<Event>,
    is_it: impl Fn(&Event) -> bool,
) -> Event {
    let wait = async {
        loop {
            match events.recv().await {
                Ok(event) if is_it(&event) => return event,
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => panic!("the program has ended"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("the event does not come: {:#?}", system.status()))
}

/// Looks skills up in the folders of checkpoints.
fn skill_of(checkpoints: &CheckpointFolders) -> SkillOf {
    let checkpoints = checkpoints.clone();
    Arc::new(move |policy| match &policy.checkpoint {
        None => Ok(BASE_SKILL),
        Some(checkpoint) => ScriptedLearner::skill_in(&checkpoints.folder(checkpoint)),
    })
}

/// Generators of that name that hold so many rollouts and obey a script.
pub fn scripted_generators(
    name: &str,
    script: &Arc<Script>,
    checkpoints: &CheckpointFolders,
    capacity: usize,
) -> GeneratorFactory {
    let (script, skill_of) = (Arc::clone(script), skill_of(checkpoints));
    EmbeddedGenerator::factory(name, move || {
        Ok(Box::new(ScriptedGenerator::new(Arc::clone(&script), Arc::clone(&skill_of), capacity)))
    })
}

fn roles(script: &Arc<Script>, checkpoints: &CheckpointFolders) -> Roles {
    let generator = |name, capacity| scripted_generators(name, script, checkpoints, capacity);
    let training = {
        let (script, skill_of) = (Arc::clone(script), skill_of(checkpoints));
        EmbeddedTraining::factory("learner", move || {
            if take_one(&script.learner_build_failures) {
                return Err("the script says so".to_owned());
            }
            Ok(Box::new(ScriptedLearner::new(Arc::clone(&script), Arc::clone(&skill_of), TRAINING_STEPS)))
        })
    };
    let ticks = AtomicU64::new(1_000);
    Roles {
        generators: vec![generator("sampler-0", 8), generator("sampler-1", 8)],
        evaluation_generator: generator("evaluator", 16),
        training,
        scorer: scripted_scorers(script, skill_of(checkpoints)),
        learner_scorer: scripted_learner_scorers(script),
        verifier: Arc::new(ScriptedVerifier::new(Arc::clone(script))),
        check: Arc::new(|_| Ok(())),
        clock: Clock::new(move || ticks.fetch_add(1, Ordering::Relaxed)),
    }
}
