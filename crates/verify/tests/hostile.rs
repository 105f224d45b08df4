//! Hostile inputs: answered without a panic, on a small stack, and never as correct.

mod inputs;

use inputs::{GOLDS, inputs};
use still_verify::{Gold, Kind, Outcome, Profile, fingerprint, judge};

#[test]
fn none_is_correct_and_none_fails() {
    for gold in GOLDS {
        let gold = Gold::parse(Kind::Math, gold).unwrap();
        for input in inputs() {
            for completion in
                [input.clone(), format!("\\boxed{{{input}}}"), format!("The answer is ${input}$.")]
            {
                let outcome = judge(&gold, &completion, Profile::Lenient).outcome;
                let shown: String = input.chars().take(60).collect();
                assert!(
                    !matches!(outcome, Outcome::Correct | Outcome::Error),
                    "{shown} against {} is {outcome}",
                    gold.text()
                );
            }
        }
    }
}

#[test]
fn hostile_golds_and_fingerprints_are_answered() {
    for input in inputs() {
        let _ = fingerprint(&input);
        if let Ok(gold) = Gold::parse(Kind::Math, &input) {
            let judgement = judge(&gold, "\\boxed{12345678987654321}", Profile::Strict);
            assert!(!matches!(judgement.outcome, Outcome::Correct | Outcome::Error), "{input:.60}");
        }
    }
}

#[test]
fn a_small_stack_is_enough() {
    std::thread::Builder::new()
        .stack_size(1 << 20)
        .spawn(|| {
            let gold = Gold::parse(Kind::Math, "2").unwrap();
            for input in inputs() {
                let _ = judge(&gold, &format!("\\boxed{{{input}}}"), Profile::Lenient);
            }
        })
        .unwrap()
        .join()
        .unwrap();
}
