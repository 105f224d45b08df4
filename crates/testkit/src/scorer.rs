//! A scorer to which a text is the more perplexing the larger the number of its attempt.

use std::sync::{Arc, atomic::Ordering};

use still_domain::{Measures, PolicyRef, Problem, Trajectory};
use still_roles::{OpenScorer, ScoreError, TrajectoryScorer};

use crate::{
    generator::SkillOf,
    script::{Script, take_one},
};

/// The scorer.
struct ScriptedScorer {
    script: Arc<Script>,
    skill_of: SkillOf,
}

/// Scorers that obey a script. Under a policy of skill `s` the attempt of number `n` has the perplexity `1 + s + n`.
pub fn scripted_scorers(script: &Arc<Script>, skill_of: SkillOf) -> OpenScorer {
    let script = Arc::clone(script);
    Arc::new(move || {
        Ok(Box::new(ScriptedScorer { script: Arc::clone(&script), skill_of: Arc::clone(&skill_of) }))
    })
}

impl TrajectoryScorer for ScriptedScorer {
    fn score(
        &mut self,
        policy: &PolicyRef,
        _problem: &Problem,
        trajectory: &Trajectory,
    ) -> Result<Measures, ScoreError> {
        if take_one(&self.script.scorer_failures) {
            return Err(ScoreError::Failed("the script says so".to_owned()));
        }
        let skill = (self.skill_of)(policy).map_err(ScoreError::Failed)?;
        self.script.scored(&trajectory.id);
        let perplexity = 1.0 + skill + trajectory.id.number.0 as f32;
        Ok(Measures {
            thought_tokens: 10,
            solution_tokens: 2,
            perplexity,
            thought_perplexity: Some(perplexity),
            solution_perplexity: Some(1.0),
        })
    }

    fn log_probabilities(
        &mut self,
        _policy: &PolicyRef,
        _problem: &Problem,
        trajectory: &Trajectory,
    ) -> Result<Vec<f32>, ScoreError> {
        if take_one(&self.script.gap_failures) {
            return Err(ScoreError::Failed("the script says so".to_owned()));
        }
        let gap = self.script.gap_thousandths.load(Ordering::Relaxed) as f32 / 1000.0;
        Ok(trajectory.log_probabilities.iter().map(|value| value - gap).collect())
    }
}
