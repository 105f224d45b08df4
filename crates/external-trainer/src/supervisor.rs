//! When a trainer is started, asked, ended and started again.
//!
//! The thread waits for an order, for a line of the trainer, and for the moment at which it has been silent for too long.
//! A trainer that fails or hangs is started again from its newest checkpoint, after a wait that doubles; once it has
//! failed too often without a further checkpoint the job is refused, so that its round is rejected and the run goes on.
//! Where it shares devices with servers, it is started once it is its turn, and the turn ends with the job.

use std::{
    mem,
    path::{self, Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use crossbeam::{
    channel::{Receiver, after, at, never, unbounded},
    select,
};
use still_embedded::TrainingOrder;
use still_process::{Heard, ProcessTree, Turn, sweep};
use still_roles::{EventSink, TrainingEvent, TrainingFailure, TrainingJob, TrainingPlan};

use crate::{
    candidate,
    checkpoints::{self, Resumable, disk},
    job_folder::{Contents, FolderError, JobFolder},
    protocol::TrainerLine,
    trainer::ExternalTrainer,
    work::{Ending, Phase, Running, TrainerWord, Verdict, Work, nothing_to_save},
};

/// How often the thread looks around, and says that it is alive.
const LOOK: Duration = Duration::from_secs(5);
/// What stands for the job's folder in an argument.
const JOB_PLACE: &str = "{job}";
/// Names the job's folder in the environment of a trainer.
const JOB_VARIABLE: &str = "STILL_JOB";
/// Names the checkpoint to go on from in the environment of a trainer.
const RESUME_VARIABLE: &str = "STILL_RESUME";

/// A command that trains, and the job at work.
pub(crate) struct Supervisor {
    given: Arc<ExternalTrainer>,
    work: Option<Work>,
    is_paused: bool,
}

impl Supervisor {
    pub(crate) const fn new(given: Arc<ExternalTrainer>) -> Self {
        Self { given, work: None, is_paused: false }
    }

    /// Works until the orders' other end is gone; then the trainer is ended, and its checkpoints are what is left.
    ///
    /// # Errors
    /// When the disk fails, or a trainer cannot even be killed.
    pub(crate) fn work(
        &mut self,
        orders: &Receiver<TrainingOrder>,
        events: &EventSink<TrainingEvent>,
    ) -> Result<(), TrainingFailure> {
        events.tell(TrainingEvent::Ready);
        loop {
            let (heard, turn, wake) = (self.heard(), self.turn(), self.wake());
            select! {
                recv(orders) -> order => if let Ok(order) = order {
                    self.obey(order, events)?;
                } else {
                    self.work = None;
                    return Ok(());
                },
                recv(heard) -> word => if let Ok(word) = word { self.hear(word, events)? },
                // devices that nobody can give are nobody's
                recv(turn) -> turn => self.take_turn(turn.unwrap_or_else(|_| Turn::on_nobodys())),
                recv(wake) -> _ => {}
            }
            self.look(events)?;
        }
    }

    /// What is heard of the trainer.
    fn heard(&self) -> Receiver<TrainerWord> {
        match self.work.as_ref().map(|work| &work.phase) {
            Some(Phase::Running(running)) => running.heard.clone(),
            _ => never(),
        }
    }

    /// Comes when the devices are the trainer's.
    fn turn(&self) -> Receiver<Turn> {
        match self.work.as_ref().map(|work| &work.phase) {
            Some(Phase::Asking(turn)) => turn.clone(),
            _ => never(),
        }
    }

    fn take_turn(&mut self, turn: Turn) {
        if let Some(work) = &mut self.work {
            (work.turn, work.phase) = (Some(turn), Phase::Waiting(Instant::now()));
        }
    }

    /// When to look around.
    fn wake(&self) -> Receiver<Instant> {
        match self.work.as_ref().map(|work| &work.phase) {
            None => never(),
            Some(Phase::Waiting(_)) if self.is_paused => never(),
            Some(Phase::Waiting(moment)) => at(*moment.min(&(Instant::now() + LOOK))),
            Some(Phase::Asking(_)) => after(LOOK),
            Some(Phase::Running(running)) => {
                let silent_at = running.heard_at + self.max_silence();
                let kill_at = running.ending.as_ref().map(|ending| ending.kill_at);
                let halt_at = self.work.as_ref().and_then(|work| work.halt_at);
                let moments = [Some(silent_at), kill_at, halt_at].into_iter().flatten();
                let moment = moments.filter(|moment| *moment > Instant::now()).min();
                moment.map_or_else(|| after(LOOK), |moment| at(moment.min(Instant::now() + LOOK)))
            }
        }
    }

    fn obey(
        &mut self,
        order: TrainingOrder,
        events: &EventSink<TrainingEvent>,
    ) -> Result<(), TrainingFailure> {
        match order {
            TrainingOrder::Start(job) => {
                if let Some(before) = self.work.take() {
                    nothing_to_save(before.tickets, events);
                }
                self.work = self.begin(*job, events)?;
            }
            TrainingOrder::Checkpoint(ticket) => match &mut self.work {
                None => nothing_to_save(vec![ticket], events),
                Some(work) => {
                    work.tickets.push(ticket);
                    work.request()?;
                }
            },
            TrainingOrder::Pause(is_paused) => {
                self.is_paused = is_paused;
                if let Some(Work { phase: Phase::Running(running), .. }) = &mut self.work {
                    running.process.pause(is_paused);
                    running.heard_at = Instant::now();
                }
            }
            TrainingOrder::Halt => match &mut self.work {
                Some(work @ Work { phase: Phase::Running(_), halt_at: None, .. }) => {
                    work.request()?;
                    let patience = self.given.settings.command.checkpoint_seconds;
                    work.halt_at = Some(Instant::now() + Duration::from_secs(patience));
                    if let Phase::Running(running) = &work.phase {
                        // what is stopped can save nothing
                        running.process.pause(false);
                    }
                }
                Some(Work { phase: Phase::Running(_), .. }) => {}
                Some(Work { phase: Phase::Waiting(_) | Phase::Asking(_), .. }) | None => self.halted(events),
            },
        }
        Ok(())
    }

    /// Takes a job up. Blocks while its folder is written.
    fn begin(
        &self,
        job: TrainingJob,
        events: &EventSink<TrainingEvent>,
    ) -> Result<Option<Work>, TrainingFailure> {
        let round = job.round;
        let refuse = |reason: String| {
            events.tell(TrainingEvent::Refused { round, reason });
            Ok(None)
        };
        let given = &*self.given;
        let base = match &job.start {
            Some(start) => given.library.folder(start),
            None => given.library.base_folder(),
        };
        let base = match base {
            Ok(base) => absolute(&base)?,
            Err(error) => return refuse(error.to_string()),
        };
        let root = absolute(&given.root)?;
        let contents = Contents {
            root: &root,
            job: &job,
            settings: &given.settings,
            encoder: &*given.encoder,
            tokenizer: &given.tokenizer,
            positions: given.config.max_position_count,
            base,
        };
        let folder = match JobFolder::prepare(&contents) {
            Ok(folder) => folder,
            Err(FolderError::Refused(reason)) => return refuse(reason),
            Err(FolderError::Disk(reason)) => return Err(TrainingFailure::Disk(reason)),
        };
        if folder.left_out() > 0 {
            events.tell(TrainingEvent::Warning(format!(
                "{} examples longer than max_sequence_tokens, or than the model has positions, are left out",
                folder.left_out()
            )));
        }
        Work::new(job, folder).map(Some)
    }

    /// Starts the trainer of the job at work.
    fn start(&mut self, events: &EventSink<TrainingEvent>) -> Result<(), TrainingFailure> {
        let Some(work) = &mut self.work else { return Ok(()) };
        let given = &*self.given;
        // one of a daemon that was killed may still write
        let left = sweep(JOB_VARIABLE, work.folder.path().as_os_str());
        if left > 0 {
            let message =
                format!("{left} processes of a trainer that an earlier start left behind were ended");
            events.tell(TrainingEvent::Warning(message));
        }
        let store = Arc::clone(&work.job.checkpoints);
        let adopted = checkpoints::adopt(&*store, &work.folder, &mut work.went_back_to)?;
        work.saved(&adopted, events);
        let unwritten = |error| disk(work.folder.path(), &error);
        checkpoints::sweep(&work.folder).map_err(unwritten)?;
        if work.folder.has_output() {
            // it was done, and nobody was there to hear of it
            return self.done(events);
        }
        work.folder.clear_output().map_err(unwritten)?;
        let passed_over =
            |reason| events.tell(TrainingEvent::Warning(format!("{reason}; it is passed over")));
        let mut known = checkpoints::resumable(&*store, &work.folder, passed_over)?.into_iter();
        let resumed = known.find(|one| !work.unfit.contains(&one.folder));
        let command = &given.settings.command;
        let program = command.executable().map_err(TrainingFailure::Device)?;
        let mut process = Command::new(program);
        let job = work.folder.path().to_string_lossy().into_owned();
        process.args(command.arguments.iter().map(|argument| argument.replace(JOB_PLACE, &job)));
        process.envs(&command.environment).env(JOB_VARIABLE, work.folder.path());
        match &resumed {
            Some(Resumable { folder, .. }) => process.env(RESUME_VARIABLE, absolute(folder)?),
            None => process.env_remove(RESUME_VARIABLE),
        };
        work.log.begin();
        let (step, resumed_from) = resumed.map_or((0, None), |one| (one.step, Some(one.folder)));
        let (tell, heard) = unbounded();
        let tell = move |word| {
            // a job that was dropped hears nothing more
            let _ = tell.send(word);
        };
        let process = match ProcessTree::start(process, &work.log, TrainerLine::read, tell) {
            Ok(process) => process,
            Err(error) => {
                self.failed(&format!("it cannot be started: {error}"), events);
                return Ok(());
            }
        };
        work.went_back_to = Some(step);
        work.furthest_step = work.furthest_step.max(step);
        work.stepped_at = None;
        events.tell(TrainingEvent::Begun {
            round: work.job.round,
            plan: TrainingPlan {
                total_steps: work.folder.total_steps(),
                resumed_step: step,
                left_out: work.folder.left_out() as u64,
            },
            resumed_from: resumed_from.clone(),
        });
        work.phase = Phase::Running(Running {
            process,
            heard,
            heard_at: Instant::now(),
            resumed_from,
            verdict: None,
            ending: None,
        });
        Ok(())
    }

    /// Takes in what the trainer says.
    fn hear(&mut self, word: TrainerWord, events: &EventSink<TrainingEvent>) -> Result<(), TrainingFailure> {
        let patience = self.stop_patience();
        let Some(work) = &mut self.work else { return Ok(()) };
        let Phase::Running(running) = &mut work.phase else { return Ok(()) };
        let line = match word {
            Heard::Ended(status) => {
                let status = match status {
                    Ok(status) => status.to_string(),
                    Err(error) => error.to_string(),
                };
                return self.ended(&status, events);
            }
            Heard::Line(Ok(line)) => line,
            Heard::Line(Err(reason)) => {
                events.tell(TrainingEvent::Warning(format!(
                    "the trainer says what is not understood: {reason}"
                )));
                return Ok(());
            }
        };
        running.heard_at = Instant::now();
        let verdict = match line {
            TrainerLine::Heartbeat => {
                events.tell(TrainingEvent::Alive);
                return Ok(());
            }
            TrainerLine::Progress(progress) => {
                work.progressed(&progress, events);
                return Ok(());
            }
            TrainerLine::Checkpoint { folder, step } => {
                let store = Arc::clone(&work.job.checkpoints);
                let adopted = checkpoints::adopt(&*store, &work.folder, &mut work.went_back_to)?;
                // one that is not there any more has been taken with another
                let folder = work.folder.path().join(folder);
                if !adopted.iter().any(|one| one.step == step) && folder.exists() {
                    let folder = folder.display();
                    let message = format!(
                        "the trainer told of a checkpoint `{folder}` of step {step} that is not complete"
                    );
                    events.tell(TrainingEvent::Warning(message));
                }
                work.saved(&adopted, events);
                if !adopted.is_empty() && work.halt_at.is_some() {
                    work.end(None, patience);
                }
                return Ok(());
            }
            TrainerLine::Done => Verdict::Done,
            TrainerLine::Failed { reason } => Verdict::Failed(reason),
            TrainerLine::Unfit { reason } => Verdict::Unfit(reason),
            TrainerLine::Refused { reason } => Verdict::Refused(reason),
        };
        running.verdict.get_or_insert(verdict);
        // it is to end by itself now
        running.ending.get_or_insert(Ending {
            reason: None,
            kill_at: Instant::now() + patience,
            was_killed: false,
        });
        Ok(())
    }

    /// Does what is due.
    fn look(&mut self, events: &EventSink<TrainingEvent>) -> Result<(), TrainingFailure> {
        let (max_silence, patience, is_paused) = (self.max_silence(), self.stop_patience(), self.is_paused);
        let Some(work) = &mut self.work else { return Ok(()) };
        let now = Instant::now();
        let running = match &mut work.phase {
            Phase::Waiting(moment) => {
                events.tell(TrainingEvent::Alive);
                if is_paused {
                    work.turn = None;
                } else if *moment <= now {
                    match self.given.turns.as_ref().filter(|_| work.turn.is_none()) {
                        Some(turns) => work.phase = Phase::Asking(turns.ask()),
                        None => return self.start(events),
                    }
                }
                return Ok(());
            }
            Phase::Asking(_) => {
                events.tell(TrainingEvent::Alive);
                return Ok(());
            }
            Phase::Running(running) => running,
        };
        if let Some(ending) = &mut running.ending {
            if ending.kill_at > now {
                return Ok(());
            }
            if ending.was_killed {
                let reason = "the trainer cannot be ended: its processes survive being killed";
                return Err(TrainingFailure::Device(reason.to_owned()));
            }
            running.process.kill();
            (ending.was_killed, ending.kill_at) = (true, now + patience);
            return Ok(());
        }
        if work.halt_at.is_some_and(|moment| moment <= now) {
            let message = "the trainer has not saved in time: it goes on from its newest checkpoint";
            events.tell(TrainingEvent::Warning(message.to_owned()));
            work.end(None, patience);
        } else if !is_paused && running.heard_at + max_silence <= now {
            let reason = format!("it has said nothing for {} s and is taken to hang", max_silence.as_secs());
            work.end(Some(reason), patience);
        } else {
            events.tell(TrainingEvent::Alive);
        }
        Ok(())
    }

    /// The trainer has ended, and everything that it started.
    fn ended(&mut self, status: &str, events: &EventSink<TrainingEvent>) -> Result<(), TrainingFailure> {
        let Some(work) = &mut self.work else { return Ok(()) };
        let Phase::Running(running) = mem::replace(&mut work.phase, Phase::Waiting(Instant::now())) else {
            return Ok(());
        };
        let store = Arc::clone(&work.job.checkpoints);
        let adopted = checkpoints::adopt(&*store, &work.folder, &mut work.went_back_to)?;
        work.saved(&adopted, events);
        let round = work.job.round;
        match running.verdict {
            Some(Verdict::Done) => return self.done(events),
            Some(Verdict::Refused(reason)) => {
                let is_halting = work.halt_at.is_some();
                if let Some(work) = self.work.take() {
                    nothing_to_save(work.tickets, events);
                }
                let reason = format!("the trainer refuses: {reason}");
                events.tell(TrainingEvent::Refused { round, reason });
                if is_halting {
                    events.tell(TrainingEvent::Halted);
                }
                return Ok(());
            }
            Some(Verdict::Unfit(reason)) => {
                if let Some(folder) = running.resumed_from.filter(|_| work.halt_at.is_none()) {
                    let message = format!(
                        "checkpoint `{}` cannot be gone on from: {reason}; the one before is tried",
                        folder.display()
                    );
                    events.tell(TrainingEvent::Warning(message));
                    // not a failure of the trainer, and there are only so many checkpoints
                    work.unfit.insert(folder);
                    return Ok(());
                }
                self.failed(&reason, events);
                return Ok(());
            }
            Some(Verdict::Failed(reason)) => {
                self.failed(&reason, events);
                return Ok(());
            }
            None => {}
        }
        if work.halt_at.is_some() {
            self.halted(events);
            return Ok(());
        }
        let tail = work.log.tail();
        let said = if tail.is_empty() { String::new() } else { format!("; it said: {tail}") };
        let reason = match running.ending.and_then(|ending| ending.reason) {
            Some(reason) => format!("{reason}{said}"),
            None => format!("it ended ({status}) and did not say that it was done{said}"),
        };
        self.failed(&reason, events);
        Ok(())
    }

    /// The trainer failed: it is started again after a while, or the job is given up.
    fn failed(&mut self, reason: &str, events: &EventSink<TrainingEvent>) {
        let Some(work) = &mut self.work else { return };
        if work.halt_at.is_some() {
            events.tell(TrainingEvent::Warning(format!("the trainer failed while it was to save: {reason}")));
            self.halted(events);
            return;
        }
        let command = &self.given.settings.command;
        work.failures += 1;
        let log = work.log.path().display();
        if work.failures > command.retries {
            let times = work.failures;
            let reason =
                format!("the trainer failed {times} times in a row, at last: {reason} (its log is `{log}`)");
            let round = work.job.round;
            if let Some(work) = self.work.take() {
                nothing_to_save(work.tickets, events);
            }
            events.tell(TrainingEvent::Refused { round, reason });
            return;
        }
        let wait = command.backoff(work.failures);
        events.tell(TrainingEvent::Warning(format!(
            "the trainer failed: {reason} (its log is `{log}`); it is started again in {} s, which is try {} of {}",
            wait.as_secs(),
            work.failures + 1,
            command.retries + 1
        )));
        work.phase = Phase::Waiting(Instant::now() + wait);
    }

    /// The trainer says that it is done: what it brought becomes the job's final checkpoint, or is a failure. Blocks.
    fn done(&mut self, events: &EventSink<TrainingEvent>) -> Result<(), TrainingFailure> {
        let Some(work) = &mut self.work else { return Ok(()) };
        // what follows is the processor's
        work.turn = None;
        match candidate::take(&self.given, work, events)? {
            Err(reason) => self.failed(&reason, events),
            Ok(checkpoint) => {
                let (round, folder, loss) =
                    (work.job.round, work.job.checkpoints.folder(&checkpoint), work.loss());
                let tickets = work.tickets.clone();
                let is_halting = work.halt_at.is_some();
                self.work = None;
                events.tell(TrainingEvent::Checkpointed { id: checkpoint.clone(), tickets });
                events.tell(TrainingEvent::Done { round, checkpoint, folder, loss });
                if is_halting {
                    events.tell(TrainingEvent::Halted);
                }
            }
        }
        Ok(())
    }

    /// The job is dropped; its checkpoints are what is left of it.
    fn halted(&mut self, events: &EventSink<TrainingEvent>) {
        if let Some(work) = self.work.take() {
            work.folder.withdraw_request();
            nothing_to_save(work.tickets, events);
        }
        events.tell(TrainingEvent::Halted);
    }

    fn max_silence(&self) -> Duration {
        Duration::from_secs(self.given.settings.command.max_silence_seconds)
    }

    fn stop_patience(&self) -> Duration {
        Duration::from_secs(self.given.settings.command.stop_seconds)
    }
}

/// A path that a trainer understands wherever it goes.
fn absolute(path: &Path) -> Result<PathBuf, TrainingFailure> {
    path::absolute(path).map_err(|error| disk(path, &error))
}
