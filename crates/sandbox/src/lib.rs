//! Confined execution of programs that nobody has read: model-written code above all.
//!
//! A program runs as the first process of namespaces of its own (processes, mounts, network, IPC, host
//! name), under a user id of its own, without capabilities, on a read-only root that holds `/usr`, the
//! libraries and four devices, with a private scratch directory in memory, behind a filter of system calls,
//! within resource limits, watched from outside. When it ends or is ended, the kernel ends everything it
//! started before [`Sandbox::execute`] returns.
//!
//! Everything needed is in a stock Linux kernel (5.12 or newer); nothing is installed. Root builds the jail as
//! root and gives all rights up inside; anyone else builds it in a user namespace. Where the kernel or a
//! container forbids that, [`Sandbox::detect`] names what is missing, and nothing is ever run.
//!
//! | module | what it holds |
//! |---|---|
//! | [`sandbox`] | the entry: detect, execute |
//! | [`program`] | a command with its source; finding Python |
//! | [`limits`] | what a run may use up |
//! | [`execution`] | how a run went |
//! | [`testing`] | test cases, and what a candidate makes of them |
//! | [`suite`] | test cases as data sets write them |
//!
//! ```
//! use still_sandbox::{Limits, Program, Sandbox};
//!
//! match Sandbox::detect() {
//!     Ok(sandbox) => {
//!         let shell = Program::new(vec!["sh".into(), "{source}".into()], "main.sh", "read n; echo $((n * n))");
//!         let execution = sandbox.execute(&shell, b"12\n", &Limits::default())?;
//!         assert_eq!(execution.output, b"144\n");
//!     }
//!     Err(missing) => println!("{missing}"),
//! }
//! # Ok::<(), still_sandbox::SandboxError>(())
//! ```

#[cfg(not(target_os = "linux"))]
compile_error!("programs can only be confined on Linux");

mod child;
pub mod error;
pub mod execution;
mod filter;
mod jail_root;
mod launch;
pub mod limits;
mod plan;
pub mod program;
pub mod sandbox;
mod step;
pub mod suite;
mod system_call;
pub mod testing;
mod watch;

pub use error::{SandboxError, Unavailable};
pub use execution::{Exceeded, Execution, Finish};
pub use limits::{LimitTooLow, Limits};
pub use program::{NoPython, Program, Python};
pub use sandbox::Sandbox;
pub use suite::{Suite, SuiteError};
pub use testing::{Candidate, CaseOutcome, CaseReport, Effort, Report, Stop, TestCase};
