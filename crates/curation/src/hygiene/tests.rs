//! Each rule of hygiene, what it finds planted and what it must let through.

use proptest::prelude::*;

use super::*;

const PRODUCT: &str = "<|begin_of_thought|>3*3+0=9;3*3+0=9;3*3+0=9;3*3+0=9;<|end_of_thought|>\
    <|begin_of_solution|>\\boxed{9999}<|end_of_solution|>";

fn response(text: &str) -> Response<'_> {
    Response {
        problem: "Compute 3*3333.",
        text,
        response_tokens: 60,
        thought_tokens: 32,
        is_well_formed: true,
        finish: FinishReason::Stop,
    }
}

fn rejection(response: &Response<'_>) -> Option<Rejection> {
    HygieneConfig::default().inspect(response).rejection
}

#[test]
fn honest_arithmetic_that_repeats_a_step_passes() {
    assert_eq!(rejection(&response(PRODUCT)), None);
}

#[test]
fn each_rule_has_its_reason() {
    let good = response(PRODUCT);
    let cases = [
        (Response { finish: FinishReason::Length, is_well_formed: false, ..good }, Rejection::Truncated),
        (Response { is_well_formed: false, ..good }, Rejection::BrokenFormat),
        (Response { thought_tokens: 7, ..good }, Rejection::TooShort),
        (Response { response_tokens: 20_001, ..good }, Rejection::TooLong),
    ];
    for (response, expected) in cases {
        assert_eq!(rejection(&response), Some(expected));
    }
    let looping = "Let me check this again. ".repeat(30);
    assert_eq!(rejection(&response(&looping)), Some(Rejection::Repetitive));
    let mixed = "We add the numbers, 然后我们把它们相乘 and find the result 结果是九 at once.";
    assert_eq!(rejection(&response(mixed)), Some(Rejection::Gibberish));
    assert_eq!(rejection(&response("so \u{fffd}\u{fffd} it is \u{e000} nine")), Some(Rejection::Gibberish));
}

#[test]
fn the_ablation_without_thoughts_can_be_allowed() {
    let config = HygieneConfig { require_format: false, min_thought_tokens: 0, ..Default::default() };
    let direct = Response { is_well_formed: false, thought_tokens: 0, ..response("\\boxed{9999}") };
    assert_eq!(config.inspect(&direct).rejection, None);
}

#[test]
fn a_problem_in_another_language_may_be_thought_about_in_it() {
    let chinese = Response {
        problem: "求三与三千三百三十三的乘积。",
        ..response("我们先算 $3 \\times 3 = 9$，然后得到结果。")
    };
    assert_eq!(rejection(&chinese), None);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    assert!(still_settings::accepts(|findings| HygieneConfig::default().validate(findings)));
    assert!(!still_settings::accepts(|findings| HygieneConfig {
        max_foreign_letters: 1.5,
        ..Default::default()
    }
    .validate(findings)));
    assert!(!still_settings::accepts(
        |findings| HygieneConfig { ngram_words: 0, ..Default::default() }.validate(findings)
    ));
    assert!(!still_settings::accepts(|findings| HygieneConfig {
        max_response_tokens: 8,
        ..Default::default()
    }
    .validate(findings)));
}

/// A long thought as a mathematician writes one, every sentence another: `pages` of about 300 words.
fn long_thought(pages: u32) -> String {
    let mut thought = String::new();
    for page in 1..=pages {
        let (n, square, double) = (page + 3, (page + 3) * (page + 3), 2 * page + 6);
        thought += &format!(
            "Okay, let me look at the case n = {n} now. The equation becomes x^2 + {n}y^2 = {square}, and I want all pairs of \
             integers that solve it. If y = 0 then x = ±{n}, which is fine, so there are two trivial solutions at once. \
             If |y| = 1 we get x^2 = {}, and I have to check whether that is a square; its neighbours are {} and {}.\n\n\
             Wait, I should double-check the bound on y: from {n}y^2 ≤ {square} it follows that y^2 ≤ {n}, hence |y| is at \
             most the root of {n}. So only finitely many cases remain, and I can go through them modulo {}.\n\n\
             Hmm, modulo {double} the left side takes the residues {}, {} and {}, none of which equals {} unless x is \
             even. Therefore x = 2k for some k, and dividing by four gives k^2 + ({n}/4)y^2 = {}/4, a smaller instance of \
             the same problem. By descent from step {page} we see that nothing new appears here, except perhaps for the \
             value {}, which I verify directly: {}·{} + {n}·1 = {}. That agrees with what I found above for n = {}.\n\n",
            square - n,
            n - 1,
            n + 1,
            n + 2,
            page % 7,
            page * 3 % 11,
            page * 5 % 13,
            page * 7 % 17,
            square,
            square + page,
            page,
            page,
            page * page + n,
            n - 1,
        );
    }
    thought
}

fn well_formed(thought: &str) -> String {
    format!(
        "<|begin_of_thought|>\n{thought}\n<|end_of_thought|>\n<|begin_of_solution|>\nThere are two of them, so the \
         answer is $\\boxed{{9999}}$.\n<|end_of_solution|>"
    )
}

#[test]
fn a_loop_planted_inside_a_well_formed_thought_is_found() {
    // fourteen words, eighty times: before, no loop at the end and 0.27 of all n-grams
    let sentence = "Let me check once more whether the second root is really larger than one. ";
    let text = well_formed(&(long_thought(8) + &sentence.repeat(80) + &long_thought(12)[5_000..]));
    let report = HygieneConfig::default().inspect(&response(&text));
    assert_eq!(report.rejection, Some(Rejection::Repetitive));
    assert!(report.loop_characters >= 80 * sentence.len() - 1, "{report:?}");
    assert!(report.repeated_ngrams > 0.9, "{report:?}");
    // in the solution alone, and too short to fill a window
    let solution = format!("<think>{}</think>{}\\boxed{{1}}", long_thought(2), sentence.repeat(5));
    assert_eq!(rejection(&response(&solution)), Some(Rejection::Repetitive));
}

#[test]
fn a_half_foreign_thought_is_found_in_any_script() {
    let problem =
        "How many pairs of integers solve the equation, if the sum of both is to be less than one thousand?";
    let german = "Nun betrachten wir den nächsten Fall genauer und fragen uns, welche ganzen Zahlen die Gleichung lösen \
        können. Weil die linke Seite immer gerade ist, kommen nur gerade Zahlen in Frage, und davon gibt es wenige. ";
    let chinese = "然后我们考虑下一个情形，并且检查左边是否为偶数。";
    let russian = "Теперь рассмотрим следующий случай и проверим, является ли левая часть чётной. ";
    for (foreign, times) in [(german, 20), (chinese, 20), (russian, 12)] {
        let text = well_formed(&(long_thought(12) + &foreign.repeat(times)));
        let config =
            HygieneConfig { max_loop_characters: usize::MAX, max_repeated_ngrams: 1.0, ..Default::default() };
        let report = config.inspect(&Response { problem, ..response(&text) });
        assert_eq!(report.rejection, Some(Rejection::Gibberish), "{foreign}: {report:?}");
    }
}

#[test]
fn long_thoughts_that_are_as_they_should_be_pass() {
    let lines = |line: &dyn Fn(u32) -> String| (1..120).map(line).collect::<Vec<_>>().join("\n");
    let cases = lines(&|n| format!("If n = {n}, then n^2 + 1 = {}, which I compare with 2n.", n * n + 1));
    let table = lines(&|n| format!("| {n} | {} | {} |", n * n % 7, n * n * n % 7));
    let zeros = format!("The array is [{}] at first.", "0, ".repeat(250));
    let digits = format!("1/7 = 0.{}...", "142857".repeat(30));
    let code = "for i in range(10):\n    for j in range(10):\n        if a[i] + b[j] == c[i + j]:\n            count += 1\nprint(count)\n";
    let spanish = "Sea $x$ el número buscado. Entonces el doble de $x$ es igual a la suma de los otros dos números, \
        y por lo tanto podemos escribir la ecuación de la forma siguiente y resolverla paso a paso. ";
    let quoted =
        "The word 函数 means function, and 求 asks us to find its value at the point that is given. ";
    for thought in [
        long_thought(16),
        long_thought(6) + &cases,
        long_thought(6) + &table,
        long_thought(6) + &zeros,
        long_thought(6) + &digits,
        long_thought(6) + code,
        long_thought(12) + spanish,
        long_thought(6) + quoted,
        "Hmm, wait. Let me see. Hmm, wait. No. Let me see. Wait, that is not right. Hmm, wait. Yes."
            .to_owned(),
    ] {
        let text = well_formed(&thought);
        let report = HygieneConfig::default().inspect(&response(&text));
        assert_eq!(report.rejection, None, "{report:?}: {}", &thought[thought.len().saturating_sub(200)..]);
    }
}

#[test]
fn several_different_answers_in_the_solution_are_none() {
    let tentative = "I get \\boxed{3} at first, and then \\boxed{9999}.";
    assert_eq!(rejection(&response(&well_formed(tentative))), None, "a thought may try");
    let torn = "<think>Is it three or four?</think>It is \\boxed{3}. Or rather \\boxed{4}.";
    assert_eq!(rejection(&response(torn)), Some(Rejection::SeveralAnswers));
    let config = HygieneConfig { max_different_answers: 2, ..Default::default() };
    assert_eq!(config.inspect(&response(torn)).rejection, None);
    let again = "<think>Is it three or four?</think>It is \\boxed{3}. Thus \\boxed{ 3 }.";
    assert_eq!(rejection(&response(again)), None);
}

proptest! {
    #[test]
    fn any_text_is_measured_within_bounds(text in ".{0,400}", problem in ".{0,40}") {
        let report = HygieneConfig::default().inspect(&Response { problem: &problem, ..response(&text) });
        let HygieneReport { repeated_ngrams, foreign_letters, foreign_words, foreign_passages, .. } = report;
        for share in
            [repeated_ngrams, foreign_letters, foreign_words, foreign_passages, report.broken_characters]
        {
            prop_assert!((0.0..=1.0).contains(&share));
        }
        prop_assert!(report.loop_characters <= text.chars().count());
    }
}
