//! [`TrajectoryScorer`]: trajectories measured under policies that need not have drawn them.

use std::fmt;

use still_domain::{Measures, PolicyRef, Problem, Statement, Trajectory};
use still_generator::{measured, question_of};
use still_roles::{ScoreError, ScoreRequest, Scorer, TrajectoryScorer};
use still_text::Prompter;

use crate::PolicyScorer;

/// Puts a [`Prompter`] in front of a [`PolicyScorer`].
pub struct PolicyTrajectoryScorer {
    scorer: PolicyScorer,
    prompter: Prompter,
}

impl PolicyTrajectoryScorer {
    /// A scorer of trajectories that were drawn after prompts of this kind.
    pub const fn new(scorer: PolicyScorer, prompter: Prompter) -> Self {
        Self { scorer, prompter }
    }
}

impl fmt::Debug for PolicyTrajectoryScorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyTrajectoryScorer").field("scorer", &self.scorer).finish_non_exhaustive()
    }
}

impl TrajectoryScorer for PolicyTrajectoryScorer {
    fn score(
        &mut self,
        policy: &PolicyRef,
        problem: &Problem,
        trajectory: &Trajectory,
    ) -> Result<Measures, ScoreError> {
        let log_probabilities = self.log_probabilities(policy, problem, trajectory)?;
        let Trajectory { tokens, finish, .. } = trajectory;
        let response = measured(&self.prompter, tokens, *finish, Some(&log_probabilities));
        response.map(|response| response.measures).map_err(|error| ScoreError::Refused(error.to_string()))
    }

    fn log_probabilities(
        &mut self,
        policy: &PolicyRef,
        problem: &Problem,
        trajectory: &Trajectory,
    ) -> Result<Vec<f32>, ScoreError> {
        let refused = |error: &dyn ToString| ScoreError::Refused(error.to_string());
        let statement = Statement::from(problem);
        let mut tokens = self.prompter.prompt(question_of(&statement)).map_err(|error| refused(&error))?;
        let prompt = tokens.len();
        if prompt != trajectory.prompt_token_count as usize {
            return Err(ScoreError::Refused(format!(
                "its prompt had {} tokens and has {prompt} today: it was drawn after another prompt",
                trajectory.prompt_token_count
            )));
        }
        tokens.extend_from_slice(&trajectory.tokens);
        self.scorer.score(policy, &ScoreRequest { tokens, from: prompt })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use still_domain::{
        AnswerKind, AttemptId, AttemptNumber, FinishReason, ProblemId, SamplingSettings, Split,
    };
    use still_operator::config::ModelSource;
    use still_tensor_decoder::{DeviceName, TensorPrecision};
    use still_text::PromptStyle;

    use super::*;
    use crate::Model;

    fn problem() -> Problem {
        Problem {
            id: ProblemId::new("p"),
            text: "7*7=?".to_owned(),
            gold: "49".to_owned(),
            kind: AnswerKind::Integer,
            level: None,
            source: String::new(),
            split: Split::Explore,
        }
    }

    fn trajectory(model: &Model, prompt_token_count: u32) -> Trajectory {
        let text = "<|begin_of_thought|>7*7+0=49;<|end_of_thought|><|begin_of_solution|>\\boxed{49}<|end_of_solution|>";
        Trajectory {
            id: AttemptId { problem: ProblemId::new("p"), number: AttemptNumber(0) },
            prompt_token_count,
            tokens: model.tokenizer.encode(text, false).unwrap(),
            log_probabilities: Vec::new(),
            sampling_log_probabilities: Vec::new(),
            text: text.to_owned(),
            sampling: SamplingSettings::default(),
            seed: 0,
            finish: FinishReason::StopString,
            versions: Vec::new(),
            provenance: None,
        }
    }

    #[test]
    fn a_trajectory_is_measured_as_its_text_is_scored_and_another_prompt_is_refused() {
        let model = Model::from_source(&ModelSource::Embedded, true).unwrap();
        let (library, config) = (Arc::new(model.alone()), model.config.clone());
        let open = || {
            PolicyScorer::new(Arc::clone(&library), config.clone(), DeviceName::Cpu, TensorPrecision::F32)
                .unwrap()
        };
        let prompter = Prompter::new(model.tokenizer.clone(), PromptStyle::Raw);
        let prompt = prompter.prompt("7*7=?").unwrap();
        let trajectory = trajectory(&model, prompt.len() as u32);
        let mut scorer = PolicyTrajectoryScorer::new(open(), prompter);
        let measures = scorer.score(&Model::policy(), &problem(), &trajectory).unwrap();

        let tokens = [prompt.clone(), trajectory.tokens.clone()].concat();
        let request = ScoreRequest { tokens, from: prompt.len() };
        let expected = open().score(&Model::policy(), &request).unwrap();
        assert_eq!(expected.len(), trajectory.tokens.len());
        let mean = expected.iter().map(|value| f64::from(*value)).sum::<f64>() / expected.len() as f64;
        assert!((f64::from(measures.perplexity) - (-mean).exp()).abs() < 1e-3);
        assert!(measures.thought_perplexity.is_some() && measures.thought_tokens == 9);

        let other = Trajectory { prompt_token_count: 99, ..trajectory };
        let refused = scorer.score(&Model::policy(), &problem(), &other).unwrap_err();
        assert!(
            matches!(&refused, ScoreError::Refused(reason) if reason.contains("another prompt")),
            "{refused}"
        );
    }
}
