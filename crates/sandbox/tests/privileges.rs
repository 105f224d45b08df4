//! The same confinement for root and for a normal user, and an end together with the daemon.

mod common;

use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead, BufReader},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::{Command, Stdio},
};

use common::{marked, processes_with, run, sandbox, shell, tight};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, geteuid, pidfd_open},
};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use still_sandbox::{Limits, Python, Sandbox};

/// The user that owns nothing.
const NOBODY: u32 = 65_534;
/// Set for the stand-in of a container.
const FORBIDDEN: &str = "STILL_SANDBOX_TEST_FORBIDDEN";
/// Carries the marker to the stand-in of a daemon.
const MARKER: &str = "STILL_SANDBOX_TEST_MARKER";

#[test]
fn root_of_a_plain_machine_can_confine() {
    let is_hosts_root = geteuid().is_root()
        && fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| map.contains("4294967295"));
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap().trim();
    let may_mount = u64::from_str_radix(capabilities, 16).unwrap() & (1 << 21) != 0;
    if is_hosts_root && may_mount && status.contains("Seccomp:\t0") {
        assert!(sandbox().is_some(), "CAP_SYS_ADMIN and no filter around this process");
    }
}

/// Runs the hostile programs once more from a process of a user without rights.
#[test]
fn a_normal_user_confines_as_well() {
    if !geteuid().is_root() {
        // Then every other test has just shown it.
        return;
    }
    let own = env::current_exe().unwrap();
    let hostile = fs::read_dir(own.parent().unwrap())
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_none())
        .filter(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("hostile_programs-"))
        })
        .max_by_key(|path| fs::metadata(path).and_then(|metadata| metadata.modified()).unwrap())
        .expect("the hostile tests are built beside these");
    let folder = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let copy = folder.path().join("hostile");
    fs::copy(hostile, &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(&copy);
    // A Python under root's home is out of this user's sight: the shell's programs show enough then.
    let python_is_visible = Python::find().is_ok_and(|python| !python.executable.starts_with("/root"));
    if !python_is_visible {
        command.args(["fork_bomb", "endless_output"]);
    }
    let result = command
        .current_dir(folder.path())
        .uid(NOBODY)
        .gid(NOBODY)
        .env("HOME", folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&result.stdout);
    assert!(result.status.success(), "{text}{}", String::from_utf8_lossy(&result.stderr));
    assert!(text.contains("test result: ok.") && !text.contains(" 0 passed"), "{text}");
}

/// Not a test of its own: a process that may not make namespaces, as in many containers.
#[test]
fn stand_in_of_a_container() {
    if env::var(FORBIDDEN).is_err() {
        return;
    }
    let forbid = SeccompFilter::new(
        BTreeMap::from([(libc::SYS_unshare, Vec::new())]),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM as u32),
        env::consts::ARCH.try_into().unwrap(),
    )
    .unwrap();
    seccompiler::apply_filter(&BpfProgram::try_from(forbid).unwrap()).unwrap();
    let missing = Sandbox::detect().unwrap_err();
    println!("{missing}");
}

#[test]
fn where_namespaces_are_forbidden_nothing_runs_and_the_reason_is_named() {
    let result = Command::new(env::current_exe().unwrap())
        .args(["--exact", "stand_in_of_a_container", "--nocapture"])
        .env(FORBIDDEN, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&result.stdout);
    assert!(result.status.success(), "{text}");
    assert!(text.contains("programs cannot be confined here: ") && text.contains("namespace"), "{text}");
    assert!(text.contains("Operation not permitted"), "{text}");
    assert!(text.contains("run outside a container") || text.contains("run the daemon as root"), "{text}");
}

/// Not a test of its own: the stand-in of a daemon that the next test kills.
#[test]
fn stand_in_of_a_daemon() {
    let Ok(marker) = env::var(MARKER) else { return };
    let Some(sandbox) = sandbox() else {
        println!("refused");
        return;
    };
    let mut sleeper = shell("sleep 300 & sleep 301");
    sleeper.command.push(marker);
    run(sandbox, &sleeper, &Limits { wall_milliseconds: 300_000, ..tight() });
}

#[test]
fn a_killed_daemon_takes_its_jails_along() {
    if sandbox().is_none() {
        return;
    }
    let (_, marker) = marked(shell(""));
    let mut daemon = Command::new(env::current_exe().unwrap())
        .args(["--exact", "stand_in_of_a_daemon", "--nocapture"])
        .env(MARKER, &marker)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(daemon.stdout.take().unwrap()).lines();
    assert!(lines.by_ref().any(|line| line.unwrap().contains("running 1 test")));
    let jailed = loop {
        match processes_with(&marker).first() {
            Some(id) => break *id,
            None => assert!(daemon.try_wait().unwrap().is_none(), "the stand-in ended before its jail began"),
        }
        std::thread::yield_now();
    };
    let jailed = pidfd_open(Pid::from_raw(jailed as i32).unwrap(), PidfdFlags::empty()).unwrap();
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    let patience = Timespec { tv_sec: 10, tv_nsec: 0 };
    let ended = poll(&mut [PollFd::new(&jailed, PollFlags::IN)], Some(&patience)).unwrap();
    assert_eq!(ended, 1, "the jail outlives its daemon");
}
