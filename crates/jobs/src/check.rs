//! `stilld check`: every record of a stopped daemon's store, and every file of every checkpoint.

use std::io::{Write, stdout};

use serde_json::json;
use still_control::{Exit, Failure, OrExit};
use still_domain::{CHECKPOINTS_NAME, CheckpointId};
use still_operator::cli::CheckArguments;
use still_store::{CheckpointFiles, Store, Verified};

use super::output_failed;

/// Checks a data directory, prints what is sound and what is damaged, and what helps.
pub fn check(arguments: &CheckArguments) -> Result<Exit, Failure> {
    let store = Store::open_read_only(&arguments.data_dir).or_exit(Exit::Store)?;
    let mut all = store.verify();
    let (files, damaged) = checkpoints(&store, arguments)?;
    all.push(files);
    let in_force = store.current_policy().ok().flatten().and_then(|policy| policy.checkpoint);
    let remedies = remedies(&store, &damaged, in_force.as_ref());
    let shown = if arguments.json { as_json(&all, &remedies) } else { table(&all, &remedies) };
    stdout().lock().write_all(shown.as_bytes()).map_err(|error| output_failed(&error))?;
    let count: usize = all.iter().map(|one| one.damaged.len()).sum();
    if count == 0 {
        return Ok(Exit::Success);
    }
    Err(Failure::new(Exit::Store, format!("`{}` is damaged in {count} places", arguments.data_dir.display())))
}

/// The files of every checkpoint against their manifests, and the checkpoints of which some do not fit.
fn checkpoints(store: &Store, arguments: &CheckArguments) -> Result<(Verified, Vec<CheckpointId>), Failure> {
    let files = CheckpointFiles::at(&arguments.data_dir.join(CHECKPOINTS_NAME));
    let mut verified = Verified { what: "checkpoints, file by file", sound: 0, damaged: Vec::new() };
    let mut damaged = Vec::new();
    for manifest in store.checkpoints().or_exit(Exit::Store)? {
        match files.check(&manifest) {
            Ok(()) => verified.sound += 1,
            Err(damage) => {
                let folder = files.folder(&manifest.id);
                verified.damaged.push(format!("`{}`: {}", folder.display(), damage.reason));
                damaged.push(manifest.id);
            }
        }
    }
    Ok((verified, damaged))
}

/// What helps against damaged checkpoints.
fn remedies(store: &Store, damaged: &[CheckpointId], in_force: Option<&CheckpointId>) -> Vec<String> {
    let Some(in_force) = in_force.filter(|in_force| damaged.contains(in_force)) else {
        let note = "damaged checkpoints that are not in force are passed over when training goes on";
        return if damaged.is_empty() { Vec::new() } else { vec![note.to_owned()] };
    };
    let policies = store.policies().unwrap_or_default();
    let is_whole = |checkpoint: &Option<CheckpointId>| match checkpoint {
        Some(id) => !damaged.contains(id) && store.checkpoint(id).is_ok_and(|found| found.is_some()),
        None => true,
    };
    let whole = policies.iter().rev().find(|policy| is_whole(&policy.checkpoint));
    vec![match whole {
        Some(policy) => format!(
            "checkpoint {in_force} is of the policy in force: restore it from a copy, or go on from version {0} with \
             `stilld policies promote {0}`",
            policy.version
        ),
        None => format!("checkpoint {in_force} is of the policy in force: restore it from a copy"),
    }]
}

fn as_json(all: &[Verified], remedies: &[String]) -> String {
    let each: Vec<_> =
        all.iter().map(|one| json!({"what": one.what, "sound": one.sound, "damaged": one.damaged})).collect();
    format!("{:#}\n", json!({"checked": each, "remedies": remedies}))
}

fn table(all: &[Verified], remedies: &[String]) -> String {
    let mut text = String::new();
    for one in all {
        text.push_str(&format!("{:<28} {:>9} sound", one.what, one.sound));
        if !one.damaged.is_empty() {
            text.push_str(&format!(", {} DAMAGED", one.damaged.len()));
        }
        text.push('\n');
        one.damaged.iter().for_each(|damage| text.push_str(&format!("  {damage}\n")));
    }
    for remedy in remedies {
        text.push_str(&format!("{remedy}\n"));
    }
    text
}
