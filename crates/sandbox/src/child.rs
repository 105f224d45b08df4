//! The way from a fork of the daemon to the confined program, one system call after the other.
//!
//! Runs in a child of a process with many threads, so nothing here allocates, locks or unwinds: every
//! function calls the kernel and reads the finished [`Plan`]. Two children are made. The first enters the
//! new namespaces and makes the second, which is the first process of the new process namespace and a child
//! of the daemon itself: when it ends, the kernel ends everything in the namespace with it.
//!
//! Like `posix_spawn`, both share the daemon's memory and run on stacks of their own while the thread that
//! starts them stands still, so a start costs the same whether the daemon holds a megabyte or a model.
//!
//! Ids are changed by bare system calls, because the C library's functions would signal all threads.

#![expect(unsafe_code, reason = "namespaces, mounts and seccomp filters are set up by bare system calls")]

use std::{
    ffi::CStr,
    io,
    os::fd::{AsRawFd, BorrowedFd, RawFd},
    ptr,
};

use crate::plan::{Furnish, Plan, Privilege};

/// Where the new root is put together before it becomes the root.
const BASE: &CStr = c"/tmp";
/// Where the host's root goes meanwhile.
const BASE_HOST: &CStr = c"/tmp/.host";
/// The same, seen from the new root.
const HOST: &CStr = c"/.host";
/// Size of a child's stack in words of 16 bytes: 64 KiB, many times what the deepest call takes.
const STACK_WORDS: usize = 4096;
/// Size of the kernel's signal set.
const SIGNAL_SET_BYTES: usize = 8;
/// The scratch directory.
const SCRATCH: &CStr = c"/tmp";

/// A step that can fail, as reported by the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Step {
    UserNamespace = 1,
    UserMap,
    Namespaces,
    Fork,
    ParentDeath,
    PrivateMounts,
    NewRoot,
    PivotRoot,
    Furnish,
    Bind,
    ReadOnly,
    Scratch,
    Source,
    Identity,
    Limits,
    NoNewPrivileges,
    Filter,
    Streams,
    Execute,
}

/// Number of the message that carries the second process's id.
pub(crate) const STARTED: u32 = 0;

impl Step {
    /// Every step, to read one from its number.
    pub(crate) const ALL: [Self; 19] = [
        Self::UserNamespace,
        Self::UserMap,
        Self::Namespaces,
        Self::Fork,
        Self::ParentDeath,
        Self::PrivateMounts,
        Self::NewRoot,
        Self::PivotRoot,
        Self::Furnish,
        Self::Bind,
        Self::ReadOnly,
        Self::Scratch,
        Self::Source,
        Self::Identity,
        Self::Limits,
        Self::NoNewPrivileges,
        Self::Filter,
        Self::Streams,
        Self::Execute,
    ];

    /// The kernel feature that the step needs, and what helps where it is missing.
    pub(crate) const fn feature(self) -> (&'static str, &'static str) {
        match self {
            Self::UserNamespace | Self::UserMap => (
                "a user namespace (CONFIG_USER_NS)",
                "allow unprivileged user namespaces (user.max_user_namespaces, kernel.unprivileged_userns_clone, \
                 kernel.apparmor_restrict_unprivileged_userns) or run the daemon as root",
            ),
            Self::Namespaces => (
                "mount, process, network, IPC and host name namespaces",
                "run outside a container, or give the container CAP_SYS_ADMIN and a seccomp profile that allows unshare",
            ),
            Self::PrivateMounts
            | Self::NewRoot
            | Self::PivotRoot
            | Self::Furnish
            | Self::Bind
            | Self::Scratch => (
                "mounting a root file system of its own (tmpfs, bind mounts, pivot_root)",
                "run outside a container, or give the container CAP_SYS_ADMIN and a seccomp profile that allows mount",
            ),
            Self::ReadOnly => ("read-only mounts (mount_setattr, Linux 5.12)", "use a newer kernel"),
            Self::Filter | Self::NoNewPrivileges => {
                ("system call filters (CONFIG_SECCOMP_FILTER)", "use a kernel that is built with them")
            }
            Self::Fork
            | Self::ParentDeath
            | Self::Source
            | Self::Identity
            | Self::Limits
            | Self::Streams
            | Self::Execute => ("starting a process", "look at the limits of the daemon itself"),
        }
    }
}

/// The standard streams of the program, and the pipe on which the child reports.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends<'pipe> {
    pub(crate) input: BorrowedFd<'pipe>,
    pub(crate) output: BorrowedFd<'pipe>,
    pub(crate) error: BorrowedFd<'pipe>,
    pub(crate) report: BorrowedFd<'pipe>,
    /// The daemon's end of the report: closed first thing, so that the child sees whether the daemon's is.
    pub(crate) report_reader: BorrowedFd<'pipe>,
}

/// The plan with its pointer arrays and the stacks of both children.
#[derive(Debug)]
pub(crate) struct Prepared<'plan> {
    plan: &'plan Plan,
    arguments: Vec<*const libc::c_char>,
    environment: Vec<*const libc::c_char>,
    stacks: [Vec<u128>; 2],
}

/// What the children read.
struct Start<'start> {
    plan: &'start Plan,
    arguments: *const *const libc::c_char,
    environment: *const *const libc::c_char,
    ends: Ends<'start>,
    second_stack: *mut libc::c_void,
}

/// Where a child begins.
type Entry = extern "C" fn(*mut libc::c_void) -> libc::c_int;

/// A step that failed, and the kernel's error number.
type Failure = (Step, i32);

impl<'plan> Prepared<'plan> {
    pub(crate) fn new(plan: &'plan Plan) -> Self {
        let pointers = |words: &[std::ffi::CString]| {
            words.iter().map(|word| word.as_ptr()).chain([ptr::null()]).collect::<Vec<_>>()
        };
        Self {
            plan,
            arguments: pointers(&plan.arguments),
            environment: pointers(&plan.environment),
            stacks: [vec![0; STACK_WORDS], vec![0; STACK_WORDS]],
        }
    }

    /// Starts the first process and returns its id once the program runs or the start has failed.
    pub(crate) fn start(&mut self, ends: Ends<'_>) -> io::Result<libc::pid_t> {
        let [first, second] = &mut self.stacks;
        let start = Start {
            plan: self.plan,
            arguments: self.arguments.as_ptr(),
            environment: self.environment.as_ptr(),
            ends,
            second_stack: top(second),
        };
        // A signal that arrives in the child must not run the daemon's handlers there.
        let mut all = empty_signal_set();
        let mut before = empty_signal_set();
        // SAFETY: both sets are valid for the calls.
        unsafe {
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        }
        let child = start.spawn(first_process, top(first), 0);
        let error = io::Error::last_os_error();
        // SAFETY: the set was filled in by the call above.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, ptr::null_mut()) };
        if child < 0 { Err(error) } else { Ok(child) }
    }
}

impl Start<'_> {
    /// Makes a child that shares this process's memory and runs `entry` on `stack`. Returns when the child
    /// has started its program or ended.
    fn spawn(&self, entry: Entry, stack: *mut libc::c_void, flags: libc::c_int) -> libc::pid_t {
        let flags = flags | libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        // SAFETY: the stack is the child's alone; everything it reads outlives it, because this thread
        // stands still until the child shares its memory no more.
        unsafe { libc::clone(entry, stack, flags, ptr::from_ref(self).cast_mut().cast()) }
    }

    /// The first process: enters the namespaces and forks the second one as its sibling.
    fn enter_namespaces(&self) -> Result<(), Failure> {
        reset_signal_handlers();
        // SAFETY: the end is this process's own copy, and nothing here uses it.
        unsafe { libc::close(self.ends.report_reader.as_raw_fd()) };
        if let Privilege::User { .. } = self.plan.privilege {
            // SAFETY: unshare takes no pointer.
            check(Step::UserNamespace, unsafe { libc::unshare(libc::CLONE_NEWUSER) })?;
            // Absent before Linux 3.19; the group map says whether it was needed.
            let _ = write_file(c"/proc/self/setgroups", b"deny", libc::O_WRONLY);
            write_file(c"/proc/self/uid_map", self.plan.user_map.to_bytes(), libc::O_WRONLY)
                .map_err(|error| (Step::UserMap, error))?;
            write_file(c"/proc/self/gid_map", self.plan.group_map.to_bytes(), libc::O_WRONLY)
                .map_err(|error| (Step::UserMap, error))?;
        }
        let namespaces = libc::CLONE_NEWNS
            | libc::CLONE_NEWPID
            | libc::CLONE_NEWNET
            | libc::CLONE_NEWIPC
            | libc::CLONE_NEWUTS;
        // SAFETY: unshare takes no pointer.
        check(Step::Namespaces, unsafe { libc::unshare(namespaces) })?;
        let second = self.spawn(second_process, self.second_stack, libc::CLONE_PARENT);
        check(Step::Fork, second)?;
        send(self.ends.report.as_raw_fd(), STARTED, second);
        Ok(())
    }

    /// The second process: builds the jail around itself and becomes the program.
    fn become_program(&self) -> Result<(), Failure> {
        // SAFETY: neither call takes a pointer; failing to lead a session is no danger, the namespace
        // already keeps its processes together.
        unsafe {
            libc::setsid();
            libc::umask(0);
        }
        self.build_root()?;
        self.write_source()?;
        self.drop_identity()?;
        die_with_parent(self.ends.report.as_raw_fd())?;
        connect_streams(self.ends)?;
        self.set_limits()?;
        self.install_filters()?;
        unblock_signals();
        // SAFETY: the strings and both arrays live in the plan, and the arrays end with a null pointer.
        unsafe {
            libc::execve(self.plan.executable.as_ptr(), self.arguments, self.environment);
        }
        Err((Step::Execute, last_error()))
    }

    fn build_root(&self) -> Result<(), Failure> {
        mount(None, c"/", None, libc::MS_REC | libc::MS_PRIVATE, None, Step::PrivateMounts)?;
        let flags = libc::MS_NOSUID | libc::MS_NODEV;
        let options = Some(c"size=1m,nr_inodes=4096,mode=0755");
        mount(Some(c"tmpfs"), BASE, Some(c"tmpfs"), flags, options, Step::NewRoot)?;
        make_folder(BASE_HOST, 0o700, Step::NewRoot)?;
        // SAFETY: both paths are C strings.
        check(Step::PivotRoot, unsafe {
            libc::syscall(libc::SYS_pivot_root, BASE.as_ptr(), BASE_HOST.as_ptr()) as libc::c_int
        })?;
        change_folder(c"/", Step::PivotRoot)?;
        for step in &self.plan.furnish {
            furnish(step)?;
        }
        make_folder(SCRATCH, 0o777, Step::Scratch)?;
        let options = Some(self.plan.scratch_options.as_c_str());
        mount(Some(c"tmpfs"), SCRATCH, Some(c"tmpfs"), flags, options, Step::Scratch)?;
        // SAFETY: the paths are C strings.
        unsafe {
            check(Step::NewRoot, libc::umount2(HOST.as_ptr(), libc::MNT_DETACH))?;
            check(Step::NewRoot, libc::rmdir(HOST.as_ptr()))?;
        }
        set_mount_attributes(c"/", 0x1 | 0x2 | 0x4, 0)?;
        change_folder(SCRATCH, Step::Scratch)
    }

    fn write_source(&self) -> Result<(), Failure> {
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL;
        write_file(&self.plan.source_path, &self.plan.source, flags).map_err(|error| (Step::Source, error))
    }

    /// Gives up every identity and capability that the building needed.
    fn drop_identity(&self) -> Result<(), Failure> {
        if self.plan.privilege == Privilege::Root {
            let id = libc::c_long::from(self.plan.private_id);
            // SAFETY: the empty list of groups is passed as no pointer; the others take numbers.
            unsafe {
                let none = ptr::null::<libc::gid_t>();
                check_long(Step::Identity, libc::syscall(libc::SYS_setgroups, 0_usize, none))?;
                check_long(Step::Identity, libc::syscall(libc::SYS_setresgid, id, id, id))?;
                check_long(Step::Identity, libc::syscall(libc::SYS_setresuid, id, id, id))?;
            }
        }
        let header = CapabilityHeader { version: 0x2008_0522, process: 0 };
        let none = [CapabilitySets::default(); 2];
        // SAFETY: header and sets have the layout of version 3 (linux/capability.h) and outlive the call.
        check_long(Step::Identity, unsafe {
            libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr())
        })
    }

    fn set_limits(&self) -> Result<(), Failure> {
        for limit in &self.plan.resource_limits {
            let value = libc::rlimit { rlim_cur: limit.soft, rlim_max: limit.hard };
            // SAFETY: the value outlives the call.
            check(Step::Limits, unsafe { libc::setrlimit(limit.resource, &raw const value) })?;
        }
        Ok(())
    }

    fn install_filters(&self) -> Result<(), Failure> {
        // SAFETY: prctl with numbers only.
        check(Step::NoNewPrivileges, unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
        for filter in &self.plan.filters {
            let program = FilterProgram { length: filter.len() as libc::c_ushort, filter: filter.as_ptr() };
            // SAFETY: the program has the layout of `sock_fprog`, its instructions live in the plan.
            check_long(Step::Filter, unsafe {
                libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0_usize, &raw const program)
            })?;
        }
        Ok(())
    }
}

/// `sock_fprog` of linux/filter.h.
#[repr(C)]
struct FilterProgram {
    length: libc::c_ushort,
    filter: *const seccompiler::sock_filter,
}

/// `__user_cap_header_struct` of linux/capability.h.
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    process: libc::c_int,
}

/// `__user_cap_data_struct` of linux/capability.h.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapabilitySets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `mount_attr` of linux/mount.h.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

fn furnish(step: &Furnish) -> Result<(), Failure> {
    match step {
        Furnish::Directory(path) => make_folder(path, 0o755, Step::Furnish),
        Furnish::File(path) => write_file(path, b"", libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL)
            .map_err(|error| (Step::Furnish, error)),
        Furnish::Link { target, path } => {
            // SAFETY: both are C strings.
            check(Step::Furnish, unsafe { libc::symlink(target.as_ptr(), path.as_ptr()) })
        }
        Furnish::Bind { source, path, attributes } => {
            mount(Some(source), path, None, libc::MS_BIND | libc::MS_REC, None, Step::Bind)?;
            set_mount_attributes(path, *attributes, libc::AT_RECURSIVE)
        }
    }
}

fn mount(
    source: Option<&CStr>,
    target: &CStr,
    kind: Option<&CStr>,
    flags: libc::c_ulong,
    options: Option<&CStr>,
    step: Step,
) -> Result<(), Failure> {
    let pointer = |text: Option<&CStr>| text.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: every pointer is a C string or null.
    check(step, unsafe {
        libc::mount(pointer(source), target.as_ptr(), pointer(kind), flags, pointer(options).cast())
    })
}

fn set_mount_attributes(path: &CStr, set: u64, flags: libc::c_int) -> Result<(), Failure> {
    let attributes = MountAttributes { set, clear: 0, propagation: 0, user_namespace: 0 };
    // SAFETY: the path is a C string, the attributes have the kernel's layout and outlive the call.
    check_long(Step::ReadOnly, unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    })
}

fn make_folder(path: &CStr, mode: libc::mode_t, step: Step) -> Result<(), Failure> {
    // SAFETY: the path is a C string.
    check(step, unsafe { libc::mkdir(path.as_ptr(), mode) })
}

fn change_folder(path: &CStr, step: Step) -> Result<(), Failure> {
    // SAFETY: the path is a C string.
    check(step, unsafe { libc::chdir(path.as_ptr()) })
}

/// Writes a file whole; gives the kernel's error number.
fn write_file(path: &CStr, mut bytes: &[u8], flags: libc::c_int) -> Result<(), i32> {
    // SAFETY: the path is a C string; the buffer is valid for its length.
    unsafe {
        let file = libc::open(path.as_ptr(), flags | libc::O_CLOEXEC, 0o644 as libc::c_uint);
        if file < 0 {
            return Err(last_error());
        }
        while !bytes.is_empty() {
            let written = libc::write(file, bytes.as_ptr().cast(), bytes.len());
            let Some(rest) = usize::try_from(written).ok().and_then(|written| bytes.get(written..)) else {
                return Err(last_error());
            };
            bytes = rest;
        }
        libc::close(file);
    }
    Ok(())
}

/// Asks to be killed with the daemon's thread that waits, and makes sure that it still waits.
fn die_with_parent(report: RawFd) -> Result<(), Failure> {
    // SAFETY: prctl with numbers only.
    check(Step::ParentDeath, unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) })?;
    let mut watched = libc::pollfd { fd: report, events: 0, revents: 0 };
    // SAFETY: one entry, valid for the call.
    unsafe { libc::poll(&raw mut watched, 1, 0) };
    if watched.revents & libc::POLLERR == 0 { Ok(()) } else { Err((Step::ParentDeath, libc::ESRCH)) }
}

/// Puts the standard streams in place; everything else closes when the program starts.
fn connect_streams(ends: Ends<'_>) -> Result<(), Failure> {
    // The daemon may have started with a standard stream closed: move the ends out of the way first.
    let mut moved = [ends.input.as_raw_fd(), ends.output.as_raw_fd(), ends.error.as_raw_fd()];
    for end in &mut moved {
        // SAFETY: fcntl with numbers only.
        *end = unsafe { libc::fcntl(*end, libc::F_DUPFD_CLOEXEC, 10) };
        check(Step::Streams, *end)?;
    }
    for (place, end) in (0..).zip(moved) {
        // SAFETY: dup2 with numbers only.
        check(Step::Streams, unsafe { libc::dup2(end, place) })?;
    }
    // SAFETY: close_range with numbers only.
    check_long(Step::Streams, unsafe {
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC)
    })
}

/// Sets every signal to its default by bare system calls: the C library keeps books in shared memory.
fn reset_signal_handlers() {
    // `kernel_sigaction`: the default action is all zero on every architecture.
    let default_action = [0_u64; 8];
    for signal in 1..=64 {
        // SAFETY: the action is as large as the kernel's on any architecture. Two signals cannot be set.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default_action.as_ptr(),
                ptr::null::<u64>(),
                SIGNAL_SET_BYTES,
            )
        };
    }
}

fn unblock_signals() {
    let none = empty_signal_set();
    // SAFETY: the set outlives the call.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut()) };
}

fn empty_signal_set() -> libc::sigset_t {
    // SAFETY: all zero is the empty set.
    unsafe { std::mem::zeroed() }
}

extern "C" fn first_process(start: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `spawn` passes a start that outlives this process's share in the daemon's memory.
    let start = unsafe { &*start.cast::<Start<'_>>() };
    report_failure(start, start.enter_namespaces())
}

extern "C" fn second_process(start: *mut libc::c_void) -> libc::c_int {
    // SAFETY: as for the first process.
    let start = unsafe { &*start.cast::<Start<'_>>() };
    report_failure(start, start.become_program())
}

/// Ends the process, with a word to the daemon when something went wrong.
fn report_failure(start: &Start<'_>, result: Result<(), Failure>) -> ! {
    if let Err((step, error)) = result {
        send(start.ends.report.as_raw_fd(), step as u32, error);
    }
    // SAFETY: ends the process without running anything of the daemon's.
    unsafe { libc::_exit(libc::c_int::from(result.is_err())) }
}

/// The end of a stack, from which it grows down.
fn top(stack: &mut [u128]) -> *mut libc::c_void {
    stack.as_mut_ptr_range().end.cast()
}

fn send(report: RawFd, kind: u32, value: i32) {
    let mut message = [0_u8; 8];
    message[..4].copy_from_slice(&kind.to_ne_bytes());
    message[4..].copy_from_slice(&value.to_ne_bytes());
    // SAFETY: the message is valid for its length. Pipes take eight bytes whole or not at all.
    unsafe { libc::write(report, message.as_ptr().cast(), message.len()) };
}

fn check(step: Step, result: libc::c_int) -> Result<(), Failure> {
    if result < 0 { Err((step, last_error())) } else { Ok(()) }
}

fn check_long(step: Step, result: libc::c_long) -> Result<(), Failure> {
    if result < 0 { Err((step, last_error())) } else { Ok(()) }
}

fn last_error() -> i32 {
    // SAFETY: the C library's error number of this thread.
    unsafe { *libc::__errno_location() }
}
