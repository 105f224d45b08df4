//! `stilld policies`: the published policies of a stopped daemon. A daemon that runs is asked by `stillctl`.

use std::{
    io::{Write, stdout},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use still_control::{Exit, Failure, OrExit};
use still_domain::{CHECKPOINTS_NAME, PolicyOrigin, PolicyRecord, PolicyVersion};
use still_operator::cli::{PoliciesArguments, PoliciesCommand};
use still_store::{CheckpointFiles, Store};

use super::output_failed;

/// Lists policies, or puts one in force again.
pub fn policies(arguments: &PoliciesArguments) -> Result<Exit, Failure> {
    let told = match arguments.command {
        PoliciesCommand::List => list(&arguments.data_dir)?,
        PoliciesCommand::Promote { version } => promote(&arguments.data_dir, PolicyVersion(version))?,
    };
    stdout().lock().write_all(told.as_bytes()).map_err(|error| output_failed(&error))?;
    Ok(Exit::Success)
}

fn list(data_dir: &Path) -> Result<String, Failure> {
    let store = Store::open_read_only(data_dir).or_exit(Exit::Store)?;
    let files = CheckpointFiles::at(&data_dir.join(CHECKPOINTS_NAME));
    let mut text = String::new();
    for policy in store.policies().or_exit(Exit::Store)? {
        let kept = policy.checkpoint.as_ref().map(|id| store.checkpoint(id).map(|found| found.is_some()));
        let place = match (&policy.checkpoint, kept.transpose().or_exit(Exit::Store)?) {
            (Some(id), Some(true)) => files.folder(id).display().to_string(),
            (Some(id), _) => format!("checkpoint {id} is kept no more"),
            (None, _) => "the base model".to_owned(),
        };
        text.push_str(&format!("{:>4}  from {:<24} {place}\n", policy.version, policy.origin.to_string()));
    }
    Ok(text)
}

/// Publishes a copy of an earlier policy, whose checkpoint must be whole.
fn promote(data_dir: &Path, version: PolicyVersion) -> Result<String, Failure> {
    let store = Store::open_existing(data_dir).or_exit(Exit::Store)?;
    let policies = store.policies().or_exit(Exit::Store)?;
    let Some(wanted) = policies.iter().find(|policy| policy.version == version) else {
        let message = format!("no policy has version {version}: `stilld policies list` names them");
        return Err(Failure::new(Exit::Refused, message));
    };
    store.check_checkpoint(wanted).or_exit(Exit::Refused)?;
    if let Some(id) = &wanted.checkpoint {
        let manifest = store.checkpoint(id).or_exit(Exit::Store)?;
        let files = CheckpointFiles::at(&data_dir.join(CHECKPOINTS_NAME));
        if let Some(Err(damage)) = manifest.map(|manifest| files.check(&manifest)) {
            let message = format!("checkpoint {id} of version {version} is damaged: {}", damage.reason);
            return Err(Failure::new(Exit::Store, message));
        }
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let record = PolicyRecord {
        version: policies.last().map_or(version, |newest| newest.version).next(),
        origin: PolicyOrigin::Operator(version),
        published_at_ms: now.as_millis() as u64,
        ..wanted.clone()
    };
    store.publish(&record).or_exit(Exit::Store)?;
    Ok(format!("policy {version} is in force again, as version {}\n", record.version))
}
