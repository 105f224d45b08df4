//! One-shot jobs: each does one thing on the daemon's own code, and ends.

mod answer_file;
mod check;
mod conversations;
mod distill;
mod draw_file;
mod evaluate;
mod generate;
mod grade;
mod inspect;
mod policies;
mod pool;
mod rollouts;
mod score;
mod sign_of_life;
mod train;

pub use check::check;
pub use distill::distill;
pub use evaluate::evaluate;
pub use generate::generate;
pub use grade::grade;
pub use inspect::inspect;
pub use policies::policies;
pub use pool::pool;
pub use rollouts::{RolloutImport, RolloutReport};
pub use score::score;
pub use train::train;

use std::io::{self, BufRead, BufReader, IsTerminal};
use std::{fs::File, path::Path};

use serde_json::{Map, Value};
use still_control::{Exit, Failure, OrExit};
use still_domain::{AnswerKind, Problem, Split};
use still_judge::StandardVerifier;
use still_learning::tensor_precision;
use still_machine::{GeneratorShape, Model, prompt_tokens, settings::threads};
use still_operator::{
    cli::{GradeProfile, PlaceArguments, environment},
    config::{ConfigLayers, Device, VerifierProfile, VerifierSection},
    import,
};
use still_tensor_decoder::TensorPrecision;
use still_text::{ChatContext, Prompter};

/// Rollouts at once, at most.
const MAX_ROLLOUTS: usize = 32;

/// What some programs write before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The verifier of a one-shot job: programs are run as the defaults and the environment say
/// (`STILL__VERIFIER__CODE__WALL_SECONDS=2`).
fn verifier_of_job(profile: GradeProfile) -> Result<StandardVerifier, Failure> {
    let loaded = ConfigLayers::new().environment(environment()).load();
    let section = loaded.map_err(|error| Failure::new(error.exit(), error))?.config.verifier;
    let profile = match profile {
        GradeProfile::Strict => VerifierProfile::Strict,
        GradeProfile::Lenient => VerifierProfile::Lenient,
    };
    Ok(still_machine::verifier(&VerifierSection { profile, ..section }))
}

/// A file to read, or standard input for `-`; a byte order mark at its start is passed over.
fn open_input(path: &Path) -> Result<Box<dyn BufRead>, Failure> {
    if path.as_os_str() == "-" {
        if io::stdin().is_terminal() {
            eprintln!("reading standard input; end it with Ctrl-D");
        }
        return without_mark(path, BufReader::new(io::stdin()));
    }
    // opening one succeeds, and every read of it fails
    if path.is_dir() {
        let reason = format!("`{}` is a directory: name a file in it", path.display());
        return Err(Failure::new(Exit::BadInput, reason));
    }
    let file = File::open(path).map_err(|error| format!("`{}`: {error}", path.display()));
    without_mark(path, BufReader::new(file.or_exit(Exit::BadInput)?))
}

/// `input` behind the byte order mark that it may begin with.
fn without_mark(path: &Path, mut input: impl BufRead + 'static) -> Result<Box<dyn BufRead>, Failure> {
    let start = input.fill_buf().map_err(|error| format!("`{}`: {error}", path.display()));
    let is_marked = start.or_exit(Exit::BadInput)?.starts_with(BYTE_ORDER_MARK);
    input.consume(if is_marked { BYTE_ORDER_MARK.len() } else { 0 });
    Ok(Box::new(input))
}

/// What a line gives the chat template beside its messages, under TRL's names.
fn chat_context(fields: &Map<String, Value>) -> Result<ChatContext, String> {
    let tools = match fields.get("tools") {
        None | Some(Value::Null) => None,
        Some(Value::Array(tools)) => Some(tools.clone()),
        Some(_) => return Err("`tools` is no list of JSON schemas".to_owned()),
    };
    let variables = match fields.get("chat_template_kwargs") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(variables)) => variables.clone(),
        Some(_) => {
            return Err("`chat_template_kwargs` is no object; write {\"enable_thinking\": false}".to_owned());
        }
    };
    Ok(ChatContext { tools, variables, ..ChatContext::default() })
}

/// The problems of a file, of which is told what was read of it.
fn read_problems(path: &Path, split: Split, kind: AnswerKind) -> Result<Vec<Problem>, Failure> {
    let parsed = import::problems_from_file(path, split, kind);
    let parsed = parsed.map_err(|error| Failure::new(error.exit(), error))?;
    for line in parsed.in_words(path, "problems") {
        eprintln!("{line}");
    }
    Ok(parsed.records)
}

/// How output that cannot be written ends a job: a reader that has seen enough is no failure.
fn output_failed(error: &io::Error) -> Failure {
    let exit = if error.kind() == io::ErrorKind::BrokenPipe { Exit::Success } else { Exit::Internal };
    Failure::new(exit, format!("the output cannot be written: {error}"))
}

/// A generator with room for the longest prompt of these problems and the longest response, as far as the model reaches,
/// and for so many attempts at each, up to [`MAX_ROLLOUTS`] at once.
fn shape(
    place: PlaceArguments,
    model: &Model,
    problems: &[Problem],
    attempts: u32,
    max_new_tokens: u32,
    prompter: Prompter,
) -> Result<GeneratorShape, Failure> {
    let mut longest = 0;
    for problem in problems {
        longest = longest.max(prompt_tokens(&prompter, problem)?);
    }
    Ok(GeneratorShape {
        device: place.device,
        precision: precision(place),
        threads: threads(0),
        rollouts: problems.len().saturating_mul(attempts as usize).clamp(1, MAX_ROLLOUTS),
        tokens: (longest + max_new_tokens as usize).min(model.config.max_position_count),
        prompter,
        stop_strings: Vec::new(),
    })
}

/// What a job stores a model's matrices in.
fn precision(place: PlaceArguments) -> TensorPrecision {
    place.precision.map_or_else(|| usual_precision(place.device), tensor_precision)
}

/// The same where nothing is said.
const fn usual_precision(device: Device) -> TensorPrecision {
    match device {
        Device::Cpu => TensorPrecision::F32,
        Device::Cuda(_) => TensorPrecision::Bf16,
    }
}
