//! Problems and demonstrations, in their order of import.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use still_domain::{Demonstration, DemonstrationId, Problem, ProblemId, Revival, Split};

use crate::{
    engine::Change,
    error::StoreError,
    key::{Key, Kind},
    store::Store,
};

/// A record of the task, which is imported and never changed, but for the gold answer of a problem.
trait TaskRecord: Serialize + for<'de> Deserialize<'de> + Clone {
    const KIND: Kind;

    fn name(&self) -> &str;

    /// Whether both are one record, as the domain has it.
    fn is_same_as(&self, other: &Self) -> bool;
}

impl TaskRecord for Problem {
    const KIND: Kind = Kind::Problem;

    fn name(&self) -> &str {
        self.id.as_str()
    }

    fn is_same_as(&self, other: &Self) -> bool {
        Self::is_same_as(self, other)
    }
}

impl TaskRecord for Demonstration {
    const KIND: Kind = Kind::Demonstration;

    fn name(&self) -> &str {
        self.id.as_str()
    }

    fn is_same_as(&self, other: &Self) -> bool {
        Self::is_same_as(self, other)
    }
}

/// A record with its number in the order of import.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ordered<T> {
    #[serde(rename = "place")]
    order: u64,
    pub(crate) record: T,
}

/// What an import brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Records that were not there before.
    pub new: u64,
    /// Records that were there, the same; the first one stays.
    pub already_there: u64,
}

impl Store {
    /// Makes problems durable, all or none, in their order. The same problem again is no change, from
    /// whatever file and with whatever level it comes.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when an id is known with another text, gold, kind of answer or use.
    pub fn import_problems(&self, problems: &[Problem]) -> Result<ImportReport, StoreError> {
        self.import_task(&[], problems, &[])
    }

    /// Makes demonstrations durable, all or none, in their order. The same one again is no change, from
    /// whatever file and with whatever level it comes.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when an id is known with another problem or response.
    pub fn import_demonstrations(
        &self,
        demonstrations: &[Demonstration],
    ) -> Result<ImportReport, StoreError> {
        self.import_task(demonstrations, &[], &[])
    }

    /// Makes demonstrations and problems durable together: all of both, or none. Counts both. A correction gives a
    /// known problem another gold answer and kind of answer; what was judged by the old ones stays judged so.
    ///
    /// # Errors
    /// As those of [`Store::import_demonstrations`] and [`Store::import_problems`].
    pub fn import_task(
        &self,
        demonstrations: &[Demonstration],
        problems: &[Problem],
        corrections: &[Problem],
    ) -> Result<ImportReport, StoreError> {
        let _writer = self.writer();
        let mut report = ImportReport::default();
        let mut batch = self.new_among(demonstrations, &mut report)?;
        batch.extend(self.new_among(problems, &mut report)?);
        for correction in corrections {
            batch.push(self.corrected(correction)?);
        }
        self.commit(batch)?;
        Ok(report)
    }

    /// Makes further attempts at problems durable, all or none.
    pub fn put_revivals(&self, revivals: &[Revival]) -> Result<(), StoreError> {
        let put = |revival: &Revival| {
            let key =
                Key::of(Kind::Revival).number(u64::from(revival.round.0)).text(revival.problem.as_str());
            self.put(&key, revival)
        };
        self.commit(revivals.iter().map(put).collect::<Result<_, _>>()?)
    }

    /// Every revival, by round.
    pub fn revivals(&self) -> Result<Vec<Revival>, StoreError> {
        self.all(Key::of(Kind::Revival))
    }

    /// The change that gives a known problem another gold answer and kind.
    fn corrected(&self, correction: &Problem) -> Result<Change, StoreError> {
        let key = Key::of(Kind::Problem).text(correction.id.as_str());
        let unknown = || StoreError::Conflict(format!("there is no problem `{}` to correct", correction.id));
        let Ordered { order, record } = self.get::<Ordered<Problem>>(&key)?.ok_or_else(unknown)?;
        let record = Problem { gold: correction.gold.clone(), kind: correction.kind, ..record };
        self.put(&key, &Ordered { order, record })
    }

    /// The changes that add those records which are not there yet.
    fn new_among<T: TaskRecord>(
        &self,
        records: &[T],
        report: &mut ImportReport,
    ) -> Result<Vec<Change>, StoreError> {
        let mut batch = Vec::new();
        if records.is_empty() {
            return Ok(batch);
        }
        let mut order = 0;
        for known in self.records::<Ordered<T>>(Key::of(T::KIND)) {
            order = order.max(known?.order + 1);
        }
        let mut seen: HashMap<&str, &T> = HashMap::new();
        for record in records {
            let name = record.name();
            let key = Key::of(T::KIND).text(name);
            let known = match seen.get(name) {
                Some(&earlier) => Some(earlier.clone()),
                None => self.get::<Ordered<T>>(&key)?.map(|known| known.record),
            };
            match known {
                Some(known) if known.is_same_as(record) => report.already_there += 1,
                Some(_) => {
                    return Err(StoreError::Conflict(format!(
                        "`{name}` is there already with another content: give the new one another id"
                    )));
                }
                None => {
                    batch.push(self.put(&key, &Ordered { order, record })?);
                    seen.insert(name, record);
                    order += 1;
                    report.new += 1;
                }
            }
        }
        Ok(batch)
    }

    /// Every problem, in the order of import.
    pub fn problems(&self) -> Result<Vec<Problem>, StoreError> {
        self.in_order(Kind::Problem)
    }

    /// How many problems a split has.
    pub fn problem_count(&self, split: Split) -> Result<u64, StoreError> {
        let mut count = 0;
        for problem in self.records::<Ordered<Problem>>(Key::of(Kind::Problem)) {
            count += u64::from(problem?.record.split == split);
        }
        Ok(count)
    }

    /// Every demonstration, in the order of import.
    pub fn demonstrations(&self) -> Result<Vec<Demonstration>, StoreError> {
        self.in_order(Kind::Demonstration)
    }

    fn in_order<T: for<'de> Deserialize<'de>>(&self, kind: Kind) -> Result<Vec<T>, StoreError> {
        let mut ordered: Vec<Ordered<T>> = self.all(Key::of(kind))?;
        ordered.sort_by_key(|record| record.order);
        Ok(ordered.into_iter().map(|ordered| ordered.record).collect())
    }

    /// One problem.
    pub fn problem(&self, id: &ProblemId) -> Result<Option<Problem>, StoreError> {
        let ordered: Option<Ordered<Problem>> = self.get(&Key::of(Kind::Problem).text(id.as_str()))?;
        Ok(ordered.map(|ordered| ordered.record))
    }

    /// One demonstration.
    pub fn demonstration(&self, id: &DemonstrationId) -> Result<Option<Demonstration>, StoreError> {
        let ordered: Option<Ordered<Demonstration>> =
            self.get(&Key::of(Kind::Demonstration).text(id.as_str()))?;
        Ok(ordered.map(|ordered| ordered.record))
    }
}
