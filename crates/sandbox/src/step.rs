//! The steps from a fork to the confined program, and the kernel feature that each one needs.

/// Number of the message that carries the second process's id.
pub(crate) const STARTED: u32 = 0;

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
