//! [`Scorer`] on the host's arithmetic or on a device: log-probabilities of texts under policies by name, one after another.

use std::{fmt, sync::Arc};

use still_control::{Exit, Failure, OrExit};
use still_decoder::{DecoderConfig, Segments, Threads, model_hidden_states, token_log_probabilities};
use still_domain::PolicyRef;
use still_library::{PolicyLibrary, Weights};
use still_roles::{ScoreError, ScoreRequest, Scorer, ScoringPass, Unscored, Withdrawal};
use still_tensor_decoder::{Device, DeviceName, TensorPrecision};

use crate::settings::threads;

/// Scores texts under the policies of a library. The policy asked for last stays at hand.
pub struct PolicyScorer {
    library: Arc<PolicyLibrary>,
    config: DecoderConfig,
    backend: Backend,
    at_hand: Option<(PolicyRef, AtHand)>,
}

/// Where policies are run.
enum Backend {
    /// The processor, on so many threads.
    Processor(Threads),
    Device(Device, TensorPrecision),
}

/// A policy that is ready to score.
enum AtHand {
    Processor(Weights),
    /// A device that holds the weights.
    Device(Box<still_tensor_decoder::Scorer>),
}

impl PolicyScorer {
    /// A scorer of policies of these sizes on a device.
    ///
    /// # Errors
    /// When the device is not there.
    pub fn new(
        library: Arc<PolicyLibrary>,
        config: DecoderConfig,
        device: DeviceName,
        precision: TensorPrecision,
    ) -> Result<Self, Failure> {
        let backend = match device {
            DeviceName::Cpu => Backend::Processor(Threads::new(threads(0))),
            DeviceName::Cuda(_) => Backend::Device(device.open().or_exit(Exit::Device)?, precision),
        };
        Ok(Self { library, config, backend, at_hand: None })
    }

    /// Gets a policy ready, unless it is.
    fn prepare(&mut self, policy: &PolicyRef) -> Result<(), ScoreError> {
        if self.at_hand.as_ref().is_some_and(|(ready, _)| ready == policy) {
            return Ok(());
        }
        // two policies need not be in memory at once
        self.at_hand = None;
        let weights = self.library.host_weights(policy).map_err(failed)?;
        let ready = match &self.backend {
            Backend::Processor(_) => AtHand::Processor(weights),
            Backend::Device(device, precision) => {
                let scorer =
                    still_tensor_decoder::Scorer::new(self.config.clone(), &weights, device, *precision);
                AtHand::Device(Box::new(scorer.map_err(failed)?))
            }
        };
        self.at_hand = Some((policy.clone(), ready));
        Ok(())
    }

    fn refuse_misfit(&self, request: &ScoreRequest) -> Result<(), ScoreError> {
        let (vocabulary, longest) = (self.config.vocabulary_size, self.config.max_position_count);
        if let Some(unknown) = request.tokens.iter().find(|token| **token as usize >= vocabulary) {
            let reason =
                format!("token {unknown} is not among the model's {vocabulary}; use its own tokenizer");
            return Err(ScoreError::Refused(reason));
        }
        match request.tokens.len() {
            0 => Err(ScoreError::Refused("there is no token to score; give at least two".to_owned())),
            count if count > longest => Err(ScoreError::Refused(format!(
                "{count} tokens are more than the model's {longest} positions; shorten the text"
            ))),
            _ => Ok(()),
        }
    }

    /// The log-probability of every token from `request.from` on under a policy's unmodified distribution, in nats, given
    /// all tokens before it.
    ///
    /// # Errors
    /// When the sequence cannot be scored, or no sequence can be at present.
    pub fn log_probabilities(
        &mut self,
        policy: &PolicyRef,
        request: &ScoreRequest,
    ) -> Result<Vec<f32>, ScoreError> {
        self.refuse_misfit(request)?;
        self.prepare(policy)?;
        let Some((_, targets)) = request.tokens.split_first().filter(|(_, targets)| !targets.is_empty())
        else {
            return Ok(Vec::new());
        };
        let mut values = match (&self.at_hand, &self.backend) {
            (Some((_, AtHand::Device(scorer))), _) => {
                scorer.log_probabilities(&request.tokens).map_err(failed)?
            }
            (Some((_, AtHand::Processor(weights))), Backend::Processor(threads)) => {
                let inputs = request.tokens.get(..targets.len()).unwrap_or_default();
                let segments = Segments::from_lengths([inputs.len()]);
                let hidden =
                    model_hidden_states(&self.config, weights, &segments, inputs, threads).map_err(failed)?;
                let head = weights.head().as_f32().ok_or_else(|| failed("the head is not in f32"))?;
                token_log_probabilities(&hidden, head, self.config.hidden_size, targets, threads).values
            }
            _ => return Err(failed("no policy is at hand")),
        };
        values.drain(..request.from.saturating_sub(1).min(values.len()));
        Ok(values)
    }
}

impl Scorer for PolicyScorer {
    fn score(
        &mut self,
        policy: &PolicyRef,
        pass: &mut dyn ScoringPass<ScoreRequest, Vec<f32>>,
        withdrawal: &Withdrawal,
    ) -> Result<(), String> {
        while !withdrawal.is_withdrawn()
            && let Some((number, request)) = pass.next()
        {
            let found = match self.log_probabilities(policy, &request) {
                Ok(values) => Ok(values),
                Err(ScoreError::Refused(reason)) => Err(Unscored::Refused(reason)),
                Err(ScoreError::Failed(reason)) => return Err(reason),
            };
            if pass.scored(number, found).is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for PolicyScorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = self.at_hand.as_ref().map(|(policy, _)| policy);
        f.debug_struct("PolicyScorer").field("at_hand", &policy).finish_non_exhaustive()
    }
}

fn failed(error: impl std::fmt::Display) -> ScoreError {
    ScoreError::Failed(error.to_string())
}

#[cfg(test)]
mod tests {
    use still_operator::config::ModelSource;

    use super::*;
    use crate::Model;

    /// Scorers of the embedded model: on the processor, and in builds with tensors by the path that GPUs take.
    fn scorers() -> Vec<PolicyScorer> {
        let model = Model::from_source(&ModelSource::Embedded, true).unwrap();
        let backends = [
            Backend::Processor(Threads::single()),
            #[cfg(feature = "tensors")]
            Backend::Device(DeviceName::Cpu.open().unwrap(), TensorPrecision::F32),
        ];
        let scorer = |backend| {
            let (library, config) = (Arc::new(model.alone()), model.config.clone());
            PolicyScorer { library, config, backend, at_hand: None }
        };
        backends.into_iter().map(scorer).collect()
    }

    fn score(scorer: &mut PolicyScorer, tokens: &[u32], from: usize) -> Result<Vec<f32>, ScoreError> {
        scorer.log_probabilities(&Model::policy(), &ScoreRequest { tokens: tokens.to_vec(), from })
    }

    #[test]
    fn a_token_is_judged_by_what_stands_before_it_alone() {
        for mut scorer in scorers() {
            let whole = score(&mut scorer, &[8, 9, 10, 11, 12], 1).unwrap();
            let start = score(&mut scorer, &[8, 9, 10], 1).unwrap();
            assert_eq!((whole.len(), start.len()), (4, 2));
            assert!(
                whole.iter().zip(&start).all(|(one, two)| (one - two).abs() < 1e-5),
                "{whole:?} {start:?}"
            );
            assert_eq!(score(&mut scorer, &[8, 9, 10, 11, 12], 3).unwrap(), whole[2..]);
            assert_eq!(score(&mut scorer, &[8], 1), Ok(Vec::new()));
        }
    }

    #[cfg(feature = "tensors")]
    #[test]
    fn a_device_tells_what_the_processor_does() {
        let mut scored =
            scorers().into_iter().map(|mut scorer| score(&mut scorer, &[3, 9, 2, 7, 7, 12, 5], 1).unwrap());
        let (here, there) = (scored.next().unwrap(), scored.next().unwrap());
        assert!(here.iter().zip(&there).all(|(one, two)| (one - two).abs() < 1e-4), "{here:?} {there:?}");
    }

    #[test]
    fn what_can_never_be_scored_is_refused_with_its_remedy() {
        let mut scorer = scorers().remove(0);
        for (tokens, part) in
            [(vec![], "at least two"), (vec![99], "own tokenizer"), (vec![1; 9_999], "shorten")]
        {
            let refused = score(&mut scorer, &tokens, 1).unwrap_err();
            assert!(matches!(&refused, ScoreError::Refused(reason) if reason.contains(part)), "{refused}");
        }
    }
}
