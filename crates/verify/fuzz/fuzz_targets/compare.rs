//! The comparer: two answers on two lines; no panic in either direction.
#![no_main]

use libfuzzer_sys::fuzz_target;
use still_verify::{Gold, Kind, Outcome, equivalent};

fuzz_target!(|text: &str| {
    let Some((left, right)) = text.split_once('\n') else { return };
    for (gold, answer) in [(left, right), (right, left)] {
        if Gold::parse(Kind::Math, gold).is_ok() {
            assert_ne!(equivalent(gold, answer), Outcome::Error, "{gold} against {answer}");
        }
    }
});
