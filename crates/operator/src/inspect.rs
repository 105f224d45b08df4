//! A stopped daemon's records, read only: tables for people, JSON for programs.

use std::{
    io::{self, Write},
    ops::ControlFlow,
};

use comfy_table::{Table, presets};
use still_control::{PoolEntry, RoundReport};
use still_domain::{JudgedTrajectory, PolicyRecord, Round, TrainingSet};
use thiserror::Error;

use crate::{cli::InspectSubject, round_table};

/// The records of a data directory.
pub trait Records {
    /// Why they cannot be read.
    type Error: std::error::Error + 'static;

    /// Every round, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn rounds(&self) -> Result<Vec<Round>, Self::Error>;

    /// Calls `visit` with every judged trajectory, in the order of the ids, until it breaks off.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn each_trajectory(
        &self,
        visit: &mut dyn FnMut(JudgedTrajectory) -> ControlFlow<()>,
    ) -> Result<(), Self::Error>;

    /// Every sealed training set, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn sets(&self) -> Result<Vec<TrainingSet>, Self::Error>;

    /// Every published policy, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn policies(&self) -> Result<Vec<PolicyRecord>, Self::Error>;
}

/// Why records could not be shown.
#[derive(Debug, Error)]
pub enum InspectError<E: std::error::Error + 'static> {
    /// They cannot be read.
    #[error(transparent)]
    Records(E),
    /// They cannot be written out.
    #[error("the records cannot be written: {0}")]
    Output(#[from] io::Error),
}

/// Writes what `subject` names. `rounds`, `sets` and `policies` are a JSON array with `json`, a table
/// without; `pool` is one JSON object a line either way.
///
/// # Errors
/// When records cannot be read, or the output cannot be written.
pub fn inspect<R: Records>(
    records: &R,
    subject: InspectSubject,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), InspectError<R::Error>> {
    match subject {
        InspectSubject::Rounds => {
            let rounds = records.rounds().map_err(InspectError::Records)?;
            tell(&rounds, json, out, |rounds| {
                round_table::table(&rounds.iter().map(RoundReport::of).collect::<Vec<_>>())
            })?;
        }
        InspectSubject::Sets => {
            tell(&records.sets().map_err(InspectError::Records)?, json, out, |sets| sets_table(sets))?;
        }
        InspectSubject::Policies => {
            let policies = records.policies().map_err(InspectError::Records)?;
            tell(&policies, json, out, |policies| policies_table(policies))?;
        }
        InspectSubject::Pool => {
            let mut written = Ok(());
            let mut visit = |judged: JudgedTrajectory| {
                let line = serde_json::to_writer(&mut *out, &PoolEntry::from(&judged));
                written = line.map_err(io::Error::from).and_then(|()| out.write_all(b"\n"));
                if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            records.each_trajectory(&mut visit).map_err(InspectError::Records)?;
            written?;
        }
    }
    out.flush()?;
    Ok(())
}

fn tell<T: serde::Serialize>(
    records: &T,
    json: bool,
    out: &mut dyn Write,
    table: impl FnOnce(&T) -> String,
) -> io::Result<()> {
    if json {
        serde_json::to_writer_pretty(&mut *out, records)?;
        writeln!(out)
    } else {
        writeln!(out, "{}", table(records))
    }
}

fn sets_table(sets: &[TrainingSet]) -> String {
    let mut table = headed(&["set", "round", "demonstrations", "trajectories", "pairs", "intact"]);
    for set in sets {
        let content = &set.content;
        table.add_row([
            set.id.to_string(),
            content.round.to_string(),
            content.demonstrations.len().to_string(),
            content.trajectories.len().to_string(),
            content.pairs.len().to_string(),
            if set.is_intact() { "yes" } else { "NO" }.to_owned(),
        ]);
    }
    table.to_string()
}

fn policies_table(policies: &[PolicyRecord]) -> String {
    let mut table = headed(&["version", "from", "checkpoint", "accuracy"]);
    for policy in policies {
        table.add_row([
            policy.version.to_string(),
            policy.origin.to_string(),
            policy.checkpoint.as_ref().map(ToString::to_string).unwrap_or_default(),
            policy.accuracy.as_ref().map(round_table::interval).unwrap_or_default(),
        ]);
    }
    table.to_string()
}

fn headed(names: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(names);
    table
}
