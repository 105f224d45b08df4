//! Threads for many short pieces of work in a row.
//!
//! A decode step is hundreds of products of some ten to hundred microseconds each. A thread that goes to sleep between
//! two of them, or yields to whatever else the machine runs, comes back too late. So members of a team watch for the next
//! job for a moment before they sleep; between steps, and while nothing is asked, they do sleep.
#![expect(
    unsafe_code,
    reason = "members borrow a job from the leader's stack while the leader waits for them"
)]

#[cfg(all(test, loom))]
mod orders;
mod sync;

use std::any::Any;
use std::fmt;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{PoisonError, TryLockError};
#[cfg(not(loom))]
use std::{
    hint,
    time::{Duration, Instant},
};

use crossbeam::utils::CachePadded;

use self::sync::{
    Arc, AtomicBool, AtomicU64, AtomicUsize, Condvar, JoinHandle, Mutex, Ordering, UnsafeCell, thread,
};
use super::shared::SharedSlice;

/// How long a member watches before it sleeps: the longest pause between two products of a step.
#[cfg(not(loom))]
const WATCH: Duration = Duration::from_micros(100);
/// Looks between two looks at the clock.
#[cfg(not(loom))]
const LOOKS: usize = 64;
/// Set in a gate when nobody may enter any more.
const CLOSED: u64 = 1 << 31;
/// One more job in a gate; below it are the bit above and the number of members inside.
const JOB: u64 = 1 << 32;

/// A leader (whoever calls) and its members.
#[derive(Debug)]
pub(super) struct Team(Option<Helpers>);

/// The calling thread alone.
pub(super) static ALONE: Team = Team(None);

struct Helpers {
    shared: Arc<Shared>,
    members: Vec<JoinHandle<()>>,
    /// Held by the leader of the job at hand.
    leader: Mutex<()>,
}

struct Shared {
    /// The number of the job, whether it is closed, and how many members are inside.
    gate: AtomicU64,
    /// Written by the leader while the gate is closed and nobody is inside.
    job: UnsafeCell<Job>,
    /// For everyone, how many pieces of its share are taken.
    taken: Vec<CachePadded<AtomicUsize>>,
    /// What a member panicked with.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    is_over: AtomicBool,
    sleepers: AtomicUsize,
    sleep: Mutex<()>,
    wake: Condvar,
}

#[derive(Clone, Copy)]
struct Job {
    work: &'static (dyn Fn(usize, usize) + Sync),
    pieces: usize,
}

// SAFETY: `job` is written only by the leader (who holds the lock `leader`) while the gate is closed with nobody inside,
// and read only by members that have entered the gate since; the gate's release and acquire order the two.
unsafe impl Sync for Shared {}

impl Team {
    /// A team of `count` with its leader; threads that the system refuses are done without.
    pub(super) fn new(count: usize) -> Self {
        let shared = Arc::new(Shared::new(count));
        let members = (1..count).map_while(|member| {
            let shared = Arc::clone(&shared);
            let name = format!("decoder-{member}");
            thread::Builder::new().name(name).spawn(move || shared.serve(member)).ok()
        });
        let members: Vec<_> = members.collect();
        Self((!members.is_empty()).then(|| Helpers { shared, members, leader: Mutex::new(()) }))
    }

    /// How many work, the leader among them.
    pub(super) fn count(&self) -> usize {
        1 + self.0.as_ref().map_or(0, |team| team.members.len())
    }

    /// Calls `work` with every index below `pieces` and the number, below [`Team::count`], of who works on it.
    ///
    /// A job that is started inside another one, or beside it, is done by the calling thread alone.
    ///
    /// # Panics
    /// When `work` does.
    pub(super) fn for_each(&self, pieces: usize, work: impl Fn(usize, usize) + Sync) {
        match &self.0 {
            Some(team) if pieces > 1 => team.for_each(pieces, &work),
            _ => (0..pieces).for_each(|piece| work(piece, 0)),
        }
    }

    /// Cuts `values` into chunks of `length` and calls `work` with the index of each and the chunk.
    pub(super) fn for_each_chunk<T: Send>(
        &self,
        values: &mut [T],
        length: usize,
        work: impl Fn(usize, &mut [T]) + Sync,
    ) {
        let (length, count) = (length.max(1), values.len());
        let values = SharedSlice::new(values);
        self.for_each(count.div_ceil(length), |chunk, _| {
            let start = chunk * length;
            // SAFETY: every chunk is handed out once, and chunks do not overlap.
            let part = unsafe { values.part(start..count.min(start + length)) };
            work(chunk, part);
        });
    }
}

impl Helpers {
    fn for_each(&self, pieces: usize, work: &(dyn Fn(usize, usize) + Sync)) {
        let leader = match self.leader.try_lock() {
            Ok(leader) => leader,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return (0..pieces).for_each(|piece| work(piece, 0)),
        };
        // SAFETY: only the lifetime changes. `Opened` closes the gate and waits until no member is inside before this
        // function returns or unwinds, so nobody calls `work` after its end.
        let work: &'static (dyn Fn(usize, usize) + Sync) = unsafe { mem::transmute(work) };
        let job = Job { work, pieces };
        let opened = self.shared.open(job);
        let own = panic::catch_unwind(AssertUnwindSafe(|| self.shared.work_off(job, 0)));
        drop(opened);
        let others = self.shared.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(leader);
        if let Some(panic) = own.err().or(others) {
            panic::resume_unwind(panic);
        }
    }
}

impl Drop for Helpers {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        self.shared.wake_all();
        for member in self.members.drain(..) {
            // a member catches what its work panics with
            drop(member.join());
        }
    }
}

impl fmt::Debug for Helpers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Helpers").field("members", &self.members.len()).finish_non_exhaustive()
    }
}

/// A job that members may enter; dropping it closes the gate and waits for those inside.
struct Opened<'a>(&'a Shared);

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        self.0.gate.fetch_or(CLOSED, Ordering::AcqRel);
        let mut watch = Watch::new();
        while inside(self.0.gate.load(Ordering::Acquire)) > 0 {
            if !watch.look() {
                // a member in the middle of its piece has lost its processor
                thread::yield_now();
            }
        }
    }
}

impl Shared {
    fn new(count: usize) -> Self {
        Self {
            gate: AtomicU64::new(CLOSED),
            job: UnsafeCell::new(Job { work: &|_, _| (), pieces: 0 }),
            taken: (0..count).map(|_| CachePadded::default()).collect(),
            panic: Mutex::new(None),
            is_over: AtomicBool::new(false),
            sleepers: AtomicUsize::new(0),
            sleep: Mutex::new(()),
            wake: Condvar::new(),
        }
    }

    /// Lets members in; only for who holds the lock `leader`.
    fn open(&self, job: Job) -> Opened<'_> {
        // SAFETY: the gate is closed and nobody is inside: the leader before saw to that, and there is one leader.
        self.job.with_mut(|held| unsafe { *held = job });
        for taken in &self.taken {
            taken.store(0, Ordering::Relaxed);
        }
        let number = self.gate.load(Ordering::Relaxed) & !(JOB - 1);
        // before the look at the sleepers, in one order for all: who lies down later sees the open gate
        self.gate.store(number.wrapping_add(JOB), Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            self.wake_all();
        }
        Opened(self)
    }

    fn wake_all(&self) {
        drop(self.sleep.lock().unwrap_or_else(PoisonError::into_inner));
        self.wake.notify_all();
    }

    /// Works on the share of `who`, neighbouring pieces, then on what is left of the others' shares.
    fn work_off(&self, job: Job, who: usize) {
        let shares = self.taken.len();
        for owner in (who..shares).chain(0..who) {
            let share = owner * job.pieces / shares..(owner + 1) * job.pieces / shares;
            loop {
                let piece = share.start + self.taken[owner].fetch_add(1, Ordering::Relaxed);
                if piece >= share.end {
                    break;
                }
                (job.work)(piece, who);
            }
        }
    }

    /// The life of a member.
    fn serve(&self, who: usize) {
        let mut done = self.gate.load(Ordering::Acquire) & !(JOB - 1);
        while let Some(gate) = self.next_gate(done) {
            let entered = self.gate.compare_exchange(gate, gate + 1, Ordering::AcqRel, Ordering::Relaxed);
            if entered.is_err() {
                continue;
            }
            done = gate & !(JOB - 1);
            // SAFETY: inside the gate the job stays as it is.
            let job = self.job.with(|job| unsafe { *job });
            if let Err(panic) = panic::catch_unwind(AssertUnwindSafe(|| self.work_off(job, who))) {
                *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
            }
            self.gate.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Waits for a job other than `done` that can be entered; `None` when the team is dissolved.
    fn next_gate(&self, done: u64) -> Option<u64> {
        let is_new = |gate: u64| gate & CLOSED == 0 && gate & !(JOB - 1) != done;
        let mut watch = Watch::new();
        loop {
            let gate = self.gate.load(Ordering::Acquire);
            if is_new(gate) {
                return Some(gate);
            }
            if self.is_over.load(Ordering::Relaxed) {
                return None;
            }
            if watch.look() {
                continue;
            }
            let mut sleep = self.sleep.lock().unwrap_or_else(PoisonError::into_inner);
            self.sleepers.fetch_add(1, Ordering::SeqCst);
            while !is_new(self.gate.load(Ordering::SeqCst)) && !self.is_over.load(Ordering::SeqCst) {
                sleep = self.wake.wait(sleep).unwrap_or_else(PoisonError::into_inner);
            }
            drop(sleep);
            self.sleepers.fetch_sub(1, Ordering::SeqCst);
            watch = Watch::new();
        }
    }
}

/// How many members are inside.
fn inside(gate: u64) -> u64 {
    gate & (CLOSED - 1)
}

/// A wait that does not give the processor away, for a while.
#[cfg(not(loom))]
struct Watch {
    looks: usize,
    end: Option<Instant>,
}

#[cfg(not(loom))]
impl Watch {
    fn new() -> Self {
        Self { looks: 0, end: None }
    }

    /// Passes a moment; false when the while is over.
    fn look(&mut self) -> bool {
        hint::spin_loop();
        self.looks += 1;
        if !self.looks.is_multiple_of(LOOKS) {
            return true;
        }
        let now = Instant::now();
        now < *self.end.get_or_insert(now + WATCH)
    }
}

/// Where every order of events is tried there is no clock: the while is over at once.
#[cfg(loom)]
struct Watch;

#[cfg(loom)]
impl Watch {
    fn new() -> Self {
        Self
    }

    fn look(&mut self) -> bool {
        false
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Members that have lain down.
    fn sleepers(team: &Team) -> usize {
        team.0.as_ref().map_or(0, |team| team.shared.sleepers.load(Ordering::SeqCst))
    }

    #[test]
    fn every_piece_is_worked_on_once_whatever_the_pauses() {
        let team = Team::new(3);
        for round in 0..2000 {
            let pieces = round % 7;
            let counts: Vec<AtomicUsize> = (0..pieces).map(|_| AtomicUsize::new(0)).collect();
            team.for_each(pieces, |piece, who| {
                assert!(who < team.count());
                counts[piece].fetch_add(1, Ordering::Relaxed);
            });
            assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1), "round {round}");
            if round % 500 == 0 {
                while sleepers(&team) < 2 {
                    thread::yield_now();
                }
            }
        }
    }

    #[test]
    fn chunks_are_cut_in_order() {
        for team in [&ALONE, &Team::new(3)] {
            let mut values = [0; 17];
            team.for_each_chunk(&mut values, 4, |chunk, values| values.fill(chunk));
            assert!(values.is_sorted() && values[16] == 4);
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_team_goes_on() {
        let team = Team::new(2);
        for at in 0..8 {
            let result = panic::catch_unwind(AssertUnwindSafe(|| {
                team.for_each(8, |piece, _| assert_ne!(piece, at));
            }));
            assert!(result.is_err(), "{at}");
        }
        let sum = AtomicUsize::new(0);
        team.for_each(8, |piece, _| {
            sum.fetch_add(piece, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 28);
    }

    #[test]
    fn jobs_inside_jobs_and_beside_them_are_done() {
        let team = Team::new(2);
        let sum = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        team.for_each(3, |_, _| {
                            team.for_each(4, |_, _| {
                                sum.fetch_add(1, Ordering::Relaxed);
                            });
                        });
                    }
                });
            }
        });
        assert_eq!(sum.into_inner(), 2 * 100 * 12);
    }
}
