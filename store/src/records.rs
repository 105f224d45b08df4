//! Problems, demonstrations and judged trajectories: the pool.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use still_domain::{AttemptId, Demonstration, DemonstrationId, JudgedTrajectory, Problem, ProblemId};

use crate::{
    error::StoreError,
    key::{Key, Kind},
    store::Store,
};

/// A record with its place in the order of import.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Placed<T> {
    place: u64,
    record: T,
}

/// What an import brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Records that were not there before.
    pub new: u64,
    /// Records that were there, the same.
    pub already_there: u64,
}

/// What a commit of trajectories brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CommitReport {
    /// Attempts that were not there before.
    pub new: u64,
    /// Attempts that were there: the first commit stands.
    pub already_there: u64,
}

impl Store {
    /// Makes problems durable, all or none, in their order. The same problem again is no change.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when an id is known with another text, gold or use.
    pub fn import_problems(&self, problems: &[Problem]) -> Result<ImportReport, StoreError> {
        self.import(Kind::Problem, problems, |problem| problem.id.as_str())
    }

    /// Makes demonstrations durable, all or none, in their order. The same one again is no change.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when an id is known with another content.
    pub fn import_demonstrations(
        &self,
        demonstrations: &[Demonstration],
    ) -> Result<ImportReport, StoreError> {
        self.import(Kind::Demonstration, demonstrations, |demonstration| demonstration.id.as_str())
    }

    fn import<T>(
        &self,
        kind: Kind,
        records: &[T],
        id: impl Fn(&T) -> &str,
    ) -> Result<ImportReport, StoreError>
    where
        T: Serialize + for<'de> Deserialize<'de> + Clone + PartialEq,
    {
        let _writer = self.writer();
        let mut place = 0;
        self.each(&Key::of(kind), |known: Placed<T>| {
            place = place.max(known.place + 1);
            Ok(())
        })?;
        let mut report = ImportReport::default();
        let mut batch = Vec::new();
        let mut seen: HashMap<&str, &T> = HashMap::new();
        for record in records {
            let name = id(record);
            let key = Key::of(kind).text(name);
            let known = match seen.get(name) {
                Some(&earlier) => Some(earlier.clone()),
                None => self.get::<Placed<T>>(&key)?.map(|known| known.record),
            };
            match known {
                Some(known) if known == *record => report.already_there += 1,
                Some(_) => {
                    return Err(StoreError::Conflict(format!(
                        "`{name}` is there already with another content: give the new one another id"
                    )));
                }
                None => {
                    batch.push(self.put(&key, &Placed { place, record })?);
                    seen.insert(name, record);
                    place += 1;
                    report.new += 1;
                }
            }
        }
        self.commit(batch)?;
        Ok(report)
    }

    /// Every problem, in the order of import.
    pub fn problems(&self) -> Result<Vec<Problem>, StoreError> {
        self.in_order(Kind::Problem)
    }

    /// Every demonstration, in the order of import.
    pub fn demonstrations(&self) -> Result<Vec<Demonstration>, StoreError> {
        self.in_order(Kind::Demonstration)
    }

    fn in_order<T: for<'de> Deserialize<'de>>(&self, kind: Kind) -> Result<Vec<T>, StoreError> {
        let mut placed: Vec<Placed<T>> = self.all(&Key::of(kind))?;
        placed.sort_by_key(|record| record.place);
        Ok(placed.into_iter().map(|placed| placed.record).collect())
    }

    /// One problem.
    pub fn problem(&self, id: &ProblemId) -> Result<Option<Problem>, StoreError> {
        let placed: Option<Placed<Problem>> = self.get(&Key::of(Kind::Problem).text(id.as_str()))?;
        Ok(placed.map(|placed| placed.record))
    }

    /// One demonstration.
    pub fn demonstration(&self, id: &DemonstrationId) -> Result<Option<Demonstration>, StoreError> {
        let placed: Option<Placed<Demonstration>> =
            self.get(&Key::of(Kind::Demonstration).text(id.as_str()))?;
        Ok(placed.map(|placed| placed.record))
    }

    /// Makes judged trajectories durable in one batch. An attempt that is there already stays as it is.
    ///
    /// # Errors
    /// When the disk fails; then none of them is there.
    pub fn commit_trajectories(&self, judged: &[JudgedTrajectory]) -> Result<CommitReport, StoreError> {
        let _writer = self.writer();
        let mut report = CommitReport::default();
        let mut batch = Vec::with_capacity(judged.len());
        let mut seen = HashSet::new();
        for trajectory in judged {
            let key = trajectory_key(trajectory.id());
            if !seen.insert(trajectory.id()) || self.has(&key)? {
                report.already_there += 1;
            } else {
                batch.push(self.put(&key, trajectory)?);
                report.new += 1;
            }
        }
        self.commit(batch)?;
        Ok(report)
    }

    /// One trajectory.
    pub fn trajectory(&self, id: &AttemptId) -> Result<Option<JudgedTrajectory>, StoreError> {
        self.get(&trajectory_key(id))
    }

    /// The trajectories of a problem, by attempt.
    pub fn trajectories_of(&self, problem: &ProblemId) -> Result<Vec<JudgedTrajectory>, StoreError> {
        self.all(&Key::of(Kind::Trajectory).text(problem.as_str()))
    }

    /// Calls `visit` with every trajectory, by problem and attempt, a page of them in memory at a time.
    pub fn each_trajectory(
        &self,
        visit: impl FnMut(JudgedTrajectory) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.each(&Key::of(Kind::Trajectory), visit)
    }
}

fn trajectory_key(id: &AttemptId) -> Key {
    Key::of(Kind::Trajectory).text(id.problem.as_str()).number(u64::from(id.number.0))
}
