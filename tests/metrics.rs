//! The page of metrics of a daemon that runs: what an operator's dashboards and alerts are made of.
//!
//! The page is held to the rules of `promtool check metrics`, and read by it too where it is installed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::float_cmp,
    clippy::print_stdout,
    missing_docs
)]

mod harness;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    process::{Command, Stdio},
};

use harness::{Daemon, Watch, get, small, stillctl};

/// One line of the page: name, labels and value.
#[derive(Debug, Clone, PartialEq)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// A metric: its type, and the samples under it.
#[derive(Debug, Default)]
struct Family {
    help: String,
    kind: String,
    samples: Vec<Sample>,
}

type Page = BTreeMap<String, Family>;

/// Reads the text format, version 0.0.4, and refuses what a scraper would stumble over.
fn read(text: &str) -> Page {
    assert!(text.ends_with('\n'), "the last line ends");
    let mut page = Page::new();
    let mut at = String::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect(line);
            let family = Family { help: help.to_owned(), ..Family::default() };
            assert!(page.insert(name.to_owned(), family).is_none(), "{name} stands in two places");
            name.clone_into(&mut at);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect(line);
            assert_eq!(name, at, "HELP and TYPE stand together");
            let family = page.get_mut(name).unwrap();
            assert!(family.kind.is_empty() && family.samples.is_empty(), "{line}");
            kind.clone_into(&mut family.kind);
        } else {
            let sample = sample(line);
            let family = page.get_mut(&at).unwrap_or_else(|| panic!("no HELP before `{line}`"));
            assert!(
                sample.name == at || family.kind == "histogram" && sample.name.starts_with(&at),
                "{line}"
            );
            assert!(!family.kind.is_empty(), "no TYPE before `{line}`");
            let is_same = |known: &Sample| (&known.name, &known.labels) == (&sample.name, &sample.labels);
            assert!(!family.samples.iter().any(is_same), "`{line}` stands twice");
            family.samples.push(sample);
        }
    }
    page
}

fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').expect(line);
    let value = value.parse().unwrap_or_else(|_| panic!("no number in `{line}`"));
    let (name, labels) = match series.split_once('{') {
        None => (series, ""),
        Some((name, labels)) => (name, labels.strip_suffix('}').expect(line)),
    };
    let pair = |pair: &str| {
        let (label, text) = pair.split_once('=').expect(line);
        let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).expect(line);
        assert!(label.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{line}");
        (label.to_owned(), text.to_owned())
    };
    let labels = labels.split(',').filter(|labels| !labels.is_empty()).map(pair).collect();
    Sample { name: name.to_owned(), labels, value }
}

/// The rules of `promtool check metrics`: <https://prometheus.io/docs/practices/naming/>.
fn lint(page: &Page) {
    const FOREIGN_UNITS: &[&str] =
        &["ms", "milliseconds", "minutes", "hours", "days", "kilobytes", "megabytes", "bits", "percent"];
    for (name, family) in page {
        assert!(name.starts_with("still_"), "{name}");
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        assert!(family.help.len() > 15 && family.help.ends_with('.'), "{name}: {}", family.help);
        assert!(["counter", "gauge", "histogram"].contains(&family.kind.as_str()), "{name}");
        assert_eq!(family.kind == "counter", name.ends_with("_total"), "{name} is a {}", family.kind);
        assert!(!family.samples.is_empty(), "{name} has no sample");
        for word in name.split('_') {
            assert!(!FOREIGN_UNITS.contains(&word), "{name} is not in base units");
            assert!(!["count", "sum", "bucket", "counter", "gauge", "histogram"].contains(&word), "{name}");
        }
        for sample in &family.samples {
            assert!(family.kind != "counter" || sample.value >= 0.0, "{sample:?}");
            let is_bucket = sample.name.ends_with("_bucket");
            assert_eq!(
                sample.labels.contains_key("le"),
                family.kind == "histogram" && is_bucket,
                "{sample:?}"
            );
        }
        if family.kind == "histogram" {
            check_histogram(name, family);
        }
    }
}

fn check_histogram(name: &str, family: &Family) {
    let of =
        |suffix: &'static str| family.samples.iter().filter(move |one| one.name == format!("{name}{suffix}"));
    let bounds: Vec<f64> = of("_bucket").map(|bucket| bucket.labels["le"].parse().unwrap()).collect();
    let counts: Vec<f64> = of("_bucket").map(|bucket| bucket.value).collect();
    assert!(bounds.is_sorted_by(|low, high| low < high), "{name}: {bounds:?}");
    assert!(counts.is_sorted(), "{name}: {counts:?}");
    assert_eq!(bounds.last(), Some(&f64::INFINITY), "{name}");
    assert_eq!(of("_count").map(|one| one.value).collect::<Vec<_>>(), counts[counts.len() - 1..], "{name}");
    assert_eq!(of("_sum").count(), 1, "{name}");
}

/// What the linter of Prometheus itself says; nothing where it is not installed.
fn promtool(text: &str) -> Option<String> {
    let child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.ok()?;
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some(format!(
        "{}{}",
        if output.status.success() { "" } else { "failed: " },
        String::from_utf8_lossy(&said)
    ))
}

/// The value of the only sample with these labels.
fn value(page: &Page, name: &str, labels: &[(&str, &str)]) -> f64 {
    let family = page.get(name).unwrap_or_else(|| panic!("{name} is not on the page"));
    let is_meant = |sample: &&Sample| {
        labels.iter().all(|(label, text)| sample.labels.get(*label).is_some_and(|known| known == text))
    };
    let found: Vec<_> = family.samples.iter().filter(is_meant).collect();
    assert_eq!(found.len(), 1, "{name} {labels:?}: {:#?}", family.samples);
    found[0].value
}

/// The values that a label has.
fn labels(page: &Page, name: &str, label: &str) -> BTreeSet<String> {
    page[name].samples.iter().map(|sample| sample.labels[label].clone()).collect()
}

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(ToString::to_string).collect()
}

fn sum(page: &Page, name: &str) -> f64 {
    page[name].samples.iter().map(|sample| sample.value).sum()
}

#[test]
fn the_page_shows_every_figure_of_the_loop_and_lints_clean() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        "exploration.attempts_per_problem=100000",
        "exploration.attempts_per_policy=100000",
        "exploration.stop_after_correct=100000",
    ];
    let mut daemon = Daemon::start(folder.path(), 0, &small(&settings));
    let address = daemon.page();
    let mut watch = Watch::start(folder.path());
    watch.wait_for("round_ended", |event| event["round"] == 1);
    watch.wait_for("explored", |event| event["round"] == 2);

    let (status, head, text) = get(&address, "/metrics");
    assert_eq!(status, 200);
    assert!(head.to_lowercase().contains("content-type: text/plain; version=0.0.4"), "{head}");
    let page = read(&text);
    lint(&page);
    if let Some(said) = promtool(&text) {
        assert_eq!(said.trim(), "", "promtool check metrics");
    } else {
        println!("promtool is not installed: the page was held to the rules written here alone");
    }

    for name in ["still_actor_queue_items", "still_actor_in_flight_items"] {
        assert_eq!(labels(&page, name, "actor").len(), 8, "{name}");
        assert!(page[name].samples.iter().all(|sample| sample.value >= 0.0));
    }
    let progress = &page["still_actor_last_progress_timestamp_seconds"].samples;
    assert_eq!(progress.len(), 8);
    assert!(progress.iter().all(|sample| sample.value > 1.6e9), "seconds since 1970: {progress:?}");

    assert!(value(&page, "still_rollout_finished_total", &[]) >= 48.0);
    for name in ["still_verifier_verdicts_total", "still_pool_trajectories"] {
        assert!(sum(&page, name) >= 48.0, "{name}: every attempt of the round");
        let outcomes = ["correct", "wrong", "no_answer", "malformed", "timeout", "error"];
        assert_eq!(labels(&page, name, "outcome"), set(&outcomes), "{name}");
    }
    for purpose in ["pool", "evaluation"] {
        assert!(value(&page, "still_rollout_tokens_total", &[("purpose", purpose)]) > 0.0, "{purpose}");
    }
    assert!(value(&page, "still_rollout_tokens_per_second", &[]) > 0.0);
    let kept = value(&page, "still_curator_keep_ratio", &[]);
    assert!((0.0..=1.0).contains(&kept), "{kept}");
    let lag = |suffix: &str| {
        let name = format!("still_rollout_policy_lag_versions{suffix}");
        page["still_rollout_policy_lag_versions"].samples.iter().find(|one| one.name == name).unwrap().value
    };
    assert!(lag("_count") > 0.0 && lag("_sum") <= 2.0 * lag("_count"), "a policy lag of a version or two");

    assert!(value(&page, "still_learner_steps_total", &[]) >= 80.0);
    let durations = &page["still_learner_step_duration_seconds"].samples;
    assert!(durations.iter().any(|one| one.name.ends_with("_count") && one.value > 0.0));
    for name in ["still_learner_loss", "still_learner_gradient_norm", "still_learner_tokens_per_second"] {
        assert!(value(&page, name, &[]) > 0.0, "{name}");
    }
    let age = value(&page, "still_checkpoint_age_seconds", &[]);
    assert!((0.0..300.0).contains(&age), "{age}");
    assert!(value(&page, "still_checkpoint_size_bytes", &[]) > 10_000.0);
    assert!(value(&page, "still_checkpoint_commits_total", &[]) >= 2.0);
    assert!(value(&page, "still_store_commits_total", &[]) > 4.0);
    assert!(value(&page, "still_store_written_bytes_total", &[]) > 10_000.0);

    for name in ["ratio", "low_ratio", "high_ratio"].map(|end| format!("still_evaluation_accuracy_{end}")) {
        assert_eq!(labels(&page, &name, "level"), set(&["3", "4", "5", "6", "all"]));
    }
    let accuracy = |end: &str| value(&page, &format!("still_evaluation_accuracy_{end}"), &[("level", "all")]);
    assert!(accuracy("low_ratio") <= accuracy("ratio") && accuracy("ratio") <= accuracy("high_ratio"));
    assert!(value(&page, "still_evaluation_round_number", &[]) >= 1.0, "the round scored last");
    assert!(value(&page, "still_round_number", &[]) >= 2.0);
    assert_eq!(labels(&page, "still_round_phase", "phase").len(), 5);
    assert!(value(&page, "still_policy_version", &[]) >= 1.0);

    let (status, _, body) = get(&address, "/livez");
    assert_eq!((status, body.as_str()), (200, "live\n"));
    let (status, _, body) = get(&address, "/readyz");
    assert_eq!((status, body.as_str()), (200, "ready\n"));
    let (status, head, body) = get(&address, "/");
    assert!(
        status == 200 && head.contains("text/html") && body.to_lowercase().contains("round"),
        "the dashboard"
    );
    assert_eq!(get(&address, "/nowhere").0, 404);
    assert!(stillctl(folder.path(), &["stop"]).status.success());
    assert!(daemon.finish().0.success());
}

#[test]
fn a_daemon_that_imitates_is_alive_and_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(folder.path(), 1, &small(&["training.imitation.steps=1000000"]));
    let address = daemon.page();
    let mut watch = Watch::start(folder.path());
    watch.wait_for("trained", |_| true);
    assert_eq!(get(&address, "/livez").0, 200);
    let (status, _, body) = get(&address, "/readyz");
    assert_eq!((status, body.as_str()), (503, "no policy is published yet\n"));
    assert!(stillctl(folder.path(), &["stop"]).status.success());
    assert!(daemon.finish().0.success());
}

#[test]
fn the_lint_sees_what_it_is_there_for() {
    let broken = |text: &str| {
        let text = text.to_owned();
        std::panic::catch_unwind(move || lint(&read(&text))).is_err()
    };
    let sound = "# HELP still_a_total Counts what there is.\n# TYPE still_a_total counter\nstill_a_total 1\n";
    assert!(!broken(sound));
    for (old, new) in [
        ("# HELP still_a_total Counts what there is.\n", ""),
        ("# TYPE still_a_total counter\n", ""),
        (" counter", " gauge"),
        ("still_a_total 1\n", "still_a_total 1\nstill_a_total 1\n"),
        ("still_a_total", "still_a_ms_total"),
        ("still_a_total 1", "still_b_total 1"),
        (" 1\n", " one\n"),
        ("there is.\n", ".\n"),
    ] {
        assert!(broken(&sound.replace(old, new)), "{old:?} -> {new:?}");
    }
}
