//! How trajectories were drawn: each manner once, under the name that its trajectories carry.

use still_domain::{Provenance, ProvenanceId};

use crate::{
    error::StoreError,
    key::{Key, Kind},
    scan::Records,
    store::Store,
};

impl Store {
    /// Makes a provenance durable, unless it is there already: before the first trajectory that names it.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn put_provenance(&self, provenance: &Provenance) -> Result<(), StoreError> {
        let key = provenance_key(&provenance.id());
        if self.has(&key)? {
            return Ok(());
        }
        self.commit(vec![self.put(&key, provenance)?])
    }

    /// What a name stands for.
    pub fn provenance(&self, id: &ProvenanceId) -> Result<Option<Provenance>, StoreError> {
        self.get(&provenance_key(id))
    }

    /// Every manner in which trajectories were drawn, in the order of their names.
    pub fn provenances(&self) -> Records<Provenance> {
        self.records(Key::of(Kind::Provenance))
    }
}

fn provenance_key(id: &ProvenanceId) -> Key {
    Key::of(Kind::Provenance).text(id.as_str())
}
