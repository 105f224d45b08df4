//! A job before its first step: what it trains on, by which settings, in which order, and what it is called.

use still_decoder::DecoderWeights;
use still_embedded::LearnerError;
use still_recipe::LearnerSettings;
use still_roles::TrainingJob;
use still_training_data::{
    DataError, DataOrder, EncodingRules, ExampleEncoder, Examples, JobVersion, encode_all,
};

use crate::{config::LearnerConfig, fingerprint::JobIdentity};

/// A job before its first step.
pub(crate) struct JobPlan {
    pub(crate) version: JobVersion,
    pub(crate) settings: LearnerSettings,
    pub(crate) examples: Examples,
    /// Examples that are longer than the settings allow.
    pub(crate) left_out: usize,
    /// What its checkpoints are written under.
    pub(crate) name: String,
}

/// What a plan is made from.
#[derive(Clone, Copy)]
pub(crate) struct Planning<'a> {
    pub(crate) job: &'a TrainingJob,
    pub(crate) learner: &'a LearnerConfig,
    pub(crate) encoder: &'a dyn ExampleEncoder,
    /// Positions that the model has.
    pub(crate) positions: usize,
    /// What adapters are trained beside.
    pub(crate) frozen: Option<&'a DecoderWeights>,
}

impl Planning<'_> {
    /// The job as it begins now.
    ///
    /// # Errors
    /// When an example cannot be encoded, or none is left.
    pub(crate) fn begin(self) -> Result<JobPlan, LearnerError> {
        let [newest, ..] = JobVersion::ALL;
        let (plan, _) = self.plan(newest, None)?;
        Ok(plan)
    }

    /// The job as it was begun by the program that wrote a checkpoint under `name`; `None` when that is another job's.
    ///
    /// # Errors
    /// When an example cannot be encoded, or none is left.
    pub(crate) fn go_on(self, name: &str) -> Result<Option<JobPlan>, LearnerError> {
        for version in JobVersion::ALL {
            let (plan, is_called) = self.plan(version, Some(name))?;
            if is_called {
                return Ok(Some(plan));
            }
        }
        Ok(None)
    }

    /// The plan of a job of some version, and whether that is called `name`.
    fn plan(self, version: JobVersion, name: Option<&str>) -> Result<(JobPlan, bool), LearnerError> {
        let Self { job, learner, encoder, positions, frozen } = self;
        let settings = version.settings(job, &learner.training);
        let limit = EncodingRules::longest(settings.max_sequence_tokens, positions);
        let span = learner.training.dpo.span;
        let rules = EncodingRules { limit, span, compares_like_with_like: version.compares_like_with_like() };
        let (examples, left_out) =
            encode_all(encoder, &*job.examples, job.objective, rules).map_err(unusable)?;
        if examples.is_empty() {
            let reason = format!("no example is left of {left_out} once those over {limit} tokens are out");
            return Err(LearnerError::Refused(reason));
        }
        let identity = JobIdentity { version, job, learner, config: settings, examples: &examples, frozen };
        let is_called = name.is_some_and(|name| identity.is_called(name));
        let (name, settings) = (identity.name(), settings.clone());
        Ok((JobPlan { version, settings, examples, left_out, name }, is_called))
    }
}

impl JobPlan {
    /// Its examples in the order of its steps.
    pub(crate) fn order(&self, seed: u64) -> DataOrder {
        DataOrder::new(self.version, seed, self.examples.lengths(), &self.settings)
    }
}

/// What a job's examples fail for.
fn unusable(error: DataError) -> LearnerError {
    match error {
        DataError::Refused(reason) => LearnerError::Refused(reason),
        DataError::Source(error) => error.into(),
    }
}
