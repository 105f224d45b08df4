//! `stilld grade`: predictions against gold answers, a JSON line each.

use std::io::{BufWriter, stdout};

use still_control::Exit;
use still_daemon::cli::{GradeArguments, GradeProfile};
use still_verify::Profile;

use super::{open_input, output_failed};
use crate::failure::Failure;

/// Grades a file; a summary goes to standard error.
pub(crate) fn grade(arguments: &GradeArguments) -> Result<Exit, Failure> {
    let profile = match arguments.profile {
        GradeProfile::Strict => Profile::Strict,
        GradeProfile::Lenient => Profile::Lenient,
    };
    let input = open_input(&arguments.file)?;
    let output = BufWriter::new(stdout().lock());
    let mut broken = false;
    let summary = still_verify::grade::grade(input, output, profile, |error| {
        broken = true;
        eprintln!("{}: {error}", arguments.file.display());
    });
    let summary = summary.map_err(|error| output_failed(&error))?;
    eprintln!("{summary}");
    Ok(if broken { Exit::BadInput } else { Exit::Success })
}
