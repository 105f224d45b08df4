//! Whole completions in both profiles, for every kind of answer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use still_verify::{Gold, Kind, Outcome, Profile, judge};

fuzz_target!(|text: &str| {
    for (kind, gold) in [
        (Kind::Math, "\\frac{355}{113}"),
        (Kind::Integer, "355"),
        (Kind::MultipleChoice, "C"),
        (Kind::Exact, "word"),
        (Kind::Regex, "[a-z]+"),
    ] {
        let Ok(gold) = Gold::parse(kind, gold) else { return };
        for profile in [Profile::Strict, Profile::Lenient] {
            assert_ne!(judge(&gold, text, profile).outcome, Outcome::Error, "{text}");
        }
    }
});
