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

#[test]
fn a_limit_in_a_relation_in_a_choice_ends() {
    for answer in [r"C(20, \lim_{x\to0} 1 < y)", r"|\lim_{x\to0} 1 < y|", r"f(C(2, \lim_{x\to0} 1 < y))+1"] {
        for gold in [r"\binom{20}{3}", r"\lim_{x\to0} 1", "f(2)+1"] {
            assert_ne!(equivalent(gold, answer), Outcome::Correct, "{gold} and {answer}");
            assert_ne!(equivalent(answer, gold), Outcome::Correct, "{answer} and {gold}");
        }
    }
}

#[test]
fn a_star_is_no_ornament_but_around_a_whole_answer() {
    for (one, other) in [("x*", "x"), ("z*", "z"), ("x* ", "x"), ("*-", "-"), ("*Paris", "Paris")] {
        assert_ne!(equivalent(one, other), Outcome::Correct, "{one} and {other}");
        assert_ne!(equivalent(other, one), Outcome::Correct, "{other} and {one}");
        assert_eq!(equivalent(one, one), Outcome::Correct, "{one}");
    }
    assert_eq!(equivalent("**Paris**", "Paris"), Outcome::Correct);
    assert_eq!(equivalent("8", "**8**"), Outcome::Correct);
    assert_eq!(fingerprint("8"), fingerprint("**8**"));
}

#[test]
fn a_small_value_reached_through_a_large_one_has_its_own_fingerprint() {
    let large = "88888**88888888888880888888888888880";
    for (small, through) in [
        ("0", format!("0*{large}")),
        ("1", format!("{large}/{large}")),
        ("-2/3", format!("2*{large}/(-3*{large})")),
    ] {
        assert_eq!(equivalent(small, &through), Outcome::Correct, "{through}");
        assert_eq!(fingerprint(small), fingerprint(&through), "{through}");
    }
    assert_ne!(fingerprint(large), fingerprint(&format!("2*{large}")));
}

#[test]
fn zero_to_the_power_of_zero_is_no_value() {
    for value in ["0", "1"] {
        assert_ne!(equivalent(value, "0^0"), Outcome::Correct, "{value}");
        assert_ne!(equivalent("0^0", value), Outcome::Correct, "{value}");
    }
    assert_eq!(equivalent("0", "0^{1/2}"), Outcome::Correct);
    assert_eq!(equivalent("x^0", "1"), Outcome::Correct);
}

#[test]
fn a_denominator_of_a_hundred_thousand_bits_is_no_decimal() {
    for (gold, answer) in [
        (r"10^{-30001 \times 10^0}", r"1.0000001 \times 10^{-15}"),
        (r"1.0000001 \times 10^{-15}", r"10^{-30001 \times 10^0}"),
        (r"3^{-20000 \times 2^0}", "1.0000001"),
    ] {
        assert_ne!(equivalent(gold, answer), Outcome::Correct, "{gold} and {answer}");
    }
}
