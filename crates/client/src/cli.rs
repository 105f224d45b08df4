//! The command line of `stillctl`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use still_control::{Exit, SOCKET_NAME};
use still_domain::{AttemptId, CHECKPOINTS_NAME, CheckpointId, Outcome, Split};

/// Controls a running stilld over its socket.
#[derive(Debug, Parser)]
#[command(name = "stillctl", version, after_help = Exit::table())]
pub(crate) struct Cli {
    /// What to ask.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// The daemon's data directory.
    #[arg(long, global = true, value_name = "DIR", env = "STILL_DATA_DIR", default_value = "data")]
    data_dir: PathBuf,
    /// The daemon's socket, in place of `stilld.sock` in the data directory.
    #[arg(long, global = true, value_name = "FILE", env = "STILL_SOCKET")]
    socket: Option<PathBuf>,
    /// JSON in place of tables.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What to ask.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// How the daemon stands.
    Status {
        /// Who waits for whom, and for how long.
        #[arg(long)]
        why: bool,
    },
    /// What happens, as it happens, until the daemon ends.
    ///
    /// Progress is told twenty times a phase. With `--json`, every event is a line of its own.
    Watch {
        /// Tell every step and every answer.
        #[arg(long)]
        every: bool,
    },
    /// Stop taking up new work, of one activity or of both.
    Pause {
        /// The activity.
        activity: Option<Activity>,
    },
    /// Go on, with one activity or with both.
    Resume {
        /// The activity.
        activity: Option<Activity>,
    },
    /// Finish the work in flight, then end the daemon.
    Drain,
    /// End the daemon without waiting for work in flight.
    Stop,
    /// Write a checkpoint of the training at work.
    Checkpoint,
    /// Close the round's exploration now.
    Seal,
    /// Problems.
    #[command(subcommand)]
    Problems(ProblemsCommand),
    /// Demonstrations.
    #[command(subcommand)]
    Demonstrations(DemonstrationsCommand),
    /// The pool of judged trajectories.
    #[command(subcommand)]
    Pool(PoolCommand),
    /// Rounds with their accuracies.
    Rounds,
    /// Sealed training sets.
    Sets,
    /// Published policies.
    #[command(subcommand)]
    Policies(PoliciesCommand),
    /// The servers that draw rollouts, where some do.
    #[command(subcommand)]
    Servers(ServersCommand),
    /// Print shell completions.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Break something, to see that it comes back; only in builds with fault injection.
    #[command(subcommand, hide = true)]
    Fault(FaultCommand),
}

/// Problems.
#[derive(Debug, Subcommand)]
pub(crate) enum ProblemsCommand {
    /// Import problems with gold answers.
    ///
    /// Each line: `problem`, `question` or `prompt` (text, or messages with one question); `answer` or `gold`
    /// (a number, text, GSM8K's `#### n`), `reward_model`, or a `solution` with a box; optionally `choices` or
    /// `options`, which become part of the statement, `id`, `level` or `difficulty`, `kind`.
    ///
    /// All are imported, or none. Refused, by name: a problem that cannot be judged (a gold answer or tests
    /// that cannot be used, a program where none can be confined), a field that means something elsewhere and
    /// nothing here, and a problem to hold out that repeats what the run explores or imitates. Left out and
    /// counted: a problem to explore that repeats a held-out one, and lines that say that they have no answer
    /// (`proof`, `problem_is_valid`). The same statement with the same gold answer is known, from whatever file
    /// and under whatever name; with another one it is a conflict.
    Import {
        /// The file and what to do with broken lines.
        #[command(flatten)]
        import: ImportArguments,
        /// What the problems are for.
        #[arg(long, value_enum, default_value_t = SplitName::Explore)]
        split: SplitName,
        /// What to do with a problem that is known with another gold answer or kind of answer.
        #[arg(long, value_enum, default_value_t = OnConflict::Abort)]
        on_conflict: OnConflict,
    },
    /// Show a problem whole.
    Show {
        /// Its name.
        id: String,
    },
    /// Give problems that are parked or exhausted further attempts.
    Revive {
        /// Their names.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        ids: Vec<String>,
        /// All that are parked or exhausted.
        #[arg(long)]
        all: bool,
        /// Further attempts at each.
        #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        attempts: u32,
    },
    /// List problems whose wrong answers agree with each other: their gold answers are suspect.
    Suspects,
    /// List problems with what has come of them, those to explore first.
    List {
        /// Only problems of this level.
        #[arg(long)]
        level: Option<u8>,
        /// Only problems for this use.
        #[arg(long, value_enum)]
        split: Option<SplitName>,
        /// At most this many.
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u64,
    },
}

/// Demonstrations.
#[derive(Debug, Subcommand)]
pub(crate) enum DemonstrationsCommand {
    /// Import demonstrations of long thoughts.
    ///
    /// Each line: a problem with `thought` and `solution`, or with a `response` or `completion` that holds
    /// both in their tags (or `<think>`), or `messages` of one user and one assistant, whose thought may stand in
    /// `reasoning_content`. One that repeats a held-out problem is left out and counted.
    Import(ImportArguments),
    /// List demonstrations.
    List {
        /// At most this many.
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u64,
    },
    /// Show a demonstration whole, as it is imitated.
    Show {
        /// Its name.
        id: String,
    },
}

/// A file to import.
#[derive(Debug, Args)]
pub(crate) struct ImportArguments {
    /// The JSONL file; "-" reads standard input.
    pub(crate) file: PathBuf,
    /// What to do at a broken line.
    #[arg(long, value_enum, default_value_t = OnError::Abort)]
    pub(crate) on_error: OnError,
}

/// The pool of judged trajectories.
#[derive(Debug, Subcommand)]
pub(crate) enum PoolCommand {
    /// List trajectories.
    List {
        /// Which ones.
        #[command(flatten)]
        filter: PoolFilter,
        /// At most this many.
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u64,
    },
    /// Show one trajectory with everything known of it.
    Show {
        /// The attempt, `problem#number`.
        id: AttemptId,
    },
    /// Write every trajectory with everything known of it, one JSON object a line.
    Export {
        /// Which ones.
        #[command(flatten)]
        filter: PoolFilter,
        /// At most this many.
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
    },
}

/// Which trajectories.
#[derive(Debug, Args)]
pub(crate) struct PoolFilter {
    /// Only those with this verdict.
    #[arg(long, value_parser = outcome)]
    pub(crate) verdict: Option<Outcome>,
    /// Only those of this problem.
    #[arg(long, value_name = "ID")]
    pub(crate) problem: Option<String>,
    /// Only those that this policy version began.
    #[arg(long, value_name = "VERSION")]
    pub(crate) policy: Option<u64>,
}

/// Published policies.
#[derive(Debug, Subcommand)]
pub(crate) enum PoliciesCommand {
    /// List published policies.
    List,
    /// Put a published policy in force again, under a new version.
    Promote {
        /// The version to copy.
        version: u64,
    },
    /// Put the policy before the present one in force again, under a new version.
    Rollback,
}

/// The servers that draw rollouts.
#[derive(Debug, Subcommand)]
pub(crate) enum ServersCommand {
    /// List the servers with their load.
    List,
    /// Take a server in while rounds go on.
    ///
    /// It is run by the settings of the first section of its kind, looked at, and given the policy in force before it is
    /// sent anything. The configuration is not changed.
    Add {
        /// Where it is, for example `http://node-2:8000`.
        address: String,
        /// The kind of engine, where the configuration has sections of several.
        #[arg(long)]
        kind: Option<String>,
    },
    /// Take a server out while rounds go on.
    ///
    /// It is sent nothing more and ends what it holds. The configuration is not changed.
    Remove {
        /// Where it is, as `servers list` names it.
        address: String,
        /// Draw what it holds elsewhere, from the start.
        #[arg(long)]
        now: bool,
    },
}

/// Break something.
#[derive(Debug, Subcommand)]
pub(crate) enum FaultCommand {
    /// Kill an actor.
    Kill {
        /// The actor.
        actor: String,
    },
}

/// An activity of the daemon.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Activity {
    /// Rollouts.
    Explore,
    /// Optimizer steps.
    Train,
}

/// What to do at a broken line.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum OnError {
    /// Import nothing.
    Abort,
    /// Keep the good lines.
    Skip,
}

/// What to do with a problem that is known with another gold answer.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum OnConflict {
    /// Import nothing.
    Abort,
    /// The known gold answer stays.
    Keep,
    /// The known problem gets the new one; what was judged by the old one stays judged so.
    Replace,
}

/// What problems are for.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum SplitName {
    /// The policy explores them.
    Explore,
    /// Candidates are compared on them.
    #[value(alias = "evaluate")]
    Dev,
    /// Policies are scored on them, and nothing is chosen by that.
    Test,
}

impl Cli {
    /// The folder of a checkpoint, where the data directory is known.
    pub(crate) fn checkpoint_folder(&self, checkpoint: &CheckpointId) -> Option<PathBuf> {
        let data_dir = self.socket.is_none().then_some(&self.data_dir)?;
        Some(data_dir.join(CHECKPOINTS_NAME).join(checkpoint.as_str()))
    }

    /// The socket to ask.
    pub(crate) fn socket(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| self.data_dir.join(SOCKET_NAME))
    }
}

impl From<Activity> for still_control::Activity {
    fn from(activity: Activity) -> Self {
        match activity {
            Activity::Explore => Self::Explore,
            Activity::Train => Self::Train,
        }
    }
}

impl From<OnError> for still_control::OnError {
    fn from(on_error: OnError) -> Self {
        match on_error {
            OnError::Abort => Self::Abort,
            OnError::Skip => Self::Skip,
        }
    }
}

impl From<OnConflict> for still_control::OnConflict {
    fn from(on_conflict: OnConflict) -> Self {
        match on_conflict {
            OnConflict::Abort => Self::Abort,
            OnConflict::Keep => Self::Keep,
            OnConflict::Replace => Self::Replace,
        }
    }
}

impl From<SplitName> for Split {
    fn from(split: SplitName) -> Self {
        match split {
            SplitName::Explore => Self::Explore,
            SplitName::Dev => Self::Dev,
            SplitName::Test => Self::Test,
        }
    }
}

fn outcome(text: &str) -> Result<Outcome, String> {
    Outcome::ALL.into_iter().find(|outcome| outcome.name() == text).ok_or_else(|| {
        let known = Outcome::ALL.map(Outcome::name).join(", ");
        format!("write one of {known}")
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_socket_lies_in_the_data_directory_unless_it_is_named() {
        let socket = |words: &[&str]| Cli::try_parse_from(words).unwrap().socket();
        assert_eq!(socket(&["stillctl", "--data-dir", "d", "status"]), PathBuf::from("d/stilld.sock"));
        assert_eq!(socket(&["stillctl", "status", "--socket", "s"]), PathBuf::from("s"));
    }

    #[test]
    fn an_unknown_verdict_names_the_known_ones() {
        let error = Cli::try_parse_from(["stillctl", "pool", "list", "--verdict", "good"]).unwrap_err();
        assert!(error.to_string().contains("no_answer"), "{error}");
    }
}
