//! Puzzle checkers: the property is checked, not one gold string.

use std::collections::BTreeMap;

use dashu_int::IBig;
use dashu_ratio::RBig;

use crate::expression::{Expr, Relation};
use crate::extract;
use crate::fuel::Fuel;
use crate::judge::{Judgement, contained};
use crate::lexer::ReadError;
use crate::outcome::{Outcome, Profile};
use crate::reader;
use crate::scalar;

/// The checkers that come with the crate.
static BUILT_IN: [&'static dyn PuzzleChecker; 2] = [&Countdown, &WholeNumber];

/// Checks answers to one family of tasks.
pub trait PuzzleChecker: Send + Sync {
    /// The name under which configurations ask for it.
    fn name(&self) -> &'static str;

    /// Whether `answer` solves `task`.
    fn check(&self, task: &str, answer: &str) -> Outcome;
}

/// The built-in checker of this name.
///
/// ```
/// use still_verify::{Outcome, puzzle_checker};
///
/// let countdown = puzzle_checker("countdown").ok_or("no such checker")?;
/// let task = "Calculate 24 using all of these numbers: 4, 6, 8, 8. Each number may be used at most once.";
/// assert_eq!(countdown.check(task, r"4 \times 6 \cdot 8 / 8"), Outcome::Correct);
/// assert_eq!(countdown.check(task, "4 * 6"), Outcome::Wrong);
/// # Ok::<(), &str>(())
/// ```
pub fn puzzle_checker(name: &str) -> Option<&'static dyn PuzzleChecker> {
    BUILT_IN.into_iter().find(|checker| checker.name() == name)
}

/// The names of all built-in checkers.
pub fn puzzle_checkers() -> impl Iterator<Item = &'static str> {
    BUILT_IN.into_iter().map(PuzzleChecker::name)
}

/// Finds the answer in a completion and has it checked. Never panics.
pub fn judge_puzzle(
    checker: &dyn PuzzleChecker,
    task: &str,
    completion: &str,
    profile: Profile,
) -> Judgement {
    contained(|| {
        match extract::extract(completion, profile, &mut |whole| {
            whole.len() <= 400 && reader::read(whole).is_ok()
        }) {
            Ok(found) => Judgement {
                outcome: checker.check(task, &found.text),
                extracted: Some(found.text.into_owned()),
                rule: Some(found.rule),
                detail: None,
            },
            Err(missing) => Judgement::missing(missing),
        }
    })
}

/// Combine given numbers, each at most once, by the four operations into a target.
///
/// A task is JSON (`{"numbers": [4, 6], "target": 24}`) or a sentence with "numbers" before the list and
/// "calculate", "make", "equals" or "target" before the target. All numbers must be used if it says "all".
#[derive(Debug, Clone, Copy, Default)]
pub struct Countdown;

/// The whole number that the task states after its last `answer:` or as its only text.
#[derive(Debug, Clone, Copy, Default)]
pub struct WholeNumber;

impl PuzzleChecker for Countdown {
    fn name(&self) -> &'static str {
        "countdown"
    }

    fn check(&self, task: &str, answer: &str) -> Outcome {
        let Some(task) = CountdownTask::parse(task) else { return Outcome::Error };
        let readings = match reader::read(answer) {
            Ok(readings) => readings,
            Err(ReadError::TooLarge | ReadError::NotUnderstood) => return Outcome::Malformed,
        };
        let Some(expression) = readings.last() else { return Outcome::Malformed };
        let expression = match expression {
            // `4 * 6 = 24`
            Expr::Chain(first, rest) if rest.iter().all(|(relation, _)| *relation == Relation::Equal) => {
                first
            }
            other => other,
        };
        let mut used = BTreeMap::new();
        if !count_numbers(expression, &mut used) {
            return Outcome::Wrong;
        }
        let within =
            used.iter().all(|(number, count)| task.available.get(number).is_some_and(|have| count <= have));
        if !within || (task.all && used != task.available) {
            return Outcome::Wrong;
        }
        match scalar::rational(expression, &mut Fuel::new()) {
            Some(value) if value == RBig::from(task.target) => Outcome::Correct,
            _ => Outcome::Wrong,
        }
    }
}

impl PuzzleChecker for WholeNumber {
    fn name(&self) -> &'static str {
        "integer"
    }

    fn check(&self, task: &str, answer: &str) -> Outcome {
        let gold = task.rsplit("answer:").next().unwrap_or(task).trim();
        match crate::judge::Gold::parse(crate::outcome::Kind::Integer, gold) {
            Ok(_) => crate::judge::equivalent(gold, answer),
            Err(_) => Outcome::Error,
        }
    }
}

struct CountdownTask {
    target: IBig,
    available: BTreeMap<IBig, usize>,
    all: bool,
}

impl CountdownTask {
    fn parse(task: &str) -> Option<Self> {
        if let Ok(value) = serde_json::from_str::<serde_json::Value>(task) {
            let numbers = value.get("numbers")?.as_array()?;
            let numbers = numbers.iter().map(serde_json::Value::as_i64).collect::<Option<Vec<_>>>()?;
            let all = value.get("all").and_then(serde_json::Value::as_bool).unwrap_or(false);
            return Some(Self::new(value.get("target")?.as_i64()?, &numbers, all));
        }
        let lower = task.to_lowercase();
        let start = lower.find("numbers")? + "numbers".len();
        let list = lower.get(start..)?.trim_start_matches([':', ' ', '[', '(', '{']);
        let end = list.find(|character: char| !(character.is_ascii_digit() || ", -and".contains(character)));
        let list = list.get(..end.unwrap_or(list.len()))?;
        let numbers: Vec<i64> = list.split([',', ' ']).filter_map(|part| part.parse().ok()).collect();
        let target =
            ["calculate", "make", "equals", "target of", "target:", "target is", "equal to", "target"]
                .iter()
                .find_map(|word| first_number(lower.get(lower.find(word)? + word.len()..)?))?;
        let all =
            lower.contains("all the numbers") || lower.contains("all of the") || lower.contains("using all");
        (!numbers.is_empty()).then(|| Self::new(target, &numbers, all))
    }

    fn new(target: i64, numbers: &[i64], all: bool) -> Self {
        let mut available = BTreeMap::new();
        for number in numbers {
            *available.entry(IBig::from(*number)).or_default() += 1;
        }
        Self { target: IBig::from(target), available, all }
    }
}

/// The number that follows directly, past spaces and a colon.
fn first_number(text: &str) -> Option<i64> {
    let text = text.trim_start_matches([' ', ':']);
    let end = text
        .char_indices()
        .find(|(index, character)| !(character.is_ascii_digit() || (*index == 0 && *character == '-')))
        .map_or(text.len(), |(index, _)| index);
    text.get(..end)?.parse().ok()
}

/// Counts the whole numbers of an expression; false if it holds anything but the four operations.
fn count_numbers(expr: &Expr, used: &mut BTreeMap<IBig, usize>) -> bool {
    match expr {
        Expr::Number(number) if number.decimal.is_none() && number.value.is_int() => {
            *used.entry(number.value.numerator().clone()).or_default() += 1;
            true
        }
        Expr::Negate(inner) => count_numbers(inner, used),
        Expr::Sum(items) | Expr::Product(items) => items.iter().all(|item| count_numbers(item, used)),
        Expr::Quotient(left, right) => count_numbers(left, used) && count_numbers(right, used),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Countdown, PuzzleChecker, judge_puzzle, puzzle_checker, puzzle_checkers};
    use crate::outcome::{Outcome, Profile};

    const TASKS: [(&str, &str); 4] = [
        (
            "Calculate 139 using all of these numbers: 36, 29, 95, 32, 4, 15.\nEach number may be used at most once.",
            "15 - 4 + 95 + 36 - 32 + 29",
        ),
        (
            "Using all the numbers 74, 48, 56, 66, create an expression that equals 132.\nYou can only use each once.",
            "66 - 56 + 74 + 48",
        ),
        (
            "Find a way to make 391 using all of these numbers: 57, 90, 14, 56, 26.\nEach number can only be used once.",
            "56*90/14 - 26 + 57",
        ),
        (r#"{"numbers": [3, 7], "target": 21}"#, "3 \\times 7 = 21"),
    ];

    #[test]
    fn official_answers_are_accepted() {
        for (task, answer) in TASKS {
            assert_eq!(Countdown.check(task, answer), Outcome::Correct, "{task}");
        }
    }

    #[test]
    fn rules_are_kept() {
        let (task, _) = TASKS[1];
        for answer in ["132", "66 + 66", "66 - 56 + 74 + 47 + 1", "66 + 74 - 8", "\\sqrt{66}", "sum"] {
            assert_ne!(Countdown.check(task, answer), Outcome::Correct, "{answer}");
        }
        assert_eq!(Countdown.check("no task", "1"), Outcome::Error);
    }

    #[test]
    fn completions_are_searched() {
        let judgement = judge_puzzle(
            &Countdown,
            TASKS[3].0,
            "<think>3+7</think>So \\boxed{7 \\cdot 3}.",
            Profile::Strict,
        );
        assert_eq!(judgement.outcome, Outcome::Correct);
    }

    #[test]
    fn checkers_are_found_by_name() {
        assert_eq!(puzzle_checkers().collect::<Vec<_>>(), ["countdown", "integer"]);
        let checker = puzzle_checker("integer").unwrap();
        assert_eq!(checker.check("answer: 42", "042"), Outcome::Correct);
        assert_eq!(checker.check("42", "43"), Outcome::Wrong);
    }
}
