//! Problems, demonstrations and the one-parameter model.

use still_domain::{AnswerKind, Demonstration, DemonstrationId, Problem, ProblemId, Split};

/// Skill of the base model.
pub const BASE_SKILL: f32 = 0.0;

/// How much there is of everything.
#[derive(Debug, Clone, Copy)]
pub struct World {
    /// Problems to explore at each level.
    pub problems_per_level: u32,
    /// Held-out problems at each level.
    pub held_out_per_level: u32,
    /// Levels, from 1.
    pub levels: u8,
    /// Demonstrations.
    pub demonstrations: u32,
}

impl Default for World {
    fn default() -> Self {
        Self { problems_per_level: 20, held_out_per_level: 10, levels: 4, demonstrations: 20 }
    }
}

impl World {
    /// The problems: `2*17=?` with the answer `34`.
    pub fn problems(&self) -> Vec<Problem> {
        let split = |split, name: &str, count, first: u32| {
            let name = name.to_owned();
            (1..=self.levels).flat_map(move |level| {
                let name = name.clone();
                (0..count).map(move |number| {
                    let operand = first + number + 1000 * u32::from(level);
                    Problem {
                        id: ProblemId::new(format!("{name}-{level}-{number:03}")),
                        text: format!("level {level}: 2*{operand}=?"),
                        gold: (2 * operand).to_string(),
                        kind: AnswerKind::Integer,
                        level: Some(level),
                        source: "world".to_owned(),
                        split,
                    }
                })
            })
        };
        let explored = split(Split::Explore, "explore", self.problems_per_level, 0);
        let held_out = split(Split::Dev, "held-out", self.held_out_per_level, 500);
        explored.chain(held_out).collect()
    }

    /// The demonstrations.
    pub fn demonstrations(&self) -> Vec<Demonstration> {
        let demonstration = |number: u32| Demonstration {
            id: DemonstrationId::new(format!("demonstration-{number:03}")),
            problem: format!("level 1: 2*{number}=?"),
            response: response(&(2 * number).to_string(), u64::from(number)),
            gold: None,
            level: Some(1),
            source: "world".to_owned(),
        };
        (0..self.demonstrations).map(demonstration).collect()
    }
}

/// A response in the paper's format; `salt` makes the thoughts of two attempts differ.
pub fn response(answer: &str, salt: u64) -> String {
    format!(
        "<|begin_of_thought|>I double it, thinking of {salt}: {answer}.<|end_of_thought|>\n\
         <|begin_of_solution|>\\boxed{{{answer}}}<|end_of_solution|>"
    )
}

/// How likely a model of this skill solves a problem of this level.
pub fn chance(skill: f32, level: f32) -> f64 {
    f64::from((0.5 + 0.4 * (skill - level)).clamp(0.02, 0.98))
}
