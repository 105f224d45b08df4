//! Whatever is written into files and options, the answer is a record or a message, never a panic.
#![allow(clippy::unwrap_used, missing_docs)]

use proptest::prelude::*;
use still_domain::Split;
use still_operator::{
    config::ConfigLayers,
    import::{self, Parsed},
};
use still_text::Format;

/// Lines that are JSON more often than chance would have it.
fn line() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("null".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        "[a-z#{}\\\\]{0,12}".prop_map(|text| serde_json::to_string(&text).unwrap()),
        Just("[{\"role\": \"user\", \"content\": \"p\"}]".to_owned()),
    ];
    let name = prop_oneof![
        Just("problem"),
        Just("answer"),
        Just("solution"),
        Just("messages"),
        Just("level"),
        Just("id"),
        Just("thought"),
        Just("response"),
    ];
    prop_oneof![
        proptest::collection::vec((name, value), 0..5).prop_map(|fields| {
            let fields: Vec<_> = fields.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
            format!("{{{}}}", fields.join(", "))
        }),
        "[^\n]{0,20}",
    ]
}

/// Whether every line came to something, or the file as a whole to one word.
fn is_all_told<T>(parsed: &Parsed<T>, filled: u64) -> bool {
    let told = parsed.records.len() + parsed.left_out.len() + parsed.broken.len();
    told as u64 + parsed.repeated == filled || (parsed.records.is_empty() && parsed.broken.len() == 1)
}

proptest! {
    #[test]
    fn every_line_is_a_record_a_repetition_or_a_told_problem(lines in proptest::collection::vec(line(), 0..12)) {
        let text = lines.join("\n");
        // as the reader sees it: a byte order mark and lines of white space say nothing
        let filled = text.strip_prefix('\u{feff}').unwrap_or(&text).split('\n').filter(|line| !line.as_bytes().trim_ascii().is_empty()).count() as u64;
        let problems = import::problems(text.as_bytes(), "f", Split::Explore);
        prop_assert!(is_all_told(&problems, filled), "{:?}", problems);
        let demonstrations = import::demonstrations(text.as_bytes(), "f", Format::Paper);
        prop_assert!(is_all_told(&demonstrations, filled), "{:?}", demonstrations);
        for problem in problems.broken.iter().chain(&demonstrations.broken) {
            prop_assert!(problem.line >= 1 && problem.line <= lines.len() as u64);
            prop_assert!(!problem.reason.is_empty() && !problem.remedy.is_empty());
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_told_by_line(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let parsed = import::problems(&bytes, "f", Split::Explore);
        prop_assert!(parsed.broken.iter().all(|problem| problem.line >= 1));
    }

    #[test]
    fn any_setting_is_taken_or_refused_with_its_own_words(key in "[a-z._]{0,30}", value in ".{0,20}") {
        let assignment = format!("{key}={value}");
        if let Err(error) = ConfigLayers::new().set(&assignment).load() {
            prop_assert!(error.to_string().contains(&key), "{}", error);
        }
        let text = format!("{key} = {value}\n");
        if let Err(error) = ConfigLayers::new().text("my.toml", &text).load() {
            prop_assert!(error.to_string().contains("my.toml:"), "{}", error);
        }
    }
}
