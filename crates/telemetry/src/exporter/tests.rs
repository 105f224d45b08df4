//! Emits every event and holds the rendered page to the rules of `promtool check metrics`.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::{Command, Stdio},
};

use still_control::{ServerState, ServerStatus};
use still_domain::{
    CheckpointId, Estimate, Evaluation, LogProbabilityGap, Outcome, PolicyOrigin, PolicyVersion, Rejection,
    Round, RoundNumber, RoundPhase, Split, TrainingSetId,
};

use metrics::Unit;

use super::*;
use crate::Metric;
use crate::event::{
    ActorProgressed, ActorRestarted, AttemptsLost, CheckpointCommitted, DeviceFailed, GapMeasured,
    LossReason, PairsCompared, PolicyPublished, PoolCounted, Purpose, RatesMeasured, RolloutsFinished,
    RoundEnded, RoundEvaluated, RoundPhaseEntered, RoundSealed, ServersMeasured, StepTaken, StoreMeasured,
    TokensDrawn, TrajectoryCommitted, age_checkpoint,
};

/// The page after every event was emitted once.
fn page() -> String {
    let recorder = builder().unwrap().build_recorder();
    let handle = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        announce();
        emit_everything();
        age_checkpoint(Duration::from_secs(12));
    });
    handle.render()
}

fn emit_everything() {
    ActorProgressed { actor: "sampler", queued: 3, in_flight: 2, at_ms: 1_500 }.emit();
    ActorRestarted { actor: "sampler", restarts: 1, reason: "it \"broke\"\n" }.emit();
    DeviceFailed { device: "sampler-1", restarts: 1, reason: "unplugged" }.emit();
    TokensDrawn { purpose: Purpose::Pool, tokens: 64 }.emit();
    RatesMeasured { rollout_tokens_per_second: 900.5, training_tokens_per_second: 50.0 }.emit();
    RolloutsFinished { count: 2 }.emit();
    let at = |address: &str| ServerStatus {
        running: 3,
        waiting: 1,
        cache_share: 0.25,
        in_flight: 4,
        window: 8,
        tokens_per_second: 120.5,
        ..ServerStatus::at(address.to_owned(), "vllm".to_owned(), ServerState::Serving)
    };
    let (server, gone) = (at("http://node-1:8000"), at("http://node-2:8000"));
    let servers = ServersMeasured::default();
    servers.emit(&[server.clone(), gone]);
    servers.emit(&[server]);
    let gap = LogProbabilityGap {
        policy: PolicyVersion(1),
        trajectories: 2,
        tokens: 20,
        mean_nats: 0.5,
        bias_nats: -0.25,
        furthest: "p#0".parse().unwrap(),
        furthest_nats: 0.75,
    };
    GapMeasured { round: RoundNumber(1), gap: &gap, is_alarming: true }.emit();
    AttemptsLost { reason: LossReason::Cancelled, count: 3 }.emit();
    let id = "p#0".parse().unwrap();
    let committed = TrajectoryCommitted {
        id: &id,
        outcome: Outcome::Correct,
        rejection: None,
        response_tokens: 40,
        policy_lag: Some(1),
    };
    PoolCounted { outcome: Outcome::Correct, trajectories: 10 }.emit();
    committed.emit();
    TrajectoryCommitted { outcome: Outcome::Error, rejection: Some(Rejection::Truncated), ..committed }
        .emit();
    let step = StepTaken {
        round: RoundNumber(1),
        step: 1,
        total_steps: 9,
        loss: 0.5,
        gradient_norm: 1.5,
        learning_rate: 1e-3,
        tokens: 100,
        duration: Some(Duration::from_millis(20)),
        skipped: false,
        rolled_back: false,
        memory_shortages: 0,
        pairs: None,
    };
    step.emit();
    let pairs = PairsCompared {
        margin: 0.2,
        chosen_drift: -0.01,
        is_alarming: false,
        accuracy: 0.75,
        kl: 1e-3,
        chosen_log_probability: -9.0,
        rejected_log_probability: -11.0,
    };
    StepTaken { pairs: Some(pairs), memory_shortages: 1, ..step }.emit();
    StepTaken { loss: f64::NAN, skipped: true, rolled_back: true, ..step }.emit();
    let id = CheckpointId::new("round-1-step-1");
    let duration = Duration::from_secs(2);
    CheckpointCommitted { id: &id, bytes: 1 << 20, duration, stall: Duration::ZERO, at_ms: 2_000 }.emit();
    StoreMeasured { commits: 4, written_bytes: 4_000, disk_bytes: 524_287 }.emit();
    RoundPhaseEntered { round: RoundNumber(1), phase: RoundPhase::Training }.emit();
    RoundSealed { round: RoundNumber(1), training_set: &TrainingSetId::new("ab"), examples: 5, selected: 3 }
        .emit();
    let estimate = Estimate { value: 0.5, low: 0.25, high: 0.75, correct: 5, total: 10 };
    let evaluation = Evaluation {
        accuracy: estimate,
        hard_accuracy: Some(estimate),
        by_level: BTreeMap::from([(6, estimate)]),
        truncated: 0.1,
        scores: Vec::new(),
    };
    for round in [RoundNumber(0), RoundNumber(1)] {
        RoundEvaluated { round, split: Split::Dev, evaluation: &evaluation }.emit();
    }
    let round = Round::begin(RoundNumber(1), PolicyVersion(1), RoundPhase::Promoted, 0);
    RoundEnded { round: &round }.emit();
    PolicyPublished { version: PolicyVersion(2), origin: PolicyOrigin::Round(RoundNumber(1)) }.emit();
}

/// Name of the metric that a sample belongs to.
fn family(sample: &str, histograms: &BTreeSet<&str>) -> String {
    let name = sample.split(['{', ' ']).next().unwrap();
    let of_histogram = ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix).filter(|stem| histograms.contains(stem)));
    of_histogram.unwrap_or(name).to_owned()
}

#[test]
fn every_metric_is_on_the_page_with_its_help_and_type_and_nothing_else_is() {
    let page = page();
    let histograms: BTreeSet<_> = METRICS
        .iter()
        .filter(|metric| matches!(metric.kind, MetricKind::Histogram(_)))
        .map(|metric| metric.name)
        .collect();
    let shown: BTreeSet<String> = page
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| family(line, &histograms))
        .collect();
    let named: BTreeSet<String> = METRICS.iter().map(|metric| metric.name.to_owned()).collect();
    assert_eq!(shown, named);
    for metric in METRICS {
        let kind = match metric.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram(_) => "histogram",
        };
        assert!(page.contains(&format!("# HELP {} {}\n", metric.name, metric.help)), "{}", metric.name);
        assert!(page.contains(&format!("# TYPE {} {kind}\n", metric.name)), "{}", metric.name);
    }
}

/// The rules of promlint, `https://prometheus.io/docs/practices/naming/`.
#[test]
fn names_follow_the_rules() {
    let names: BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), METRICS.len(), "a name is given twice");
    for Metric { name, kind, unit, help } in METRICS {
        assert!(name.starts_with("still_"), "{name}");
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        assert_eq!(name.ends_with("_total"), *kind == MetricKind::Counter, "{name}");
        let words: Vec<_> = name.split('_').collect();
        for word in ["count", "sum", "bucket", "gauge", "counter", "histogram", "summary"] {
            assert!(!words.contains(&word), "{name} holds {word}");
        }
        for word in
            ["ms", "milliseconds", "microseconds", "minutes", "hours", "kb", "mb", "kilobytes", "percent"]
        {
            assert!(!words.contains(&word), "{name} is not in base units");
        }
        let stem = name.strip_suffix("_total").unwrap_or(name);
        assert_eq!(stem.ends_with("_bytes"), *unit == Unit::Bytes, "{name}");
        assert_eq!(stem.ends_with("_seconds"), *unit == Unit::Seconds, "{name}");
        assert!(help.ends_with('.') && help.len() > 15, "{name}");
        if let MetricKind::Histogram(buckets) = kind {
            assert!(buckets.is_sorted_by(|low, high| low < high), "{name}");
        }
    }
}

#[test]
fn events_move_the_metrics_that_they_say() {
    let page = page();
    for line in [
        "still_actor_restarts_total{actor=\"sampler\"} 1",
        "still_device_failures_total{device=\"sampler-1\"} 1",
        "still_actor_last_progress_timestamp_seconds{actor=\"sampler\"} 1.5",
        "still_rollout_tokens_total{purpose=\"pool\"} 64",
        "still_rollout_tokens_total{purpose=\"evaluation\"} 0",
        "still_pool_trajectories{outcome=\"correct\"} 10",
        "still_verifier_verdicts_total{outcome=\"error\"} 1",
        "still_verifier_verdicts_total{outcome=\"wrong\"} 0",
        "still_curator_rejections_total{reason=\"truncated\"} 1",
        "still_rollout_lost_attempts_total{reason=\"cancelled\"} 3",
        "still_rollout_policy_lag_versions_bucket{le=\"0\"} 0",
        "still_rollout_policy_lag_versions_bucket{le=\"1\"} 2",
        "still_rollout_tokens_per_second 900.5",
        "still_server_healthy{server=\"http://node-1:8000\"} 1",
        "still_server_healthy{server=\"http://node-2:8000\"} 0",
        "still_server_cache_use_ratio{server=\"http://node-1:8000\"} 0.25",
        "still_server_tokens_per_second{server=\"http://node-1:8000\"} 120.5",
        "still_log_probability_gap_nats 0.5",
        "still_log_probability_bias_nats -0.25",
        "still_log_probability_gap_alarm 1",
        "still_learner_tokens_per_second 50",
        "still_learner_steps_total 3",
        "still_learner_skipped_steps_total 1",
        "still_learner_rollbacks_total 1",
        "still_learner_memory_shortages_total 1",
        "still_learner_preference_accuracy_ratio 0.75",
        "still_learner_chosen_log_probability_nats -9",
        "still_learner_step_duration_seconds_bucket{le=\"0.025\"} 3",
        "still_checkpoint_stall_seconds_count 1",
        "still_checkpoint_age_seconds 10",
        "still_checkpoint_size_bytes 1048576",
        "still_store_written_bytes_total 4000",
        "still_round_phase{phase=\"training\"} 1",
        "still_round_phase{phase=\"exploring\"} 0",
        "still_round_ended_total{result=\"promoted\"} 1",
        "still_evaluation_accuracy_ratio{split=\"dev\",level=\"6\"} 0.5",
        "still_evaluation_accuracy_low_ratio{split=\"dev\",level=\"all\"} 0.25",
        "still_evaluation_round_number 1",
        "still_policy_version 2",
    ] {
        assert!(page.lines().any(|shown| shown == line), "`{line}` is not in\n{page}");
    }
}

#[test]
fn scores_of_more_rounds_are_no_more_samples() {
    let page = page();
    let samples = |name: &str| page.lines().filter(|line| line.starts_with(&format!("{name}{{"))).count();
    assert_eq!(samples("still_evaluation_accuracy_ratio"), 2, "all levels, and level 6");
    assert_eq!(
        (samples("still_evaluation_hard_accuracy_ratio"), samples("still_evaluation_truncated_ratio")),
        (1, 1)
    );
    assert!(!page.contains("round=\""), "{page}");
}

#[test]
fn a_thread_of_its_own_sees_only_what_it_emitted() {
    let lost = |count| {
        Exporter::within(|exporter| {
            AttemptsLost { reason: LossReason::ActorEnded, count }.emit();
            exporter.render()
        })
    };
    for count in [2, 5] {
        let line = format!("still_rollout_lost_attempts_total{{reason=\"actor_ended\"}} {count}");
        let page = lost(count).unwrap();
        assert!(page.lines().any(|shown| shown == line), "`{line}` is not in\n{page}");
    }
}

/// Prometheus' own linter, where it is installed.
#[test]
fn promtool_has_nothing_to_say() {
    let child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        println!("promtool is not installed: the rules are checked by the other tests alone");
        return;
    };
    io::Write::write_all(&mut child.stdin.take().unwrap(), page().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}
