//! The system calls that a confined program may not make.
//!
//! A list of what is forbidden, not of what is allowed, so that any interpreter runs; the namespaces, the
//! empty capability sets and the read-only root are what confines. The filter closes what they leave open:
//! sockets of every kind, memory that no limit counts, tracing, and the kernel's less travelled corners.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

/// Refused with "operation not permitted".
const FORBIDDEN: &[libc::c_long] = &[
    // the network, and sockets between processes
    libc::SYS_socket,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_connect,
    libc::SYS_accept,
    libc::SYS_accept4,
    // memory that no limit counts
    libc::SYS_memfd_create,
    libc::SYS_memfd_secret,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_msgget,
    libc::SYS_semget,
    libc::SYS_mq_open,
    // other processes
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    // mounts and namespaces
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    // the kernel's corners
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_setup,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_fanotify_init,
    libc::SYS_inotify_init1,
    libc::SYS_quotactl,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_personality,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
];

/// The same, of one architecture.
#[cfg(target_arch = "x86_64")]
const FORBIDDEN_HERE: &[libc::c_long] = &[
    libc::SYS_modify_ldt,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_inotify_init,
    libc::SYS_kexec_file_load,
];
#[cfg(not(target_arch = "x86_64"))]
const FORBIDDEN_HERE: &[libc::c_long] = &[];

#[cfg(target_arch = "x86_64")]
const SYS_SETRLIMIT: libc::c_long = libc::SYS_setrlimit;
/// The number in the table that the newer architectures share; `libc` leaves it out.
#[cfg(not(target_arch = "x86_64"))]
const SYS_SETRLIMIT: libc::c_long = 164;

/// New namespaces, as flags of `clone`.
const NAMESPACE_FLAGS: [libc::c_int; 7] = [
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

/// Set in the number of a system call of the x32 interface, under which any call could be made past a
/// list of numbers.
const X32_BIT: u32 = 0x4000_0000;

/// The programs to install, in order.
pub(crate) fn programs() -> Result<Vec<BpfProgram>, BackendError> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        FORBIDDEN.iter().chain(FORBIDDEN_HERE).map(|number| (*number, Vec::new())).collect();
    let new_namespace = |flag: libc::c_int| {
        let bit = flag as u64;
        SeccompRule::new(vec![SeccompCondition::new(
            0,
            SeccompCmpArgLen::Qword,
            SeccompCmpOp::MaskedEq(bit),
            bit,
        )?])
    };
    rules.insert(libc::SYS_prlimit64, vec![new_cpu_limit(1, Some(2))?]);
    rules.insert(SYS_SETRLIMIT, vec![new_cpu_limit(0, None)?]);
    rules.insert(libc::SYS_clone, NAMESPACE_FLAGS.into_iter().map(new_namespace).collect::<Result<_, _>>()?);
    let forbid = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM as u32),
        architecture,
    )?;
    // The flags of clone3 lie in memory, where no filter sees them: C libraries then fall back on clone.
    let absent = SeccompFilter::new(
        BTreeMap::from([(libc::SYS_clone3, Vec::new())]),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS as u32),
        architecture,
    )?;
    let mut programs: Vec<BpfProgram> = vec![forbid.try_into()?, absent.try_into()?];
    if cfg!(target_arch = "x86_64") {
        programs.push(without_x32());
    }
    Ok(programs)
}

/// Matches a call that sets the limit of processor time: a program that lowers it is killed by the kernel,
/// and nobody could tell that from a kill from outside. `limit` is the pointer that is null in a mere question.
fn new_cpu_limit(resource: u8, limit: Option<u8>) -> Result<SeccompRule, BackendError> {
    let is_cpu = SeccompCondition::new(
        resource,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::Eq,
        u64::from(libc::RLIMIT_CPU),
    )?;
    let is_given = limit
        .map(|limit| SeccompCondition::new(limit, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, 0))
        .transpose()?;
    SeccompRule::new([is_cpu].into_iter().chain(is_given).collect())
}

/// Refuses every call of the x32 interface.
fn without_x32() -> BpfProgram {
    let load_number = sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 };
    let if_x32 = sock_filter { code: 0x35, jt: 0, jf: 1, k: X32_BIT };
    let refuse = sock_filter { code: 0x06, jt: 0, jf: 0, k: libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32 };
    let allow = sock_filter { code: 0x06, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW };
    vec![load_number, if_x32, refuse, allow]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_are_built_and_fit_the_kernel() {
        let programs = programs().unwrap();
        assert!(programs.len() >= 2);
        assert!(programs.iter().all(|program| !program.is_empty() && program.len() <= 4096));
    }
}
