//! The thread that starts servers, watches them, and ends them.

use std::{
    convert::Infallible,
    fs, io, mem, path,
    path::PathBuf,
    process::ExitStatus,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossbeam::{
    channel::{Receiver, Sender, at, bounded, never, unbounded},
    select,
};
use still_process::{Ask, GivenBack, Heard, ProcessTree, TurnsGiver, sweep};
use tokio::runtime::Handle;

use super::{
    nap,
    plan::{LaunchPlan, Placement},
    server::{Ending, Goal, LaunchedServer, Phase, Running, free_port, open_log},
};
use crate::{beginning::Beginning, endpoint::Prepared, fleet::Fleet, http::Http, settings::EngineSection};

/// Names the folder of the servers' logs in their environment: what an earlier daemon left is found by it.
const SERVERS_VARIABLE: &str = "STILL_SERVERS";
/// How often the thread looks around where nothing is due.
const LOOK: Duration = Duration::from_mins(1);

/// What launched servers need of the house.
#[derive(Debug)]
pub struct LaunchSeams {
    /// The folder of the model that they begin with.
    pub model: PathBuf,
    /// Where their logs lie.
    pub folder: PathBuf,
    /// Whoever uses their devices in turns with them asks here.
    pub turns: Option<TurnsGiver>,
}

/// The servers that this run has started. Dropping it ends them, and waits for that.
#[derive(Debug)]
pub struct Launcher {
    stop: Option<Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

/// What is heard of a server.
struct Word {
    server: usize,
    start: u64,
    said: Said,
}

enum Said {
    Ended(io::Result<ExitStatus>),
    Up,
    Slept(Result<(), String>),
    Woken(Result<(), String>),
    /// It cannot be given a policy: another process has to begin with that.
    Unfit(Arc<Prepared>),
}

/// What the thread holds.
struct Work {
    fleet: Fleet,
    runtime: Handle,
    folder: PathBuf,
    servers: Vec<LaunchedServer>,
    turns: Option<TurnsGiver>,
    /// Somebody waits for the devices.
    wanted: Option<Ask>,
    /// Somebody has them.
    given: Option<GivenBack>,
    is_ending: bool,
    tell: Sender<Word>,
    heard: Receiver<Word>,
}

impl Launcher {
    /// Starts the servers of all sections that ask for it; `None` where none does. What an earlier daemon left of them is
    /// ended first.
    ///
    /// # Errors
    /// When the folder of logs cannot be made, a key cannot be had, or a program is not there.
    pub fn start(
        fleet: &Fleet,
        sections: &[EngineSection],
        seams: LaunchSeams,
        runtime: &Handle,
    ) -> Result<Option<Self>, String> {
        if !sections.iter().any(|section| section.launch) {
            return Ok(None);
        }
        let folder = seams.folder;
        let unmade = |error: io::Error| format!("`{}`: {error}", folder.display());
        fs::create_dir_all(&folder).map_err(unmade)?;
        let folder = path::absolute(&folder).map_err(unmade)?;
        let left = sweep(SERVERS_VARIABLE, folder.as_os_str());
        if left > 0 {
            tracing::warn!("{left} processes of servers that an earlier start left behind were ended");
        }
        let mut servers = Vec::new();
        // all of them are held until every server has one
        let mut held = Vec::new();
        for section in sections {
            let Some(plan) = LaunchPlan::of(section, &seams.model) else { continue };
            plan.executable()?;
            let (section, plan) = (Arc::new(section.clone()), Arc::new(plan));
            let key: Option<Arc<str>> = section.key()?.map(Into::into);
            for number in 0..plan.servers.len() {
                let (listener, port) = free_port()?;
                held.push(listener);
                let log = open_log(&folder, servers.len())?;
                let (section, plan) = (Arc::clone(&section), Arc::clone(&plan));
                servers.push(LaunchedServer::new(section, key.clone(), plan, number, port, log));
            }
        }
        drop(held);
        let (tell, heard) = unbounded();
        let mut work = Work {
            fleet: fleet.clone(),
            runtime: runtime.clone(),
            folder,
            servers,
            turns: seams.turns,
            wanted: None,
            given: None,
            is_ending: false,
            tell,
            heard,
        };
        let (stop, stopped) = bounded(0);
        // the kernel ends the servers with this thread
        let thread = thread::Builder::new().name("launcher".to_owned()).spawn(move || work.run(&stopped));
        let thread = thread.map_err(|error| format!("no thread can be had for the servers: {error}"))?;
        Ok(Some(Self { stop: Some(stop), thread: Some(thread) }))
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _a_panic_has_ended_the_servers = thread.join();
        }
    }
}

impl Work {
    fn run(&mut self, stop: &Receiver<Infallible>) {
        loop {
            self.look();
            if self.is_ending && self.servers.iter().all(|server| matches!(server.phase, Phase::Away)) {
                return;
            }
            let due = self.servers.iter().filter_map(LaunchedServer::due).min();
            let wake = at(due.unwrap_or_else(|| Instant::now() + LOOK));
            let stop = if self.is_ending { never() } else { stop.clone() };
            let is_free = self.wanted.is_none() && self.given.is_none();
            let asks =
                self.turns.as_ref().filter(|_| is_free).map_or_else(never, |turns| turns.asks().clone());
            let given_back = self.given.clone().unwrap_or_else(never);
            select! {
                recv(stop) -> _ => self.is_ending = true,
                recv(self.heard) -> word => if let Ok(word) = word { self.hear(word) },
                recv(asks) -> ask => match ask {
                    Ok(ask) => self.wanted = Some(ask),
                    // nobody can ask any more
                    Err(_) => self.turns = None,
                },
                recv(given_back) -> _ => self.given = None,
                recv(wake) -> _ => {}
            }
        }
    }

    /// Does what is due.
    fn look(&mut self) {
        for index in 0..self.servers.len() {
            self.look_at(index);
        }
        let shares = |server: &&LaunchedServer| server.plan.placement == Placement::Turns;
        if self.servers.iter().filter(shares).all(LaunchedServer::has_yielded)
            && let Some(ask) = self.wanted.take()
        {
            self.given = Some(ask.grant());
        }
        self.show();
    }

    fn goal(&self, index: usize) -> Goal {
        let is_wanted = self.wanted.is_some() || self.given.is_some();
        match self.servers.get(index) {
            _ if self.is_ending => Goal::End,
            Some(server) if is_wanted && server.plan.placement == Placement::Turns => Goal::Yield,
            _ => Goal::Draw,
        }
    }

    fn look_at(&mut self, index: usize) {
        let (goal, now) = (self.goal(index), Instant::now());
        let Some(server) = self.servers.get_mut(index) else { return };
        let patience = Duration::from_secs(server.section.stop_seconds);
        let can_sleep = server.plan.can_sleep;
        server.phase = match (mem::replace(&mut server.phase, Phase::Away), goal) {
            (Phase::Waiting(at), Goal::Draw) if at > now => Phase::Waiting(at),
            (Phase::Waiting(_) | Phase::Away, Goal::Draw) => return self.begin(index),
            (Phase::Waiting(_) | Phase::Away, Goal::Yield | Goal::End) => Phase::Away,
            (Phase::Starting(running, until), Goal::Draw) if until <= now => {
                let reason = format!("it was not up within {} s", server.section.start_seconds);
                ended(running, Some(reason), patience)
            }
            (Phase::Up(running), Goal::Yield) if can_sleep => {
                self.leave(index);
                return self.nap(index, running);
            }
            (Phase::Up(running), Goal::Yield | Goal::End) => {
                server.phase = ended(running, None, patience);
                return self.leave(index);
            }
            (Phase::Starting(running, _), Goal::Yield | Goal::End)
            | (Phase::Dozing(running) | Phase::Asleep(running) | Phase::Waking(running), Goal::End) => {
                ended(running, None, patience)
            }
            (Phase::Asleep(running), Goal::Draw) => return self.wake(index, running),
            (Phase::Ending(running, Ending { reason, kill_at }), _) => {
                let is_late = kill_at <= now;
                if is_late {
                    running.process.kill();
                }
                let kill_at = if is_late { now + patience } else { kill_at };
                Phase::Ending(running, Ending { reason, kill_at })
            }
            (phase, _) => phase,
        };
    }

    /// Starts a server.
    fn begin(&mut self, index: usize) {
        let Some(server) = self.servers.get_mut(index) else { return };
        server.start += 1;
        server.log.begin();
        let (start, tell) = (server.start, self.tell.clone());
        // a launcher that has ended hears nothing more
        let tell = move |said| drop(tell.send(Word { server: index, start, said }));
        let unfit = tell.clone();
        let renewal = server.section.renewal();
        let beginning =
            Beginning::new(server.policy.as_deref(), renewal, move |policy| unfit(Said::Unfit(policy)));
        let tell = move |heard: Heard<Infallible>| {
            let Heard::Ended(status) = heard;
            tell(Said::Ended(status));
        };
        let begun = server.settle_port().and_then(|()| {
            let model = server.policy.as_ref().map(|policy| policy.publication.folder());
            let mut command =
                server.plan.command(server.number, server.port, server.key.as_deref(), model)?;
            command.env(SERVERS_VARIABLE, &self.folder);
            ProcessTree::start(command, &server.log, |_| None, tell).map_err(|error| error.to_string())
        });
        match begun {
            Ok(process) => {
                let until = Instant::now() + Duration::from_secs(server.section.start_seconds);
                let (address, process_id) = (server.address(), process.id());
                tracing::info!(%address, process_id, log = %server.log.path().display(), "a server is started");
                let sign = server.section.sign_of_life();
                let asked = self.ask(index, move |http| async move {
                    nap::up(&http, sign).await;
                    Said::Up
                });
                let running = Running::new(process, Arc::new(beginning));
                if let (Some(server), Some(task)) = (self.servers.get_mut(index), asked) {
                    server.phase = Phase::Starting(running.asked(task), until);
                }
            }
            Err(reason) => {
                let text = server.failed(&format!("it cannot be started: {reason}"));
                self.fleet.warn(text);
            }
        }
    }

    fn nap(&mut self, index: usize, running: Running) {
        let asked = self.ask(index, |http| async move { Said::Slept(nap::sleep(&http).await) });
        if let (Some(server), Some(task)) = (self.servers.get_mut(index), asked) {
            server.phase = Phase::Dozing(running.asked(task));
        }
    }

    fn wake(&mut self, index: usize, running: Running) {
        let asked = self.ask(index, |http| async move { Said::Woken(nap::wake(&http).await) });
        if let (Some(server), Some(task)) = (self.servers.get_mut(index), asked) {
            server.phase = Phase::Waking(running.asked(task));
        }
    }

    /// Asks a server something on the runtime; what comes of it is heard here.
    fn ask<F>(&self, index: usize, question: impl FnOnce(Http) -> F) -> Option<tokio::task::AbortHandle>
    where
        F: Future<Output = Said> + Send + 'static,
    {
        let server = self.servers.get(index)?;
        let http = Http::new(server.address(), server.key.as_deref(), None).ok()?;
        let (start, tell, asked) = (server.start, self.tell.clone(), question(http));
        let task = self.runtime.spawn(async move {
            let said = asked.await;
            let _ = tell.send(Word { server: index, start, said });
        });
        Some(task.abort_handle())
    }

    /// Takes in what is heard.
    fn hear(&mut self, Word { server: index, start, said }: Word) {
        let Some(server) = self.servers.get_mut(index).filter(|server| server.start == start) else { return };
        let patience = Duration::from_secs(server.section.stop_seconds);
        let phase = mem::replace(&mut server.phase, Phase::Away);
        match (said, phase) {
            (Said::Ended(_), Phase::Ending(_, Ending { reason: None, .. })) => {}
            (Said::Ended(_), Phase::Ending(_, Ending { reason: Some(reason), .. })) => {
                self.failed(index, &reason);
            }
            (Said::Ended(status), phase) => {
                let was_up = matches!(phase, Phase::Up(_));
                drop(phase);
                if was_up {
                    self.leave(index);
                }
                let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                self.failed(index, &format!("it ended ({status})"));
            }
            (Said::Up, Phase::Starting(running, _)) | (Said::Woken(Ok(())), Phase::Waking(running)) => {
                server.phase = Phase::Up(running);
                server.came_up();
                self.enter(index);
            }
            (Said::Unfit(policy), Phase::Up(running)) => {
                tracing::info!(server = %server.address(), policy = policy.name, "a server is ended and begun with a policy");
                server.goes_on_with(policy);
                server.phase = ended(running, None, patience);
                self.leave(index);
            }
            (Said::Slept(Ok(())), Phase::Dozing(running)) => server.phase = Phase::Asleep(running),
            (Said::Slept(Err(reason)), Phase::Dozing(running)) => {
                server.phase = ended(running, None, patience);
                let address = server.address();
                self.fleet
                    .warn(format!("server {address} does not sleep: {reason}; it is ended and started anew"));
            }
            (Said::Woken(Err(reason)), Phase::Waking(running)) => {
                server.phase = ended(running, Some(format!("it does not wake: {reason}")), patience);
            }
            (_, phase) => server.phase = phase,
        }
    }

    fn failed(&mut self, index: usize, reason: &str) {
        let Some(server) = self.servers.get_mut(index) else { return };
        let text = server.failed(reason);
        self.fleet.warn(text);
    }

    /// Gives a server that is up to the fleet.
    fn enter(&self, index: usize) {
        let Some(server) = self.servers.get(index) else { return };
        let Phase::Up(running) = &server.phase else { return };
        let beginning = Some(Arc::clone(&running.beginning));
        // a fleet that has ended takes nothing in, and one that has it keeps it
        let _ = self.runtime.block_on(self.fleet.take_in(&server.section, server.address(), beginning));
    }

    /// Takes a server out of the fleet: what it holds is drawn elsewhere, and counts against nothing.
    fn leave(&self, index: usize) {
        let Some(server) = self.servers.get(index) else { return };
        let _ = self.runtime.block_on(self.fleet.take_out(server.address(), true));
    }

    fn show(&self) {
        let shown = self.servers.iter().map(LaunchedServer::shown);
        self.fleet.show_launched(shown.collect());
    }
}

/// A server that is asked to end.
fn ended(running: Running, reason: Option<String>, patience: Duration) -> Phase {
    running.process.terminate();
    Phase::Ending(running, Ending { reason, kill_at: Instant::now() + patience })
}
