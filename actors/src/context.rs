//! What every actor is given when it starts.

use std::sync::Arc;

use still_roles::PolicySnapshot;
use tokio::sync::watch;

use crate::{
    config::SystemConfig, ground::ledger::Ledger, ground::observe::Observer, ground::routes::Routes,
    ground::switches::Switches, system::Roles,
};

/// What every actor is given when it starts; shared by clones.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) config: Arc<SystemConfig>,
    pub(crate) ledger: Ledger,
    pub(crate) roles: Arc<Roles>,
    pub(crate) routes: Routes,
    pub(crate) switches: Arc<Switches>,
    pub(crate) observer: Observer,
    /// The policy in force.
    pub(crate) policy: watch::Receiver<Option<PolicySnapshot>>,
}
