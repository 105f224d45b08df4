//! The policies that servers can be given: made ready once, forgotten when nobody wants them.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use still_domain::{CheckpointId, PolicyRef};
use tokio::sync::mpsc::UnboundedSender;

use super::Outcome;
use crate::{
    endpoint::Prepared, fleet::FleetSeams, publication::Publication, schedule::PolicyId, seams::Policies,
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
    under_way: HashSet<Key>,
}

impl Shelf {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, next: 0, ready: Vec::new(), under_way: HashSet::new() }
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
        let id = PolicyId(self.next);
        self.next += 1;
        let (root, policies) = (self.root.clone(), Arc::clone(&seams.policies));
        let (probe, outcomes) = (Arc::clone(probe), outcomes.clone());
        tokio::task::spawn_blocking(move || {
            let result = make_ready(id, &root, &policy, &*policies, &probe);
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
        let id = prepared.id;
        self.ready.push((policy.checkpoint.clone(), Arc::new(prepared)));
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

fn make_ready(
    id: PolicyId,
    root: &Path,
    policy: &PolicyRef,
    policies: &dyn Policies,
    probe: &[u32],
) -> Result<Prepared, String> {
    let name = match &policy.checkpoint {
        Some(checkpoint) => checkpoint.to_string(),
        None => "base".to_owned(),
    };
    let folder = policies.folder(policy)?;
    let publication = Publication::make(root, &format!("{}-{name}", id.0), &folder)?;
    let reference = policies.log_probabilities(policy, probe)?;
    Ok(Prepared { id, name, publication, reference })
}
