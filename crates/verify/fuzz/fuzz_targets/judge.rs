//! Whole completions in both profiles, for every kind of answer: no panic, a box found by the strict profile is
//! found by the lenient one too, and no answer comes out of a thought that never ends.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use still_verify::{Gold, Kind, Outcome, Profile, judge, solution};

static GOLDS: LazyLock<Vec<Gold>> = LazyLock::new(|| {
    [
        (Kind::Math, "\\frac{355}{113}"),
        (Kind::Math, "\\text{Evelyn}"),
        (Kind::Math, "12:30"),
        (Kind::Integer, "355"),
        (Kind::MultipleChoice, "C"),
        (Kind::Exact, "word"),
        (Kind::Regex, "[a-z]+"),
    ]
    .into_iter()
    .filter_map(|(kind, gold)| Gold::parse(kind, gold).ok())
    .collect()
});

fuzz_target!(|text: &str| {
    for gold in GOLDS.iter() {
        let strict = judge(gold, text, Profile::Strict);
        let lenient = judge(gold, text, Profile::Lenient);
        assert!(strict.outcome != Outcome::Error && lenient.outcome != Outcome::Error, "{text:?}");
        assert!(strict.rule.is_none() || strict == lenient, "{text:?}: {strict:?} but {lenient:?}");
        if strict.outcome == Outcome::Correct {
            assert_eq!(lenient.outcome, Outcome::Correct, "{text:?}");
        }
        let hidden = format!("<think>{text}");
        if solution(&hidden).is_none() {
            let hidden = judge(gold, &hidden, Profile::Lenient);
            assert_eq!(hidden.outcome, Outcome::NoAnswer, "{text:?} in a thought");
        }
    }
});
