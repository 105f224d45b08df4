//! The policies that servers can be given: made ready once, forgotten when nobody wants them.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use still_domain::{CheckpointId, PolicyRef, PolicyVersion};
use tokio::sync::mpsc::UnboundedSender;

use super::Outcome;
use crate::{
    beginning::BASE,
    endpoint::{Prepared, PreparedAdapter},
    fleet::FleetSeams,
    publication::Publication,
    schedule::PolicyId,
    seams::Policies,
};

/// Policies that are kept beside those that are wanted: what a server may still serve is told from them.
const KEPT: usize = 2;

/// Policies of one checkpoint are the same weights.
type Key = Option<CheckpointId>;

/// The policies, the newest last.
pub(super) struct Shelf {
    root: PathBuf,
    next: u64,
    ready: Vec<(Key, Arc<Prepared>)>,
    /// What adapters stand beside.
    base: Option<Arc<Prepared>>,
    under_way: HashSet<Key>,
}

impl Shelf {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, next: 0, ready: Vec::new(), base: None, under_way: HashSet::new() }
    }

    pub(super) fn find(&self, policy: &PolicyRef) -> Option<PolicyId> {
        self.ready.iter().find(|(key, _)| *key == policy.checkpoint).map(|(_, one)| one.id)
    }

    /// What operators know a policy by.
    pub(super) fn name(&self, id: PolicyId) -> Option<String> {
        self.ready.iter().find(|(_, one)| one.id == id).map(|(_, one)| one.name.clone())
    }

    pub(super) fn all(&self) -> Vec<Arc<Prepared>> {
        self.ready.iter().map(|(_, one)| Arc::clone(one)).collect()
    }

    /// Makes a policy ready on a thread that may wait for it, unless that is done already.
    pub(super) fn prepare(
        &mut self,
        policy: PolicyRef,
        seams: &FleetSeams,
        probe: &Arc<[u32]>,
        outcomes: &UnboundedSender<Outcome>,
    ) {
        if !self.under_way.insert(policy.checkpoint.clone()) {
            return;
        }
        let (id, base_id) = (PolicyId(self.next), PolicyId(self.next + 1));
        self.next += 2;
        let base = self.base.clone();
        let (root, policies) = (self.root.clone(), Arc::clone(&seams.policies));
        let (probe, outcomes) = (Arc::clone(probe), outcomes.clone());
        tokio::task::spawn_blocking(move || {
            let maker = Maker { root: &root, policies: &*policies, probe: &probe };
            let result = maker.with_adapter(id, &policy, base, base_id);
            // a dispatcher that has ended wants no policy
            let _ = outcomes.send(Outcome::Prepared { policy, result });
        });
    }

    /// Takes in what making a policy ready came to.
    pub(super) fn put(
        &mut self,
        policy: &PolicyRef,
        result: Result<Prepared, String>,
    ) -> Result<PolicyId, String> {
        self.under_way.remove(&policy.checkpoint);
        let prepared = result?;
        let (id, prepared) = (prepared.id, Arc::new(prepared));
        if policy.checkpoint.is_none() {
            self.base = Some(Arc::clone(&prepared));
        } else if let (Some(adapter), None) = (&prepared.adapter, &self.base) {
            self.base = Some(Arc::clone(&adapter.base));
            self.ready.push((None, Arc::clone(&adapter.base)));
        }
        self.ready.push((policy.checkpoint.clone(), prepared));
        Ok(id)
    }

    /// Forgets what is not wanted, the oldest first.
    pub(super) fn forget_all_but_a_few<'a>(&mut self, wanted: impl Iterator<Item = &'a PolicyRef>) {
        let wanted: HashSet<&Key> = wanted.map(|policy| &policy.checkpoint).collect();
        let mut surplus =
            self.ready.iter().filter(|(key, _)| !wanted.contains(key)).count().saturating_sub(KEPT);
        self.ready.retain(|(key, _)| {
            let is_forgotten = surplus > 0 && !wanted.contains(key);
            surplus -= usize::from(is_forgotten);
            !is_forgotten
        });
    }
}

/// Makes policies ready. Blocks.
struct Maker<'a> {
    root: &'a Path,
    policies: &'a dyn Policies,
    probe: &'a [u32],
}

impl Maker<'_> {
    /// As whole weights, and as an adapter beside the base where the policy is one.
    fn with_adapter(
        &self,
        id: PolicyId,
        policy: &PolicyRef,
        base: Option<Arc<Prepared>>,
        base_id: PolicyId,
    ) -> Result<Prepared, String> {
        let mut prepared = self.whole(id, policy)?;
        let folder = policy.checkpoint.as_ref().and_then(|_| self.policies.adapter(policy));
        if let Some(folder) = folder {
            let name = format!("{}-{}-adapter", id.0, prepared.name);
            let (publication, rank) = Publication::make_adapter(self.root, &name, &folder)?;
            let base = if let Some(base) = base {
                base
            } else {
                let name = PolicyVersion(0).into();
                Arc::new(self.whole(base_id, &PolicyRef { name, checkpoint: None })?)
            };
            prepared.adapter = Some(PreparedAdapter { publication, rank, base });
        }
        Ok(prepared)
    }

    fn whole(&self, id: PolicyId, policy: &PolicyRef) -> Result<Prepared, String> {
        let name = match &policy.checkpoint {
            Some(checkpoint) => checkpoint.to_string(),
            None => BASE.to_owned(),
        };
        let folder = self.policies.folder(policy)?;
        let publication = Publication::make(self.root, &format!("{}-{name}", id.0), &folder)?;
        let reference = self.policies.log_probabilities(policy, self.probe)?;
        Ok(Prepared { id, name, publication, reference, adapter: None })
    }
}
