//! [`TrajectoryScorer`]: trajectories measured under policies that need not have drawn them, as their sequences are scored.

use std::{collections::HashMap, fmt, ops::ControlFlow};

use still_domain::{FinishReason, Measures, PolicyRef, Problem, Statement, Trajectory};
use still_generator::{measured, question_of};
use still_roles::{
    LearnerScorer, ScoreError, ScoreRequest, Scorer, ScoringPass, TrajectoryRequest, TrajectoryScorer,
    Unscored, Withdrawal,
};
use still_text::Prompter;

use crate::PolicyScorer;

/// Puts a [`Prompter`] in front of a scorer of sequences, of this process or of a fleet of servers.
pub struct PromptedScorer<S> {
    scorer: S,
    prompter: Prompter,
}

/// A pass over the sequences of a pass over trajectories.
struct Sequences<'a> {
    pass: &'a mut dyn ScoringPass<TrajectoryRequest, Measures>,
    prompter: &'a Prompter,
    /// Responses whose scores are waited for, by their number.
    under_way: HashMap<u64, (Vec<u32>, FinishReason)>,
    is_over: bool,
}

impl<S> PromptedScorer<S> {
    /// A scorer of trajectories that were drawn after prompts of this kind.
    pub const fn new(scorer: S, prompter: Prompter) -> Self {
        Self { scorer, prompter }
    }
}

/// The sequence of a trajectory: its prompt, and its response, which is to be scored.
///
/// # Errors
/// When it was drawn after another prompt than its problem makes today.
fn sequence(prompter: &Prompter, problem: &Problem, trajectory: &Trajectory) -> Result<ScoreRequest, String> {
    let statement = Statement::from(problem);
    let mut tokens = prompter.prompt(question_of(&statement)).map_err(|error| error.to_string())?;
    let prompt = tokens.len();
    if prompt != trajectory.prompt_token_count as usize {
        return Err(format!(
            "its prompt had {} tokens and has {prompt} today: it was drawn after another prompt",
            trajectory.prompt_token_count
        ));
    }
    tokens.extend_from_slice(&trajectory.tokens);
    Ok(ScoreRequest { tokens, from: prompt })
}

impl ScoringPass<ScoreRequest, Vec<f32>> for Sequences<'_> {
    fn next(&mut self) -> Option<(u64, ScoreRequest)> {
        while !self.is_over {
            let (number, TrajectoryRequest { problem, trajectory }) = self.pass.next()?;
            match sequence(self.prompter, &problem, &trajectory) {
                Ok(request) => {
                    self.under_way.insert(number, (trajectory.tokens, trajectory.finish));
                    return Some((number, request));
                }
                Err(reason) => {
                    let told = self.pass.scored(number, Err(Unscored::Refused(reason)));
                    self.is_over = told.is_break();
                }
            }
        }
        None
    }

    fn scored(&mut self, number: u64, found: Result<Vec<f32>, Unscored>) -> ControlFlow<()> {
        if self.is_over {
            return ControlFlow::Break(());
        }
        let Some((tokens, finish)) = self.under_way.remove(&number) else { return ControlFlow::Continue(()) };
        let found = found.and_then(|log_probabilities| {
            let response = measured(self.prompter, &tokens, finish, Some(&log_probabilities));
            response.map(|response| response.measures).map_err(|error| Unscored::Refused(error.to_string()))
        });
        self.pass.scored(number, found)
    }
}

impl<S: Scorer> TrajectoryScorer for PromptedScorer<S> {
    fn score(
        &mut self,
        policy: &PolicyRef,
        pass: &mut dyn ScoringPass<TrajectoryRequest, Measures>,
        withdrawal: &Withdrawal,
    ) -> Result<(), String> {
        let prompter = &self.prompter;
        let mut sequences = Sequences { pass, prompter, under_way: HashMap::new(), is_over: false };
        self.scorer.score(policy, &mut sequences, withdrawal)
    }
}

impl LearnerScorer for PromptedScorer<PolicyScorer> {
    fn log_probabilities(
        &mut self,
        policy: &PolicyRef,
        asked: &TrajectoryRequest,
    ) -> Result<Vec<f32>, ScoreError> {
        let request = sequence(&self.prompter, &asked.problem, &asked.trajectory);
        self.scorer.log_probabilities(policy, &request.map_err(ScoreError::Refused)?)
    }
}

impl<S: fmt::Debug> fmt::Debug for PromptedScorer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PromptedScorer").field("scorer", &self.scorer).finish_non_exhaustive()
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

    /// A pass over some trajectories, of which so many are wanted.
    struct All {
        left: Vec<Trajectory>,
        found: Vec<Result<Measures, Unscored>>,
        wanted: usize,
        /// Said with the first score.
        withdraws: Option<Withdrawal>,
    }

    impl All {
        fn of(trajectories: impl IntoIterator<Item = Trajectory>) -> Self {
            let mut left: Vec<_> = trajectories.into_iter().collect();
            left.reverse();
            Self { wanted: left.len(), left, found: Vec::new(), withdraws: None }
        }
    }

    impl ScoringPass<TrajectoryRequest, Measures> for All {
        fn next(&mut self) -> Option<(u64, TrajectoryRequest)> {
            let trajectory = self.left.pop()?;
            Some((self.left.len() as u64, TrajectoryRequest { problem: problem(), trajectory }))
        }

        fn scored(&mut self, _: u64, found: Result<Measures, Unscored>) -> ControlFlow<()> {
            self.found.push(found);
            self.withdraws.iter().for_each(Withdrawal::withdraw);
            if self.found.len() < self.wanted { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
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
        let mut scorer = PromptedScorer::new(open(), prompter);
        let other = Trajectory { prompt_token_count: 99, ..trajectory.clone() };
        let mut all = All::of([trajectory.clone(), other.clone(), trajectory.clone()]);
        scorer.score(&Model::policy(), &mut all, &Withdrawal::default()).unwrap();
        let [Ok(measures), Err(Unscored::Refused(reason)), Ok(again)] = &all.found[..] else {
            panic!("{:?}", all.found)
        };
        assert!(reason.contains("another prompt"), "{reason}");
        assert_eq!(again, measures);

        let tokens = [prompt.clone(), trajectory.tokens.clone()].concat();
        let request = ScoreRequest { tokens, from: prompt.len() };
        let expected = open().log_probabilities(&Model::policy(), &request).unwrap();
        assert_eq!(expected.len(), trajectory.tokens.len());
        let mean = expected.iter().map(|value| f64::from(*value)).sum::<f64>() / expected.len() as f64;
        assert!((f64::from(measures.perplexity) - (-mean).exp()).abs() < 1e-3);
        assert!(measures.thought_perplexity.is_some() && measures.thought_tokens == 9);

        // what engines are compared with is the same
        let asked = |trajectory| TrajectoryRequest { problem: problem(), trajectory };
        assert_eq!(scorer.log_probabilities(&Model::policy(), &asked(trajectory)), Ok(expected));
        let refused = scorer.log_probabilities(&Model::policy(), &asked(other)).unwrap_err();
        assert!(matches!(refused, ScoreError::Refused(_)), "{refused}");
    }

    #[test]
    fn a_pass_that_is_withdrawn_or_wants_no_more_ends_where_it_is() {
        let model = Model::from_source(&ModelSource::Embedded, true).unwrap();
        let (library, config) = (Arc::new(model.alone()), model.config.clone());
        let scorer = PolicyScorer::new(library, config, DeviceName::Cpu, TensorPrecision::F32).unwrap();
        let prompter = Prompter::new(model.tokenizer.clone(), PromptStyle::Raw);
        let prompt = prompter.prompt("7*7=?").unwrap();
        let of = |prompt_token_count| trajectory(&model, prompt_token_count);
        let sound = || of(prompt.len() as u32);
        let mut scorer = PromptedScorer::new(scorer, prompter);
        let mut score = |all: &mut All, withdrawal: &Withdrawal| {
            scorer.score(&Model::policy(), all, withdrawal).unwrap();
            (all.found.len(), all.left.len())
        };
        for second in [sound(), of(99)] {
            let mut all = All { wanted: 2, ..All::of([sound(), second, sound()]) };
            assert_eq!(score(&mut all, &Withdrawal::default()), (2, 1));
        }
        let withdrawal = Withdrawal::default();
        let mut all = All { withdraws: Some(withdrawal.clone()), ..All::of([sound(), sound()]) };
        assert_eq!(score(&mut all, &withdrawal), (1, 1));
    }
}
