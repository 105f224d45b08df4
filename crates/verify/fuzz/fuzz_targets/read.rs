//! The reader: any text is read or refused, and what is read equals itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use still_verify::{Outcome, equivalent, fingerprint};

fuzz_target!(|text: &str| {
    let itself = equivalent(text, text);
    assert!(!matches!(itself, Outcome::Wrong) || text.trim().is_empty(), "{text} is not itself");
    let _ = fingerprint(text);
});
