//! What opens training runs that a command takes.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use still_decoder::{DecoderConfig, DecoderWeights};
use still_embedded::TrainingThread;
use still_library::PolicyLibrary;
use still_process::Turns;
use still_recipe::TrainingSection;
use still_roles::TrainingFactory;
use still_text::Tokenizer;
use still_training_data::ExampleEncoder;

use crate::supervisor::Supervisor;

/// Merges the adapter in a folder into what training started from.
pub type MergeAdapter = dyn Fn(&Path, &DecoderWeights) -> Result<DecoderWeights, String> + Send + Sync;

/// A command that trains, with all that its jobs are made of.
pub struct ExternalTrainer {
    /// How training works, and the command.
    pub settings: TrainingSection,
    /// Where the folders of jobs are made: on the disk of the checkpoints.
    pub root: PathBuf,
    /// The sizes of the run's model.
    pub config: DecoderConfig,
    /// Every policy of the run.
    pub library: Arc<PolicyLibrary>,
    /// Makes tokens of examples.
    pub encoder: Arc<dyn ExampleEncoder>,
    /// The run's tokenizer.
    pub tokenizer: Tokenizer,
    /// Merges an adapter.
    pub merge: Arc<MergeAdapter>,
    /// Where it uses devices in turns with others.
    pub turns: Option<Turns>,
    /// Threads of the processor for the check of what came back.
    pub threads: usize,
}

impl ExternalTrainer {
    /// Training runs that are called `name`, one at a time.
    pub fn factory(self, name: impl Into<String>) -> TrainingFactory {
        let given = Arc::new(self);
        let build = move || Ok(Box::new(Supervisor::new(Arc::clone(&given))));
        TrainingThread::factory(name, build, |supervisor: &mut Supervisor, orders, events, _| {
            supervisor.work(orders, events)
        })
    }
}

impl fmt::Debug for ExternalTrainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalTrainer")
            .field("command", &self.settings.command)
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}
