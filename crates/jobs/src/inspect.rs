//! `stilld inspect`: a stopped daemon's store, read only.

use std::io::stdout;

use still_control::{Exit, Failure, OrExit};
use still_operator::{cli::InspectArguments, inspect};
use still_store::Store;

/// Prints what was asked for.
pub fn inspect(arguments: &InspectArguments) -> Result<Exit, Failure> {
    let store = Store::open_read_only(&arguments.data_dir).or_exit(Exit::Store)?;
    inspect::inspect(&store, arguments.subject, arguments.json, &mut stdout().lock()).or_exit(Exit::Store)?;
    Ok(Exit::Success)
}
