//! Every order of events in a small team (`RUSTFLAGS="--cfg loom"`): loom runs each body once for every order that the
//! memory model allows, and ends with an error where a job is read while it is written or a thread is never ended.

use loom::{cell::UnsafeCell, model::Builder};

use super::{
    Team,
    sync::{Arc, AtomicUsize, Ordering, thread},
};

/// Runs `body` in every order with so many forced changes of thread at most: those with more grow beyond count.
fn in_every_order(max_preemptions: usize, body: impl Fn() + Send + Sync + 'static) {
    let mut model = Builder::new();
    model.preemption_bound = Some(max_preemptions);
    model.check(body);
}

/// What the pieces write without any lock.
struct Written(Vec<UnsafeCell<usize>>);

// SAFETY: every piece is handed out once, and the leader reads when all are done; loom checks both.
unsafe impl Sync for Written {}

#[test]
fn what_members_write_is_the_leaders_when_the_job_is_done() {
    in_every_order(3, || {
        let team = Team::new(2);
        let written = Written((0..2).map(|_| UnsafeCell::new(0)).collect());
        for job in 1..=2 {
            let cells = &written;
            team.for_each(2, |piece, _| {
                // SAFETY: nobody else has this piece.
                cells.0[piece].with_mut(|value| unsafe { *value += job });
            });
            for cell in &written.0 {
                // SAFETY: the job is done.
                assert_eq!(cell.with(|value| unsafe { *value }), job * (job + 1) / 2);
            }
        }
    });
}

#[test]
fn every_piece_is_taken_once_by_three() {
    in_every_order(1, || {
        let team = Team::new(3);
        let counts = [AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0)];
        team.for_each(3, |piece, who| {
            assert!(who < team.count());
            counts[piece].fetch_add(1, Ordering::Relaxed);
        });
        assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1));
    });
}

#[test]
fn a_leader_who_finds_the_team_at_work_does_the_job_alone() {
    in_every_order(2, || {
        let team = Arc::new(Team::new(2));
        let sum = Arc::new(AtomicUsize::new(0));
        let other = {
            let (team, sum) = (Arc::clone(&team), Arc::clone(&sum));
            thread::spawn(move || {
                team.for_each(2, |_, _| {
                    sum.fetch_add(1, Ordering::Relaxed);
                });
            })
        };
        team.for_each(2, |_, _| {
            sum.fetch_add(1, Ordering::Relaxed);
        });
        other.join().unwrap();
        assert_eq!(sum.load(Ordering::Relaxed), 4);
    });
}

#[test]
fn a_team_without_a_job_is_dissolved() {
    in_every_order(2, || drop(Team::new(3)));
}
