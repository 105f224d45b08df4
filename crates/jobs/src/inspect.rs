//! `stilld inspect`: a stopped daemon's store, read only.

use std::io::{BufWriter, stdout};

use still_control::{Exit, Failure, OrExit};
use still_operator::{cli::InspectArguments, inspect};
use still_store::Store;

use super::output_failed;

/// Damaged records that are told one by one.
const MAX_TOLD: usize = 20;

/// Prints what was asked for, past what is damaged.
pub fn inspect(arguments: &InspectArguments) -> Result<Exit, Failure> {
    let store = Store::open_read_only(&arguments.data_dir).or_exit(Exit::Store)?;
    let mut out = BufWriter::new(stdout().lock());
    let seen = inspect::inspect(&store, arguments.subject, arguments.json, &mut out);
    let damaged = seen.map_err(|error| output_failed(&error))?.damaged;
    if damaged.is_empty() {
        return Ok(Exit::Success);
    }
    for damage in damaged.iter().take(MAX_TOLD) {
        eprintln!("{damage}");
    }
    let message = format!(
        "{} records are damaged and left out here; `stilld check {}` tells all that is",
        damaged.len(),
        arguments.data_dir.display()
    );
    Err(Failure::new(Exit::Store, message))
}
