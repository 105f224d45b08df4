//! One server: how it is reached, and what is known of it between two questions.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use still_domain::Provenance;

use crate::{
    engine::Patience, http::Http, publication::Publication, schedule::PolicyId, settings::EngineKind,
};

/// A policy that servers can be given.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) id: PolicyId,
    /// As operators know it.
    pub(crate) name: String,
    pub(crate) publication: Publication,
    /// Log-probabilities of the probe, computed here.
    pub(crate) reference: Vec<f32>,
}

/// What a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct About {
    /// The model's name there.
    pub(crate) model: String,
    /// Tokens of a sequence, prompt included.
    pub(crate) context: u64,
    /// The program's version.
    pub(crate) version: Option<String>,
    /// What it calculates in.
    pub(crate) precision: Option<String>,
    /// Whether responses come with their weights' version; not yet known before the first.
    pub(crate) has_generate: Option<bool>,
}

/// The weights that a server holds for certain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Serves {
    /// What it was told to call them: no others are called so.
    pub(crate) version: String,
    pub(crate) policy: PolicyId,
}

/// One server.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) kind: EngineKind,
    pub(crate) http: Http,
    pub(crate) patience: Patience,
    pub(crate) max_gap_nats: f64,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    about: Option<About>,
    serves: Option<Serves>,
    /// What it has served, and can be given again.
    good: Option<Arc<Prepared>>,
}

impl Endpoint {
    pub(crate) fn new(kind: EngineKind, http: Http, patience: Patience, max_gap_nats: f64) -> Self {
        Self { kind, http, patience, max_gap_nats, known: Mutex::default() }
    }

    /// How what it draws is drawn.
    pub(crate) fn provenance(&self, prompt: &str) -> Provenance {
        let (version, precision) =
            self.about().map(|about| (about.version, about.precision)).unwrap_or_default();
        Provenance {
            engine: self.kind.name().to_owned(),
            name: self.http.address().to_string(),
            version,
            precision,
            prompt: prompt.to_owned(),
            is_retokenized: false,
        }
    }

    pub(crate) fn about(&self) -> Option<About> {
        self.known().about.clone()
    }

    pub(crate) fn set_about(&self, about: About) {
        self.known().about = Some(about);
    }

    pub(crate) fn serves(&self) -> Option<Serves> {
        self.known().serves.clone()
    }

    pub(crate) fn set_serves(&self, serves: Option<Serves>) {
        self.known().serves = serves;
    }

    pub(crate) fn good(&self) -> Option<Arc<Prepared>> {
        self.known().good.clone()
    }

    pub(crate) fn set_good(&self, policy: &Arc<Prepared>) {
        self.known().good = Some(Arc::clone(policy));
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
