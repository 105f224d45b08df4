//! The exit codes of `stilld` and `stillctl`.

use std::fmt;

/// How a program ends. The numbers are part of the interface and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// All went well.
    Success = 0,
    /// A fault in the program itself.
    Internal = 1,
    /// The command line cannot be understood.
    Usage = 2,
    /// The configuration cannot be used.
    Configuration = 3,
    /// Input data is broken or missing.
    BadInput = 4,
    /// The data directory is in use, damaged, of a newer version, or cannot be written.
    Store = 5,
    /// The port or the control socket is in use.
    AddressInUse = 6,
    /// The device is not there or out of memory.
    Device = 7,
    /// The daemon gave up while running: an actor failed again and again.
    MeltDown = 8,
    /// No daemon answers on the control socket.
    Unreachable = 9,
    /// The daemon understood the command and refused it.
    Refused = 10,
    /// There is nothing to show: not one answer could be drawn or judged, not one step be taken.
    NoResult = 11,
    /// Ended by a signal: `train` by the first, after its checkpoint; the daemon by the second, at once.
    Interrupted = 130,
}

impl Exit {
    /// Every exit code, in numeric order.
    pub const ALL: [Self; 13] = [
        Self::Success,
        Self::Internal,
        Self::Usage,
        Self::Configuration,
        Self::BadInput,
        Self::Store,
        Self::AddressInUse,
        Self::Device,
        Self::MeltDown,
        Self::Unreachable,
        Self::Refused,
        Self::NoResult,
        Self::Interrupted,
    ];

    /// The number that the system gets.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Its name for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Internal => "internal",
            Self::Usage => "usage",
            Self::Configuration => "configuration",
            Self::BadInput => "bad_input",
            Self::Store => "store",
            Self::AddressInUse => "address_in_use",
            Self::Device => "device",
            Self::MeltDown => "melt_down",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::NoResult => "no_result",
            Self::Interrupted => "interrupted",
        }
    }

    /// What it means, in a few words.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Success => "all went well",
            Self::Internal => "a fault in the program itself",
            Self::Usage => "the command line cannot be understood",
            Self::Configuration => "the configuration cannot be used",
            Self::BadInput => "input data is broken or missing",
            Self::Store => "the data directory is in use, damaged, newer, or cannot be written",
            Self::AddressInUse => "the port or the control socket is in use",
            Self::Device => "the device is not there or out of memory",
            Self::MeltDown => "the daemon gave up while running",
            Self::Unreachable => "no daemon answers on the control socket",
            Self::Refused => "the daemon refused the command",
            Self::NoResult => "no result: nothing could be drawn, judged or trained",
            Self::Interrupted => "ended by a signal: `train` by the first, the daemon by the second",
        }
    }

    /// The table shown by `--help`.
    pub fn table() -> String {
        let line = |exit: &Self| format!("  {:>3}  {}\n", exit.code(), exit.meaning());
        format!("Exit codes:\n{}", Self::ALL.iter().map(line).collect::<String>())
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.meaning())
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_different_in_order_and_all_in_the_table() {
        assert!(Exit::ALL.windows(2).all(|pair| pair[0].code() < pair[1].code()));
        assert_eq!(Exit::table().lines().count(), Exit::ALL.len() + 1);
        assert!(Exit::table().contains("  9  no daemon answers"));
    }
}
