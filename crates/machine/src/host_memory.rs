//! The host's memory, as far as this process may take it.

use std::{fs, path::Path};

/// What the system says of the whole machine.
const MACHINE: &str = "/proc/meminfo";
/// What a container may take (control groups, version 2).
const CONTAINER: &str = "/sys/fs/cgroup/memory.max";

/// The bytes that this process may take at most; `None` where the system does not tell.
pub fn total_bytes() -> Option<usize> {
    let machine = fs::read_to_string(MACHINE).ok().and_then(|text| of_machine(&text));
    // "max" sets no limit
    let container = fs::read_to_string(Path::new(CONTAINER)).ok().and_then(|text| text.trim().parse().ok());
    [machine, container].into_iter().flatten().min()
}

/// `MemTotal:  24604000 kB`, in bytes.
fn of_machine(text: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_tells_its_memory_in_kibibytes() {
        assert_eq!(of_machine("MemFree: 1 kB\nMemTotal:       24604000 kB\n"), Some(24_604_000 * 1_024));
        assert_eq!(of_machine("nothing"), None);
        assert!(total_bytes().is_none_or(|bytes| bytes > 64 << 20));
    }
}
