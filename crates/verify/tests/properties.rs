//! Properties over generated answers: reflexive, symmetric, invariant under spellings, sensitive to changes.

use proptest::prelude::*;
use still_verify::{Gold, Kind, Outcome, Profile, equivalent, fingerprint, judge};

/// A closed expression in LaTeX.
fn constant() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (1_i64..500).prop_map(|value| value.to_string()),
        (1_i64..50, 2_i64..50).prop_map(|(above, below)| format!("\\frac{{{above}}}{{{below}}}")),
        (2_i64..60).prop_map(|value| format!("\\sqrt{{{value}}}")),
        Just("\\pi".to_owned()),
        (1_i64..40).prop_map(|value| format!("2^{{{value}}}")),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("{left}+{right}")),
            (inner.clone(), inner.clone())
                .prop_map(|(left, right)| format!("\\left({left}\\right)\\cdot\\left({right}\\right)")),
            (inner.clone(), inner.clone()).prop_map(|(above, below)| format!("\\frac{{{above}}}{{{below}}}")),
            inner.prop_map(|inner| format!("\\sqrt{{{inner}}}")),
        ]
    })
}

/// An expression with symbols.
fn polynomial() -> impl Strategy<Value = String> {
    prop::collection::vec((-9_i64..10, 0_u32..5, prop::sample::select(vec!["x", "y", "n"])), 1..5).prop_map(
        |terms| {
            terms
                .iter()
                .map(|(factor, power, name)| format!("({factor}){name}^{{{power}}}"))
                .collect::<Vec<_>>()
                .join("+")
        },
    )
}

/// Any answer.
fn answer() -> impl Strategy<Value = String> {
    prop_oneof![
        constant(),
        polynomial(),
        (constant(), constant()).prop_map(|(left, right)| format!("({left},{right})")),
        (constant(), constant()).prop_map(|(left, right)| format!("\\{{{left},{right}\\}}")),
        polynomial().prop_map(|right| format!("w={right}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn equality_is_reflexive(answer in answer()) {
        prop_assert_eq!(equivalent(&answer, &answer), Outcome::Correct);
    }

    #[test]
    fn equality_of_values_is_symmetric(left in constant(), right in constant()) {
        prop_assert_eq!(equivalent(&left, &right), equivalent(&right, &left));
    }

    #[test]
    fn spacing_and_wrapping_do_not_matter(answer in answer()) {
        let spaced = answer.replace('+', " + ").replace(',', " ,\\ ");
        for spelling in [
            spaced.clone(),
            format!("${answer}$"),
            format!("\\displaystyle {answer}"),
            format!("{answer}."),
            answer.replace("\\frac", "\\dfrac"),
            answer.replace("\\cdot", "\\times "),
            answer.replace("\\left", "").replace("\\right", ""),
        ] {
            prop_assert_eq!(equivalent(&answer, &spelling), Outcome::Correct, "{} and {}", answer, spelling);
        }
    }

    #[test]
    fn terms_commute(left in constant(), right in constant()) {
        let (sum, swapped) = (format!("{left}+{right}"), format!("{right}+{left}"));
        prop_assert_eq!(equivalent(&sum, &swapped), Outcome::Correct);
        prop_assert_eq!(fingerprint(&sum), fingerprint(&swapped));
    }

    #[test]
    fn other_values_are_wrong(answer in constant(), change in 1_i64..1000) {
        for other in [
            format!("{answer}+{change}"),
            format!("-({answer})"),
            format!("({answer})\\cdot 2"),
            format!("({answer}) + 10^{{-{}}}", change % 25 + 1),
            format!("({answer}) i"),
        ] {
            prop_assert_eq!(equivalent(&answer, &other), Outcome::Wrong, "{} and {}", answer, other);
        }
    }

    #[test]
    fn other_polynomials_are_wrong(answer in polynomial(), change in 1_i64..9) {
        for other in [format!("{answer}+{change}"), format!("{answer}+{change}z"), format!("({answer})^2+{change}")] {
            prop_assert_ne!(equivalent(&answer, &other), Outcome::Correct, "{} and {}", answer, other);
        }
    }

    #[test]
    fn a_box_in_prose_is_found(answer in answer(), before in "[a-z $.,]{0,40}", after in "[a-z .,]{0,40}") {
        let gold = Gold::parse(Kind::Math, &answer).unwrap();
        let completion = format!("<think>\\boxed{{1}} {before}</think>{before} so \\boxed{{{answer}}} holds {after}");
        prop_assert_eq!(judge(&gold, &completion, Profile::Strict).outcome, Outcome::Correct);
    }

    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}") {
        let gold = Gold::parse(Kind::Math, "\\frac{355}{113}").unwrap();
        prop_assert_ne!(judge(&gold, &text, Profile::Lenient).outcome, Outcome::Error);
        let _ = fingerprint(&text);
    }

    #[test]
    fn any_tangle_of_latex_is_answered(
        parts in prop::collection::vec(prop::sample::select(vec![
            "\\frac", "{", "}", "\\sqrt", "[", "]", "(", ")", "^", "_", "1", "23", "x", "e", "i", "+", "-", "\\cdot", "/", "!", ",",
            "\\pm", "\\pi", "\\infty", "=", "<", "\\le", "\\cup", "\\{", "\\}", "|", "\\text{ or }", "\\%", "^\\circ", "\\$", ".", "\\sin",
            "\\log", "\\begin{pmatrix}", "\\end{pmatrix}", "&", "\\\\", "\\boxed{", "\\in", "\\mathbb{R}", ":", "\\pmod", "\\overline", "cm",
        ]), 0..40),
    ) {
        let text = parts.concat();
        prop_assert_ne!(equivalent("\\frac{355}{113}", &text), Outcome::Error);
        prop_assert_ne!(equivalent(&text, "\\frac{355}{113}"), if text.trim().is_empty() { Outcome::Correct } else { Outcome::Error });
        // what can be read is equal to itself
        let itself = equivalent(&text, &text);
        prop_assert!(!matches!(itself, Outcome::Wrong) || text.trim().is_empty(), "{} is {}", text, itself);
    }
}
