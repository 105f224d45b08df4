//! What a process of a launched server began with, and how another is begun in its place.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::endpoint::Prepared;

/// What the run's base model is called among policies.
pub(crate) const BASE: &str = "base";

/// How launched servers come by new weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Renewal {
    /// They load them while they are up; one that cannot is started anew with them.
    #[default]
    Load,
    /// They are started anew with them.
    Restart,
}

/// How a process of a launched server began.
pub(crate) struct Beginning {
    /// The policy's name.
    name: String,
    /// Whether it holds those weights still: it was given no others.
    is_untouched: AtomicBool,
    renewal: Renewal,
    begin_with: Box<dyn Fn(Arc<Prepared>) + Send + Sync>,
}

impl Beginning {
    /// A process that was started with a policy, or with the run's base model where there is none; `begin_with` has another
    /// started in its place.
    pub(crate) fn new(
        policy: Option<&Prepared>,
        renewal: Renewal,
        begin_with: impl Fn(Arc<Prepared>) + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: policy.map_or(BASE, |policy| &policy.name).to_owned(),
            is_untouched: AtomicBool::new(true),
            renewal,
            begin_with: Box::new(begin_with),
        }
    }

    /// Whether it holds a policy's weights, as it began with them.
    pub(crate) fn holds(&self, policy: &Prepared) -> bool {
        self.is_untouched.load(Ordering::Relaxed) && self.name == policy.name
    }

    /// It is given other weights, or serves others than it should.
    pub(crate) fn touch(&self) {
        self.is_untouched.store(false, Ordering::Relaxed);
    }

    /// Whether it loads nothing while it is up.
    pub(crate) fn loads_nothing(&self) -> bool {
        self.renewal == Renewal::Restart
    }

    /// Has the process ended, and one begun in its place with a policy.
    pub(crate) fn begin_with(&self, policy: &Arc<Prepared>) {
        (self.begin_with)(Arc::clone(policy));
    }
}

impl fmt::Debug for Beginning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Beginning")
            .field("name", &self.name)
            .field("is_untouched", &self.is_untouched)
            .field("renewal", &self.renewal)
            .finish_non_exhaustive()
    }
}
