//! Hostile programs: each kind is contained, and nothing of it is left.

mod common;

use std::{fs, path::Path, thread, time::Duration};

use common::{marked, output, processes_with, python, run, sandbox, shell, tight};
use rustix::process::{Pid, Signal, kill_process};
use still_sandbox::{Exceeded, Finish, Limits, SandboxError};

#[test]
fn a_fork_bomb_stops_at_the_process_limit_and_leaves_nothing() {
    let Some(sandbox) = sandbox() else { return };
    let (bomb, marker) = marked(shell("bomb() { bomb | bomb & }; bomb; sleep 60"));
    let limits = Limits { processes: 16, wall_milliseconds: 1_500, ..tight() };
    let execution = run(sandbox, &bomb, &limits);
    assert!(!execution.finish.is_success(), "{:?}", execution.finish);
    assert!(execution.wall < Duration::from_secs(30), "{:?}", execution.wall);
    assert_eq!(processes_with(&marker), [0_u32; 0]);
}

#[test]
fn processes_that_take_turns_share_one_limit_of_processor_time() {
    let Some(sandbox) = sandbox() else { return };
    let (bomb, marker) = marked(python(
        "
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
",
    ));
    let limits = Limits { cpu_seconds: 1, processes: 8, ..tight() };
    let execution = run(sandbox, &bomb, &limits);
    assert_eq!(execution.finish, Finish::Exceeded(Exceeded::CpuTime));
    assert_eq!(processes_with(&marker), [0_u32; 0]);
    let relay = python(
        "
import os, time
while True:
    if os.fork() == 0:
        end = time.process_time() + 0.1
        while time.process_time() < end:
            pass
        os._exit(0)
    os.wait()
",
    );
    assert_eq!(run(sandbox, &relay, &limits).finish, Finish::Exceeded(Exceeded::CpuTime));
}

#[test]
fn the_process_limit_holds_and_no_other_jail_feels_it() {
    let Some(sandbox) = sandbox() else { return };
    let source = "
import os, time
count = 1
try:
    while True:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        count += 1
except BlockingIOError:
    print(count, flush=True)
    time.sleep(1)
";
    let limits = Limits { processes: 12, ..tight() };
    let counts: Vec<u32> = thread::scope(|scope| {
        let runs: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| output(&run(sandbox, &python(source), &limits)).trim().parse().unwrap()))
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    // In a user namespace the process that built it counts until it has been waited for.
    assert!(counts.iter().all(|count| (11..=12).contains(count)), "{counts:?}");
}

#[test]
fn a_memory_hog_gets_no_more_than_its_limit() {
    let Some(sandbox) = sandbox() else { return };
    let hog = python(
        "
hoard = []
try:
    while True:
        hoard.append(bytearray(1 << 20))
except MemoryError:
    size = len(hoard)
    del hoard
    print(size)
",
    );
    let execution = run(sandbox, &hog, &tight());
    let mebibytes: u64 = output(&execution).trim().parse().unwrap();
    assert!((64..256).contains(&mebibytes), "{mebibytes}");
}

#[test]
fn many_processes_share_one_memory_limit() {
    let Some(sandbox) = sandbox() else { return };
    let (hog, marker) = marked(python(
        "
import os, time
for _ in range(8):
    if os.fork() == 0:
        hoard = bytearray(os.urandom(1 << 20)) * 100
        time.sleep(60)
time.sleep(60)
",
    ));
    let execution = run(sandbox, &hog, &tight());
    assert_eq!(execution.finish, Finish::Exceeded(Exceeded::Memory));
    assert!(execution.peak_memory_bytes < 700 << 20, "{}", execution.peak_memory_bytes);
    assert_eq!(processes_with(&marker), [0_u32; 0]);
}

#[test]
fn memory_behind_files_and_shared_segments_is_not_to_be_had() {
    let Some(sandbox) = sandbox() else { return };
    let execution = run(
        sandbox,
        &python(
            "
import ctypes, errno, os
try:
    os.memfd_create('x')
except OSError as error:
    print(errno.errorcode[error.errno])
libc = ctypes.CDLL(None, use_errno=True)
print(libc.shmget(0, 1 << 30, 0o1600), errno.errorcode[ctypes.get_errno()])
",
        ),
        &tight(),
    );
    assert_eq!(output(&execution), "EPERM\n-1 EPERM\n", "{execution:?}");
}

#[test]
fn endless_output_is_cut_at_its_limit_and_what_came_is_kept() {
    let Some(sandbox) = sandbox() else { return };
    let limits = Limits { output_bytes: 100_000, ..tight() };
    for source in ["yes", "yes >&2", "yes & yes >&2 & wait"] {
        let execution = run(sandbox, &shell(source), &limits);
        assert_eq!(execution.finish, Finish::Exceeded(Exceeded::Output), "{source}");
        assert_eq!(execution.output.len() + execution.error.len(), 100_000, "{source}");
        let kept = [&execution.output, &execution.error].into_iter().find(|kept| !kept.is_empty()).unwrap();
        assert!(kept.starts_with(b"y\ny\n"), "{source}");
    }
    let burst = run(
        sandbox,
        &python("import os; os.write(1, b'x' * 60000)"),
        &Limits { output_bytes: 1000, ..limits },
    );
    assert_eq!((burst.finish, burst.output.len()), (Finish::Exceeded(Exceeded::Output), 1000));
    let exact = run(sandbox, &shell("printf 12345"), &Limits { output_bytes: 5, ..limits });
    assert_eq!(output(&exact), "12345");
}

#[test]
fn nothing_can_be_written_outside_the_scratch_directory() {
    let Some(sandbox) = sandbox() else { return };
    let execution = run(
        sandbox,
        &python(
            "
import os
for folder in ['/', '/usr', '/usr/lib', '/bin', '/lib', '/etc', '/dev', '/var', '/root', '/home', '/proc']:
    for attempt in [lambda: open(folder + '/escaped', 'w'), lambda: os.mkdir(folder + '/escaped'),
                    lambda: os.chmod(folder, 0o777), lambda: os.rename(folder, '/tmp/moved')]:
        try:
            attempt()
            print('wrote', folder)
        except OSError:
            pass
open('/tmp/still-sandbox-scratch', 'w').write('fine')
print(sorted(os.listdir('/tmp')))
",
        ),
        &tight(),
    );
    assert_eq!(output(&execution), "['main.py', 'still-sandbox-scratch']\n", "{execution:?}");
    assert!(!Path::new("/tmp/still-sandbox-scratch").exists());
}

#[test]
fn files_and_the_scratch_directory_have_their_size() {
    let Some(sandbox) = sandbox() else { return };
    let execution = run(
        sandbox,
        &python(
            "
import errno
def fill(name):
    size = 0
    with open(name, 'wb', buffering=0) as file:
        try:
            while True:
                size += file.write(bytes(1 << 16))
        except OSError as error:
            return size, errno.errorcode[error.errno]
print(fill('/tmp/one'))
print(fill('/tmp/two'))
",
        ),
        &Limits { file_bytes: 1 << 20, scratch_bytes: 3 << 19, ..tight() },
    );
    let text = output(&execution);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "(1048576, 'EFBIG')", "{execution:?}");
    assert!(lines[1].ends_with("'ENOSPC')"), "{text}");
}

#[test]
fn no_socket_opens_and_there_is_no_network() {
    let Some(sandbox) = sandbox() else { return };
    let execution = run(
        sandbox,
        &python(
            "
import errno, socket
for family in [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK]:
    for kind in [socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW]:
        try:
            socket.socket(family, kind)
            print('opened', family, kind)
        except OSError as error:
            assert error.errno == errno.EPERM, error
one, two = socket.socketpair()
one.send(b'talk among yourselves')
print(two.recv(99).decode())
",
        ),
        &tight(),
    );
    assert_eq!(output(&execution), "talk among yourselves\n", "{execution:?}");
}

#[test]
fn ignoring_signals_does_not_help_against_the_clock() {
    let Some(sandbox) = sandbox() else { return };
    let (stubborn, marker) = marked(python(
        "
import os, signal, time
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
if os.fork() == 0:
    os.setsid()
print('still here', flush=True)
while True:
    time.sleep(60)
",
    ));
    let limits = Limits { wall_milliseconds: 5_000, ..tight() };
    let execution = run(sandbox, &stubborn, &limits);
    assert_eq!(execution.finish, Finish::Exceeded(Exceeded::WallTime));
    assert!(output(&execution).starts_with("still here"), "what was written before the end is kept");
    assert!(execution.wall < Duration::from_secs(30), "{:?}", execution.wall);
    assert_eq!(processes_with(&marker), [0_u32; 0]);
}

#[test]
fn children_left_behind_end_with_the_program_even_with_its_output_in_hand() {
    let Some(sandbox) = sandbox() else { return };
    let (leaver, marker) = marked(python(
        "
import os, time
for _ in range(4):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(600)
        os._exit(0)
print('gone', flush=True)
",
    ));
    let execution = run(sandbox, &leaver, &tight());
    assert_eq!(execution.finish, Finish::Exited(0));
    assert_eq!(output(&execution), "gone\n");
    assert!(execution.wall < Duration::from_mins(1), "{:?}", execution.wall);
    assert_eq!(processes_with(&marker), [0_u32; 0]);
}

#[test]
fn a_busy_loop_ends_at_the_limit_of_processor_time() {
    let Some(sandbox) = sandbox() else { return };
    let limits = Limits { cpu_seconds: 1, ..tight() };
    let execution = run(sandbox, &python("while True: pass"), &limits);
    assert_eq!(execution.finish, Finish::Exceeded(Exceeded::CpuTime));
    assert!(execution.cpu >= Duration::from_millis(500), "{:?}", execution.cpu);
}

#[test]
fn a_program_cannot_pass_its_own_death_off_as_a_kill_from_outside() {
    let Some(sandbox) = sandbox() else { return };
    let execution = run(
        sandbox,
        &python(
            "
import os, resource, signal
for limits in [(0, 0), (1, 1), (1, resource.RLIM_INFINITY)]:
    try:
        resource.setrlimit(resource.RLIMIT_CPU, limits)
        print('lowered')
    except (OSError, ValueError):
        pass
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))
os.kill(os.getpid(), signal.SIGKILL)
print('alive', resource.getrlimit(resource.RLIMIT_CPU)[0])
",
        ),
        &tight(),
    );
    assert_eq!(output(&execution), "alive 5\n", "{execution:?}");
}

#[test]
fn a_jail_that_is_killed_from_outside_says_nothing_of_its_program() {
    let Some(sandbox) = sandbox() else { return };
    let (sleeper, marker) = marked(shell("sleep 300; true"));
    let limits = tight();
    let killed = thread::scope(|scope| {
        let run = scope.spawn(|| sandbox.execute(&sleeper, &[], &limits));
        let jailed = loop {
            match processes_with(&marker).first() {
                Some(id) => break Pid::from_raw(*id as i32).unwrap(),
                None => assert!(!run.is_finished(), "the program ended before it was killed"),
            }
            thread::yield_now();
        };
        kill_process(jailed, Signal::KILL).unwrap();
        run.join().unwrap()
    });
    assert!(matches!(killed, Err(SandboxError::Killed)), "{killed:?}");
}

#[test]
fn the_host_cannot_be_seen() {
    let Some(sandbox) = sandbox() else { return };
    let execution = run(
        sandbox,
        &python("
import fcntl, os
print(os.getpid(), os.getppid(), sorted(os.environ) == ['HOME', 'LANG', 'PATH', 'PYTHONHASHSEED', 'TMPDIR'])
print([path for path in ['/proc/self', '/sys/kernel', '/etc/passwd', '/etc/shadow', '/var/log', '/boot', '/.host']
       if os.path.exists(path)])
def is_open(number):
    try:
        fcntl.fcntl(number, fcntl.F_GETFD)
        return True
    except OSError:
        return False
print([number for number in range(128) if is_open(number)])
try:
    os.kill(-1, 0)
except ProcessLookupError:
    print('alone')
"),
        &tight(),
    );
    assert_eq!(output(&execution), "1 0 True\n[]\n[0, 1, 2]\nalone\n", "{execution:?}");
    assert!(fs::metadata("/etc/passwd").is_ok(), "the host has what the jail must not show");
}

#[test]
fn no_new_rights_are_to_be_had() {
    let Some(sandbox) = sandbox() else { return };
    let execution = run(
        sandbox,
        &python(
            "
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def refused(name, *arguments):
    ctypes.set_errno(0)
    result = getattr(libc, name)(*arguments)
    return result == -1 and errno.errorcode.get(ctypes.get_errno(), 'none')
print([refused('unshare', 0x10000000), refused('mount', b'x', b'/tmp', b'tmpfs', 0, None),
       refused('umount2', b'/tmp', 2), refused('chroot', b'/tmp'), refused('ptrace', 0, 0, 0, 0),
       refused('setns', 0, 0), refused('personality', 0x0040000), refused('syscall', 321, 0, None, 0)])
print([refused('syscall', 56, 0x10000000 | 17, 0, 0, 0, 0), refused('setuid', 0), refused('setgid', 0)]
      if os.uname().machine == 'x86_64' else ['EPERM', 'EPERM', 'EPERM'])
PR_GET_NO_NEW_PRIVS, PR_CAPBSET_READ = 39, 23
print(libc.prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), os.getuid() != 0, os.getgroups() in ([], [65534]))
",
        ),
        &tight(),
    );
    let text = output(&execution);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{execution:?}");
    assert_eq!(lines[0], format!("[{}]", ["'EPERM'"; 8].join(", ")), "{text}");
    assert!(lines[1].starts_with("['EPERM'"), "{text}");
    assert!(!lines[1].contains("False"), "{text}");
    assert_eq!(lines[2], "1 True True", "{text}");
}

#[test]
fn a_bomb_next_door_does_not_disturb_honest_programs() {
    let Some(sandbox) = sandbox() else { return };
    let results: Vec<(usize, String)> = thread::scope(|scope| {
        let bomb = scope.spawn(|| {
            run(
                sandbox,
                &shell("bomb() { bomb | bomb & }; bomb; sleep 60"),
                &Limits { wall_milliseconds: 2_000, ..tight() },
            )
        });
        let honest: Vec<_> = (0..12)
            .map(|number| {
                scope.spawn(move || {
                    let program = shell("read n; echo $((n * 2))");
                    let input = format!("{number}\n");
                    let execution = sandbox.execute(&program, input.as_bytes(), &tight()).unwrap();
                    (number, output(&execution))
                })
            })
            .collect();
        let results = honest.into_iter().map(|run| run.join().unwrap()).collect();
        assert!(!bomb.join().unwrap().finish.is_success());
        results
    });
    for (number, text) in results {
        assert_eq!(text, format!("{}\n", number * 2));
    }
}
