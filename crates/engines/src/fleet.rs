//! The servers of a run, as one.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use still_control::{ServerState, ServerStatus};
use still_roles::GeneratorFactory;
use thiserror::Error;
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot, watch},
};

use crate::{
    beginning::Beginning,
    dispatcher::{Command, Dispatcher},
    endpoint::Endpoint,
    engine::Patience,
    generator,
    http::{Address, Http},
    publication,
    schedule::{Lane, Limits},
    scorer::FleetScorer,
    seams::{Policies, Texts},
    settings::{EngineKind, EngineSection},
};

/// Longest wait for an answer that takes no work.
const WORD: Duration = Duration::from_secs(30);

/// What a fleet needs of the house.
#[derive(Clone)]
pub struct FleetSeams {
    /// Texts as tokens.
    pub texts: Arc<dyn Texts>,
    /// Policies as folders.
    pub policies: Arc<dyn Policies>,
    /// Where policies lie while servers are named them; on a disk that the servers read under the same path.
    pub publications: PathBuf,
}

/// The servers of a run. Clones are the same fleet; it ends with the last of them and of its generators.
#[derive(Debug, Clone)]
pub struct Fleet {
    orders: mpsc::UnboundedSender<Command>,
    sections: Arc<[EngineSection]>,
    texts: Arc<dyn Texts>,
    shown: watch::Receiver<Vec<ServerStatus>>,
    launched: Arc<watch::Sender<Vec<ServerLaunched>>>,
}

/// A server that the daemon starts itself, as its launcher sees it.
#[derive(Debug, Clone)]
pub(crate) struct ServerLaunched {
    /// Whether the fleet has it, and knows its state.
    pub(crate) is_in_fleet: bool,
    pub(crate) status: ServerStatus,
    /// When it is started, where that is waited for.
    pub(crate) restarts_at: Option<Instant>,
}

/// Why a server was not taken in or out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FleetRefusal {
    /// The request cannot be understood.
    #[error("{0}")]
    Bad(String),
    /// There is no such server.
    #[error("no server of this run is at {0}: `stillctl servers list` names them")]
    NotThere(String),
    /// It is one of the fleet already.
    #[error("{0} is a server of this run already")]
    Known(String),
    /// The daemon starts it itself.
    #[error(
        "{0} is started by the daemon itself: change its section of `[[engines]]` and start the daemon anew"
    )]
    Launched(String),
    /// The fleet has ended.
    #[error("the fleet of servers has ended")]
    Ended,
}

impl Fleet {
    /// Takes the servers of all sections in, on a runtime.
    ///
    /// # Errors
    /// When a key cannot be had, or the folder of publications cannot be emptied. A server that is not there is waited for.
    pub fn start(sections: &[EngineSection], seams: FleetSeams, runtime: &Handle) -> Result<Self, String> {
        publication::sweep(&seams.publications)?;
        let mut servers: Vec<(Arc<Endpoint>, Limits)> = Vec::new();
        for section in sections.iter().filter(|section| section.kind != EngineKind::Embedded) {
            let key = section.key()?;
            for address in &section.addresses {
                let endpoint = endpoint(section, address.parse()?, key.as_deref())?.reading(&seams.texts);
                servers.push((Arc::new(endpoint), section.limits()));
            }
        }
        let (orders, taken) = mpsc::unbounded_channel();
        let texts = Arc::clone(&seams.texts);
        let (show, shown) = watch::channel(Vec::new());
        runtime.spawn(Dispatcher::new(seams, servers, show).run(taken));
        let launched = Arc::new(watch::Sender::new(Vec::new()));
        Ok(Self { orders, sections: sections.into(), texts, shown, launched })
    }

    /// How every server stands, those that were taken out at last.
    pub fn servers(&self) -> Vec<ServerStatus> {
        let mut servers = self.shown.borrow().clone();
        for ServerLaunched { is_in_fleet, status, restarts_at } in self.launched.borrow().iter() {
            let mut status = status.clone();
            if let Some(launched) = &mut status.launched {
                let seconds = |at: &Instant| at.saturating_duration_since(Instant::now()).as_secs_f64();
                launched.restarts_in_seconds = restarts_at.as_ref().map(seconds);
            }
            let is_it = |one: &ServerStatus| one.address == status.address;
            // what was taken out under its address is its own past
            servers.retain(|one| !is_it(one) || (*is_in_fleet && one.state != ServerState::Gone));
            match servers.iter_mut().find(|one| is_it(one)) {
                Some(server) => {
                    server.last_failure = server.last_failure.take().or(status.last_failure);
                    server.launched = status.launched;
                }
                None => servers.push(status),
            }
        }
        servers
    }

    pub(crate) fn show_launched(&self, launched: Vec<ServerLaunched>) {
        self.launched.send_replace(launched);
    }

    /// Something an operator should know of.
    pub(crate) fn warn(&self, text: String) {
        // a fleet that has ended tells nobody
        let _ = self.orders.send(Command::Warn(text));
    }

    /// Takes a server in, under the settings of the first section of its kind, or of the first where none is told. It is
    /// looked at and given the policy in force before it is sent anything.
    ///
    /// # Errors
    /// When the address is none, no section is of that kind, or the server is there already.
    pub async fn add(&self, address: &str, kind: Option<&str>) -> Result<(), FleetRefusal> {
        let parsed: Address = address.parse().map_err(FleetRefusal::Bad)?;
        let mut remote = self.sections.iter().filter(|section| section.kind != EngineKind::Embedded);
        let section = remote.find(|section| kind.is_none_or(|kind| section.kind.name() == kind));
        let section = section.ok_or_else(|| {
            let kind = kind.unwrap_or("any kind");
            FleetRefusal::Bad(format!(
                "no section of `[[engines]]` is of the kind {kind}: a server is run by the settings of its kind"
            ))
        })?;
        if section.kind == EngineKind::Openai {
            return Err(FleetRefusal::Bad(
                "servers of the kind openai take no weights while they are up: only those that the daemon starts draw for it"
                    .to_owned(),
            ));
        }
        self.take_in(section, parsed, None).await
    }

    /// The same under the settings of a section; `beginning` is that of a process that the daemon started.
    pub(crate) async fn take_in(
        &self,
        section: &EngineSection,
        address: Address,
        beginning: Option<Arc<Beginning>>,
    ) -> Result<(), FleetRefusal> {
        let key = section.key().map_err(FleetRefusal::Bad)?;
        let told = address.to_string();
        let endpoint = endpoint(section, address, key.as_deref()).map_err(FleetRefusal::Bad)?;
        let endpoint = Arc::new(endpoint.reading(&self.texts).begun(beginning));
        let (answer, answered) = oneshot::channel();
        let limits = section.limits();
        self.orders.send(Command::Add { endpoint, limits, answer }).map_err(|_| FleetRefusal::Ended)?;
        let added = answered.await.map_err(|_| FleetRefusal::Ended)?;
        added.map_err(|_known| FleetRefusal::Known(told))
    }

    /// Takes a server out: it is sent nothing more and ends what it holds; `is_at_once` has that drawn elsewhere instead.
    /// Says how many requests it holds still.
    ///
    /// # Errors
    /// When there is no such server, or the daemon starts it itself.
    pub async fn remove(&self, address: &str, is_at_once: bool) -> Result<usize, FleetRefusal> {
        let parsed: Address = address.parse().map_err(FleetRefusal::Bad)?;
        let is_launched = self.launched.borrow().iter().any(|one| one.status.address == parsed.to_string());
        if is_launched {
            return Err(FleetRefusal::Launched(address.to_owned()));
        }
        self.take_out(parsed, is_at_once).await
    }

    /// The same, whoever starts it.
    pub(crate) async fn take_out(&self, address: Address, is_at_once: bool) -> Result<usize, FleetRefusal> {
        let told = address.to_string();
        let (answer, answered) = oneshot::channel();
        let order = Command::Remove { address, is_at_once, answer };
        self.orders.send(order).map_err(|_| FleetRefusal::Ended)?;
        let removed = answered.await.map_err(|_| FleetRefusal::Ended)?;
        removed.map_err(|_not_there| FleetRefusal::NotThere(told))
    }

    /// Generators on this fleet, as operators know them by `name`; the newest one opened on a lane has it.
    pub fn generators(&self, name: &str, lane: Lane) -> GeneratorFactory {
        generator::factory(self, name, lane)
    }

    /// A scorer on this fleet. One pass is at work at a time: one that begins ends the one before.
    pub fn scorer(&self) -> FleetScorer {
        FleetScorer::new(self.clone())
    }

    pub(crate) fn orders(&self) -> mpsc::UnboundedSender<Command> {
        self.orders.clone()
    }
}

/// A server as its section has it.
fn endpoint(section: &EngineSection, address: Address, key: Option<&str>) -> Result<Endpoint, String> {
    let patience = Patience {
        word: WORD,
        sign: WORD.min(Duration::from_secs(section.max_silence_seconds)),
        load: Duration::from_secs(section.max_load_seconds),
    };
    let http = Http::new(address, key, section.certificate_file.as_deref())?;
    Ok(Endpoint::new(section.kind, http, patience, section.max_gap_nats))
}

impl std::fmt::Debug for FleetSeams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FleetSeams").field("publications", &self.publications).finish_non_exhaustive()
    }
}
