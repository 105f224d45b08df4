//! What fuzzing found, so that it stays found.

use still_verify::{Outcome, equivalent, fingerprint};

#[test]
fn numbers_too_large_to_write_share_their_fingerprint() {
    for (one, other) in [("9^{9^{9}}", "9^{387420489}"), ("3^{10^{9}}", "9^{5 \\cdot 10^{8}}")] {
        assert_eq!(fingerprint(one), fingerprint(other), "{one} and {other}");
    }
    assert_ne!(fingerprint("9^{9^{9}}"), fingerprint("9^{9^{9}}+1"));
}

#[test]
fn any_space_around_an_answer_goes() {
    for space in [" ", "\u{b}", "\u{c}", "\u{85}", "\u{2028}", "\u{3000}"] {
        assert_eq!(equivalent("x", &format!("{space}x{space}")), Outcome::Correct, "{space:?}");
        assert_eq!(fingerprint("x"), fingerprint(&format!("{space}x{space}")), "{space:?}");
    }
}
