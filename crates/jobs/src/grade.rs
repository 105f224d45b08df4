//! `stilld grade`: predictions against gold answers and programs against tests, a JSON line each.

use std::io::{BufWriter, stdout};

use still_control::{Exit, Failure};
use still_judge::grade::FileError;
use still_operator::cli::GradeArguments;

use super::{open_input, output_failed, verifier_of_job};

/// Of the lines that cannot be graded, so many are reported one by one.
const MAXIMUM_TOLD: u64 = 20;

/// Grades a file; a summary goes to standard error.
pub fn grade(arguments: &GradeArguments) -> Result<Exit, Failure> {
    let verifier = verifier_of_job(arguments.profile)?;
    let input = open_input(&arguments.file)?;
    let output = BufWriter::new(stdout().lock());
    let mut broken = 0;
    let summary = still_judge::grade::grade(input, output, &verifier, |error| {
        broken += 1;
        if broken <= MAXIMUM_TOLD {
            eprintln!("{}: {error}", arguments.file.display());
        }
    });
    if broken > MAXIMUM_TOLD {
        let more = broken - MAXIMUM_TOLD;
        eprintln!("{}: and {more} more such lines, each reported in the output", arguments.file.display());
    }
    let summary = summary.map_err(|error| match error {
        FileError::Read(_) => {
            Failure::new(Exit::BadInput, format!("`{}`: {error}", arguments.file.display()))
        }
        FileError::Write(error) => output_failed(&error),
    })?;
    eprintln!("{summary}");
    if broken > 0 {
        return Ok(Exit::BadInput);
    }
    // sound lines that could not be judged: no sandbox here, or it was killed
    Ok(if summary.bad_lines > 0 { Exit::Internal } else { Exit::Success })
}
