//! A scorer to which a text is the more perplexing the larger the number of its attempt.

use std::sync::{Arc, atomic::Ordering};

use still_domain::{Measures, PolicyRef};
use still_roles::{
    LearnerScorer, OpenLearnerScorer, OpenScorer, ScoreError, ScoringPass, TrajectoryRequest,
    TrajectoryScorer, Unscored, Withdrawal,
};

use crate::{
    generator::SkillOf,
    script::{Script, take_one},
};

/// The scorer.
struct ScriptedScorer {
    script: Arc<Script>,
    skill_of: SkillOf,
}

/// The learner's arithmetic.
struct ScriptedLearnerScorer(Arc<Script>);

/// Scorers that obey a script. Under a policy of skill `s` the attempt of number `n` has the perplexity `1 + s + n`.
pub fn scripted_scorers(script: &Arc<Script>, skill_of: SkillOf) -> OpenScorer {
    let script = Arc::clone(script);
    Arc::new(move || {
        Ok(Box::new(ScriptedScorer { script: Arc::clone(&script), skill_of: Arc::clone(&skill_of) }))
    })
}

/// The learner's log-probabilities, which are as far from any engine's as a script says.
pub fn scripted_learner_scorers(script: &Arc<Script>) -> OpenLearnerScorer {
    let script = Arc::clone(script);
    Arc::new(move || Ok(Box::new(ScriptedLearnerScorer(Arc::clone(&script)))))
}

impl TrajectoryScorer for ScriptedScorer {
    fn score(
        &mut self,
        policy: &PolicyRef,
        pass: &mut dyn ScoringPass<TrajectoryRequest, Measures>,
        withdrawal: &Withdrawal,
    ) -> Result<(), String> {
        let skill = (self.skill_of)(policy)?;
        while !withdrawal.is_withdrawn()
            && let Some((number, TrajectoryRequest { trajectory, .. })) = pass.next()
        {
            if take_one(&self.script.scorer_failures) {
                return Err("the script says so".to_owned());
            }
            let found = if take_one(&self.script.score_losses) {
                Err(Unscored::Lost("the script says so".to_owned()))
            } else {
                self.script.scored(&trajectory.id);
                let perplexity = 1.0 + skill + trajectory.id.number.0 as f32;
                Ok(Measures {
                    thought_tokens: 10,
                    solution_tokens: 2,
                    perplexity,
                    thought_perplexity: Some(perplexity),
                    solution_perplexity: Some(1.0),
                })
            };
            if pass.scored(number, found).is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl LearnerScorer for ScriptedLearnerScorer {
    fn log_probabilities(
        &mut self,
        _policy: &PolicyRef,
        asked: &TrajectoryRequest,
    ) -> Result<Vec<f32>, ScoreError> {
        if take_one(&self.0.gap_failures) {
            return Err(ScoreError::Failed("the script says so".to_owned()));
        }
        let gap = self.0.gap_thousandths.load(Ordering::Relaxed) as f32 / 1000.0;
        Ok(asked.trajectory.log_probabilities.iter().map(|value| value - gap).collect())
    }
}
