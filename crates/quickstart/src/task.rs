//! The task as a whole: demonstrations, problems to explore and problems held out, all from one seed.

use std::collections::{BTreeMap, HashSet};

use rand::{
    SeedableRng,
    distr::{Distribution, weighted::WeightedIndex},
};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_domain::{AnswerKind, Demonstration, DemonstrationId, Problem, ProblemId, Split, Task, seed};
use thiserror::Error;

use crate::product::Product;

/// Levels that the embedded model's context and the arithmetic here can hold.
const LEVELS: std::ops::RangeInclusive<u8> = 1..=12;
/// The source written into every problem and demonstration.
const SOURCE: &str = "quickstart";

/// What a demonstration shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResponseStyle {
    /// A thought, then the solution.
    #[default]
    Thought,
    /// The solution alone: the ablation that shows what thinking is worth.
    Direct,
}

/// How much of the task to make. The defaults are those of the quick start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QuickStartTask {
    /// Demonstrations by level.
    pub demonstrations: BTreeMap<u8, u32>,
    /// Problems to explore, over all levels.
    pub problems: u32,
    /// Share of each level among the problems to explore, as weights.
    pub level_weights: BTreeMap<u8, f64>,
    /// Levels that held-out problems are drawn from.
    pub held_out_levels: Vec<u8>,
    /// Held-out problems a level.
    pub held_out_per_level: u32,
    /// Probability of a slip before a step of a demonstration.
    pub slip_probability: f64,
    /// What a demonstration shows.
    pub style: ResponseStyle,
}

impl Default for QuickStartTask {
    fn default() -> Self {
        Self {
            demonstrations: BTreeMap::from([(1, 60), (2, 80), (3, 80), (4, 80), (5, 50), (6, 50)]),
            problems: 9_000,
            level_weights: BTreeMap::from([(2, 1.0), (3, 2.0), (4, 3.0), (5, 4.0), (6, 4.0)]),
            held_out_levels: vec![3, 4, 5, 6],
            held_out_per_level: 200,
            slip_probability: 0.0,
            style: ResponseStyle::Thought,
        }
    }
}

/// Why the task cannot be made.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum TaskError {
    /// A level lies outside what is supported.
    #[error("level {0} is not between {first} and {last}", first = LEVELS.start(), last = LEVELS.end())]
    Level(u8),
    /// More held-out problems are asked for than half the level has.
    #[error("level {level} has {available} products: hold out at most half of them, not {asked}")]
    TooManyHeldOut {
        /// The level.
        level: u8,
        /// Its products.
        available: u64,
        /// Held-out problems asked for.
        asked: u32,
    },
    /// A level is held out twice.
    #[error("held_out_levels names level {0} twice: name it once")]
    Repeated(u8),
    /// The weights draw nothing.
    #[error("level_weights must hold at least one weight above zero, and none below: {0}")]
    Weights(String),
    /// The slip probability is no probability.
    #[error("slip_probability must lie between 0 and 1, not {0}")]
    SlipProbability(f64),
    /// More problems are asked for than the levels have.
    #[error("only {available} different problems can be made of these levels: ask for fewer than {asked}")]
    TooManyProblems {
        /// Problems that could be made.
        available: usize,
        /// Problems asked for.
        asked: u32,
    },
}

impl QuickStartTask {
    /// Makes the task of a run. No statement occurs twice across the three lists, demonstrations of small
    /// levels among themselves excepted; the problems held out are the same for every seed.
    ///
    /// # Errors
    /// When a level, a weight or a count cannot be served.
    pub fn generate(&self, run_seed: u64) -> Result<Task, TaskError> {
        self.validate()?;
        let held_out = self.held_out();
        let mut taken: HashSet<Product> = held_out.iter().copied().collect();
        let demonstrations = self.demonstrate(run_seed, &taken);
        taken.extend(demonstrations.iter().map(|(product, _)| *product));
        let problems = self.explore(run_seed, taken)?;
        Ok(Task {
            demonstrations: demonstrations.into_iter().map(|(_, demonstration)| demonstration).collect(),
            problems: problems.into_iter().map(|product| to_problem(product, Split::Explore)).collect(),
            held_out: held_out.into_iter().map(|product| to_problem(product, Split::Dev)).collect(),
        })
    }

    fn validate(&self) -> Result<(), TaskError> {
        let levels = self.demonstrations.keys().chain(self.level_weights.keys()).chain(&self.held_out_levels);
        if let Some(level) = levels.copied().find(|level| !LEVELS.contains(level)) {
            return Err(TaskError::Level(level));
        }
        for (index, &level) in self.held_out_levels.iter().enumerate() {
            if self.held_out_levels.iter().take(index).any(|earlier| *earlier == level) {
                return Err(TaskError::Repeated(level));
            }
            let available = Product::count(level);
            if u64::from(self.held_out_per_level) > available / 2 {
                return Err(TaskError::TooManyHeldOut { level, available, asked: self.held_out_per_level });
            }
        }
        if !(0.0..=1.0).contains(&self.slip_probability) {
            return Err(TaskError::SlipProbability(self.slip_probability));
        }
        Ok(())
    }

    /// The held-out products, the same for every run so that runs compare.
    fn held_out(&self) -> Vec<Product> {
        let mut products = Vec::new();
        let mut seen = HashSet::new();
        for &level in &self.held_out_levels {
            let mut random = stream(0, "held out", level);
            let end = products.len() + self.held_out_per_level as usize;
            while products.len() < end {
                let product = Product::draw(level, &mut random);
                if seen.insert(product) {
                    products.push(product);
                }
            }
        }
        products
    }

    fn demonstrate(&self, run_seed: u64, taken: &HashSet<Product>) -> Vec<(Product, Demonstration)> {
        let mut demonstrations = Vec::new();
        for (&level, &count) in &self.demonstrations {
            let mut random = stream(run_seed, "demonstrations", level);
            for number in 0..count {
                let product = std::iter::repeat_with(|| Product::draw(level, &mut random))
                    .find(|product| !taken.contains(product));
                let Some(product) = product else { break };
                let solution = format!("<|begin_of_solution|>{}<|end_of_solution|>", product.solution());
                let response = match self.style {
                    ResponseStyle::Direct => solution,
                    ResponseStyle::Thought => {
                        let thought = product.thought(self.slip_probability, &mut random);
                        format!("<|begin_of_thought|>{thought}<|end_of_thought|>{solution}")
                    }
                };
                let demonstration = Demonstration {
                    id: DemonstrationId::new(format!("level-{level}-{number:04}")),
                    problem: product.statement(),
                    response,
                    gold: None,
                    level: Some(level),
                    source: SOURCE.to_owned(),
                };
                demonstrations.push((product, demonstration));
            }
        }
        demonstrations
    }

    fn explore(&self, run_seed: u64, mut taken: HashSet<Product>) -> Result<Vec<Product>, TaskError> {
        let asked = self.problems as usize;
        let weights_error = |error: &dyn ToString| TaskError::Weights(error.to_string());
        let (levels, mut weights): (Vec<u8>, Vec<f64>) =
            self.level_weights.iter().map(|(l, w)| (*l, *w)).unzip();
        let mut left: Vec<u64> = levels
            .iter()
            .map(|level| {
                Product::count(*level) - taken.iter().filter(|p| digits(p.number) == *level).count() as u64
            })
            .collect();
        if !weights.iter().sum::<f64>().is_finite() {
            return Err(weights_error(&"their sum is no finite number"));
        }
        let mut random = stream(run_seed, "problems", 0);
        let mut products = Vec::with_capacity(asked);
        let mut choice = WeightedIndex::new(&weights).map_err(|error| weights_error(&error))?;
        while products.len() < asked {
            let index = choice.sample(&mut random);
            let (Some(&level), Some(left)) = (levels.get(index), left.get_mut(index)) else { continue };
            let product = Product::draw(level, &mut random);
            if *left > 0 && taken.insert(product) {
                products.push(product);
                *left -= 1;
            }
            if *left == 0 {
                // this level is used up: draw from the others
                if let Some(weight) = weights.get_mut(index) {
                    *weight = 0.0;
                }
                let Ok(rest) = WeightedIndex::new(&weights) else { break };
                choice = rest;
            }
        }
        if products.len() < asked {
            return Err(TaskError::TooManyProblems { available: products.len(), asked: self.problems });
        }
        Ok(products)
    }
}

/// A stream of random numbers of its own for every use and level.
fn stream(run_seed: u64, what: &str, level: u8) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed::derive(run_seed, &[SOURCE, what, &level.to_string()]))
}

fn digits(number: u64) -> u8 {
    number.checked_ilog10().map_or(1, |log| log as u8 + 1)
}

fn to_problem(product: Product, split: Split) -> Problem {
    Problem {
        id: ProblemId::new(format!("product-{}x{}", product.digit, product.number)),
        text: product.statement(),
        gold: product.answer().to_string(),
        kind: AnswerKind::Integer,
        level: Some(digits(product.number)),
        source: SOURCE.to_owned(),
        split,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(problems: &[Problem]) -> HashSet<&str> {
        problems.iter().map(|problem| problem.text.as_str()).collect()
    }

    #[test]
    fn nothing_held_out_is_demonstrated_or_explored() {
        let task = QuickStartTask::default().generate(7).unwrap();
        let held_out = statements(&task.held_out);
        assert_eq!(held_out.len(), 800);
        assert!(task.demonstrations.iter().all(|d| !held_out.contains(d.problem.as_str())));
        let explored = statements(&task.problems);
        assert_eq!(explored.len(), 9_000, "every problem to explore is a different one");
        assert!(explored.is_disjoint(&held_out));
        assert!(task.demonstrations.iter().all(|d| !explored.contains(d.problem.as_str())));
    }

    #[test]
    fn held_out_problems_are_the_same_for_every_seed_and_the_rest_is_not() {
        let task = QuickStartTask::default();
        let (one, two) = (task.generate(1).unwrap(), task.generate(2).unwrap());
        assert_eq!(one.held_out, two.held_out);
        assert_ne!(one.problems, two.problems);
        assert_ne!(one.demonstrations, two.demonstrations);
        assert_eq!(one, task.generate(1).unwrap());
    }

    #[test]
    fn levels_come_in_the_given_shares() {
        let task = QuickStartTask::default().generate(3).unwrap();
        let hardest = task.problems.iter().filter(|problem| problem.level == Some(6)).count();
        assert!((2_300..2_850).contains(&hardest), "4 of 14 parts of 9,000 are about 2,571, not {hardest}");
    }

    #[test]
    fn what_cannot_be_served_is_refused_by_name() {
        let default = QuickStartTask::default;
        let error = QuickStartTask { held_out_levels: vec![1], ..default() }.generate(0).unwrap_err();
        assert!(error.to_string().contains("at most half"), "{error}");
        let twice = QuickStartTask { held_out_levels: vec![2, 3, 2], ..default() };
        assert_eq!(twice.generate(0).unwrap_err(), TaskError::Repeated(2));
        // these would hold out a whole level, and more than a level has
        for (levels, held_out_per_level) in [(vec![1, 1], 36), (vec![2, 2, 2], 360)] {
            let task = QuickStartTask { held_out_levels: levels, held_out_per_level, ..default() };
            assert!(matches!(task.generate(0), Err(TaskError::Repeated(_))));
        }
        let error = QuickStartTask { level_weights: BTreeMap::from([(13, 1.0)]), ..default() }.generate(0);
        assert_eq!(error.unwrap_err(), TaskError::Level(13));
        let error = QuickStartTask { level_weights: BTreeMap::from([(2, 1.0)]), ..default() }.generate(0);
        assert!(matches!(error.unwrap_err(), TaskError::TooManyProblems { .. }));
        let huge = BTreeMap::from([(2, f64::MAX), (3, f64::MAX)]);
        for level_weights in [BTreeMap::new(), BTreeMap::from([(2, f64::INFINITY)]), huge] {
            let error = QuickStartTask { level_weights, ..default() }.generate(0);
            assert!(matches!(error.unwrap_err(), TaskError::Weights(_)));
        }
    }

    #[test]
    fn a_direct_demonstration_has_no_thought() {
        let direct = QuickStartTask { style: ResponseStyle::Direct, ..QuickStartTask::default() };
        let task = direct.generate(0).unwrap();
        assert!(task.demonstrations.iter().all(|d| d.response.starts_with("<|begin_of_solution|>")));
    }
}
