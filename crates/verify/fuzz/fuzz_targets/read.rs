//! The reader: any text is read or refused, and what is read equals itself, however often it is asked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use still_verify::{Outcome, equivalent, fingerprint};

fuzz_target!(|text: &str| {
    let print = fingerprint(text);
    assert_eq!(print, fingerprint(text), "{text:?} has two fingerprints");
    if text.trim().is_empty() {
        return;
    }
    let itself = equivalent(text, text);
    assert!(!matches!(itself, Outcome::Error | Outcome::Wrong), "{text:?} is {itself} beside itself");
    assert_eq!(itself, equivalent(text, text), "{text:?} is judged in two ways");
});
