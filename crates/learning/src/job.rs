//! A job under way: its examples, its state, and the gradients of a step.

use std::sync::Arc;

use burn::tensor::Device;
use still_decoder::DecoderWeights;
use still_policy::{BatchError, Decoder, ForwardSettings, Parameters, TensorPrecision};
use still_roles::{LearnerError, PreferenceMetrics, TrainingJob, Weights};

use crate::{
    checkpoint::TrainingState,
    config::{DpoConfig, JobConfig},
    data_order::DataOrder,
    examples::{Examples, Sequence},
    loss::{self, LossAndGradients, PairSums},
    memory::within_memory,
    snapshot,
};

/// Where gradients are made, and how.
pub(crate) struct Workplace {
    /// A device with autodiff.
    pub(crate) device: Device,
    pub(crate) settings: ForwardSettings,
    pub(crate) precision: TensorPrecision,
}

/// A job under way.
pub(crate) struct Job {
    pub(crate) config: JobConfig,
    pub(crate) dpo: DpoConfig,
    pub(crate) examples: Examples,
    /// Of the policy that a DPO job started from, by pair.
    pub(crate) reference: Arc<[PairSums]>,
    pub(crate) order: DataOrder,
    /// What adapters are trained beside, where they are.
    pub(crate) frozen: Option<Frozen>,
    pub(crate) state: TrainingState,
    /// The state to go back to when training diverges: where the job began or was last saved.
    pub(crate) last_good: Option<Arc<TrainingState>>,
    pub(crate) total_steps: u64,
}

/// The policy that a job of adapters started from.
pub(crate) struct Frozen {
    pub(crate) weights: Weights,
    /// The same on the device.
    decoder: Decoder,
}

/// What the examples of a step give.
pub(crate) struct StepGradients {
    pub(crate) loss: f64,
    pub(crate) gradients: Parameters,
    /// Tokens of the sequences, prompts included.
    pub(crate) tokens: u64,
    /// Of preference optimisation.
    pub(crate) preferences: Option<PreferenceMetrics>,
    /// How often the parts were halved for want of memory.
    pub(crate) memory_shortages: u32,
}

impl Workplace {
    /// Puts what adapters are trained beside on the device, once for a job.
    pub(crate) fn freeze(&self, weights: Weights) -> Frozen {
        let decoder = Decoder::frozen(&weights, &self.device, self.precision);
        Frozen { weights, decoder }
    }

    /// Parameters on the device.
    fn decoder(&self, parameters: &Parameters, frozen: Option<&Frozen>) -> Decoder {
        match (parameters, frozen) {
            (Parameters::Adapters(adapters), Some(frozen)) => {
                frozen.decoder.clone().adapted(adapters, &self.settings.config, &self.device)
            }
            (Parameters::Full(weights), _) => Decoder::from_weights(weights, &self.device, self.precision),
            (Parameters::Adapters(_), None) => unreachable!("adapters are trained beside a base"),
        }
    }

    /// The summed log-probabilities of every pair under the policy that a job starts from.
    pub(crate) fn reference(
        &self,
        examples: &Examples,
        start: &DecoderWeights,
    ) -> Result<Arc<[PairSums]>, LearnerError> {
        let Examples::Dpo(pairs) = examples else { return Ok(Arc::default()) };
        let decoder = Decoder::from_weights(start, &self.device, self.precision);
        let sums = pairs.iter().map(|pair| loss::pair_sums(&decoder, pair, &self.settings));
        sums.collect::<Result<_, _>>().map_err(|error| refused(&error))
    }
}

impl Job {
    /// Loss and gradients of a step's examples, part by part; in smaller parts from now on where memory does
    /// not suffice.
    pub(crate) fn gradients(
        &mut self,
        workplace: &Workplace,
        batch: &[usize],
    ) -> Result<StepGradients, LearnerError> {
        let lengths: Vec<usize> = batch.iter().map(|index| self.examples.length(*index)).collect();
        let mut limit = self.state.position.micro_batch_tokens;
        let (mut found, shortages) = within_memory(&mut limit, &lengths, |limit| {
            let decoder = workplace.decoder(&self.state.parameters, self.frozen.as_ref());
            match &self.examples {
                Examples::Sft(sequences) => sft_gradients(workplace, &decoder, sequences, batch, limit),
                Examples::Dpo(pairs) => self.dpo_gradients(workplace, &decoder, pairs, batch, limit),
            }
        })?;
        self.state.position.micro_batch_tokens = limit;
        found.memory_shortages = shortages;
        Ok(found)
    }

    fn dpo_gradients(
        &self,
        workplace: &Workplace,
        decoder: &Decoder,
        pairs: &[(Sequence, Sequence)],
        batch: &[usize],
        limit: usize,
    ) -> Result<StepGradients, LearnerError> {
        let members = batch.iter().filter_map(|index| pairs.get(*index).zip(self.reference.get(*index)));
        let members: Vec<_> = members.collect();
        let length = |((chosen, rejected), _): &(&(Sequence, Sequence), &PairSums)| {
            chosen.tokens.len() + rejected.tokens.len()
        };
        let (mut sum, mut metrics) = (Sum::default(), PreferenceMetrics::default());
        for part in parts(&members, limit, length) {
            sum.begin(part.iter().map(length).sum());
            let (pairs, reference): (Vec<_>, Vec<PairSums>) =
                part.iter().map(|(pair, reference)| (*pair, **reference)).unzip();
            let found = loss::dpo(decoder, &pairs, &reference, members.len(), &self.dpo, &workplace.settings);
            let (found, more) = found.map_err(|error| refused(&error))?;
            loss::add_metrics(&mut metrics, &more);
            sum.add(found);
        }
        sum.finish(Some(metrics))
    }

    /// The policy as it stands.
    pub(crate) fn policy(&self, workplace: &Workplace) -> Weights {
        let base = self.frozen.as_ref().map(|frozen| &frozen.weights);
        snapshot::policy(&self.state.parameters, base, &workplace.settings.config)
    }
}

fn sft_gradients(
    workplace: &Workplace,
    decoder: &Decoder,
    sequences: &[Sequence],
    batch: &[usize],
    limit: usize,
) -> Result<StepGradients, LearnerError> {
    let chosen: Vec<&Sequence> = batch.iter().filter_map(|index| sequences.get(*index)).collect();
    let targets = chosen.iter().map(|sequence| sequence.target.len()).sum::<usize>().max(1);
    let mut sum = Sum::default();
    for part in parts(&chosen, limit, |sequence| sequence.tokens.len()) {
        sum.begin(part.iter().map(|sequence| sequence.tokens.len()).sum());
        let found = loss::sft(decoder, part, targets, &workplace.settings);
        sum.add(found.map_err(|error| refused(&error))?);
    }
    sum.finish(None)
}

/// The parts of a step added up.
#[derive(Default)]
struct Sum {
    tokens: u64,
    whole: Option<LossAndGradients>,
}

impl Sum {
    /// A part of so many tokens is about to go through the device.
    fn begin(&mut self, tokens: usize) {
        #[cfg(test)]
        crate::memory::simulated::allocate(tokens);
        self.tokens += tokens as u64;
    }

    fn add(&mut self, part: LossAndGradients) {
        match &mut self.whole {
            None => self.whole = Some(part),
            Some(whole) => {
                whole.loss += part.loss;
                whole.gradients.add(&part.gradients);
            }
        }
    }

    fn finish(self, preferences: Option<PreferenceMetrics>) -> Result<StepGradients, LearnerError> {
        let whole = self.whole.ok_or_else(|| LearnerError::Refused("a step has no example".to_owned()))?;
        let LossAndGradients { loss, gradients } = whole;
        Ok(StepGradients { loss, gradients, tokens: self.tokens, preferences, memory_shortages: 0 })
    }
}

/// Names a job by everything that its steps depend on.
pub(crate) fn fingerprint(job: &TrainingJob, settings: &str, examples: &Examples) -> String {
    let mut hasher = blake3::Hasher::new();
    let text = format!("{} {} {} {settings}", job.round, job.training_set, job.seed);
    hasher.update(text.as_bytes());
    for sequence in examples.sequences() {
        for number in [sequence.target.start, sequence.target.end, sequence.tokens.len()] {
            hasher.update(&(number as u64).to_le_bytes());
        }
        for token in &sequence.tokens {
            hasher.update(&token.to_le_bytes());
        }
    }
    hasher.finalize().to_hex().to_string()
}

/// Cuts a step's members into parts of at most `limit` tokens; a longer member is a part of its own.
fn parts<T>(members: &[T], limit: usize, length: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let (mut parts, mut start, mut tokens) = (Vec::new(), 0, 0);
    for (index, member) in members.iter().enumerate() {
        let more = length(member);
        if index > start && tokens + more > limit {
            parts.extend(members.get(start..index));
            (start, tokens) = (index, 0);
        }
        tokens += more;
    }
    parts.extend(members.get(start..).filter(|rest| !rest.is_empty()));
    parts
}

fn refused(error: &BatchError) -> LearnerError {
    LearnerError::Refused(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_hold_every_member_once_and_at_most_their_tokens() {
        let length = |length: &usize| *length;
        assert_eq!(parts(&[3, 3, 9, 1, 2], 6, length), [&[3, 3][..], &[9], &[1, 2]]);
        assert_eq!(parts(&[1], 0, length), [&[1][..]]);
        assert!(parts(&[], 4, length).is_empty());
    }
}
