//! A daemon that only remembers what it was asked: the other end of the socket in tests.
#![allow(clippy::unwrap_used, dead_code, missing_docs, unreachable_pub)]

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::{StreamExt, stream};
use still_control::{
    Activity, ActorState, ActorStatus, AddServerRequest, DemonstrationLine, DemonstrationList,
    DemonstrationQuery, DeviceState, DeviceStatus, Done, ErrorKind, ErrorReply, Event, LaunchStatus,
    OnConflict, PoolQuery, PoolRecord, ProblemLine, ProblemList, ProblemQuery, RemoveServerRequest,
    ReviveRequest, RoundReport, ServerState, ServerStatus, SetLine, Status, SuspectLine, Wait,
};
use still_domain::{
    AttemptId, Demonstration, DemonstrationId, Estimate, FinishReason, JudgedTrajectory, Measures, Outcome,
    PolicyOrigin, PolicyRecord, PolicyVersion, Problem, ProblemId, RoundNumber, RoundPhase, SamplingSettings,
    SealingDecision, TrainingSetId, Trajectory, Verdict, VersionSpan,
};
use still_operator::{
    control::{ControlPlane, ControlServer, EventStream, Imported, SocketError, TrajectoryStream},
    import::Batch,
};
use tokio::{sync::oneshot, task::JoinHandle};

/// A daemon that only remembers.
#[derive(Default)]
pub struct FakePlane {
    pub asked: Mutex<Vec<String>>,
    pub problems: Mutex<Vec<Problem>>,
    pub demonstrations: Mutex<Vec<Demonstration>>,
    pub is_ready: AtomicBool,
    pub is_dead: AtomicBool,
    pub is_draining: AtomicBool,
}

/// A server with its fake behind it.
pub struct Served {
    pub plane: Arc<FakePlane>,
    close: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

impl Served {
    pub async fn start(socket: &Path) -> Result<Self, SocketError> {
        let plane = Arc::new(FakePlane::default());
        plane.is_ready.store(true, Ordering::Relaxed);
        let (close, closed) = oneshot::channel();
        let bound = ControlServer::bind(socket).await?;
        let served = bound.serve(Arc::clone(&plane), async move {
            let _ = closed.await;
        });
        Ok(Self { plane, close, server: tokio::spawn(served) })
    }

    pub async fn end(self) {
        self.close.send(()).unwrap();
        self.server.await.unwrap().unwrap();
    }
}

impl FakePlane {
    fn done(&self, what: String) -> Result<Done, ErrorReply> {
        self.asked.lock().unwrap().push(what.clone());
        if self.is_draining.load(Ordering::Relaxed) {
            return Err(ErrorReply::new(ErrorKind::Draining, "the daemon is going down"));
        }
        Ok(Done::new(what))
    }
}

pub fn judged(problem: &str, number: u32, outcome: Outcome) -> JudgedTrajectory {
    JudgedTrajectory {
        trajectory: Trajectory {
            id: format!("{problem}#{number}").parse().unwrap(),
            prompt_token_count: 5,
            tokens: vec![1, 2, 3],
            log_probabilities: vec![-0.1, -0.2, -0.3],
            sampling_log_probabilities: Vec::new(),
            text: "a thought".to_owned(),
            sampling: SamplingSettings::default(),
            seed: 9,
            finish: FinishReason::Stop,
            versions: vec![VersionSpan { policy: PolicyVersion(2).into(), start: 0, end: 3 }],
            provenance: None,
        },
        verdict: Verdict {
            outcome,
            extracted: Some("7".to_owned()),
            rule: None,
            verifier: "fake 1".to_owned(),
        },
        measures: Measures::default(),
        rejection: None,
        eviction: None,
    }
}

pub fn report() -> RoundReport {
    let estimate = |value| Estimate { value, low: value - 0.05, high: value + 0.05, correct: 1, total: 2 };
    RoundReport {
        round: RoundNumber(1),
        phase: RoundPhase::Promoted,
        decision: Some("better".to_owned()),
        accuracy: Some(estimate(0.5)),
        hard_accuracy: Some(estimate(0.25)),
        test_accuracy: None,
        base_accuracy: None,
        by_level: BTreeMap::from([(5, estimate(0.3)), (6, estimate(0.2))]),
        pool: 100,
        selected: 40,
        judged: 90,
        loss: Some(0.25),
        gap_nats: Some(0.0125),
        rollout_tokens_per_second: 30_000.0,
        training_tokens_per_second: 25_000.0,
        seconds: 31.5,
    }
}

/// The kind of an event. Whoever adds one must name it here, and add one to [`every_event`].
pub const fn kind(event: &Event) -> &'static str {
    match event {
        Event::Phase { .. } => "phase",
        Event::Explored { .. } => "explored",
        Event::Sealed { .. } => "sealed",
        Event::Trained { .. } => "trained",
        Event::Checkpointed { .. } => "checkpointed",
        Event::Evaluated { .. } => "evaluated",
        Event::Published { .. } => "published",
        Event::RoundEnded(_) => "round_ended",
        Event::Restarted { .. } => "restarted",
        Event::DeviceFailed { .. } => "device_failed",
        Event::Warning { .. } => "warning",
        Event::AtWork { .. } => "at_work",
        Event::Draining => "draining",
        Event::Finished { .. } => "finished",
    }
}

/// Kinds of events.
pub const KINDS: usize = 14;

/// A wait for a step that takes long.
fn wait() -> Wait {
    Wait {
        who: "trainer".to_owned(),
        waits_for: "learner".to_owned(),
        reason: "step 3 of 40, 25 % of it done".to_owned(),
        silent_seconds: Some(75.0),
    }
}

/// Events of every kind, in an order in which they may come.
pub fn every_event() -> Vec<Event> {
    let round = RoundNumber(2);
    let trained = |step| Event::Trained {
        round,
        step,
        total_steps: 40,
        loss: 0.5,
        learning_rate: 1e-3,
        tokens_per_second: 9.0,
    };
    let explored = |judged| Event::Explored {
        round,
        judged,
        quota: 900,
        correct: 7,
        pool: 90,
        tokens_per_second: 30_000.0,
    };
    let mut events = vec![Event::Phase { round, phase: RoundPhase::Exploring }];
    events.extend((1..=900).map(explored));
    events.push(Event::Sealed {
        round,
        training_set: TrainingSetId::new("set-7"),
        examples: 44,
        selected: 40,
    });
    events.push(Event::Phase { round, phase: RoundPhase::Training });
    events.extend((1..=40).map(trained));
    events.push(Event::Checkpointed { round, step: 40 });
    events.extend((1..=100).map(|judged| Event::Evaluated { round, judged, total: 100 }));
    events.push(Event::Published { version: PolicyVersion(2) });
    events.push(Event::RoundEnded(report()));
    let (restarts, reason) = (1, "unplugged".to_owned());
    events.push(Event::Restarted { actor: "sampler".to_owned(), restarts, reason: reason.clone() });
    events.push(Event::DeviceFailed { device: "sampler-0".to_owned(), restarts, reason, retry_ms: 1_500 });
    events.push(Event::Warning { message: "the disk is nearly full".to_owned() });
    events.push(Event::Draining);
    events.push(Event::AtWork { waits: vec![wait()] });
    events.push(Event::Finished { reason: "drained".to_owned() });
    events
}

impl ControlPlane for FakePlane {
    async fn status(&self) -> Result<Status, ErrorReply> {
        let is_ready = self.is_ready.load(Ordering::Relaxed);
        let state = if is_ready { ActorState::Running } else { ActorState::Starting };
        Ok(Status {
            version: "0.1.0".to_owned(),
            pid: std::process::id(),
            data_dir: "data".to_owned(),
            metrics: Some("http://127.0.0.1:9464/metrics".to_owned()),
            uptime_seconds: 61.0,
            round: RoundNumber(2),
            phase: RoundPhase::Exploring,
            rounds_wanted: 5,
            policy: is_ready.then_some(PolicyVersion(2)),
            exploration_paused: false,
            training_paused: false,
            draining: false,
            judged: 12,
            quota: 900,
            selected: 3,
            pool: 112,
            step: 0,
            total_steps: 0,
            skipped_steps: 0,
            training_rollbacks: 0,
            memory_shortages: 0,
            gap: None,
            rollout_tokens_per_second: 30_000.0,
            training_tokens_per_second: 0.0,
            actors: vec![ActorStatus {
                name: "sampler".to_owned(),
                state,
                queued: 4,
                in_flight: 128,
                idle_seconds: 0.1,
                restarts: 0,
            }],
            devices: vec![DeviceStatus {
                name: "sampler-0".to_owned(),
                actor: "sampler".to_owned(),
                state: DeviceState::LeftOut,
                in_flight: 0,
                capacity: 0,
                silent_seconds: 61.0,
                restarts: 8,
                last_failure: Some("unplugged".to_owned()),
            }],
            waits: vec![Wait {
                who: "sampler".to_owned(),
                waits_for: "sampler-0".to_owned(),
                reason: "it failed too often and is left out: unplugged".to_owned(),
                silent_seconds: Some(61.0),
            }],
            last_round: Some(report()),
            base_accuracy: None,
        })
    }

    fn is_alive(&self) -> bool {
        !self.is_dead.load(Ordering::Relaxed)
    }

    fn events(&self) -> EventStream {
        stream::iter(every_event()).chain(stream::pending()).boxed()
    }

    async fn rounds(&self) -> Result<Vec<RoundReport>, ErrorReply> {
        Ok(vec![
            report(),
            RoundReport { round: RoundNumber(2), decision: Some("<worse>".to_owned()), ..report() },
        ])
    }

    async fn pause(&self, activity: Option<Activity>) -> Result<Done, ErrorReply> {
        self.done(format!("pause {activity:?}"))
    }

    async fn resume(&self, activity: Option<Activity>) -> Result<Done, ErrorReply> {
        self.done(format!("resume {activity:?}"))
    }

    async fn drain(&self) -> Result<Done, ErrorReply> {
        self.done("drain".to_owned())
    }

    async fn stop(&self) -> Result<Done, ErrorReply> {
        self.done("stop".to_owned())
    }

    async fn checkpoint(&self) -> Result<Done, ErrorReply> {
        self.done("checkpoint".to_owned())
    }

    async fn seal(&self) -> Result<Done, ErrorReply> {
        self.done("seal".to_owned())
    }

    async fn import_problems(&self, problems: Batch<Problem>, _: OnConflict) -> Result<Imported, ErrorReply> {
        let problems = problems.records;
        let mut known = self.problems.lock().unwrap();
        let before = known.len();
        for problem in &problems {
            if !known.contains(problem) {
                known.push(problem.clone());
            }
        }
        let imported = (known.len() - before) as u64;
        Ok(Imported { imported, known: problems.len() as u64 - imported, ..Imported::default() })
    }

    async fn import_demonstrations(
        &self,
        demonstrations: Batch<Demonstration>,
    ) -> Result<Imported, ErrorReply> {
        let imported = demonstrations.records.len() as u64;
        self.demonstrations.lock().unwrap().extend(demonstrations.records);
        Ok(Imported { imported, ..Imported::default() })
    }

    async fn problems(&self, query: ProblemQuery) -> Result<ProblemList, ErrorReply> {
        let known = self.problems.lock().unwrap();
        let lines: Vec<_> = known
            .iter()
            .filter(|problem| query.level.is_none() || problem.level == query.level)
            .filter(|problem| query.split.is_none_or(|split| problem.split == split))
            .map(|problem| ProblemLine {
                id: problem.id.clone(),
                kind: problem.kind,
                source: problem.source.clone(),
                level: problem.level,
                split: problem.split,
                text: problem.text.clone(),
                gold: problem.gold.clone(),
                attempts: 4,
                correct: 1,
                truncated: 0,
                state: Some("open".to_owned()),
                pass_rate: Some(0.25),
                pass_rate_deviation: Some(0.2),
            })
            .collect();
        let limit = query.limit.unwrap_or(u64::MAX) as usize;
        Ok(ProblemList { total: lines.len() as u64, problems: lines.into_iter().take(limit).collect() })
    }

    async fn problem(&self, id: ProblemId) -> Result<Option<Problem>, ErrorReply> {
        Ok(self.problems.lock().unwrap().iter().find(|problem| problem.id == id).cloned())
    }

    async fn demonstrations(&self, query: DemonstrationQuery) -> Result<DemonstrationList, ErrorReply> {
        let known = self.demonstrations.lock().unwrap();
        let limit = query.limit.unwrap_or(u64::MAX) as usize;
        let demonstrations = known.iter().take(limit).map(DemonstrationLine::from).collect();
        Ok(DemonstrationList { total: known.len() as u64, demonstrations })
    }

    async fn demonstration(&self, id: DemonstrationId) -> Result<Option<Demonstration>, ErrorReply> {
        Ok(self.demonstrations.lock().unwrap().iter().find(|known| known.id == id).cloned())
    }

    async fn sets(&self) -> Result<Vec<SetLine>, ErrorReply> {
        Ok(vec![SetLine {
            id: TrainingSetId::new("set-7"),
            round: RoundNumber(2),
            demonstrations: 4,
            trajectories: 40,
            pairs: 0,
            is_intact: true,
        }])
    }

    async fn suspects(&self) -> Result<Vec<SuspectLine>, ErrorReply> {
        Ok(vec![SuspectLine {
            problem: ProblemId::new("p7"),
            text: "6*7?".to_owned(),
            gold: "41".to_owned(),
            answer: "42".to_owned(),
            agreeing: 9,
            wrong: 10,
            correct: 0,
            share: 0.9,
        }])
    }

    async fn pool(&self, query: PoolQuery) -> Result<TrajectoryStream, ErrorReply> {
        self.asked.lock().unwrap().push(format!("{query:?}"));
        if query.policy_version == Some(PolicyVersion(99)) {
            let failure = ErrorReply::new(ErrorKind::Store, "the store is damaged");
            return Ok(stream::iter([Ok(judged("a", 0, Outcome::Wrong)), Err(failure)]).boxed());
        }
        let all = [
            judged("a", 0, Outcome::Wrong),
            judged("a", 1, Outcome::Correct),
            judged("b#2", 0, Outcome::Correct),
        ];
        let chosen: Vec<_> = all
            .into_iter()
            .filter(|judged| query.verdict.is_none_or(|verdict| judged.verdict.outcome == verdict))
            .filter(|judged| query.problem.as_ref().is_none_or(|problem| judged.problem() == problem))
            .map(Ok)
            .collect();
        Ok(stream::iter(chosen).boxed())
    }

    async fn revive(&self, request: ReviveRequest) -> Result<Done, ErrorReply> {
        let names: Vec<_> = request.problems.iter().map(ToString::to_string).collect();
        Ok(Done::new(format!("revived {} for {} attempts", names.join(" and "), request.attempts)))
    }

    async fn trajectory(&self, id: AttemptId) -> Result<Option<PoolRecord>, ErrorReply> {
        Ok((id.problem.as_str() == "b#2").then(|| PoolRecord {
            judged: judged("b#2", id.number.0, Outcome::Correct),
            decisions: vec![SealingDecision { round: RoundNumber(1), decision: "joins the set".to_owned() }],
            provenance: None,
        }))
    }

    async fn policies(&self) -> Result<Vec<PolicyRecord>, ErrorReply> {
        let record = |version, origin| PolicyRecord {
            version: PolicyVersion(version),
            origin,
            checkpoint: None,
            accuracy: None,
            published_at_ms: 0,
        };
        Ok(vec![record(0, PolicyOrigin::Base), record(1, PolicyOrigin::Round(RoundNumber(0)))])
    }

    async fn promote(&self, version: PolicyVersion) -> Result<Done, ErrorReply> {
        if version.0 > 2 {
            return Err(ErrorReply::new(ErrorKind::NotFound, format!("no policy has version {version}")));
        }
        self.done(format!("promote {version}"))
    }

    async fn rollback(&self) -> Result<Done, ErrorReply> {
        self.done("rollback".to_owned())
    }

    async fn servers(&self) -> Result<Vec<ServerStatus>, ErrorReply> {
        let left_out = ServerStatus {
            address: "http://node-1:8000".to_owned(),
            engine: "vllm".to_owned(),
            version: Some("0.32.0".to_owned()),
            precision: Some("bf16".to_owned()),
            state: ServerState::LeftOut,
            policy: None,
            running: 12,
            waiting: 1,
            cache_share: 0.25,
            in_flight: 8,
            window: 16,
            tokens_per_second: 900.0,
            last_failure: Some("connection refused".to_owned()),
            launched: None,
        };
        let launched = LaunchStatus {
            process: None,
            log: "data/servers/server-0.log".to_owned(),
            devices: vec![0, 1],
            restarts_in_seconds: Some(4.2),
        };
        let restarting = ServerStatus {
            address: "http://127.0.0.1:4321".to_owned(),
            state: ServerState::Restarting,
            last_failure: Some("exit status: 3".to_owned()),
            launched: Some(launched),
            ..left_out.clone()
        };
        Ok(vec![left_out, restarting])
    }

    async fn add_server(&self, request: AddServerRequest) -> Result<Done, ErrorReply> {
        self.done(format!("add {} {}", request.address, request.kind.unwrap_or_default()))
    }

    async fn remove_server(&self, request: RemoveServerRequest) -> Result<Done, ErrorReply> {
        self.done(format!("remove {} {}", request.address, request.at_once))
    }

    async fn kill(&self, actor: String) -> Result<Done, ErrorReply> {
        self.done(format!("kill {actor}"))
    }
}
