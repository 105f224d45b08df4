//! What is done when a device runs out of memory: the step's parts are halved until they fit.
//!
//! burn hands a failed allocation on until a tensor is read, and reading it panics with the allocator's text.
//! That panic is caught here, once, around all of a step's work on the device, and told apart from others by
//! its text. Gradients do not depend on how a step is cut, beyond rounding.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use still_embedded::LearnerError;

/// What allocators say when there is no memory left, in lower case.
const SHORTAGES: [&str; 4] = ["out of memory", "out of device memory", "out-of-memory error", "outofmemory"];

/// Gives the result of `work(limit)`, where `work` takes a step's members in parts of at most `limit`
/// tokens, and how often `limit` was halved until it came through. `lengths` are those of the members.
///
/// # Errors
/// Those of `work`; and [`LearnerError::Device`] when a single member does not fit.
pub(crate) fn within_memory<T>(
    limit: &mut usize,
    lengths: &[usize],
    mut work: impl FnMut(usize) -> Result<T, LearnerError>,
) -> Result<(T, u32), LearnerError> {
    let mut shortages = 0;
    loop {
        let panic = match catch_unwind(AssertUnwindSafe(|| work(*limit))) {
            Ok(result) => return Ok((result?, shortages)),
            Err(panic) => panic,
        };
        if !is_shortage(&*panic) {
            resume_unwind(panic);
        }
        let (together, longest) = (lengths.iter().sum::<usize>(), lengths.iter().max().copied().unwrap_or(0));
        if *limit <= longest {
            let reason = format!(
                "out of memory with a sequence of {longest} tokens alone: set \
                 `training.recompute_activations`, or lower `max_sequence_tokens`"
            );
            return Err(LearnerError::Device(reason));
        }
        shortages += 1;
        // a limit above what the step has cuts nothing
        *limit = ((*limit).min(together) / 2).max(1);
        tracing::warn!(micro_batch_tokens = *limit, "out of memory: the step is taken in smaller parts");
    }
}

fn is_shortage(panic: &(dyn Any + Send)) -> bool {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default().to_lowercase();
    SHORTAGES.iter().any(|shortage| text.contains(shortage))
}

/// A device of few tokens, for tests of the whole learner.
#[cfg(test)]
pub(crate) mod simulated {
    use std::cell::Cell;

    thread_local! {
        static MAX_TOKENS: Cell<usize> = const { Cell::new(usize::MAX) };
    }

    /// From now on, parts of more tokens than this fail on this thread as they do on a full GPU.
    pub(crate) fn limit(max_tokens: usize) {
        MAX_TOKENS.set(max_tokens);
    }

    /// What fits on this thread: replicas' threads take it over with their work.
    pub(crate) fn max_tokens() -> usize {
        MAX_TOKENS.get()
    }

    /// Fails when the part is too large.
    pub(crate) fn allocate(tokens: usize) {
        assert!(
            tokens <= MAX_TOKENS.get(),
            "Error while reading data: An error happened during execution\nCaused by:\n  \
             out of device memory allocating {tokens} bytes"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::{
        ops::Range,
        path::{Path, PathBuf},
        sync::Arc,
    };

    use still_decoder::hugging_face;
    use still_domain::Statement;
    use still_domain::{Algorithm, CheckpointId, Recipe, RoundNumber, TrainingSetId};
    use still_embedded::{Learner, LearnerJob};
    use still_library::{BaseModel, PolicyLibrary};
    use still_recipe::{LearnerSettings, TrainingSection};
    use still_roles::{
        Example, ExamplesInMemory, LearnerStep, NoCheckpoints, Response, SftExample, TrainingJob,
    };
    use still_training_data::{EncodedExample, ExampleEncoder};

    use super::*;
    use crate::{BasePolicy, LearnerConfig, LearnerDevice, PolicyLearner};

    #[test]
    fn a_shortage_halves_the_parts_until_they_fit_and_is_counted() {
        let (mut limit, mut tried) = (1000, Vec::new());
        let found = within_memory(&mut limit, &[40, 30, 30], |limit| {
            tried.push(limit);
            assert!(limit <= 30, "out of device memory allocating {limit} bytes");
            Ok(limit)
        });
        assert_eq!(found.unwrap(), (25, 2));
        assert_eq!((limit, tried), (25, vec![1000, 50, 25]));
    }

    #[test]
    fn a_sequence_that_does_not_fit_alone_is_an_error_with_the_remedy() {
        let mut limit = 1000;
        let found: Result<((), u32), _> =
            within_memory(&mut limit, &[40, 30], |_| panic!("out of device memory allocating 9 bytes"));
        assert!(found.unwrap_err().to_string().contains("recompute_activations"));
    }

    /// Problems are lists of tokens.
    struct Numbers;

    impl ExampleEncoder for Numbers {
        fn encode(&self, problem: &Statement, response: &Response) -> Result<EncodedExample, String> {
            let numbers = |text: &str| -> Result<Vec<u32>, String> {
                text.split(' ').map(|token| token.parse().map_err(|error| format!("{error}"))).collect()
            };
            let mut tokens = numbers(problem)?;
            let prompt_tokens = tokens.len();
            match response {
                Response::Tokens(drawn) => tokens.extend(drawn),
                Response::Text(text) => tokens.extend(numbers(text)?),
            }
            Ok(EncodedExample { tokens, prompt_tokens })
        }

        fn thought(&self, _: &[u32]) -> Option<Range<usize>> {
            None
        }

        fn save(&self, _: &Path) -> Result<(), String> {
            Ok(())
        }
    }

    fn learner(replicas: usize) -> PolicyLearner {
        let folder = Path::new("../decoder/tests/fixtures/llama");
        let (config, weights) = hugging_face::load_folder(folder).unwrap();
        let base = BasePolicy { name: None, config };
        let nowhere = |checkpoint: &CheckpointId| PathBuf::from(checkpoint.as_str());
        let library = PolicyLibrary::new(BaseModel::in_memory(None, Arc::new(weights)), nowhere, |_| {
            Err("there are no checkpoints".to_owned())
        });
        let job = LearnerSettings { steps: 4, batch_sequences: 4, ..LearnerSettings::default() };
        let training =
            TrainingSection { imitation: job.clone(), improvement: job, ..TrainingSection::default() };
        let config = LearnerConfig { training, threads: 1 };
        let (library, encoder) = (Arc::new(library), Arc::new(Numbers));
        PolicyLearner::new(config, base, library, encoder, vec![LearnerDevice::Processor; replicas])
    }

    fn examples() -> Vec<Example> {
        let example = |number: u32| {
            let response = Response::Tokens((0..5).map(|position| (number + position) % 20).collect());
            Example::Sft(SftExample { problem: "1 2 3".into(), response })
        };
        (0..8).map(example).collect()
    }

    fn job(resume: Option<&Path>) -> LearnerJob {
        let objective = Algorithm::Sft;
        let job = TrainingJob {
            round: RoundNumber(0),
            training_set: TrainingSetId::new("set"),
            legacy_training_set: None,
            recipe: Recipe::Imitation,
            objective,
            examples: Arc::new(ExamplesInMemory(examples())),
            start: None,
            seed: 1,
            checkpoint_every_steps: 0,
            checkpoints: Arc::new(NoCheckpoints),
        };
        LearnerJob { resume: resume.map(Path::to_owned), ..LearnerJob::fresh(job) }
    }

    #[test]
    fn a_learner_that_runs_out_of_memory_goes_on_in_smaller_parts_with_the_same_losses() {
        let mut whole = learner(1);
        whole.begin(&job(None)).unwrap();
        let expected: Vec<_> = (0..4).map(|_| whole.step().unwrap()).collect();
        assert!(expected.iter().all(|step| step.memory_shortages == 0));

        let mut seen = None;
        for replicas in 1..=3 {
            // four sequences of eight tokens a step: two fit
            simulated::limit(17);
            let folder = tempfile::tempdir().unwrap();
            let mut short = learner(replicas);
            short.begin(&job(None)).unwrap();
            let mut found: Vec<_> = (0..2).map(|_| short.step().unwrap()).collect();
            short.save(folder.path()).unwrap();
            let mut resumed = learner(replicas);
            resumed.begin(&job(Some(folder.path()))).unwrap();
            found.extend((0..2).map(|_| resumed.step().unwrap()));
            simulated::limit(7);
            let alone = learner(replicas).step_after_begin();
            simulated::limit(usize::MAX);

            let shortages: Vec<_> = found.iter().map(|step| step.memory_shortages).collect();
            assert_eq!(shortages, [1, 0, 0, 0], "it is found out once, and a resumed job knows it");
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(found.tokens, expected.tokens);
                assert!((found.loss - expected.loss).abs() < 1e-5, "{found:?} {expected:?}");
            }
            assert!(matches!(alone, Err(LearnerError::Device(_))), "{alone:?}");
            assert_eq!(*seen.get_or_insert_with(|| found.clone()), found, "{replicas} replicas");
        }
    }

    impl PolicyLearner {
        fn step_after_begin(mut self) -> Result<LearnerStep, LearnerError> {
            self.begin(&job(None))?;
            self.step()
        }
    }

    #[test]
    fn other_panics_and_errors_go_through() {
        let mut limit = 10;
        let refused: Result<((), u32), _> =
            within_memory(&mut limit, &[4], |_| Err(LearnerError::Refused("no".to_owned())));
        assert!(matches!(refused, Err(LearnerError::Refused(_))));
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            within_memory::<()>(&mut limit, &[4], |_| panic!("index out of range"))
        }));
        assert!(panicked.is_err());
        assert_eq!(limit, 10);
    }
}
