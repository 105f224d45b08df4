//! Whole completions: what is extracted, by which rule, and what is never credited.

use serde_json::Value;
use still_verify::{Gold, Kind, Outcome, Profile, Rule, judge};

fn lenient(gold: &str, completion: &str) -> Outcome {
    Gold::parse(Kind::Math, gold)
        .map_or(Outcome::Error, |gold| judge(&gold, completion, Profile::Lenient).outcome)
}

#[test]
fn the_table_of_completions_holds() {
    let mut failures = Vec::new();
    let lines = include_str!("extraction.jsonl").lines();
    for line in lines.clone() {
        let case: Value = serde_json::from_str(line).unwrap();
        let kind = serde_json::from_value(case.get("kind").cloned().unwrap_or("math".into())).unwrap();
        let profile =
            serde_json::from_value(case.get("profile").cloned().unwrap_or("lenient".into())).unwrap();
        let gold = Gold::parse(kind, case["gold"].as_str().unwrap()).unwrap();
        let judgement = judge(&gold, case["prediction"].as_str().unwrap(), profile);
        let correct = judgement.outcome == Outcome::Correct;
        if correct != (case["outcome"] == "correct") || judgement.outcome == Outcome::Error {
            failures.push(format!("{line} is {}: {:?}", judgement.outcome, judgement.extracted));
        }
    }
    assert!(lines.count() > 300, "the table is read");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn announcements_in_many_languages() {
    for completion in [
        "The answer is 45.",
        "The answer is: 45",
        "Answer: 45",
        "**Answer:** 45",
        "**Final Answer**\n\n45",
        "Final Answer: The final answer is $45$. I hope it is correct.",
        "So the final answer is **45**.",
        "#### 45",
        "Some steps: $1+1=2$.\n#### 45\n",
        "<answer>45</answer>",
        "答案是45。",
        "因此，答案为 $45$。",
        "正确答案：45",
        "정답은 45입니다.",
        "정답: 45",
        "최종 답은 45이다.",
        "La réponse est 45.",
        "La réponse finale est $45$.",
        "Die Antwort ist 45.",
        "Die Antwort lautet: $45$",
        "La respuesta es 45.",
        "La respuesta final es **45**.",
        "La risposta è 45.",
        "A resposta é $45$.",
        "答えは45です。",
        "The answer is $45$, since $1 + 1 = 2$.",
        "The answer is 45 because $3 \\cdot 15 = 45$.",
        "\\[ 40 + 5 = 45 \\]",
        "We add and get $x = 45$.",
        "45",
        "$45$",
        "$$\n45\n$$",
        "\\boxed{\n45\n}",
        "\\fbox{45}",
        "The total is **45**",
        "First \\boxed{44}, no. After correcting the sign the value is \\boxed{45}.",
        "$\\boxed{45}$\n\nTherefore \\boxed{45}.",
        "\\boxed{45}\\boxed{45}",
        "The answer is \\boxed{45.}",
        "Answer:\n\n$$45$$",
    ] {
        assert_eq!(lenient("45", completion), Outcome::Correct, "{completion}");
    }
}

#[test]
fn hedges_and_traps_are_never_credited() {
    for completion in [
        "\\boxed{45} or \\boxed{46}",
        "\\boxed{46} or \\boxed{45}",
        "$\\boxed{46}$, $\\boxed{45}$",
        "\\boxed{45, 46}",
        "\\boxed{45 \\text{ or } 46}",
        "\\boxed{45} or 46",
        "$\\boxed{45}$ (or $46$)",
        "46 or \\boxed{45}",
        "\\boxed{46} (not 45)",
        "The answer is 45 or 46.",
        "The answer is $45$ or $46$.",
        "The answer is not 45.",
        "Either $45$ or $46$",
        "<think>The answer is \\boxed{45}",
        "<|begin_of_thought|>\\boxed{45}",
        "<think>\\boxed{45}</think>",
        "<think>\\boxed{45}</think>I do not know.",
        "<think>45</think>\\boxed{46}",
        "\\boxed{45",
        "\\boxed{4",
        "The answer is 45. Hence \\boxed{4",
        "\\boxed{}",
        "\\boxed{\\text{unknown}} 45",
        "\\boxed{x}",
        "",
        "   ",
        "no idea",
        "45 46",
        "between 44 and 46",
        "\\boxed{45}\\boxed{46}",
        "\\boxed{45}<|im_end|>\n<|im_start|>user\n\\boxed{46}<|im_end|>x<think>",
        "\\boxed{46}<|end_of_solution|>\\boxed{45}",
    ] {
        assert_ne!(lenient("45", completion), Outcome::Correct, "{completion}");
    }
}

#[test]
fn several_boxes_answer_a_question_for_several() {
    for completion in [
        "$\\boxed{1}$ and $\\boxed{-2}$",
        "\\boxed{-2}, \\boxed{1}",
        "\\boxed{x = 1}\\text{ or }\\boxed{x=-2}",
    ] {
        assert_eq!(lenient("1,-2", completion), Outcome::Correct, "{completion}");
    }
    assert_ne!(lenient("1,-2", "\\boxed{1}"), Outcome::Correct);
}

#[test]
fn strict_reads_boxes_in_the_solution_only() {
    let gold = Gold::parse(Kind::Math, "45").unwrap();
    let strict = |completion: &str| judge(&gold, completion, Profile::Strict);
    assert_eq!(strict("<think>a</think>\\boxed{45}").outcome, Outcome::Correct);
    for completion in ["45", "The answer is 45.", "**45**", "$45$", "<answer>45</answer>"] {
        assert_eq!(strict(completion).outcome, Outcome::NoAnswer, "{completion}");
    }
}

#[test]
fn the_rule_and_the_text_are_reported() {
    let gold = Gold::parse(Kind::Math, "45").unwrap();
    for (completion, rule, text) in [
        ("So \\boxed{45}.", Rule::Box, "45"),
        ("\\boxed{45} and \\boxed{46}", Rule::Boxes, "45, 46"),
        ("The answer is 45.", Rule::Phrase, "45"),
        ("45", Rule::Bare, "45"),
        ("we find **45**", Rule::Bold, "45"),
        ("we find $x=45$ here", Rule::LastFormula, "x=45"),
        ("<answer> 45 </answer>", Rule::AnswerElement, "45"),
    ] {
        let judgement = judge(&gold, completion, Profile::Lenient);
        assert_eq!(
            (judgement.rule, judgement.extracted.as_deref()),
            (Some(rule), Some(text)),
            "{completion}"
        );
    }
}

#[test]
fn other_kinds() {
    let outcome = |kind, gold: &str, completion: &str| {
        judge(&Gold::parse(kind, gold).unwrap(), completion, Profile::Lenient).outcome
    };
    assert_eq!(outcome(Kind::Integer, "045", "\\boxed{45}"), Outcome::Correct);
    assert_eq!(outcome(Kind::Integer, "45", "\\boxed{045}"), Outcome::Correct);
    assert_eq!(outcome(Kind::Integer, "45", "\\boxed{450}"), Outcome::Wrong);
    assert!(Gold::parse(Kind::Integer, "4.5").is_err());
    assert_eq!(outcome(Kind::Exact, "YES", "\\boxed{YES}"), Outcome::Correct);
    assert_eq!(outcome(Kind::Exact, "YES", "yes"), Outcome::Wrong);
    assert_eq!(outcome(Kind::Regex, "[a-c]+", "\\boxed{abc}"), Outcome::Correct);
    assert_eq!(outcome(Kind::Regex, "[a-c]+", "abcd"), Outcome::Wrong);
    assert!(Gold::parse(Kind::Regex, "(").is_err());
    for completion in [
        "정답: ③",
        "정답은 ③번입니다.",
        "The correct answer is 3.",
        "③",
        "\\boxed{3}",
        "答案是 3。",
        "选③",
        "**③**",
    ] {
        assert_eq!(outcome(Kind::MultipleChoice, "③", completion), Outcome::Correct, "{completion}");
    }
    for completion in [
        "The correct answer is (C) because it doubles.",
        "The answer is C. The rate doubles.",
        "Answer: C) 3.2 eV",
        "故选 C。",
        "答案选C",
        "La réponse est C.",
        "The correct option is **C**.",
        "Option C",
        "Therefore the answer is $\\text{(C)}$.",
    ] {
        assert_eq!(outcome(Kind::MultipleChoice, "C", completion), Outcome::Correct, "{completion}");
    }
    for completion in
        ["A or C", "\\boxed{A} or \\boxed{C}", "A", "none of these", "The answer is A or C.", "C and D"]
    {
        assert_ne!(outcome(Kind::MultipleChoice, "C", completion), Outcome::Correct, "{completion}");
    }
}
