//! A generator whose answers depend on its policy's skill, the problem's level and the seed alone.

use std::{collections::VecDeque, fmt, sync::Arc};

use still_domain::{
    AttemptId, FinishReason, Measures, PolicyName, PolicyRef, Provenance, Trajectory, VersionSpan,
};
use still_embedded::{GeneratorError, GeneratorStep, StepGenerator, Unserved};
use still_roles::{FinishedRollout, Rollout};

use crate::{
    script::{Script, take_one},
    world::{chance, response},
};

/// Tokens of every response.
const TOKENS: u32 = 12;

/// Looks the skill of a policy up.
pub type SkillOf = Arc<dyn Fn(&PolicyRef) -> Result<f32, String> + Send + Sync>;

/// The generator.
pub struct ScriptedGenerator {
    script: Arc<Script>,
    skill_of: SkillOf,
    capacity: usize,
    policy: Option<(PolicyName, f32)>,
    lost: Vec<Unserved>,
    cancelled: Vec<FinishedRollout>,
    active: VecDeque<Active>,
    waiting: VecDeque<Rollout>,
}

/// A rollout at work.
#[derive(Debug)]
struct Active {
    rollout: Rollout,
    skill: f32,
    policy: PolicyName,
    steps_left: u64,
}

impl ScriptedGenerator {
    /// A generator that holds `capacity` rollouts, half of them active.
    pub const fn new(script: Arc<Script>, skill_of: SkillOf, capacity: usize) -> Self {
        Self {
            script,
            skill_of,
            capacity,
            policy: None,
            lost: Vec::new(),
            cancelled: Vec::new(),
            active: VecDeque::new(),
            waiting: VecDeque::new(),
        }
    }

    fn finish(active: Active, newest: PolicyName) -> FinishedRollout {
        let Active { rollout, skill, policy, .. } = active;
        let (level, answer) = solve(&rollout.problem);
        let draw = (rollout.seed >> 11) as f64 / (1_u64 << 53) as f64;
        let is_right = draw < chance(skill, level);
        let answer = if is_right { answer } else { answer + 1 };
        let mut versions = vec![VersionSpan { policy, start: 0, end: TOKENS }];
        if newest != policy {
            versions = vec![
                VersionSpan { policy, start: 0, end: TOKENS / 2 },
                VersionSpan { policy: newest, start: TOKENS / 2, end: TOKENS },
            ];
        }
        let provenance = Arc::new(scripted());
        let trajectory = Trajectory {
            id: rollout.id,
            prompt_token_count: 4,
            tokens: (0..TOKENS).collect(),
            log_probabilities: vec![-0.5; TOKENS as usize],
            sampling_log_probabilities: Vec::new(),
            text: response(&answer.to_string(), rollout.seed),
            sampling: rollout.sampling,
            seed: rollout.seed,
            finish: FinishReason::Stop,
            versions,
            provenance: Some(provenance.id()),
        };
        // what is right is the more perplexing: such are paired
        let perplexity = 2.0 - draw as f32;
        let measures = Measures {
            thought_tokens: TOKENS - 2,
            solution_tokens: 2,
            perplexity,
            thought_perplexity: Some(perplexity),
            solution_perplexity: Some(1.0),
        };
        FinishedRollout { trajectory, measures, is_well_formed: true, provenance: Some(provenance) }
    }

    fn fill(&mut self) -> Result<(), GeneratorError> {
        let (policy, skill) = self.policy.ok_or(GeneratorError::NoPolicy)?;
        while self.active.len() < self.capacity.div_ceil(2)
            && let Some(rollout) = self.waiting.pop_front()
        {
            let steps_left = 1 + rollout.seed % 3;
            self.active.push_back(Active { rollout, skill, policy, steps_left });
        }
        Ok(())
    }
}

impl StepGenerator for ScriptedGenerator {
    fn adopt(&mut self, policy: &PolicyRef) -> Result<(), GeneratorError> {
        let skill = (self.skill_of)(policy).map_err(GeneratorError::Policy)?;
        self.policy = Some((policy.name, skill));
        Ok(())
    }

    fn submit(&mut self, rollout: Rollout) -> Result<(), GeneratorError> {
        self.script.rollout_begun(&rollout.id, rollout.seed);
        if rollout.problem.contains("refuse") {
            let reason = "the prompt is too long".to_owned();
            return Err(GeneratorError::Refused { id: rollout.id, reason });
        }
        if take_one(&self.script.rollout_losses) || rollout.problem.contains("lose") {
            self.lost.push(Unserved { id: rollout.id, reason: "the script says so".to_owned() });
            return Ok(());
        }
        self.waiting.push_back(rollout);
        Ok(())
    }

    fn cancel(&mut self, id: &AttemptId) {
        let Some((policy, skill)) = self.policy else { return };
        let waiting = self.waiting.iter().position(|rollout| rollout.id == *id);
        let active = self.active.iter().position(|active| active.rollout.id == *id);
        let cancelled = match (waiting, active) {
            (Some(place), _) => {
                self.waiting.remove(place).map(|rollout| Active { rollout, skill, policy, steps_left: 0 })
            }
            (None, Some(place)) => self.active.remove(place),
            (None, None) => None,
        };
        self.cancelled.extend(cancelled.map(|active| {
            let mut finished = Self::finish(active, policy);
            finished.trajectory.finish = FinishReason::Cancelled;
            finished
        }));
    }

    fn step(&mut self) -> Result<GeneratorStep, GeneratorError> {
        self.script.generation.pass();
        assert!(!take_one(&self.script.generator_panics), "the script says so");
        self.fill()?;
        let (newest, _) = self.policy.ok_or(GeneratorError::NoPolicy)?;
        let tokens = self.active.len() as u64;
        for active in &mut self.active {
            active.steps_left -= 1;
        }
        let (done, active): (VecDeque<_>, VecDeque<_>) =
            self.active.drain(..).partition(|active| active.steps_left == 0);
        self.active = active;
        let mut finished = std::mem::take(&mut self.cancelled);
        finished.extend(done.into_iter().map(|active| Self::finish(active, newest)));
        let lost = std::mem::take(&mut self.lost);
        Ok(GeneratorStep { finished, lost, tokens, ..GeneratorStep::default() })
    }

    fn capacity(&self) -> usize {
        self.capacity
    }

    fn is_idle(&self) -> bool {
        [self.active.len(), self.waiting.len(), self.lost.len(), self.cancelled.len()] == [0; 4]
    }
}

impl fmt::Debug for ScriptedGenerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedGenerator").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// How its trajectories are drawn.
fn scripted() -> Provenance {
    Provenance {
        engine: "scripted".to_owned(),
        name: "a script".to_owned(),
        version: None,
        precision: None,
        prompt: "none".to_owned(),
        is_retokenized: false,
    }
}

/// Level and answer of `level 3: 2*3017=?`.
fn solve(problem: &str) -> (f32, u32) {
    let number = |text: &str| -> u32 {
        text.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap()
    };
    let (level, question) = problem.split_once(':').expect("a problem names its level");
    let (_, operand) = question.split_once('*').expect("a problem is a product");
    (number(level) as f32, 2 * number(operand))
}

#[cfg(test)]
mod tests {
    use still_domain::{AttemptNumber, PolicyVersion, ProblemId, SamplingSettings};

    use super::*;

    fn rate(skill: f32, level: u8) -> f64 {
        let mut generator = ScriptedGenerator::new(Arc::default(), Arc::new(move |_| Ok(skill)), 64);
        generator.adopt(&PolicyRef { name: PolicyVersion(1).into(), checkpoint: None }).unwrap();
        for number in 0..200 {
            let id = AttemptId { problem: ProblemId::new("p"), number: AttemptNumber(number) };
            let seed = still_domain::seed::of_attempt(1, &id);
            let problem = format!("level {level}: 2*21=?").into();
            generator.submit(Rollout { id, problem, sampling: SamplingSettings::default(), seed }).unwrap();
        }
        let mut right = 0;
        while !generator.is_idle() {
            let step = generator.step().unwrap();
            right += step.finished.iter().filter(|one| one.trajectory.text.contains("{42}")).count();
        }
        right as f64 / 200.0
    }

    #[test]
    fn skill_above_the_level_solves_and_below_it_fails() {
        assert!(rate(4.0, 2) > 0.9);
        assert!(rate(1.0, 3) < 0.1);
        let even = rate(2.0, 2);
        assert!((0.35..0.65).contains(&even), "{even}");
    }
}
