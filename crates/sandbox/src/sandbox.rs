//! The sandbox: it is there or it says why not; it never runs anything unconfined.

use std::fs;

use crate::{
    error::{SandboxError, Unavailable},
    execution::{Execution, Finish},
    launch::Running,
    limits::Limits,
    plan::{Plan, Privilege},
    program::Program,
    watch::watch,
};

/// Runs programs confined. Cheap to copy and shared freely between threads; every call blocks its thread.
#[derive(Debug, Clone, Copy)]
pub struct Sandbox {
    privilege: Privilege,
}

impl Sandbox {
    /// Builds a jail and runs `true` in it.
    ///
    /// # Errors
    /// When the kernel, or the container around this process, lacks something: which, and what helps.
    pub fn detect() -> Result<Self, Unavailable> {
        let own = std::process::id();
        if let Err(source) = fs::read_to_string(format!("/proc/{own}/task/{own}/children")) {
            return Err(Unavailable {
                feature: "the list of a process's children (/proc/<id>/task/<id>/children, CONFIG_PROC_CHILDREN)",
                remedy: "mount /proc, or use a kernel that is built with it",
                source,
            });
        }
        let sandbox = Self { privilege: Privilege::of_this_process() };
        let probe = Program::new(vec!["true".into()], "probe", "");
        let unavailable = |source| Unavailable {
            feature: "starting `true` in a jail",
            remedy: "look at the limits of the daemon itself",
            source,
        };
        match sandbox.execute(&probe, &[], &Limits::default()) {
            Ok(Execution { finish: Finish::Exited(0), .. }) => Ok(sandbox),
            Ok(execution) => Err(unavailable(std::io::Error::other(execution.finish.to_string()))),
            Err(SandboxError::Unavailable(reason)) => Err(reason),
            Err(SandboxError::Host(source) | SandboxError::Command { source, .. }) => {
                Err(unavailable(source))
            }
            Err(other) => Err(unavailable(std::io::Error::other(other.to_string()))),
        }
    }

    /// Runs a program once with `input` on its standard input, in a jail of its own.
    ///
    /// Blocks until the program and everything that it started are gone, at most for the wall-clock limit
    /// and the time it takes to build and clear the jail (milliseconds).
    ///
    /// # Errors
    /// When nothing was run, or the jail was killed from outside. What the program did wrong is in the
    /// [`Execution`], never an error.
    pub fn execute(
        &self,
        program: &Program,
        input: &[u8],
        limits: &Limits,
    ) -> Result<Execution, SandboxError> {
        limits.validate()?;
        let plan = Plan::new(self.privilege, program, limits)?;
        watch(Running::start(&plan)?, input, limits)
    }
}
