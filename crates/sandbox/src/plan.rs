//! Everything that the confined process needs, laid out in memory before it is forked.
//!
//! Between `fork` and `exec` a process of a threaded program may neither allocate nor lock, so the plan
//! holds finished C strings, pointer arrays and system call programs, and the child only walks through it.

use std::{
    ffi::CString,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use seccompiler::sock_filter;

use crate::{
    error::SandboxError,
    filter,
    limits::Limits,
    program::{Program, SCRATCH},
};

/// What every program may read, as far as the host has it.
const READABLE: [&str; 8] =
    ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/alternatives"];
/// Devices that every program may use.
const DEVICES: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"];
/// Where a command without a folder is looked for.
const SEARCHED: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];
/// Where the host's root is held while the new one is built.
const HOST_ROOT: &str = "/.host";
/// First of the user ids that belong to no user: each jail of a root daemon runs under its own, so that
/// the kernel counts its processes apart from every other jail's.
const FIRST_PRIVATE_ID: u32 = 0x7000_0000;

/// Mount attributes (linux/mount.h): read-only, no set-user-id programs, no devices, no programs.
pub(crate) const READ_ONLY: u64 = 0x1;
pub(crate) const NO_SET_UID: u64 = 0x2;
pub(crate) const NO_DEVICES: u64 = 0x4;
const NO_PROGRAMS: u64 = 0x8;

/// With what rights the jail is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Privilege {
    /// Root of the host: builds the jail as root, then becomes a user id of its own.
    Root,
    /// Anyone else: builds it inside a user namespace.
    User { user: u32, group: u32 },
}

/// A step in the building of the new root.
#[derive(Debug)]
pub(crate) enum Furnish {
    Directory(CString),
    File(CString),
    Link { target: CString, path: CString },
    Bind { source: CString, path: CString, attributes: u64 },
}

/// A resource limit of each process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResourceLimit {
    pub(crate) resource: u32,
    pub(crate) soft: u64,
    pub(crate) hard: u64,
}

/// The whole plan.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) privilege: Privilege,
    pub(crate) private_id: u32,
    pub(crate) user_map: CString,
    pub(crate) group_map: CString,
    pub(crate) furnish: Vec<Furnish>,
    pub(crate) scratch_options: CString,
    pub(crate) source_path: CString,
    pub(crate) source: Vec<u8>,
    pub(crate) resource_limits: Vec<ResourceLimit>,
    pub(crate) filters: Vec<Vec<sock_filter>>,
    pub(crate) executable: CString,
    pub(crate) arguments: Vec<CString>,
    pub(crate) environment: Vec<CString>,
}

impl Privilege {
    /// Root counts as root only where its ids are the host's own: root of a container's user namespace may
    /// not take an arbitrary id.
    pub(crate) fn of_this_process() -> Self {
        let user = rustix::process::geteuid();
        let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let is_hosts = map.split_whitespace().eq(["0", "0", "4294967295"]);
        if user.is_root() && is_hosts {
            return Self::Root;
        }
        Self::User { user: user.as_raw(), group: rustix::process::getegid().as_raw() }
    }
}

impl Plan {
    pub(crate) fn new(
        privilege: Privilege,
        program: &Program,
        limits: &Limits,
    ) -> Result<Self, SandboxError> {
        let arguments = program.arguments();
        let executable = executable(arguments.first().map_or("", String::as_str))?;
        let is_plain =
            !program.file_name.contains('/') && !matches!(program.file_name.as_str(), "" | "." | "..");
        if !is_plain {
            return Err(SandboxError::Word(program.file_name.clone()));
        }
        let (user, group) = match privilege {
            Privilege::Root => (0, 0),
            Privilege::User { user, group } => (user, group),
        };
        let filters = filter::programs().map_err(|error| std::io::Error::other(error.to_string()))?;
        let environment = [
            "PATH=/usr/local/bin:/usr/bin:/bin",
            "HOME=/tmp",
            "TMPDIR=/tmp",
            "LANG=C.UTF-8",
            "PYTHONHASHSEED=0",
        ];
        Ok(Self {
            privilege,
            private_id: private_id(),
            user_map: word(&format!("65534 {user} 1"))?,
            group_map: word(&format!("65534 {group} 1"))?,
            furnish: furnish(&program.readable)?,
            scratch_options: word(&format!("size={},nr_inodes=4096,mode=0777", limits.scratch_bytes))?,
            source_path: word(&program.source_path())?,
            source: program.source.clone().into_bytes(),
            resource_limits: resource_limits(limits),
            filters,
            executable: word(&executable)?,
            arguments: arguments.iter().map(|argument| word(argument)).collect::<Result<_, _>>()?,
            environment: environment.into_iter().map(word).collect::<Result<_, _>>()?,
        })
    }
}

fn word(text: &str) -> Result<CString, SandboxError> {
    CString::new(text).map_err(|_| SandboxError::Word(text.to_owned()))
}

fn path(path: &Path) -> Result<CString, SandboxError> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| SandboxError::Word(path.display().to_string()))
}

/// The absolute path of a command.
fn executable(command: &str) -> Result<String, SandboxError> {
    if command.is_empty() {
        return Err(SandboxError::Word(String::new()));
    }
    if command.starts_with('/') {
        return Ok(command.to_owned());
    }
    let found =
        SEARCHED.iter().map(|folder| format!("{folder}/{command}")).find(|path| Path::new(path).is_file());
    found.ok_or_else(|| SandboxError::Command {
        command: command.to_owned(),
        source: std::io::ErrorKind::NotFound.into(),
    })
}

/// A user id that no user has and no other jail of this or another daemon uses now.
fn private_id() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let own = NEXT.fetch_add(1, Ordering::Relaxed) & 0xFFF;
    FIRST_PRIVATE_ID + ((process::id() & 0xFFFF) << 12) + own
}

/// The new root: what the host offers read-only, the same links, a few devices.
fn furnish(readable: &[PathBuf]) -> Result<Vec<Furnish>, SandboxError> {
    let mut steps = Vec::new();
    let mut made: Vec<PathBuf> = vec![PathBuf::from("/")];
    let mut bound: Vec<PathBuf> = Vec::new();
    for entry in READABLE.iter().map(Path::new).chain(readable.iter().map(PathBuf::as_path)) {
        let is_plain = entry.is_absolute() && !entry.components().any(|part| part == Component::ParentDir);
        if !is_plain {
            return Err(SandboxError::Word(entry.display().to_string()));
        }
        if entry.starts_with(SCRATCH) {
            return Err(SandboxError::Hidden(entry.display().to_string()));
        }
        let Ok(metadata) = fs::symlink_metadata(entry) else { continue };
        if bound.iter().any(|path| entry.starts_with(path)) {
            continue;
        }
        bound.push(entry.to_owned());
        add_parents(&mut steps, &mut made, entry)?;
        if metadata.is_symlink() {
            steps.push(Furnish::Link { target: path(&fs::read_link(entry)?)?, path: path(entry)? });
        } else {
            let attributes = READ_ONLY | NO_SET_UID | NO_DEVICES;
            add_bind(&mut steps, entry, metadata.is_dir(), attributes)?;
        }
    }
    add_parents(&mut steps, &mut made, Path::new("/dev/null"))?;
    for device in DEVICES.iter().map(Path::new).filter(|device| device.exists()) {
        add_bind(&mut steps, device, false, READ_ONLY | NO_SET_UID | NO_PROGRAMS)?;
    }
    Ok(steps)
}

fn add_parents(steps: &mut Vec<Furnish>, made: &mut Vec<PathBuf>, entry: &Path) -> Result<(), SandboxError> {
    let parents: Vec<&Path> = entry.ancestors().skip(1).collect();
    for parent in parents.into_iter().rev() {
        if !made.iter().any(|path| path == parent) {
            steps.push(Furnish::Directory(path(parent)?));
            made.push(parent.to_owned());
        }
    }
    Ok(())
}

fn add_bind(
    steps: &mut Vec<Furnish>,
    entry: &Path,
    is_folder: bool,
    attributes: u64,
) -> Result<(), SandboxError> {
    steps.push(if is_folder { Furnish::Directory(path(entry)?) } else { Furnish::File(path(entry)?) });
    let mut source = PathBuf::from(HOST_ROOT).into_os_string();
    source.push(entry);
    steps.push(Furnish::Bind { source: path(Path::new(&source))?, path: path(entry)?, attributes });
    Ok(())
}

fn resource_limits(limits: &Limits) -> Vec<ResourceLimit> {
    let limit = |resource: libc::__rlimit_resource_t, value: u64| ResourceLimit {
        resource,
        soft: value,
        hard: value,
    };
    vec![
        // The kernel ends a process at the hard limit; the soft limit's signal does not reach a first process.
        limit(libc::RLIMIT_CPU, limits.cpu_seconds),
        limit(libc::RLIMIT_AS, limits.memory_bytes),
        limit(libc::RLIMIT_FSIZE, limits.file_bytes),
        limit(libc::RLIMIT_NOFILE, limits.open_files),
        limit(libc::RLIMIT_NPROC, limits.processes),
        limit(libc::RLIMIT_CORE, 0),
        limit(libc::RLIMIT_MEMLOCK, 0),
        limit(libc::RLIMIT_MSGQUEUE, 0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(program: &Program) -> Result<Plan, SandboxError> {
        Plan::new(Privilege::User { user: 7, group: 8 }, program, &Limits::default())
    }

    #[test]
    fn words_that_no_kernel_takes_are_refused() {
        let program = |command: &str, name: &str| Program::new(vec![command.to_owned()], name, "");
        assert!(matches!(
            plan(&program("sh\0", "x")),
            Err(SandboxError::Command { .. } | SandboxError::Word(_))
        ));
        assert!(matches!(plan(&program("/bin/sh", "../x")), Err(SandboxError::Word(_))));
        assert!(matches!(plan(&program("/bin/sh", "")), Err(SandboxError::Word(_))));
        assert!(matches!(plan(&program("", "x")), Err(SandboxError::Word(_))));
        assert!(matches!(plan(&program("no-such-command", "x")), Err(SandboxError::Command { .. })));
        let outside = Program { readable: vec!["/usr/../etc".into()], ..program("/bin/sh", "x") };
        assert!(matches!(plan(&outside), Err(SandboxError::Word(_))));
        let hidden = Program { readable: vec!["/tmp/library".into()], ..program("/bin/sh", "x") };
        assert!(matches!(plan(&hidden), Err(SandboxError::Hidden(_))));
        assert!(plan(&program("sh", "x")).is_ok());
    }

    #[test]
    fn every_jail_gets_an_id_of_its_own_that_no_user_has() {
        let ids: Vec<u32> = (0..100).map(|_| private_id()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(ids.iter().all(|id| (FIRST_PRIVATE_ID..0x8000_0000).contains(id)));
    }

    #[test]
    fn folders_are_made_before_what_lies_in_them() {
        let program = Program {
            readable: vec!["/proc/self".into(), "/proc/sys/kernel".into()],
            ..Program::new(vec!["/bin/sh".into()], "x", "")
        };
        let made: Vec<String> = plan(&program)
            .unwrap()
            .furnish
            .iter()
            .filter_map(|step| match step {
                Furnish::Directory(path) => Some(path.to_string_lossy().into_owned()),
                _ => None,
            })
            .collect();
        let position = |path: &str| made.iter().position(|one| one == path).unwrap();
        assert!(
            position("/proc") < position("/proc/sys") && position("/proc/sys") < position("/proc/sys/kernel")
        );
        assert_eq!(made.iter().filter(|path| *path == "/proc").count(), 1);
    }
}
