//! Rounds whose rollouts servers draw: nothing lost, nothing twice, nothing under a wrong policy, whatever becomes of the
//! servers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

mod harness;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use harness::{
    Daemon, Manner, Proxy, Watch, ids, model, pool, rounds, small, stillctl_json, stillctl_refused, stilld,
};
use still_decoder::{
    DecoderConfig, DecoderWeights, Segments, Threads,
    hugging_face::{Precision, load_folder, save_folder},
    model_hidden_states, token_log_probabilities,
};
use still_domain::{PolicyName, PolicyRecord, PolicyVersion, ProblemId};
use still_engine_double::{EngineDouble, Fault, Options};
use still_store::Store;
use still_text::{PromptStyle, Prompter, Tokenizer};

/// Exploration ahead of a round must not use the problems up before the next begins, however long training takes.
const LITTLE_AHEAD: &str = "exploration.max_ahead_attempts=48";

/// The settings that have these servers draw.
fn engines(addresses: &[String]) -> String {
    let addresses: Vec<String> = addresses.iter().map(|address| format!("\"{address}\"")).collect();
    format!("engines=[{{kind = \"vllm\", addresses = [{}], poll_milliseconds = 50}}]", addresses.join(", "))
}

/// A policy's weights, and what they think of texts.
struct Policy(DecoderConfig, DecoderWeights);

impl Policy {
    fn score(&self, tokens: &[u32]) -> Vec<f32> {
        let Self(config, weights) = self;
        let (inputs, targets, threads) = (&tokens[..tokens.len() - 1], &tokens[1..], Threads::single());
        let segments = Segments::from_lengths([inputs.len()]);
        let hidden = model_hidden_states(config, weights, &segments, inputs, &threads).unwrap();
        let head = weights.head().as_f32().unwrap();
        token_log_probabilities(&hidden, head, config.hidden_size, targets, &threads).values
    }
}

/// The policies of a stopped daemon that are still on the disk.
fn policies(store: &Store, data_dir: &Path, base: &Path) -> BTreeMap<PolicyVersion, Policy> {
    let folder = |record: &PolicyRecord| match &record.checkpoint {
        Some(checkpoint) => data_dir.join("checkpoints").join(checkpoint.as_str()),
        None => base.to_owned(),
    };
    let records = store.policies().unwrap();
    let there = records.iter().filter(|record| folder(record).exists());
    let read = |record: &PolicyRecord| {
        let (config, weights) = load_folder(&folder(record)).unwrap();
        (record.version, Policy(config, weights))
    };
    there.map(read).collect()
}

/// How texts are asked, and the problems of a store.
fn asked(store: &Store, base: &Path, prompt: PromptStyle) -> (Prompter, BTreeMap<ProblemId, String>) {
    let prompter = Prompter::new(Tokenizer::load(base).unwrap(), prompt);
    let problems = store.each_problem().map(|problem| problem.unwrap()).map(|one| (one.id, one.text));
    (prompter, problems.collect())
}

/// Makes sure that every trajectory of a stopped daemon was drawn by the policy that it names, as far as that is still on
/// the disk; gives how many were drawn by each policy that was looked at. `most_apart` is what arithmetic may differ by.
fn checked(
    data_dir: &Path,
    base: &Path,
    prompt: PromptStyle,
    most_apart: f32,
) -> BTreeMap<PolicyName, usize> {
    let store = Store::open_read_only(data_dir).unwrap();
    let policies = policies(&store, data_dir, base);
    let policies: BTreeMap<_, _> =
        policies.into_iter().map(|(version, policy)| (PolicyName::from(version), policy)).collect();
    let (prompter, problems) = asked(&store, base, prompt);
    let mut counts = BTreeMap::new();
    for judged in store.trajectories() {
        let trajectory = judged.unwrap().trajectory;
        let [span] = &trajectory.versions[..] else { panic!("one policy: {:?}", trajectory.versions) };
        let prompt = prompter.prompt(problems[&trajectory.id.problem].as_str()).unwrap();
        assert_eq!(prompt.len(), trajectory.prompt_token_count as usize);
        assert_eq!(trajectory.tokens.len(), trajectory.log_probabilities.len());
        if let Some(policy) = policies.get(&span.policy) {
            let scored = policy.score(&[&prompt[..], &trajectory.tokens].concat());
            let pairs = scored[prompt.len() - 1..].iter().zip(&trajectory.log_probabilities);
            let most = pairs.map(|(one, two)| (one - two).abs()).fold(0.0, f32::max);
            assert!(most < most_apart, "{} is {most} from policy {}", trajectory.id, span.policy);
            *counts.entry(span.policy).or_default() += 1;
        }
    }
    counts
}

#[test]
fn perplexities_that_sets_are_chosen_by_come_from_the_servers_and_are_those_of_the_policy() {
    let folder = tempfile::tempdir().unwrap();
    let base = model(folder.path());
    let doubles: Vec<_> = (0..2).map(|_| EngineDouble::start(Options::new(&base))).collect();
    let data_dir = folder.path().join("data");
    let source = format!("model.source={}", base.display());
    let engines = engines(&doubles.iter().map(EngineDouble::address).collect::<Vec<_>>());
    let settings = small(&[
        LITTLE_AHEAD,
        "selection.scored_by=current",
        "selection.perplexity=low",
        "selection.verified_only=false",
    ]);
    let settings: Vec<&str> = settings.into_iter().chain([&*source, &*engines]).collect();
    let (status, output) = Daemon::start(&data_dir, 2, &settings).finish();
    assert!(status.success(), "{output}");
    let store = Store::open_read_only(&data_dir).unwrap();
    let (policies, (prompter, problems)) =
        (policies(&store, &data_dir, &base), asked(&store, &base, PromptStyle::Raw));
    let (mut compared, mut versions) = (0, BTreeSet::new());
    for round in &store.rounds().unwrap()[1..] {
        let version = round.tally.ranked_under.unwrap();
        // that which explored, unless it is an earlier one that was put in force again
        assert!(version <= round.policy_version);
        versions.insert(version);
        let gap = round.gap.as_ref().unwrap();
        assert!(gap.trajectories > 0 && gap.mean_nats < 1e-3, "{gap:?}");
    }
    let mut scores = 0;
    for version in versions {
        let of_policy = store.scores(version).unwrap();
        assert!(!of_policy.is_empty());
        scores += of_policy.len();
        let Some(policy) = policies.get(&version) else { continue };
        for (id, score) in of_policy {
            let trajectory = store.trajectory(&id).unwrap().unwrap().trajectory;
            let prompt = prompter.prompt(problems[&id.problem].as_str()).unwrap();
            let values = policy.score(&[&prompt[..], &trajectory.tokens].concat());
            let values = &values[prompt.len() - 1..];
            let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64;
            let apart = f64::from(score.perplexity).ln() + mean;
            assert!(apart.abs() < 1e-3, "{id}: {} under policy {version}, {mean} here", score.perplexity);
            compared += 1;
        }
    }
    assert!(compared >= 24, "{compared} of {scores}");
    // a probe each time that weights were given, but for what the end of the run broke off, and each score once: the
    // comparison with the learner asks no server
    let given =
        |double: &EngineDouble| double.log().iter().filter(|one| one.contains("/collective_rpc")).count();
    let probes: usize = doubles.iter().map(given).sum();
    let scored: usize = doubles.iter().map(EngineDouble::scored).sum();
    assert!((scores..=scores + probes).contains(&scored), "{scored} of {scores} and {probes} probes");
}

#[test]
fn rounds_go_on_while_servers_are_killed_started_anew_with_other_weights_and_fail() {
    let folder = tempfile::tempdir().unwrap();
    let base = model(folder.path());
    let mut doubles: Vec<_> = (0..2).map(|_| EngineDouble::start(Options::new(&base))).collect();
    let data_dir = folder.path().join("data");
    let source = format!("model.source={}", base.display());
    let engines = engines(&doubles.iter().map(EngineDouble::address).collect::<Vec<_>>());
    let settings = small(&[LITTLE_AHEAD]);
    let settings: Vec<&str> = settings.into_iter().chain([&*source, &*engines]).collect();
    let mut daemon = Daemon::start(&data_dir, 2, &settings);
    daemon.wait_until_up();
    let mut watch = Watch::start(&data_dir);
    for round in 1..=2 {
        watch.wait_for("explored", |event| event["round"] == round && event["judged"].as_u64() > Some(2));
        let other = &mut doubles[round as usize % 2];
        other.fail("/inference/v1/generate", Fault::Status(503), 3);
        other.fail("/inference/v1/generate", Fault::Drop, 2);
        let one = &mut doubles[(round as usize + 1) % 2];
        one.kill();
        watch.wait_for("explored", |event| event["round"] == round && event["judged"].as_u64() > Some(6));
        one.restart(None);
    }
    let (status, output) = daemon.finish();
    assert!(status.success(), "{output}");
    let rounds = rounds(&data_dir);
    assert_eq!(rounds.len(), 3, "{rounds:?}");
    let pool = pool(&data_dir);
    ids(&pool);
    let counts = checked(&data_dir, &base, PromptStyle::Raw, 1e-2);
    assert!(counts.values().sum::<usize>() >= 48, "{counts:?} of {}", pool.len());
    let store = Store::open_read_only(&data_dir).unwrap();
    for round in &store.rounds().unwrap()[1..] {
        let gap = round.gap.as_ref().unwrap();
        assert!(gap.trajectories > 0 && gap.mean_nats < 1e-3, "servers in f32 are near: {gap:?}");
    }
    let manners: Vec<_> = store.provenances().map(Result::unwrap).collect();
    let mut servers: Vec<&str> = manners.iter().map(|manner| manner.name.as_str()).collect();
    servers.sort_unstable();
    let mut addresses: Vec<String> = doubles.iter().map(EngineDouble::address).collect();
    addresses.sort_unstable();
    assert_eq!(servers, addresses, "each trajectory names one of them");
    for judged in store.trajectories() {
        let name = judged.unwrap().trajectory.provenance.unwrap();
        assert!(store.provenance(&name).unwrap().is_some());
    }
    drop(store);
    assert_eq!(
        fs::read_dir(data_dir.join("published")).map_or(0, Iterator::count),
        0,
        "nobody is named them any more"
    );
}

#[test]
fn servers_come_and_go_by_command_while_rounds_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let base = model(folder.path());
    let doubles: Vec<_> = (0..2).map(|_| EngineDouble::start(Options::new(&base))).collect();
    let [first, second] = [doubles[0].address(), doubles[1].address()];
    let data_dir = folder.path().join("data");
    let (source, engines) =
        (format!("model.source={}", base.display()), engines(std::slice::from_ref(&first)));
    let settings = small(&["http.listen=127.0.0.1:0"]);
    let settings: Vec<&str> = settings.into_iter().chain([&*source, &*engines]).collect();
    let mut daemon = Daemon::start(&data_dir, 2, &settings);
    daemon.wait_until_up();
    let address = daemon.page();
    let mut watch = Watch::start(&data_dir);
    watch.wait_for("explored", |event| event["round"] == 1 && event["judged"].as_u64() > Some(2));
    let done = stillctl_json(&data_dir, &["servers", "add", &second]);
    assert!(done["message"].as_str().unwrap().contains("[[engines]]"), "{done}");
    let refused = stillctl_refused(&data_dir, &["servers", "remove", "http://127.0.0.1:9"], 10);
    assert!(refused.contains("servers list"), "{refused}");
    // the new one is given the policy before the other one goes
    doubles[1].wait_until_asked(|log| log.iter().filter(|asked| asked.contains("/generate")).count() > 2);
    let (_, _, page) = harness::get(&address, "/metrics");
    for server in [&first, &second] {
        let line = format!("still_server_healthy{{server=\"{server}\"}} 1");
        assert!(page.contains(&line), "{line} is missing in:\n{page}");
        assert!(page.contains(&format!("still_server_running_requests{{server=\"{server}\"}}")));
    }
    stillctl_json(&data_dir, &["servers", "remove", &first]);
    let servers = stillctl_json(&data_dir, &["servers", "list"]);
    assert!(["leaving", "gone"].contains(&servers[0]["state"].as_str().unwrap()), "{servers}");
    let (status, output) = daemon.finish();
    assert!(status.success(), "{output}");
    let pool = pool(&data_dir);
    ids(&pool);
    let counts = checked(&data_dir, &base, PromptStyle::Raw, 1e-2);
    assert!(counts.values().sum::<usize>() >= 48, "{counts:?} of {}", pool.len());
    let shown =
        stilld().args(["inspect", "provenances", "--json", "--data-dir"]).arg(&data_dir).output().unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown.as_array().unwrap().len(), 2, "{shown}");
}

#[test]
fn what_servers_cannot_do_is_refused_by_the_key_that_asks_for_it() {
    let check = |settings: &str| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run.toml");
        fs::write(&file, settings).unwrap();
        let output = stilld().args(["config", "check"]).arg(&file).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let servers = "[[engines]]\nkind = \"vllm\"\naddresses = [\"http://127.0.0.1:9\"]\n";
    for (settings, key) in [
        (servers.to_owned(), "model.source"),
        (format!("{servers}[run]\nlockstep = true\n"), "run.lockstep"),
        (format!("{servers}[exploration]\non_publish = \"recompute\"\n"), "exploration.on_publish"),
        (servers.replace("vllm", "sglang"), "model.source"),
        (servers.replace("vllm", "openai"), "engines[0].kind"),
        (servers.replace("http:", "ftp:"), "engines[0].addresses"),
        (servers.replace("kind = \"vllm\"", ""), "engines[0].addresses"),
        ("[[engines]]\nknid = \"vllm\"\n".to_owned(), "knid"),
    ] {
        let (code, message) = check(&settings);
        assert_eq!(code, Some(3), "{settings}: {message}");
        assert!(message.contains(key), "{key}: {message}");
    }
}

/// A server of vLLM on the processor, as `.ci/vllm` starts it: three processes, one group.
struct Vllm {
    port: u16,
    log: PathBuf,
    group: Option<u32>,
}

impl Vllm {
    fn start(folder: &Path, model: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self { port, log: folder.join("vllm.log"), group: None };
        server.restart(model);
        server
    }

    fn restart(&mut self, model: &Path) {
        let program = env::var("STILL_VLLM_SERVE").expect("STILL_VLLM_SERVE names .ci/vllm");
        let log = fs::OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        let mut command = Command::new(program);
        command.args(["serve", &self.port.to_string()]).arg(model);
        command.process_group(0).stdout(log.try_clone().unwrap()).stderr(log);
        self.group = Some(command.spawn().unwrap().id());
    }

    fn signal(&self, name: &str) {
        let Some(group) = self.group else { return };
        let status = Command::new("kill").args(["-s", name, "--", &format!("-{group}")]).status().unwrap();
        assert!(status.success());
    }

    fn kill(&mut self) {
        self.signal("KILL");
        self.group = None;
    }
}

impl Drop for Vllm {
    fn drop(&mut self) {
        if self.group.is_some() {
            self.kill();
        }
    }
}

/// A disk of no size over a folder, for as long as it lives.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where the user may mount nothing.
    fn over(folder: &Path) -> Option<Self> {
        fs::create_dir_all(folder).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(folder);
        let is_mounted = mount.status().is_ok_and(|status| status.success());
        if !is_mounted {
            println!("a full disk is left out: this user may mount nothing");
        }
        is_mounted.then(|| Self(folder.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // though something in it is still open
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
#[ignore = "needs a live vLLM: run by .ci/vllm"]
fn rounds_go_on_while_a_live_server_is_killed_stopped_slow_busy_broken_and_has_no_room() {
    let folder = tempfile::tempdir().unwrap();
    let base = PathBuf::from(env::var("STILL_VLLM_MODEL").expect("STILL_VLLM_MODEL names a model's folder"));
    let strange = folder.path().join("strange");
    let (config, mut weights) = load_folder(&base).unwrap();
    weights.final_norm.iter_mut().step_by(3).for_each(|value| *value *= 1.2);
    save_folder(&strange, &config, &weights, Precision::F32, u64::MAX).unwrap();
    drop(weights);
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        fs::copy(base.join(name), strange.join(name)).unwrap();
    }
    let mut server = Vllm::start(folder.path(), &base);
    let proxy = Proxy::start(server.port);
    let data_dir = folder.path().join("data");
    let source = format!("model.source={}", base.display());
    let engines = format!(
        "engines=[{{kind = \"vllm\", addresses = [\"http://127.0.0.1:{}\"], max_silence_seconds = 60, \
         max_gap_nats = 0.005}}]",
        proxy.port()
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
        "round.problems=16",
        "task.quickstart.problems=60",
        "task.quickstart.held_out_per_level=2",
        "exploration.attempts_per_visit=2",
        "exploration.sampling.max_new_tokens=24",
        "evaluation.sampling.max_new_tokens=16",
        "supervision.max_silence_ms=900000",
    ];
    let mut daemon = Daemon::start(&data_dir, 2, &settings);
    daemon.wait_until_up();
    let mut watch = Watch::start(&data_dir);
    let explored = |round: u64, judged: u64| {
        move |event: &serde_json::Value| event["round"] == round && event["judged"].as_u64() >= Some(judged)
    };
    watch.wait_for("explored", explored(1, 2));
    server.kill();
    watch.wait_for("warning", |event| event["message"].as_str().unwrap().contains("left out"));
    server.restart(&strange);
    watch.wait_for("explored", explored(1, 6));
    server.signal("STOP");
    watch.wait_for("warning", |event| event["message"].as_str().unwrap().contains("left out"));
    server.signal("CONT");
    watch.wait_for("explored", explored(1, 8));
    proxy.behave_for(Manner::Busy, 20);
    watch.wait_for("explored", explored(1, 10));
    // the candidate and then the policy that it becomes have no room where servers are named them
    let small = SmallDisk::over(&data_dir.join("published"));
    if small.is_some() {
        watch.wait_for("device_failed", |event| event["reason"].as_str().unwrap().contains("No space left"));
    }
    drop(small);
    watch.wait_for("explored", explored(2, 2));
    proxy.behave_for(Manner::Drop, 6);
    watch.wait_for("explored", explored(2, 6));
    proxy.behave(Manner::Slow(Duration::from_millis(500)));
    watch.wait_for("explored", explored(2, 10));
    proxy.behave(Manner::Pass);
    let (status, output) = daemon.finish();
    assert!(status.success(), "{output}");
    assert_eq!(rounds(&data_dir).len(), 3);
    ids(&pool(&data_dir));
    let counts = checked(&data_dir, &base, PromptStyle::Raw, 1e-2);
    println!("trajectories by policy, each within 0.01 nats of it: {counts:?}");
    assert!(counts.values().sum::<usize>() >= 24, "{counts:?}");
}
