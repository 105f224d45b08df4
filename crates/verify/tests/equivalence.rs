//! Golds and answers with certain labels: `equivalence.tsv`, and near misses and format variants in
//! `adversarial.tsv`.

use still_verify::{Outcome, equivalent};

#[test]
fn the_table_holds() {
    check(include_str!("equivalence.tsv"), 400);
}

#[test]
fn the_adversarial_table_holds() {
    check(include_str!("adversarial.tsv"), 1_000);
}

fn check(table: &str, at_least: usize) {
    let mut failures = Vec::new();
    let mut count = 0;
    for (index, line) in table.lines().enumerate() {
        if line.starts_with("# ") || line.is_empty() {
            continue;
        }
        let fields: Vec<&str> = line.split('\t').collect();
        let [gold, answer, label] = fields.as_slice() else {
            failures.push(format!("line {}: three fields, got {line}", index + 1));
            continue;
        };
        count += 1;
        let outcome = equivalent(gold, answer);
        if outcome == Outcome::Error || (outcome == Outcome::Correct) != (*label == "1") {
            failures
                .push(format!("line {}: {gold} against {answer} is {outcome}, labelled {label}", index + 1));
        }
    }
    assert!(count > at_least, "the table is read");
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}
