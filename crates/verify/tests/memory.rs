//! Hostile inputs stay small: bytes held at once and allocations made, counted by the allocator.
//!
//! Both are the same on every machine, unlike time; allocations bound the work that a judgement does.

mod inputs;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use inputs::{GOLDS, inputs};
use still_verify::{Gold, Kind, Profile, fingerprint, judge};

/// No judgement holds more than this many bytes beyond its input.
const MAXIMUM_HELD_BYTES: usize = 64 << 20;
/// No judgement makes more allocations than this.
const MAXIMUM_ALLOCATIONS: usize = 400_000;

static HELD_BYTES: AtomicUsize = AtomicUsize::new(0);
static PEAK_BYTES: AtomicUsize = AtomicUsize::new(0);
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[expect(unsafe_code, reason = "an allocator is the only place that sees every allocation")]
// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD_BYTES.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK_BYTES.fetch_max(held, Ordering::Relaxed);
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD_BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes held at the peak beyond those held before, and allocations made.
fn measured(body: impl FnOnce()) -> (usize, usize) {
    let (held, made) = (HELD_BYTES.load(Ordering::Relaxed), ALLOCATIONS.load(Ordering::Relaxed));
    PEAK_BYTES.store(held, Ordering::Relaxed);
    body();
    (PEAK_BYTES.load(Ordering::Relaxed) - held, ALLOCATIONS.load(Ordering::Relaxed) - made)
}

// one test only: others beside it would be counted too
#[test]
fn memory_and_work_are_bounded() {
    for input in inputs() {
        let shown: String = input.chars().take(60).collect();
        for gold in GOLDS {
            let gold = Gold::parse(Kind::Math, gold).unwrap();
            for completion in
                [input.clone(), format!("\\boxed{{{input}}}"), format!("The answer is ${input}$.")]
            {
                let (held, made) = measured(|| drop(judge(&gold, &completion, Profile::Lenient)));
                assert!(held <= MAXIMUM_HELD_BYTES, "{shown} holds {held} bytes");
                assert!(made <= MAXIMUM_ALLOCATIONS, "{shown} makes {made} allocations");
            }
        }
        let (held, made) = measured(|| {
            let _ = fingerprint(&input);
            if let Ok(gold) = Gold::parse(Kind::Math, &input) {
                drop(judge(&gold, "\\boxed{12345678987654321}", Profile::Strict));
            }
        });
        assert!(held <= MAXIMUM_HELD_BYTES, "as a gold {shown} holds {held} bytes");
        assert!(made <= MAXIMUM_ALLOCATIONS, "as a gold {shown} makes {made} allocations");
    }
}
