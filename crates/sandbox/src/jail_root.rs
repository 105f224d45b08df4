//! The new root of a confined program: put together on a file system in memory, then made the root.
//!
//! Runs in a child that shares the daemon's memory: see [`crate::child`] for what that forbids.

#![expect(unsafe_code, reason = "mounts are made by bare system calls")]

use std::{ffi::CStr, ptr};

use crate::{
    plan::{Furnish, NO_DEVICES, NO_SET_UID, Plan, READ_ONLY},
    step::Step,
    system_call::{Failure, check, check_long, write_file},
};

/// Where the new root is put together before it becomes the root.
const BASE: &CStr = c"/tmp";
/// Where the host's root goes meanwhile.
const BASE_HOST: &CStr = c"/tmp/.host";
/// The same, seen from the new root.
const HOST: &CStr = c"/.host";
/// The scratch directory.
const SCRATCH: &CStr = c"/tmp";

/// Makes the plan's root this process's own; the host's is out of reach afterwards.
pub(crate) fn build_root(plan: &Plan) -> Result<(), Failure> {
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
    for step in &plan.furnish {
        furnish(step)?;
    }
    make_folder(SCRATCH, 0o777, Step::Scratch)?;
    let options = Some(plan.scratch_options.as_c_str());
    mount(Some(c"tmpfs"), SCRATCH, Some(c"tmpfs"), flags, options, Step::Scratch)?;
    // SAFETY: the paths are C strings.
    unsafe {
        check(Step::NewRoot, libc::umount2(HOST.as_ptr(), libc::MNT_DETACH))?;
        check(Step::NewRoot, libc::rmdir(HOST.as_ptr()))?;
    }
    set_mount_attributes(c"/", READ_ONLY | NO_SET_UID | NO_DEVICES, 0)?;
    change_folder(SCRATCH, Step::Scratch)
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
