//! One server: how it is reached, and what is known of it between two questions.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use still_domain::Provenance;

use crate::{
    beginning::Beginning, engine::Patience, http::Http, publication::Publication, schedule::PolicyId,
    seams::Texts, settings::EngineKind,
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
    /// What it is of the run's base model, where an adapter makes it.
    pub(crate) adapter: Option<PreparedAdapter>,
}

/// A policy as an adapter.
#[derive(Debug)]
pub(crate) struct PreparedAdapter {
    pub(crate) publication: Publication,
    pub(crate) rank: u64,
    /// What it stands beside.
    pub(crate) base: Arc<Prepared>,
}

/// An adapter that a server was given, by a name that nothing else there has had. Whoever asks under that name holds this: it
/// is taken off the server when nobody does.
#[derive(Debug)]
pub(crate) struct Adapter {
    pub(crate) name: String,
    /// Its files stay as long: a server may read them again.
    pub(crate) policy: Arc<Prepared>,
}

impl PartialEq for Adapter {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Adapter {}

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
    /// Whether it takes adapters while it draws.
    pub(crate) adapters: Option<AdapterLimits>,
}

/// The adapters that a server takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AdapterLimits {
    /// The largest rank, where it told.
    pub(crate) max_rank: Option<u64>,
}

/// What a server draws with for certain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Serves {
    /// What it was told to call its weights: no others are called so.
    pub(crate) version: String,
    pub(crate) policy: PolicyId,
    /// The adapter beside those weights that makes them this policy.
    pub(crate) adapter: Option<Arc<Adapter>>,
}

/// The weights that a server holds.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Whole {
    version: String,
    policy: PolicyId,
}

/// One server.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) kind: EngineKind,
    pub(crate) http: Http,
    pub(crate) patience: Patience,
    pub(crate) max_gap_nats: f64,
    /// Of its process, where the daemon started that.
    pub(crate) beginning: Option<Arc<Beginning>>,
    /// Reads what it answers, where that is text.
    pub(crate) texts: Option<Arc<dyn Texts>>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    about: Option<About>,
    serves: Option<Serves>,
    whole: Option<Whole>,
    /// What its weights are called, where a server knows no names.
    named: Option<String>,
    /// Adapters that it holds beside them.
    adapters: Vec<Arc<Adapter>>,
    /// Policies whose adapter it has refused.
    refused: HashSet<PolicyId>,
    /// What it has served, and can be given again.
    good: Option<Arc<Prepared>>,
}

impl Endpoint {
    pub(crate) fn new(kind: EngineKind, http: Http, patience: Patience, max_gap_nats: f64) -> Self {
        Self { kind, http, patience, max_gap_nats, beginning: None, texts: None, known: Mutex::default() }
    }

    /// The same, of a process that the daemon started.
    pub(crate) fn begun(self, beginning: Option<Arc<Beginning>>) -> Self {
        Self { beginning, ..self }
    }

    /// The same, with who reads its texts.
    pub(crate) fn reading(self, texts: &Arc<dyn Texts>) -> Self {
        Self { texts: Some(Arc::clone(texts)), ..self }
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
            is_retokenized: self.kind == EngineKind::Openai,
        }
    }

    pub(crate) fn about(&self) -> Option<About> {
        self.known().about.clone()
    }

    pub(crate) fn set_about(&self, about: About) {
        self.known().about = Some(about);
    }

    /// Whether responses come with their weights' version, once one has or has not. Nothing else that is known of it is touched:
    /// answers come while it is looked at.
    pub(crate) fn set_has_generate(&self, has_generate: bool) {
        if let Some(about) = &mut self.known().about {
            about.has_generate = Some(has_generate);
        }
    }

    pub(crate) fn serves(&self) -> Option<Serves> {
        self.known().serves.clone()
    }

    pub(crate) fn set_serves(&self, serves: Option<Serves>) {
        self.known().serves = serves;
    }

    /// The version of the weights that it holds for certain.
    pub(crate) fn version(&self) -> Option<String> {
        self.known().whole.as_ref().map(|whole| whole.version.clone())
    }

    /// What its weights are called by who names them for it.
    pub(crate) fn named(&self) -> Option<String> {
        self.known().named.clone()
    }

    pub(crate) fn set_named(&self, version: &str) {
        self.known().named = Some(version.to_owned());
    }

    /// It holds these weights, and no adapter; or nobody knows which.
    pub(crate) fn set_whole(&self, whole: Option<(&str, PolicyId)>) {
        let mut known = self.known();
        known.whole = whole.map(|(version, policy)| Whole { version: version.to_owned(), policy });
        known.adapters.clear();
        known.serves = None;
    }

    /// The adapter by which a policy can be given to it.
    pub(crate) fn adapter_of<'a>(&self, policy: &'a Prepared) -> Option<&'a PreparedAdapter> {
        let known = self.known();
        let limits = known.about.as_ref().and_then(|about| about.adapters)?;
        let adapter = policy.adapter.as_ref().filter(|_| !known.refused.contains(&policy.id))?;
        limits.max_rank.is_none_or(|most| adapter.rank <= most).then_some(adapter)
    }

    /// Whether it can serve a policy without giving up the weights that it holds, so while it draws with another.
    pub(crate) fn takes_beside(&self, policy: &Prepared) -> bool {
        let adapter = self.adapter_of(policy);
        let known = self.known();
        let Some(whole) = &known.whole else { return false };
        match adapter {
            Some(adapter) => whole.policy == adapter.base.id,
            // the weights beneath adapters
            None => whole.policy == policy.id && !known.adapters.is_empty(),
        }
    }

    pub(crate) fn refuse_adapter(&self, policy: PolicyId) {
        self.known().refused.insert(policy);
    }

    /// An adapter that it holds.
    pub(crate) fn adapter(&self, policy: PolicyId) -> Option<Arc<Adapter>> {
        self.known().adapters.iter().find(|one| one.policy.id == policy).cloned()
    }

    pub(crate) fn add_adapter(&self, adapter: Arc<Adapter>) {
        self.known().adapters.push(adapter);
    }

    /// Takes the adapters out that nobody asks under.
    pub(crate) fn take_idle_adapters(&self) -> Vec<Arc<Adapter>> {
        self.known().adapters.extract_if(.., |one| Arc::strong_count(one) == 1).collect()
    }

    /// Nothing will be asked of it any more: the policies that it was given need not be kept for it.
    pub(crate) fn let_go(&self) {
        let mut known = self.known();
        *known = Known { about: known.about.take(), ..Known::default() };
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
