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
    io,
    os::fd::{AsRawFd, BorrowedFd, RawFd},
    ptr,
};

use crate::{
    jail_root::build_root,
    plan::{Plan, Privilege},
    step::{STARTED, Step},
    system_call::{Failure, check, check_long, last_error, send, write_file},
};

/// Size of a child's stack in words of 16 bytes: 64 KiB, many times what the deepest call takes.
const STACK_WORDS: usize = 4096;
/// Size of the kernel's signal set.
const SIGNAL_SET_BYTES: usize = 8;

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
        build_root(self.plan)?;
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
    for (stream, end) in (0..).zip(moved) {
        // SAFETY: dup2 with numbers only.
        check(Step::Streams, unsafe { libc::dup2(end, stream) })?;
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
