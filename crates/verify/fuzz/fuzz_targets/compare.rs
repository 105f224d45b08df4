//! The comparer: two answers on two lines. No panic either way round; exact values and polynomials compare the
//! same both ways, exact values that are equal share their fingerprint, and a box around an answer is no matter.
#![no_main]

#[path = "../../examples/shapes/mod.rs"]
mod shapes;

use libfuzzer_sys::fuzz_target;
use shapes::{is_balanced, is_exact};
use still_verify::{Gold, Kind, Outcome, Profile, equivalent, fingerprint, judge};

fuzz_target!(|text: &str| {
    let Some((left, right)) = text.split_once('\n') else { return };
    if left.trim().is_empty() || right.trim().is_empty() {
        return;
    }
    let there = equivalent(left, right);
    let back = equivalent(right, left);
    assert!(there != Outcome::Error && back != Outcome::Error, "{left:?} against {right:?}");
    let numeric = |answer: &str| is_exact(&answer.replace(['x', 'y'], "1"));
    if numeric(left) && numeric(right) && ![there, back].contains(&Outcome::Timeout) {
        let (there, back) = (there == Outcome::Correct, back == Outcome::Correct);
        assert_eq!(there, back, "{left:?} equals {right:?} one way only");
    }
    if is_exact(left) && is_exact(right) {
        assert!(
            there != Outcome::Correct || fingerprint(left) == fingerprint(right),
            "{left:?} and {right:?} differ in a vote"
        );
    }
    let Ok(gold) = Gold::parse(Kind::Math, left) else { panic!("{left:?} is refused as a gold") };
    if is_balanced(right) {
        let boxed = judge(&gold, &format!("\\boxed{{{right}}}"), Profile::Strict);
        // a box with nothing but a mark for a place is only mentioned
        let is_mentioned = boxed.outcome == Outcome::NoAnswer && !right.contains(char::is_alphanumeric)
            || boxed.outcome == Outcome::NoAnswer && there != Outcome::Correct;
        assert!(is_mentioned || boxed.outcome == there, "{left:?} against {right:?} in a box: {boxed:?}, {there}");
    }
});
