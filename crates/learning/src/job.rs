//! A job under way: its examples, its state, and the gradients of a step.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use still_embedded::{LearnerError, StepOversight};
use still_library::Weights;
use still_recipe::{BoundReached, DpoSettings, LearnerSettings, PreferenceBound};
use still_roles::{PreferenceAlarm, PreferenceMetrics};
use still_tensor_decoder::{BatchError, ForwardSettings, LayerObserver, Parameters, TrainableDecoder};
use still_training_data::{DataOrder, Examples, JobVersion, Sequence, pair_length};

#[cfg(test)]
use crate::memory::simulated::allocate;
use crate::{
    checkpoint::TrainingState,
    learner::ModelName,
    loss::{self, LossAndGradients, PairSums},
    memory::within_memory,
    replicas::Replicas,
};

/// A job under way.
pub(crate) struct Job {
    pub(crate) version: JobVersion,
    pub(crate) config: LearnerSettings,
    pub(crate) dpo: DpoSettings,
    pub(crate) examples: Examples,
    /// Of the policy that a DPO job started from, by pair.
    pub(crate) reference: Arc<[PairSums]>,
    pub(crate) order: DataOrder,
    /// What others load the policy by that adapters are trained beside, if they can.
    pub(crate) base_name: Option<ModelName>,
    pub(crate) state: TrainingState,
    /// The state to go back to when training diverges: where the job began or was last saved.
    pub(crate) last_good: Option<Arc<TrainingState>>,
    pub(crate) total_steps: u64,
    pub(crate) oversight: StepOversight,
    /// Whether the last step was near a bound of preference optimisation: told of once.
    pub(crate) is_alarmed: bool,
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

/// What a part of a step gives; metrics are those of preference optimisation.
type Part = (LossAndGradients, Option<PreferenceMetrics>);

/// The summed log-probabilities of every pair under the policy that a job starts from.
pub(crate) fn reference(
    replicas: &mut Replicas,
    examples: &Examples,
    start: &Weights,
    layers: usize,
    oversight: &StepOversight,
) -> Result<Arc<[PairSums]>, LearnerError> {
    let Examples::Dpo(pairs) = examples else { return Ok(Arc::default()) };
    let observer = observer(oversight, layers, pairs.len());
    let each = pairs.len().div_ceil(replicas.count()).max(1);
    let shares = (0..pairs.len()).step_by(each).map(|first| first..pairs.len().min(first + each)).collect();
    let (pairs, start) = (Arc::clone(pairs), Arc::clone(start));
    let mut sums = Vec::with_capacity(pairs.len());
    replicas.each(
        move |replica| replica.whole(start),
        shares,
        move |replica, decoder, share| {
            let share = pairs.get(share).unwrap_or_default().iter();
            let settings = replica.workplace.observed_by(&observer);
            let sums = share.map(|pair| loss::pair_sums(&**decoder, pair, &settings));
            sums.collect::<Result<Vec<_>, _>>().map_err(|error| refused(&error))
        },
        |more| sums.extend(more),
    )?;
    Ok(sums.into())
}

impl Job {
    /// Loss and gradients of a step's examples, part by part; in smaller parts from now on where memory does
    /// not suffice.
    pub(crate) fn gradients(
        &mut self,
        replicas: &mut Replicas,
        batch: &[usize],
    ) -> Result<StepGradients, LearnerError> {
        let lengths: Vec<usize> = batch.iter().map(|index| self.examples.length(*index)).collect();
        let mut limit = self.state.position.micro_batch_tokens;
        let (mut found, shortages) = within_memory(&mut limit, &lengths, |limit| match &self.examples {
            Examples::Sft(sequences) => self.sft_gradients(replicas, sequences, batch, limit),
            Examples::Dpo(pairs) => self.dpo_gradients(replicas, pairs, batch, limit),
        })?;
        self.state.position.micro_batch_tokens = limit;
        found.memory_shortages = shortages;
        found.tokens = lengths.iter().map(|length| *length as u64).sum();
        Ok(found)
    }

    /// Marks what is near a bound of preference optimisation, and gives it where the step before was not near.
    ///
    /// # Errors
    /// [`LearnerError::Refused`] where it is beyond.
    pub(crate) fn alarm(
        &mut self,
        metrics: Option<&mut PreferenceMetrics>,
    ) -> Result<Option<PreferenceAlarm>, LearnerError> {
        let Some(metrics) = metrics.filter(|_| self.version.is_bounded()) else { return Ok(None) };
        let reached = self.dpo.reached(metrics.margin, metrics.chosen_drift);
        metrics.is_alarming = reached.is_some();
        let is_news = !std::mem::replace(&mut self.is_alarmed, reached.is_some());
        let Some(BoundReached { bound, found, most }) = reached else { return Ok(None) };
        let what = match bound {
            PreferenceBound::Margin => "a mean reward margin",
            PreferenceBound::ChosenDrop => "a mean loss of the chosen responses' log-probability a token",
        };
        let alarm = PreferenceAlarm { what, found, key: bound.key(), most };
        if found > most {
            let step = self.state.position.step;
            let reason = format!(
                "preference optimisation has come to {alarm} after {step} steps: lower \
                 `training.preference.peak_learning_rate`, or raise the bound (0 sets none)"
            );
            return Err(LearnerError::Refused(reason));
        }
        Ok(is_news.then_some(alarm))
    }

    fn sft_gradients(
        &self,
        replicas: &mut Replicas,
        sequences: &Arc<[Sequence]>,
        batch: &[usize],
        limit: usize,
    ) -> Result<StepGradients, LearnerError> {
        let targets = batch.iter().filter_map(|index| sequences.get(*index)).map(|one| one.target.len());
        let targets = targets.sum::<usize>().max(1);
        let sequences = Arc::clone(sequences);
        self.sum(replicas, batch, limit, move |settings, decoder, part| {
            let part: Vec<_> = part.iter().filter_map(|index| sequences.get(*index)).collect();
            allocate(part.iter().map(|sequence| sequence.tokens.len()).sum());
            Ok((loss::sft(decoder, &part, targets, settings)?, None))
        })
    }

    fn dpo_gradients(
        &self,
        replicas: &mut Replicas,
        pairs: &Arc<[(Sequence, Sequence)]>,
        batch: &[usize],
        limit: usize,
    ) -> Result<StepGradients, LearnerError> {
        let (step_pairs, dpo, version) = (batch.len(), self.dpo.clone(), self.version);
        let (pairs, reference) = (Arc::clone(pairs), Arc::clone(&self.reference));
        self.sum(replicas, batch, limit, move |settings, decoder, part| {
            let part = part.iter().filter_map(|index| pairs.get(*index).zip(reference.get(*index).copied()));
            let (part, reference): (Vec<_>, Vec<_>) = part.unzip();
            allocate(part.iter().copied().map(pair_length).sum());
            let (found, metrics) =
                loss::preference(decoder, &part, &reference, step_pairs, &dpo, version, settings)?;
            Ok((found, Some(metrics)))
        })
    }

    /// Cuts a step's examples into parts of at most `limit` tokens, and adds up what `work` makes of them.
    fn sum(
        &self,
        replicas: &mut Replicas,
        batch: &[usize],
        limit: usize,
        work: impl Fn(&ForwardSettings, &dyn TrainableDecoder, Vec<usize>) -> Result<Part, BatchError>
        + Clone
        + Send
        + 'static,
    ) -> Result<StepGradients, LearnerError> {
        let parts = parts(batch, limit, |index| self.examples.length(*index));
        // forward and backward
        let observer = observer(&self.oversight, self.state.position.decoder.layer_count, 2 * parts.len());
        let parts = parts.into_iter().map(<[usize]>::to_vec).collect();
        let (trained, version, overseen) = (self.state.trained.clone(), self.version, self.oversight.clone());
        let mut sum: Option<Part> = None;
        replicas.each(
            // the masters are let go of before the first part, so that nothing is shared when they change
            move |replica| replica.decoder(trained, version),
            parts,
            move |replica, decoder, part| {
                overseen.goes_on()?;
                work(&replica.workplace.observed_by(&observer), &**decoder, part)
                    .map_err(|error| refused(&error))
            },
            |part| add(&mut sum, part),
        )?;
        let (whole, preferences) =
            sum.ok_or_else(|| LearnerError::Refused("a step has no example".to_owned()))?;
        let LossAndGradients { loss, gradients } = whole;
        Ok(StepGradients { loss, gradients, tokens: 0, preferences, memory_shortages: 0 })
    }
}

/// Adds a part to the sum of those before.
fn add(sum: &mut Option<Part>, part: Part) {
    let Some((whole, preferences)) = sum else {
        *sum = Some(part);
        return;
    };
    whole.loss += part.0.loss;
    whole.gradients.add(&part.0.gradients);
    if let (Some(metrics), Some(more)) = (preferences, part.1) {
        loss::add_metrics(metrics, &more);
    }
}

/// Tells of every layer that one of so many passes through all of them has gone through.
fn observer(oversight: &StepOversight, layers: usize, passes: usize) -> LayerObserver {
    let (overseen, done) = (oversight.clone(), AtomicUsize::new(0));
    LayerObserver::new(move || {
        overseen.piece_done(done.fetch_add(1, Ordering::Relaxed) + 1, layers * passes);
    })
}

/// A part of so many tokens is about to go through a device; in tests one may be full.
#[cfg(not(test))]
const fn allocate(_: usize) {}

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
