//! A learner that turns examples into skill.

use std::{
    fs,
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use serde::{Deserialize, Serialize};
use still_embedded::{Learner, LearnerError, LearnerJob, LearnerSnapshot, StepOversight};
use still_roles::{LearnerStep, TrainingPlan};

use crate::{
    generator::SkillOf,
    script::{Job, Script, take_one},
    world::BASE_SKILL,
};

/// Examples that make up one point of skill.
const EXAMPLES_PER_POINT: f32 = 10.0;
/// The file of a checkpoint.
const FILE: &str = "skill.json";

/// The learner.
pub struct ScriptedLearner {
    script: Arc<Script>,
    skill_of: SkillOf,
    total_steps: u64,
    oversight: StepOversight,
    work: Option<Work>,
}

/// The job at work.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Work {
    training_set: String,
    step: u64,
    total_steps: u64,
    start_skill: f32,
    final_skill: f32,
}

impl ScriptedLearner {
    /// A learner that takes `total_steps` for every job.
    pub fn new(script: Arc<Script>, skill_of: SkillOf, total_steps: u64) -> Self {
        Self { script, skill_of, total_steps, oversight: StepOversight::default(), work: None }
    }

    /// The skill of the policy in a checkpoint's folder.
    ///
    /// # Errors
    /// When the folder holds none.
    pub fn skill_in(folder: &Path) -> Result<f32, String> {
        Ok(read(folder)?.final_skill)
    }

    fn work(&mut self) -> Result<&mut Work, LearnerError> {
        self.work.as_mut().ok_or(LearnerError::NoJob)
    }
}

impl Learner for ScriptedLearner {
    fn begin(&mut self, begun: &LearnerJob) -> Result<TrainingPlan, LearnerError> {
        let LearnerJob { job, resume, oversight, .. } = begun;
        self.oversight = oversight.clone();
        let examples = job.examples.count();
        for index in 0..examples {
            job.examples.read(index)?;
        }
        if examples == 0 {
            return Err(LearnerError::Refused("there are no examples".to_owned()));
        }
        if take_one(&self.script.learner_refusals) {
            return Err(LearnerError::Refused("every example is too long".to_owned()));
        }
        let start_skill = match &job.start {
            None => BASE_SKILL,
            Some(policy) => (self.skill_of)(policy).map_err(LearnerError::Device)?,
        };
        let gain = examples as f32 / EXAMPLES_PER_POINT;
        let final_skill = (start_skill + gain).min(BASE_SKILL + 6.0);
        let total_steps = match self.script.training_steps.load(Ordering::SeqCst) {
            0 => self.total_steps,
            steps => steps,
        };
        let training_set = job.training_set.to_string();
        let mut work = Work { training_set, step: 0, total_steps, start_skill, final_skill };
        if let Some(folder) = resume {
            let error = |reason| LearnerError::Checkpoint { path: folder.clone(), reason };
            let saved = read(folder).map_err(error)?;
            if saved.training_set != work.training_set {
                return Err(error("it belongs to another set".to_owned()));
            }
            if saved.total_steps != total_steps {
                return Err(error("it belongs to a job of another length".to_owned()));
            }
            work = saved;
        }
        let resumed_step = work.step;
        self.script.job_begun(Job {
            round: job.round,
            training_set: job.training_set.clone(),
            examples,
            start_skill,
            resume: resume.clone(),
            resumed_step,
        });
        self.work = Some(work);
        Ok(TrainingPlan { total_steps, resumed_step, left_out: 0 })
    }

    fn step(&mut self) -> Result<LearnerStep, LearnerError> {
        let parts = self.script.parts_of_a_step.load(Ordering::SeqCst) as usize;
        for part in 0..parts {
            self.oversight.goes_on()?;
            self.script.training.pass();
            self.oversight.piece_done(part + 1, parts);
        }
        if parts == 0 {
            self.script.training.pass();
        }
        if take_one(&self.script.learner_failures) {
            return Err(LearnerError::Device("the script says so".to_owned()));
        }
        let script = Arc::clone(&self.script);
        let work = self.work()?;
        let total_steps = work.total_steps;
        let failing = &script.learner_fails_at_step;
        if failing.compare_exchange(work.step + 1, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            return Err(LearnerError::Device("the script says so".to_owned()));
        }
        let diverging = &script.learner_diverges_at_step;
        if diverging.compare_exchange(work.step + 1, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            let diverged =
                LearnerStep { total_steps, loss: f64::NAN, skipped: true, ..LearnerStep::default() };
            if script.learner_keeps_no_state.load(Ordering::SeqCst) {
                return Err(LearnerError::BackToCheckpoint { diverged: Box::new(diverged), rollbacks: 1 });
            }
            work.step = 0;
            script.training.close();
            return Ok(LearnerStep { rolled_back: true, ..diverged });
        }
        work.step += 1;
        Ok(LearnerStep {
            step: work.step,
            total_steps,
            loss: 1.0 / work.step as f64,
            gradient_norm: 1.0,
            learning_rate: 1e-3,
            tokens: 100,
            ..LearnerStep::default()
        })
    }

    fn snapshot(&mut self) -> Result<Box<dyn LearnerSnapshot>, LearnerError> {
        Ok(Box::new(self.work()?.clone()))
    }

    fn completed(&mut self, folder: &Path) -> Result<(), LearnerError> {
        assert!(folder.join(FILE).exists(), "the final checkpoint is where it is said to be");
        self.work().map(|_| ())
    }

    fn end(&mut self) {
        self.work = None;
    }
}

impl LearnerSnapshot for Work {
    fn write(&self, folder: &Path) -> Result<(), LearnerError> {
        let text = serde_json::to_string(self).unwrap();
        fs::write(folder.join(FILE), text).map_err(|error| LearnerError::Disk(error.to_string()))
    }
}

fn read(folder: &Path) -> Result<Work, String> {
    let text = fs::read_to_string(folder.join(FILE)).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}
