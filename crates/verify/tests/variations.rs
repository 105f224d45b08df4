//! Variations of the kinds of reported failures, in both directions, with labels made by reading.

use still_verify::{Gold, Kind, Outcome, Profile, judge};

#[test]
fn every_label_is_met() {
    let mut failures = Vec::new();
    let mut count = 0;
    for line in include_str!("variations.tsv").lines().filter(|line| !line.starts_with("# ")) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [gold, answer, label] = fields.as_slice() else { panic!("{line:?} has no three fields") };
        let solution =
            if answer.contains("boxed") { (*answer).to_owned() } else { format!("$\\boxed{{{answer}}}$") };
        let judgement = judge(&Gold::parse(Kind::Math, gold).unwrap(), &solution, Profile::Strict);
        count += 1;
        let correct = judgement.outcome == Outcome::Correct;
        if judgement.outcome == Outcome::Error || correct != (*label == "1") {
            let label = if correct { "FALSE POSITIVE" } else { "false negative" };
            failures.push(format!("{label}: {gold} | {answer} ({})", judgement.outcome));
        }
    }
    assert!(count > 1_900, "{count}");
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}
