//! One-shot jobs: each does one thing on the daemon's own code, and ends.

mod evaluate;
mod generate;
mod grade;
mod inspect;
mod score;
mod train;

pub(crate) use evaluate::evaluate;
pub(crate) use generate::generate;
pub(crate) use grade::grade;
pub(crate) use inspect::inspect;
pub(crate) use score::score;
pub(crate) use train::train;

use std::io::{self, BufRead, BufReader, IsTerminal};
use std::{fs::File, path::Path};

use serde_json::{Map, Value};
use still_control::Exit;
use still_daemon::config::Device;
use still_policy::TensorPrecision;
use still_text::ChatContext;

use crate::failure::{Failure, OrExit};

/// A file to read, or standard input for `-`.
fn open_input(path: &Path) -> Result<Box<dyn BufRead>, Failure> {
    if path.as_os_str() == "-" {
        if io::stdin().is_terminal() {
            eprintln!("reading standard input; end it with Ctrl-D");
        }
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let file = File::open(path).map_err(|error| format!("`{}`: {error}", path.display()));
    Ok(Box::new(BufReader::new(file.or_exit(Exit::BadInput)?)))
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

/// How output that cannot be written ends a job: a reader that has seen enough is no failure.
fn output_failed(error: &io::Error) -> Failure {
    let exit = if error.kind() == io::ErrorKind::BrokenPipe { Exit::Success } else { Exit::Internal };
    Failure::new(exit, format!("the output cannot be written: {error}"))
}

/// What a job stores a model's matrices in.
const fn precision(device: Device) -> TensorPrecision {
    match device {
        Device::Cpu => TensorPrecision::F32,
        Device::Cuda(_) => TensorPrecision::Bf16,
    }
}
