//! `stilld grade`: predictions against gold answers and programs against tests, a JSON line each.

use std::io::{BufWriter, stdout};

use still_control::{Exit, Failure};
use still_daemon::cli::GradeArguments;

use super::{open_input, output_failed, verifier_of_job};

/// Grades a file; a summary goes to standard error.
pub fn grade(arguments: &GradeArguments) -> Result<Exit, Failure> {
    let verifier = verifier_of_job(arguments.profile)?;
    let input = open_input(&arguments.file)?;
    let output = BufWriter::new(stdout().lock());
    let mut broken = false;
    let summary = still_judge::grade::grade(input, output, &verifier, |error| {
        broken = true;
        eprintln!("{}: {error}", arguments.file.display());
    });
    let summary = summary.map_err(|error| output_failed(&error))?;
    eprintln!("{summary}");
    if broken {
        return Ok(Exit::BadInput);
    }
    // sound lines that could not be judged: no sandbox here, or it was killed
    Ok(if summary.bad_lines > 0 { Exit::Internal } else { Exit::Success })
}
