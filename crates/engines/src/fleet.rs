//! The servers of a run, as one.

use std::{path::PathBuf, sync::Arc, time::Duration};

use still_roles::GeneratorFactory;
use tokio::{runtime::Handle, sync::mpsc};

use crate::{
    dispatcher::{Command, Dispatcher},
    endpoint::Endpoint,
    engine::Patience,
    generator,
    http::{Address, Http},
    publication,
    schedule::{Lane, Limits},
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
            let patience = Patience {
                word: WORD,
                sign: WORD.min(Duration::from_secs(section.max_silence_seconds)),
                load: Duration::from_secs(section.max_load_seconds),
            };
            for address in &section.addresses {
                let http = Http::new(address.parse::<Address>()?, key.as_deref())?;
                let endpoint = Endpoint::new(http, patience, section.max_gap_nats);
                servers.push((Arc::new(endpoint), section.limits()));
            }
        }
        let (orders, taken) = mpsc::unbounded_channel();
        runtime.spawn(Dispatcher::new(seams, servers).run(taken));
        Ok(Self { orders })
    }

    /// Generators on this fleet, as operators know them by `name`; the newest one opened on a lane has it.
    pub fn generators(&self, name: &str, lane: Lane) -> GeneratorFactory {
        generator::factory(self, name, lane)
    }

    pub(crate) fn orders(&self) -> mpsc::UnboundedSender<Command> {
        self.orders.clone()
    }
}

impl std::fmt::Debug for FleetSeams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FleetSeams").field("publications", &self.publications).finish_non_exhaustive()
    }
}
