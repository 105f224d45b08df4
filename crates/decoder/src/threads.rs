//! How a computation may compute: with threads of its own that park when idle, or none at all, and in what.
//!
//! Work is cut by fixed rules (never by who is idle), so that the same number of threads gives the same bits.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::Arithmetic;

/// A number of threads, and the threads behind it when it is more than one, with what they multiply weights in; a clone
/// shares them.
#[derive(Debug, Clone)]
pub struct Threads {
    workers: Option<Arc<ThreadPool>>,
    arithmetic: Arithmetic,
}

impl Threads {
    /// The calling thread alone.
    pub fn single() -> Self {
        Self { workers: None, arithmetic: Arithmetic::F32 }
    }

    /// `count` threads; one, or a system that refuses to start them, means the calling thread alone.
    pub fn new(count: usize) -> Self {
        let build = || {
            ThreadPoolBuilder::new()
                .num_threads(count)
                .thread_name(|index| format!("decoder-{index}"))
                .build()
        };
        let workers = (count > 1).then(|| build().ok().map(Arc::new)).flatten();
        Self { workers, arithmetic: Arithmetic::F32 }
    }

    /// The same threads, which multiply weights so.
    #[must_use]
    pub fn multiplying_in(self, arithmetic: Arithmetic) -> Self {
        Self { arithmetic, ..self }
    }

    /// The calling thread alone, which computes as these do.
    pub(crate) fn alone(&self) -> Self {
        Self { workers: None, arithmetic: self.arithmetic }
    }

    /// What weights are multiplied in.
    pub(crate) const fn arithmetic(&self) -> Arithmetic {
        self.arithmetic
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.workers.as_ref().map_or(1, |workers| workers.current_num_threads())
    }

    /// Runs `work` on these threads, so that what it starts stays there.
    pub(crate) fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.workers {
            Some(workers) => workers.install(work),
            None => work(),
        }
    }

    /// What `gemm` may use; call it inside [`Threads::run`].
    pub(crate) fn parallelism(&self) -> gemm_common::Parallelism {
        match self.count() {
            1 => gemm_common::Parallelism::None,
            count => gemm_common::Parallelism::Rayon(count),
        }
    }

    /// Calls `work` for every index below `count`, results in order of the index.
    pub(crate) fn map<R: Send>(&self, count: usize, work: impl Fn(usize) -> R + Sync) -> Vec<R> {
        match &self.workers {
            Some(workers) if count > 1 => {
                workers.install(|| (0..count).into_par_iter().with_max_len(1).map(&work).collect())
            }
            _ => (0..count).map(work).collect(),
        }
    }

    /// Calls `work` for every item, each on one thread.
    pub fn for_each_item<T: Send>(&self, items: &mut [T], work: impl Fn(&mut T) + Sync + Send) {
        match &self.workers {
            Some(workers) if items.len() > 1 => {
                workers.install(|| items.par_iter_mut().with_max_len(1).for_each(work));
            }
            _ => items.iter_mut().for_each(work),
        }
    }

    /// Cuts `rows` (each `width` wide) into one part a thread and calls `work` with the index of a part's first row and
    /// the part; results in order.
    pub(crate) fn map_rows<R: Send>(
        &self,
        rows: &mut [f32],
        width: usize,
        work: impl Fn(usize, &mut [f32]) -> R + Sync,
    ) -> Vec<R> {
        let row_count = rows.len().checked_div(width).unwrap_or_default();
        let per_part = row_count.div_ceil(self.count()).max(1);
        let part = |(index, rows): (usize, &mut [f32])| work(index * per_part, rows);
        match &self.workers {
            Some(workers) if row_count > 1 => {
                workers.install(|| rows.par_chunks_mut(per_part * width).enumerate().map(part).collect())
            }
            _ => rows.chunks_mut((per_part * width).max(1)).enumerate().map(part).collect(),
        }
    }
}

/// Cuts `0..lengths.len()` into at most `parts` runs of about the same total length, none empty.
pub(crate) fn balanced_runs(lengths: &[usize], parts: usize) -> Vec<Range<usize>> {
    let total: usize = lengths.iter().sum();
    let mut runs = Vec::with_capacity(parts);
    let (mut start, mut seen) = (0, 0);
    for (index, length) in lengths.iter().enumerate() {
        seen += length;
        let is_last = index + 1 == lengths.len();
        if is_last || seen * parts >= total * (runs.len() + 1) {
            runs.push(start..index + 1);
            start = index + 1;
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_balanced_and_cover_everything() {
        assert_eq!(balanced_runs(&[50; 16], 2), vec![0..8, 8..16]);
        assert_eq!(balanced_runs(&[100, 1, 1], 2), vec![0..1, 1..3]);
        assert_eq!(balanced_runs(&[7], 4), vec![0..1]);
        for parts in 1..6 {
            let runs = balanced_runs(&[3, 9, 1, 1, 20, 4, 4], parts);
            assert!(runs.len() <= parts);
            assert_eq!(runs.iter().flat_map(Clone::clone).collect::<Vec<_>>(), (0..7).collect::<Vec<_>>());
        }
    }

    #[test]
    fn rows_are_cut_in_order() {
        for threads in [Threads::single(), Threads::new(3)] {
            let mut rows = vec![0.0; 7 * 2];
            let firsts = threads.map_rows(&mut rows, 2, |first, part| {
                part.fill(first as f32);
                first
            });
            assert_eq!(firsts[0], 0);
            assert!(rows.is_sorted());
        }
    }
}
