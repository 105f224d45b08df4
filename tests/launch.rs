//! Servers that the daemon starts itself: they come up, are given weights, draw, are started again when they are killed,
//! give their devices to a trainer in turns, and end with the daemon.
//!
//! The server is this very program, started again with a double of an inference server inside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

mod harness;

use std::{
    collections::BTreeSet,
    env, fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use harness::{Daemon, Watch, ids, model, pool, rounds, small, stillctl_json, stillctl_refused, stilld};
use serde_json::Value;
use still_engine_double::{EngineDouble, Fault, Options};

/// Names the port of a double that this program is to be, its model, the file of what it was asked, and what it fails at.
const PORT: &str = "DOUBLE_PORT";
const MODEL: &str = "DOUBLE_MODEL";
const LOG: &str = "DOUBLE_LOG";
const FAILS: &str = "DOUBLE_FAILS";
/// Has it speak as servers of `OpenAI`'s kind do.
const COMPLETES: &str = "DOUBLE_COMPLETES";

/// Serves until it is ended, where the environment asks for it; else there is nothing to do.
#[test]
fn serve() {
    let Ok(port) = env::var(PORT) else { return };
    let model = env::var(MODEL).unwrap();
    let options = if env::var_os(COMPLETES).is_some() { Options::completions } else { Options::new };
    let double = EngineDouble::start(Options { port: port.parse().unwrap(), ..options(Path::new(&model)) });
    if let Ok(path) = env::var(FAILS) {
        double.fail(&path, Fault::Status(404), usize::MAX);
    }
    println!("a double serves {model} on {port}");
    let log =
        env::var_os(LOG).map(|path| fs::OpenOptions::new().create(true).append(true).open(path).unwrap());
    let mut told = 0;
    loop {
        double.wait_until_asked(|asked| asked.len() > told);
        let asked = double.log();
        if let Some(mut log) = log.as_ref() {
            for line in
                asked[told..].iter().filter(|line| !line.contains("metrics") && !line.contains("is_paused"))
            {
                // one write a line: several of them write to it
                log.write_all(format!("{port} {line}\n").as_bytes()).unwrap();
            }
        }
        told = asked.len();
    }
}

/// The words of a command that starts this program as a double.
fn double() -> String {
    double_after("")
}

/// The same after some commands of a shell, for which `$2` is the model.
fn double_after(before: &str) -> String {
    let program = env::current_exe().unwrap();
    let script = format!(
        "{before} exec env {PORT}=$1 {MODEL}=$2 {} --exact serve --nocapture --test-threads 1",
        program.display()
    );
    format!("[\"sh\", \"-c\", \"{script}\", \"double\", \"{{port}}\", \"{{model}}\"]")
}

/// A daemon whose servers are doubles; `more` are keys of their section.
fn daemon(data_dir: &Path, base: &Path, rounds: u32, more: &str, settings: &[&str]) -> Daemon {
    daemon_of("vllm", &double(), data_dir, base, rounds, more, settings)
}

/// The same with servers of another kind and command.
fn daemon_of(
    kind: &str,
    command: &str,
    data_dir: &Path,
    base: &Path,
    rounds: u32,
    more: &str,
    settings: &[&str],
) -> Daemon {
    let engines = format!(
        "engines=[{{kind = \"{kind}\", launch = true, poll_milliseconds = 50, backoff_seconds = 0, command = {command}, {more}}}]"
    );
    let source = format!("model.source={}", base.display());
    // exploration ahead of a round must not use the problems up before the next begins, however long training takes
    let own = small(&["exploration.max_ahead_attempts=48"]);
    let settings: Vec<&str> =
        own.into_iter().chain([&*source, &*engines]).chain(settings.iter().copied()).collect();
    Daemon::start(data_dir, rounds, &settings)
}

fn servers(data_dir: &Path) -> Vec<Value> {
    stillctl_json(data_dir, &["servers", "list"]).as_array().unwrap().clone()
}

fn process(server: &Value) -> u64 {
    server["launched"]["process"].as_u64().unwrap_or_else(|| panic!("no process: {server}"))
}

/// Processes that were started with servers of that daemon's data directory.
fn left(data_dir: &Path) -> Vec<String> {
    let mark = format!("STILL_SERVERS={}", data_dir.join("servers").display());
    let has_it = |id: &String| {
        let environment = fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|one| one == mark.as_bytes())
    };
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).filter(has_it).collect()
}

fn signal(name: &str, process: u64) {
    let status = Command::new("kill").args(["-s", name, &process.to_string()]).status().unwrap();
    assert!(status.success());
}

fn message_with(text: &'static str) -> impl Fn(&Value) -> bool {
    move |event| event["message"].as_str().is_some_and(|message| message.contains(text))
}

#[test]
fn servers_are_started_and_started_again_and_end_with_the_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let base = model(folder.path());
    let data_dir = folder.path().join("data");
    let mut daemon = daemon(&data_dir, &base, 2, "servers = 2", &[]);
    daemon.wait_until_up();
    let mut watch = Watch::start(&data_dir);
    watch.wait_for("explored", |event| event["round"] == 1 && event["judged"].as_u64() > Some(2));
    let before = servers(&data_dir);
    assert_eq!(before.len(), 2, "{before:?}");
    let refused =
        stillctl_refused(&data_dir, &["servers", "remove", before[0]["address"].as_str().unwrap()], 10);
    assert!(refused.contains("started by the daemon itself"), "{refused}");
    signal("KILL", process(&before[0]));
    let told = watch.wait_for("warning", message_with("is started again in 0 s"));
    assert!(told["message"].as_str().unwrap().contains("servers/server-"), "{told}");
    watch.wait_for("explored", |event| event["round"] == 2 && event["judged"].as_u64() > Some(2));
    let after = servers(&data_dir);
    assert_eq!(after.len(), 2, "{after:?}");
    assert!(after.iter().all(|one| process(one) != process(&before[0])), "{after:?}");
    assert_eq!(left(&data_dir).len(), 2);
    let (status, output) = daemon.finish();
    assert!(status.success(), "{output}");
    assert_eq!(left(&data_dir), Vec::<String>::new(), "none outlives the daemon");
    assert_eq!(rounds(&data_dir).len(), 3);
    ids(&pool(&data_dir));
    let log = fs::read_to_string(data_dir.join("servers/server-0.log")).unwrap();
    assert!(log.contains("a double serves"), "{log}");
}

#[test]
fn what_a_killed_daemon_leaves_is_ended_before_the_next_start_and_a_drain_ends_all() {
    let folder = tempfile::tempdir().unwrap();
    let base = model(folder.path());
    let data_dir = folder.path().join("data");
    let start = || daemon(&data_dir, &base, 9, "servers = 1", &[]);
    let mut first = start();
    first.wait_until_up();
    let mut watch = Watch::start(&data_dir);
    watch.wait_for("explored", |event| event["judged"].as_u64() > Some(0));
    // what a server starts itself is not killed by the kernel
    let mark = format!("STILL_SERVERS={}", data_dir.join("servers").display());
    let mut child = Command::new("env").args([&mark, "sleep", "1000"]).spawn().unwrap();
    first.kill();
    let mut second = start();
    second.wait_until_up();
    assert!(!child.wait().unwrap().success(), "it was killed");
    let mut watch = Watch::start(&data_dir);
    watch.wait_for("explored", |event| event["judged"].as_u64() > Some(4));
    assert_eq!(left(&data_dir).len(), 1);
    second.signal("TERM");
    let (status, output) = second.finish();
    assert!(status.success(), "{output}");
    assert_eq!(left(&data_dir), Vec::<String>::new());
}

#[test]
fn a_server_that_dies_again_and_again_is_left_out_alone_and_one_that_does_not_end_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let base = model(folder.path());
    let data_dir = folder.path().join("data");
    let engines = format!(
        "engines=[{{kind = \"vllm\", launch = true, poll_milliseconds = 50, command = {}}}, {{kind = \"vllm\", launch = true, \
         backoff_seconds = 0, retries = 2, command = [\"sh\", \"-c\", \"echo no such model on port {{port}}; exit 3\"]}}, \
         {{kind = \"vllm\", launch = true, stop_seconds = 1, command = [\"sh\", \"-c\", \
         \"trap '' TERM; while :; do sleep 1; done\", \"{{port}}\"]}}]",
        double()
    );
    let source = format!("model.source={}", base.display());
    let own = small(&[]);
    let settings: Vec<&str> = own.into_iter().chain([&*source, &*engines]).collect();
    let mut daemon = Daemon::start(&data_dir, 1, &settings);
    daemon.wait_until_up();
    let line = daemon.wait_for_line("left out and tried again");
    for part in
        ["failed 3 times in a row", "exit status: 3", "it said: no such model on port", "server-1.log"]
    {
        assert!(line.contains(part), "`{part}` is missing in: {line}");
    }
    let servers = servers(&data_dir);
    let bad = servers
        .iter()
        .find(|one| one["launched"]["log"].as_str().unwrap().ends_with("server-1.log"))
        .unwrap();
    assert_eq!(bad["state"], "given_up", "{servers:?}");
    assert!(bad["launched"]["restarts_in_seconds"].as_f64() > Some(60.0), "{servers:?}");
    let (status, output) = daemon.finish();
    assert!(status.success(), "{output}");
    assert_eq!(left(&data_dir), Vec::<String>::new(), "the one that is deaf to SIGTERM is killed");
    assert_eq!(rounds(&data_dir).len(), 2);
}

/// Ends a daemon's run: no server is left, every round was promoted, and nothing is in the pool twice.
fn all_is_promoted(daemon: Daemon, data_dir: &Path, count: usize) {
    let (status, output) = daemon.finish();
    assert!(status.success(), "{output}");
    assert_eq!(left(data_dir), Vec::<String>::new());
    let rounds = rounds(data_dir);
    assert!(rounds.len() == count && rounds.iter().all(|round| round["phase"] == "promoted"), "{rounds:?}");
    ids(&pool(data_dir));
}

/// Two rounds by servers that begin anew with every policy. Gives what they were asked, what they began with, and how what
/// they drew was drawn.
fn rounds_by_restart(kind: &str, command: &str, keys: &str) -> (String, Vec<String>, Vec<Value>) {
    let folder = tempfile::tempdir().unwrap();
    let (base, log) = (model(folder.path()), folder.path().join("asked.log"));
    let data_dir = folder.path().join("data");
    let keys = format!("{keys} = \"{}\"}}", log.display());
    let daemon = daemon_of(kind, command, &data_dir, &base, 2, &keys, &[]);
    all_is_promoted(daemon, &data_dir, 3);
    let manners = stilld().args(["inspect", "provenances", "--json", "--data-dir"]).arg(&data_dir).output();
    let manners = serde_json::from_slice(&manners.unwrap().stdout).unwrap();
    let served = fs::read_to_string(data_dir.join("servers/server-0.log")).unwrap();
    let served = served.lines().filter_map(|line| Some(line.split_once("a double serves ")?.1));
    let served = served.map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    (fs::read_to_string(&log).unwrap(), served, manners)
}

/// The policies in what servers began with: `base`, then one a round.
fn policies(served: &[String]) -> Vec<&str> {
    let known = ["round-0", "round-1", "round-2"];
    served.iter().map(|path| known.into_iter().find(|name| path.contains(name)).unwrap_or("base")).collect()
}

#[test]
fn a_server_that_cannot_load_weights_begins_anew_with_every_policy() {
    let keys = format!("servers = 1, environment = {{{FAILS} = \"/collective_rpc\", {LOG}");
    let (asked, served, _) = rounds_by_restart("vllm", &double(), &keys);
    let policies = policies(&served);
    assert_eq!(policies[..3], ["base", "round-0", "round-1"], "{served:?}");
    let tries = asked.lines().filter(|line| line.contains("/collective_rpc")).count();
    // what was asked just before its end may be missing
    assert!(tries < served.len(), "it is asked once before each, and never for what it began with: {asked}");
}

#[test]
fn a_server_that_is_to_begin_anew_is_never_asked_to_load_and_begins_with_the_base_where_a_policy_does_not_come_up()
 {
    // the first time that it is to serve a policy it does not come up
    let flag = tempfile::tempdir().unwrap();
    let flag = flag.path().join("failed");
    let fails_once =
        format!("case $2 in *round-0*) if mkdir {} 2>/dev/null; then exit 7; fi;; esac;", flag.display());
    let keys = format!("servers = 1, renewal = \"restart\", environment = {{{LOG}");
    let (asked, served, _) = rounds_by_restart("vllm", &double_after(&fails_once), &keys);
    assert!(!asked.contains("/collective_rpc"), "{asked}");
    let policies = policies(&served);
    assert_eq!(policies[..4], ["base", "base", "round-0", "round-1"], "{served:?}");
}

#[test]
fn a_server_of_openais_kind_draws_for_rounds_by_a_process_for_every_policy() {
    let keys = format!("servers = 1, environment = {{{COMPLETES} = \"1\", {LOG}");
    let (asked, served, manners) = rounds_by_restart("openai", &double(), &keys);
    let policies = policies(&served);
    assert_eq!(policies[..3], ["base", "round-0", "round-1"], "{served:?}");
    let is_known = |line: &str| line.ends_with(" GET /v1/models") || line.ends_with(" POST /v1/completions");
    assert!(asked.lines().all(is_known), "{asked}");
    let is_told = |one: &Value| one["engine"] == "openai" && one["is_retokenized"] == true;
    assert!(!manners.is_empty() && manners.iter().all(is_told), "{manners:?}");
}

/// A trainer that says when it begins and ends into the servers' log, and brings what it began with.
fn trainer(folder: &Path, log: &Path) -> PathBuf {
    let script = format!(
        r#"#!/bin/sh
log='{}'
echo "trainer begins" >> "$log"
base=$(sed -n 's/^ *"base": "\(.*\)",$/\1/p' "$STILL_JOB/job.json")
printf '{{"event":"progress","step":1,"loss":2.5,"learning_rate":1e-3,"tokens":40}}\n'
case "$STILL_JOB" in
*/round-1-*) while [ ! -e '{}/go' ]; do sleep 0.05; done ;;
esac
mkdir "$STILL_JOB/output"
cp "$base/config.json" "$base"/*.safetensors "$STILL_JOB/output"
echo '{{}}' > "$STILL_JOB/output/complete.json"
echo "trainer ends" >> "$log"
printf '{{"event":"done"}}\n'
"#,
        log.display(),
        folder.display()
    );
    let path = folder.join("trainer");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A run whose servers and trainer take turns; gives what was asked of the servers, with the trainer's beginnings and ends.
fn run_in_turns(devices: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let (base, log) = (model(folder.path()), folder.path().join("asked.log"));
    let program = format!("training.command.program={}", trainer(folder.path(), &log).display());
    let data_dir = folder.path().join("data");
    let keys = format!("{devices}, placement = \"turns\", environment = {{{LOG} = \"{}\"}}", log.display());
    let settings = ["training.engine=command", &program];
    let mut daemon = daemon(&data_dir, &base, 1, &keys, &settings);
    daemon.wait_until_up();
    let mut watch = Watch::start(&data_dir);
    watch.wait_for("trained", |event| event["round"] == 1);
    let waits = stillctl_json(&data_dir, &["status"])["waits"].to_string();
    assert!(waits.contains("draw again when training gives back the devices"), "{waits}");
    let states: Vec<_> = servers(&data_dir).iter().map(|one| one["state"].clone()).collect();
    let expected = if devices.contains("devices") { "asleep" } else { "yielded" };
    assert!(states.len() == 2 && states.iter().all(|state| state == expected), "{states:?}");
    fs::write(folder.path().join("go"), "").unwrap();
    all_is_promoted(daemon, &data_dir, 2);
    fs::read_to_string(&log).unwrap().lines().map(str::to_owned).collect()
}

/// How often something was drawn before imitation, in it, before the round's training, in it, and after.
fn drawn(asked: &[String]) -> [usize; 5] {
    let parts: Vec<_> = asked.split(|line| line.starts_with("trainer")).collect();
    let counts = parts.iter().map(|part| part.iter().filter(|line| line.contains("/generate")).count());
    counts.collect::<Vec<_>>().try_into().unwrap_or_else(|_| panic!("imitation and one round: {asked:#?}"))
}

#[test]
fn servers_on_gpus_sleep_while_a_command_trains_and_wake_after() {
    let asked = run_in_turns("devices = [0, 1]");
    let [_, _, between, _, after] = drawn(&asked);
    assert!(between > 0 && after > 0, "{asked:#?}");
    let servers: BTreeSet<&str> =
        asked.iter().filter_map(|line| line.split_once(" GET ")).map(|(port, _)| port).collect();
    let mut naps = 0;
    for server in servers {
        let mut is_asleep = false;
        for line in asked.iter().filter(|line| line.starts_with(server)) {
            assert!(!(is_asleep && line.contains("/generate")), "drawn asleep: {asked:#?}");
            if line.contains("/sleep?level=1") {
                (is_asleep, naps) = (true, naps + 1);
            }
            is_asleep &= !line.contains("/wake_up");
        }
        assert!(!is_asleep, "{server} was left asleep: {asked:#?}");
    }
    assert!(naps >= 2, "{asked:#?}");
}

#[test]
fn servers_on_the_processor_are_ended_while_a_command_trains_and_started_anew() {
    let asked = run_in_turns("servers = 2");
    let [_, imitating, between, training, after] = drawn(&asked);
    assert!(between > 0 && after > 0, "{asked:#?}");
    assert_eq!((imitating, training), (0, 0), "{asked:#?}");
    assert!(!asked.iter().any(|line| line.contains("sleep")), "{asked:#?}");
}

#[test]
fn a_plan_tells_which_servers_are_started_on_which_gpus_and_a_program_that_is_missing_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let base = model(folder.path());
    let plan = |command: &str| {
        let engines = format!(
            "engines=[{{kind = \"vllm\", launch = true, devices = [0, 1, 2, 3], tensor_parallel = 2, expected_tokens_per_second \
             = 5000.0, command = {command}}}]"
        );
        let mut command = stilld();
        command.args(["run", "--dry-run", "--config", "configs/quickstart.toml", "--data-dir"]);
        command.arg(folder.path().join("data")).args(["--set", &engines]);
        let source = format!("model.source={}", base.display());
        for setting in [&*source, "price.per_device_hour=2.5", "http.listen=127.0.0.1:0"] {
            command.args(["--set", setting]);
        }
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, told, error) = plan("[\"sh\", \"serve\", \"{model}\", \"{port}\"]");
    assert_eq!(code, Some(0), "{error}");
    for part in [
        "2 servers that the daemon starts",
        "GPUs 2, 3: CUDA_VISIBLE_DEVICES=2,3 VLLM_SERVER_DEV_MODE=1 sh serve",
        "drawing 10000",
        "4 devices:",
        " USD at 2.5 a device and hour",
    ] {
        assert!(told.contains(part), "`{part}` is missing in: {told}");
    }
    let (code, _, error) = plan("[\"no-such-server\", \"{port}\"]");
    assert_eq!(code, Some(3), "{error}");
    assert!(error.contains("no-such-server") && error.contains("PATH"), "{error}");
}

/// A daemon of one round whose only server is a live vLLM that it starts itself.
fn daemon_of_a_live_server(data_dir: &Path, kind: &str) -> Daemon {
    let base = PathBuf::from(env::var("STILL_VLLM_MODEL").expect("STILL_VLLM_MODEL names a model's folder"));
    let program = env::var("STILL_VLLM_SERVE").expect("STILL_VLLM_SERVE names .ci/vllm");
    let venv = env::var("STILL_VLLM_VENV").expect("STILL_VLLM_VENV names where it is installed");
    let source = format!("model.source={}", base.display());
    // the processor's package knows no `vllm serve`
    let engines = format!(
        "engines=[{{kind = \"{kind}\", launch = true, backoff_seconds = 0, max_gap_nats = 0.005, \
         command = [\"{program}\", \"serve\", \"{{port}}\", \"{{model}}\"], environment = {{STILL_VLLM_VENV = \"{venv}\"}}}}]"
    );
    let settings = [
        &*source,
        &*engines,
        "training.imitation.steps=2",
        "training.imitation.batch_sequences=2",
        "training.improvement.steps=2",
        "training.improvement.batch_sequences=2",
        "training.precision=f32",
        "checkpoints.every_steps=10",
        "round.problems=8",
        "task.quickstart.problems=60",
        "task.quickstart.held_out_per_level=1",
        "exploration.attempts_per_visit=2",
        "exploration.sampling.max_new_tokens=24",
        "evaluation.sampling.max_new_tokens=16",
        "supervision.max_silence_ms=900000",
    ];
    Daemon::start(data_dir, 1, &settings)
}

#[test]
#[ignore = "needs a live vLLM: run by .ci/vllm"]
fn a_live_server_of_openais_kind_begins_anew_with_every_policy() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let daemon = daemon_of_a_live_server(&data_dir, "openai");
    let (status, output) = daemon.finish();
    assert!(status.success(), "{output}");
    assert_eq!(left(&data_dir), Vec::<String>::new(), "none outlives the daemon");
    assert_eq!(rounds(&data_dir).len(), 2);
    println!("{} trajectories\n{output}", ids(&pool(&data_dir)).len());
}

#[test]
#[ignore = "needs a live vLLM: run by .ci/vllm"]
fn a_live_server_is_started_given_weights_killed_and_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let mut daemon = daemon_of_a_live_server(&data_dir, "vllm");
    daemon.wait_until_up();
    let mut watch = Watch::start(&data_dir);
    watch.wait_for("explored", |event| event["judged"].as_u64() >= Some(2));
    let before = servers(&data_dir);
    println!("{before:?}; {} processes", left(&data_dir).len());
    signal("KILL", process(&before[0]));
    watch.wait_for("warning", message_with("is started again in 0 s"));
    watch.wait_for("explored", |event| event["judged"].as_u64() >= Some(6));
    println!("{:?}", servers(&data_dir));
    let (status, output) = daemon.finish();
    assert!(status.success(), "{output}");
    assert_eq!(left(&data_dir), Vec::<String>::new(), "none outlives the daemon");
    assert_eq!(rounds(&data_dir).len(), 2);
    println!("{} trajectories", ids(&pool(&data_dir)).len());
}
