//! Maintenance of the pool on the command line.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use still_domain::{AttemptId, Outcome};

use super::ConfigArguments;

/// Maintenance of a stopped daemon's pool. What is interrupted goes on where it stopped when it is asked for again.
#[derive(Debug, Clone, Subcommand)]
pub enum PoolCommand {
    /// Judge rollouts that were made elsewhere and keep them like the run's own.
    ///
    /// Each line: `problem` with the statement, or `problem_id`, of a problem to explore that the store holds;
    /// `response` with the text, or `tokens` with ids of the model's tokenizer; optionally `logprobs` of the tokens,
    /// `finish` (stop, length), `temperature`, `policy_version` (0, the base model, where nothing is said). What is there
    /// already is known. The same is done at every start with the files of `task.files.rollouts`.
    Import(RolloutArguments),
    /// Judge every trajectory with today's verifier.
    Reverify(RevisionArguments),
    /// Hold every trajectory to today's hygiene.
    Reinspect(RevisionArguments),
    /// Put trajectories out of every set and pair, with a reason that is kept, or let them in again.
    Evict(EvictArguments),
    /// Measure the perplexities of trajectories under one policy, for `selection.scored_by`. What is scored already is
    /// not scored again.
    Rescore(RescoreArguments),
    /// List problems whose wrong answers agree with each other: their gold answers are suspect. Nothing is changed.
    Suspects(SuspectsArguments),
}

impl PoolCommand {
    /// Whether answers and errors are for programs.
    pub const fn is_json(&self) -> bool {
        match self {
            Self::Import(_) => false,
            Self::Reverify(revision) | Self::Reinspect(revision) => revision.json,
            Self::Evict(arguments) => arguments.revision.json,
            Self::Rescore(arguments) => arguments.revision.json,
            Self::Suspects(arguments) => arguments.json,
        }
    }
}

/// Under which policy trajectories are measured.
#[derive(Debug, Clone, Args)]
pub struct RescoreArguments {
    /// A published version.
    #[arg(long, value_name = "VERSION")]
    pub policy: u64,
    /// How it is done.
    #[command(flatten)]
    pub revision: RevisionArguments,
}

/// How suspect gold answers are looked for.
#[derive(Debug, Clone, Args)]
pub struct SuspectsArguments {
    /// Where the configuration comes from: the verifier it names says which answers are one.
    #[command(flatten)]
    pub configuration: ConfigArguments,
    /// JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Rollouts to import.
#[derive(Debug, Clone, Args)]
pub struct RolloutArguments {
    /// The JSONL file.
    pub file: PathBuf,
    /// Where the configuration comes from: model, prompt, verifier and hygiene.
    #[command(flatten)]
    pub configuration: ConfigArguments,
}

/// How a revision is done.
#[derive(Debug, Clone, Args)]
pub struct RevisionArguments {
    /// Where the configuration comes from: the verifier and hygiene it names are today's.
    #[command(flatten)]
    pub configuration: ConfigArguments,
    /// Write nothing, and tell what would change.
    #[arg(long)]
    pub dry_run: bool,
    /// One JSON object for every change, then one for the whole.
    #[arg(long)]
    pub json: bool,
}

/// Which trajectories are put out, and why.
#[derive(Debug, Clone, Args)]
#[command(group(ArgGroup::new("which").required(true).multiple(true)))]
#[command(group(ArgGroup::new("what").required(true)))]
pub struct EvictArguments {
    /// An attempt, `problem#number`; may be given again.
    #[arg(long = "id", value_name = "ATTEMPT", group = "which")]
    pub ids: Vec<AttemptId>,
    /// All of this problem.
    #[arg(long, value_name = "ID", group = "which")]
    pub problem: Option<String>,
    /// All that this policy version began.
    #[arg(long, value_name = "VERSION", group = "which")]
    pub policy: Option<u64>,
    /// All with this verdict.
    #[arg(long, value_parser = outcome, group = "which")]
    pub verdict: Option<Outcome>,
    /// Why.
    #[arg(long, value_name = "TEXT", group = "what")]
    pub reason: Option<String>,
    /// Let them in again.
    #[arg(long, group = "what")]
    pub undo: bool,
    /// How it is done.
    #[command(flatten)]
    pub revision: RevisionArguments,
}

fn outcome(text: &str) -> Result<Outcome, String> {
    Outcome::ALL.into_iter().find(|outcome| outcome.name() == text).ok_or_else(|| {
        let known = Outcome::ALL.map(Outcome::name).join(", ");
        format!("write one of {known}")
    })
}
