//! Answers as tables for people.

use std::{collections::BTreeMap, path::PathBuf};

use comfy_table::{ContentArrangement, Table, presets};
use still_control::{
    DemonstrationList, Event, ImportReport, LeftOut, PoolEntry, PoolRecord, ProblemLine, ProblemList,
    RoundReport, ServerState, ServerStatus, SetLine, Status, SuspectLine, duration,
};
use still_domain::{
    AnswerKind, CheckpointId, Demonstration, Estimate, LogProbabilityGap, PolicyRecord, Problem,
    SamplingSettings, SealingDecision, Split,
};

use crate::figures::{estimate, share, short};

/// How the daemon stands.
pub(crate) fn status(status: &Status) -> String {
    let mut facts = vec![
        (
            "daemon",
            format!("{} (process {}), up {}", status.version, status.pid, duration(status.uptime_seconds)),
        ),
        ("data directory", status.data_dir.clone()),
        ("metrics", status.metrics.clone().unwrap_or_else(|| "off".to_owned())),
        ("round", round(status)),
        (
            "policy",
            status.policy.map_or_else(|| "none yet".to_owned(), |version| format!("version {version}")),
        ),
        ("explored", format!("{}, {} selected", share(status.judged, status.quota), status.selected)),
        ("trained", trained(status)),
        ("pool", format!("{} trajectories", status.pool)),
        (
            "tokens a second",
            format!(
                "{:.0} drawn, {:.0} trained",
                status.rollout_tokens_per_second, status.training_tokens_per_second
            ),
        ),
    ];
    if let Some(base) = &status.base_accuracy {
        facts.push(("base model", format!("accuracy {}", estimate(base))));
    }
    if let Some(gap) = &status.gap {
        let LogProbabilityGap { mean_nats, trajectories, furthest, furthest_nats, .. } = gap;
        let text = format!(
            "{mean_nats:.4} nats a token between engines and learner ({trajectories} trajectories, furthest {furthest}: \
             {furthest_nats:.4})"
        );
        facts.push(("log-probabilities", text));
    }
    if let Some(last) = &status.last_round {
        facts.push(("last round", round_report(last)));
    }
    let mut table = plain();
    for (name, value) in facts {
        table.add_row([name.to_owned(), value]);
    }
    let mut actors = headed(&["actor", "state", "queued", "in flight", "idle", "restarts"]);
    for actor in &status.actors {
        actors.add_row([
            actor.name.clone(),
            actor.state.name().to_owned(),
            actor.queued.to_string(),
            actor.in_flight.to_string(),
            duration(actor.idle_seconds),
            actor.restarts.to_string(),
        ]);
    }
    let mut devices = headed(&["device", "of", "state", "in flight", "room for", "silent", "restarts"]);
    for device in &status.devices {
        devices.add_row([
            device.name.clone(),
            device.actor.clone(),
            device.state.name().to_owned(),
            device.in_flight.to_string(),
            device.capacity.to_string(),
            duration(device.silent_seconds),
            device.restarts.to_string(),
        ]);
    }
    let mut text = drawn(&table);
    for (rows, table) in [(status.actors.len(), actors), (status.devices.len(), devices)] {
        if rows > 0 {
            text.push_str(&format!("\n\n{}", drawn(&table)));
        }
    }
    text
}

/// Who waits for whom, and for how long whoever is waited for has done nothing.
pub(crate) fn waits(status: &Status) -> String {
    if status.waits.is_empty() {
        return "nobody waits for anybody".to_owned();
    }
    let mut table = headed(&["who", "waits for", "silent", "what for"]);
    for wait in &status.waits {
        let silent = wait.silent_seconds.map_or_else(|| "-".to_owned(), duration);
        table.add_row([wait.who.clone(), wait.waits_for.clone(), silent, wait.reason.clone()]);
    }
    drawn(&table)
}

/// How far training has come, and what went wrong on the way.
fn trained(status: &Status) -> String {
    let troubles = [
        (status.skipped_steps, "steps skipped"),
        (status.training_rollbacks, "times gone back"),
        (status.memory_shortages, "times out of memory"),
    ];
    let seen =
        troubles.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!(", {count} {what}"));
    share(status.step, status.total_steps) + &seen.collect::<String>()
}

/// An event in a line.
pub(crate) fn event(event: &Event) -> String {
    match event {
        Event::Phase { round, phase } => format!("round {round}: {phase}"),
        Event::Explored { round, judged, quota, correct, pool, tokens_per_second } => format!(
            "round {round}: explored {}, {correct} correct, pool {pool}, {tokens_per_second:.0} tokens/s",
            share(*judged, *quota)
        ),
        Event::Trained { round, step, total_steps, loss, learning_rate, tokens_per_second } => format!(
            "round {round}: trained {}, loss {loss:.4}, rate {learning_rate:.2e}, {tokens_per_second:.0} tokens/s",
            share(*step, *total_steps)
        ),
        Event::Sealed { round, examples, selected, .. } => {
            format!("round {round}: sealed {examples} examples, {selected} of them new trajectories")
        }
        Event::Checkpointed { round, step } => format!("round {round}: checkpoint at step {step}"),
        Event::Finished { reason } => reason.clone(),
        Event::Evaluated { round, judged, total } => {
            format!("round {round}: evaluated {}", share(*judged, *total))
        }
        Event::Published { version } => format!("policy {version} is in force"),
        Event::RoundEnded(report) => round_report(report),
        Event::Restarted { actor, restarts, reason } => {
            format!("{actor} failed and is started again (restart {restarts}): {reason}")
        }
        Event::DeviceFailed { device, restarts, reason, retry_ms } => {
            let seconds = *retry_ms as f64 / 1000.0;
            format!("{device} failed ({restarts}), is opened again in {seconds:.1} s: {reason}")
        }
        Event::Warning { message } => format!("warning: {message}"),
        Event::AtWork { waits } => Event::at_work(waits),
        Event::Draining => "draining".to_owned(),
    }
}

/// Problems with what has come of them.
pub(crate) fn problems(list: &ProblemList) -> String {
    let mut table = headed(&[
        "problem",
        "kind",
        "level",
        "for",
        "state",
        "correct of attempts",
        "pass rate",
        "statement",
        "gold",
        "from",
    ]);
    for problem in &list.problems {
        table.add_row([
            problem.id.to_string(),
            kind(problem.kind),
            level(problem.level),
            split(problem.split),
            problem.state.clone().unwrap_or_default(),
            format!("{} of {}", problem.correct, problem.attempts),
            pass_rate(problem),
            short(&problem.text),
            short(&problem.gold),
            problem.source.clone(),
        ]);
    }
    format!("{}\n{} of {}", drawn(&table), list.problems.len(), list.total)
}

/// One problem, whole.
pub(crate) fn problem(problem: &Problem) -> String {
    let mut table = plain();
    for (name, value) in [
        ("problem", problem.id.to_string()),
        ("kind", kind(problem.kind)),
        ("level", level(problem.level)),
        ("for", split(problem.split)),
        ("from", problem.source.clone()),
        ("gold", problem.gold.clone()),
    ] {
        table.add_row([name.to_owned(), value]);
    }
    format!("{}\n\n{}", drawn(&table), problem.text)
}

/// Demonstrations, without their responses.
pub(crate) fn demonstrations(list: &DemonstrationList) -> String {
    let mut table = headed(&["demonstration", "level", "statement", "response", "from"]);
    for line in &list.demonstrations {
        table.add_row([
            line.id.to_string(),
            level(line.level),
            short(&line.problem),
            format!("{} characters", line.response_characters),
            line.source.clone(),
        ]);
    }
    format!("{}\n{} of {}", drawn(&table), list.demonstrations.len(), list.total)
}

/// One demonstration, whole.
pub(crate) fn demonstration(demonstration: &Demonstration) -> String {
    let mut table = plain();
    for (name, value) in [
        ("demonstration", demonstration.id.to_string()),
        ("level", level(demonstration.level)),
        ("from", demonstration.source.clone()),
    ] {
        table.add_row([name.to_owned(), value]);
    }
    format!("{}\n\n{}\n\n{}", drawn(&table), demonstration.problem, demonstration.response)
}

/// Rounds with their accuracies.
pub(crate) fn rounds(rounds: &[RoundReport]) -> String {
    let mut table =
        headed(&["round", "result", "accuracy, 95 %", "hard, 95 %", "pool", "selected", "gap, nats", "wall"]);
    for report in rounds {
        table.add_row([
            report.round.to_string(),
            report.phase.to_string(),
            report.accuracy.as_ref().map(estimate).unwrap_or_default(),
            report.hard_accuracy.as_ref().map(estimate).unwrap_or_default(),
            report.pool.to_string(),
            report.selected.to_string(),
            report.gap_nats.map(|gap| format!("{gap:.4}")).unwrap_or_default(),
            duration(report.seconds),
        ]);
    }
    drawn(&table)
}

/// Servers with their load.
pub(crate) fn servers(servers: &[ServerStatus]) -> String {
    let mut table = headed(&[
        "server",
        "engine",
        "state",
        "policy",
        "in flight",
        "window",
        "running",
        "waiting",
        "cache",
        "tokens/s",
    ]);
    for server in servers {
        let told = [Some(&server.engine), server.version.as_ref(), server.precision.as_ref()];
        table.add_row([
            server.address.clone(),
            told.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" "),
            server_state(server),
            server.policy.clone().unwrap_or_default(),
            server.in_flight.to_string(),
            server.window.to_string(),
            server.running.to_string(),
            server.waiting.to_string(),
            format!("{:.0} %", server.cache_share * 100.0),
            format!("{:.0}", server.tokens_per_second),
        ]);
    }
    let mut text = drawn(&table);
    let is_away = |server: &&ServerStatus| {
        matches!(server.state, ServerState::LeftOut | ServerState::Restarting | ServerState::GivenUp)
    };
    for server in servers.iter().filter(is_away) {
        text.push_str(&format!(
            "\n{}: {}",
            server.address,
            server.last_failure.as_deref().unwrap_or_default()
        ));
    }
    text
}

/// A server's state, and when it is started where that is waited for.
fn server_state(server: &ServerStatus) -> String {
    match server.launched.as_ref().and_then(|launched| launched.restarts_in_seconds) {
        Some(seconds) => format!("{} in {seconds:.0} s", server.state.name()),
        None => server.state.name().to_owned(),
    }
}

/// Sealed training sets.
pub(crate) fn sets(sets: &[SetLine]) -> String {
    let mut table = headed(&["set", "round", "demonstrations", "trajectories", "pairs", "intact"]);
    for set in sets {
        table.add_row([
            set.id.to_string(),
            set.round.to_string(),
            set.demonstrations.to_string(),
            set.trajectories.to_string(),
            set.pairs.to_string(),
            if set.is_intact { "yes" } else { "NO" }.to_owned(),
        ]);
    }
    drawn(&table)
}

/// How often a problem is expected to be solved, give or take what is not known of it.
fn pass_rate(problem: &ProblemLine) -> String {
    match (problem.pass_rate, problem.pass_rate_deviation) {
        (Some(mean), Some(deviation)) => format!("{:.0} ± {:.0} %", 100.0 * mean, 100.0 * deviation),
        _ => String::new(),
    }
}

/// Problems whose gold answers are suspect.
pub(crate) fn suspects(suspects: &[SuspectLine]) -> String {
    let mut table = headed(&["problem", "gold", "given instead", "agree", "wrong", "right", "statement"]);
    for suspect in suspects {
        table.add_row([
            suspect.problem.to_string(),
            short(&suspect.gold),
            short(&suspect.answer),
            suspect.agreeing.to_string(),
            suspect.wrong.to_string(),
            suspect.correct.to_string(),
            short(&suspect.text),
        ]);
    }
    table.to_string()
}

/// What an import brought.
pub(crate) fn import(report: &ImportReport) -> String {
    let mut text = format!("{} imported, {} known already", report.imported, report.known);
    if report.contaminated > 0 {
        text.push_str(&format!(", {} left out that repeat held-out problems", report.contaminated));
    }
    if report.kinds.values().sum::<u64>() > 0 {
        let kinds = report.kinds.iter().map(|(kind, count)| format!("{count} {kind}"));
        text.push_str(&format!(" (read: {})", kinds.collect::<Vec<_>>().join(", ")));
    }
    for (count, what) in [
        (report.replaced, "known ones got another gold answer"),
        (report.kept, "known ones kept another gold answer"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    if report.left_out_count > 0 {
        text.push_str(&format!(", {} left out that have no answer", report.left_out_count));
        text.push_str(
            &report.left_out.first().map(|line| format!(", the first: {line}")).unwrap_or_default(),
        );
    }
    for remark in &report.remarks {
        text.push_str(&format!("\n  {remark}"));
    }
    if report.imitated > 0 {
        text.push_str(&format!(", {} left out that are imitated", report.imitated));
    }
    if report.cleaned_count > 0 {
        let faults: Vec<_> = report.faults.iter().map(|(name, count)| format!("{name}: {count}")).collect();
        text.push_str(&format!(", {} left out by cleaning ({})", report.cleaned_count, faults.join(", ")));
        for LeftOut { id, reasons } in &report.cleaned {
            text.push_str(&format!("\n  `{id}` {}", reasons.join(", ")));
        }
    }
    if report.broken_count > 0 {
        text.push_str(&format!(", {} broken lines left out", report.broken_count));
        for line in &report.broken {
            text.push_str(&format!("\n  {line}"));
        }
    }
    text
}

/// Trajectories of the pool.
pub(crate) fn pool(entries: &[PoolEntry]) -> String {
    let mut table = headed(&["attempt", "policy", "verdict", "answer", "rejected", "tokens", "perplexity"]);
    for entry in entries {
        table.add_row([
            entry.id.to_string(),
            entry.policy_version.to_string(),
            entry.verdict.to_string(),
            entry.extracted.as_deref().map(short).unwrap_or_default(),
            entry.rejection.map(|rejection| rejection.to_string()).unwrap_or_default(),
            entry.tokens.to_string(),
            format!("{:.3}", entry.perplexity),
        ]);
    }
    drawn(&table)
}

/// One trajectory with everything known of it but its token ids.
pub(crate) fn trajectory(record: &PoolRecord) -> String {
    let PoolRecord { judged, decisions, provenance } = record;
    let (trajectory, verdict, measures) = (&judged.trajectory, &judged.verdict, &judged.measures);
    let versions: Vec<_> = trajectory
        .versions
        .iter()
        .map(|span| {
            let policy = span.policy.version().map_or_else(|| span.policy.to_string(), |one| one.to_string());
            format!("{policy} (tokens {} to {})", span.start, span.end)
        })
        .collect();
    let mut table = plain();
    for (name, value) in [
        ("attempt", trajectory.id.to_string()),
        ("policy", versions.join(", ")),
        ("verdict", verdict.outcome.to_string()),
        ("answer", verdict.extracted.clone().unwrap_or_default()),
        ("rule", verdict.rule.clone().unwrap_or_default()),
        ("verifier", verdict.verifier.clone()),
        ("rejected", judged.rejection.map(|rejection| rejection.to_string()).unwrap_or_default()),
        ("tokens", format!("{} + {}", trajectory.prompt_token_count, trajectory.tokens.len())),
        ("finish", format!("{:?}", trajectory.finish).to_lowercase()),
        ("perplexity", format!("{:.4}", measures.perplexity)),
        ("drawn by", provenance.as_ref().map_or_else(|| "not recorded".to_owned(), ToString::to_string)),
        ("sampling", sampling(&trajectory.sampling)),
        ("seed", trajectory.seed.to_string()),
    ] {
        table.add_row([name.to_owned(), value]);
    }
    for SealingDecision { round, decision } in decisions {
        table.add_row([format!("round {round}"), decision.clone()]);
    }
    format!("{}\n\n{}", drawn(&table), trajectory.text)
}

/// How tokens were drawn, what changes nothing left out.
fn sampling(settings: &SamplingSettings) -> String {
    let SamplingSettings { temperature, top_k, top_p, min_p, repetition_penalty, max_new_tokens } = *settings;
    let neutral = SamplingSettings::default();
    let mut text = format!("temperature {temperature}");
    for (name, value, is_told) in [
        ("top-k", f64::from(top_k), top_k != neutral.top_k),
        ("top-p", f64::from(top_p), top_p < neutral.top_p),
        ("min-p", f64::from(min_p), min_p > neutral.min_p),
        (
            "repetition penalty",
            f64::from(repetition_penalty),
            repetition_penalty > neutral.repetition_penalty,
        ),
    ] {
        if is_told {
            text.push_str(&format!(", {name} {value:.4}"));
        }
    }
    format!("{text}, at most {max_new_tokens} tokens")
}

/// Published policies, each with the Hugging Face folder that it is, as far as `folder_of` knows.
pub(crate) fn policies(
    policies: &[PolicyRecord],
    folder_of: impl Fn(&CheckpointId) -> Option<PathBuf>,
) -> String {
    let mut table = headed(&["version", "from", "accuracy", "folder"]);
    for policy in policies {
        let folder = policy.checkpoint.as_ref().map(|checkpoint| {
            folder_of(checkpoint).map_or_else(|| checkpoint.to_string(), |path| path.display().to_string())
        });
        table.add_row([
            policy.version.to_string(),
            policy.origin.to_string(),
            policy.accuracy.as_ref().map(estimate).unwrap_or_default(),
            folder.unwrap_or_default(),
        ]);
    }
    drawn(&table)
}

fn kind(kind: AnswerKind) -> String {
    serde_json::to_value(kind).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

fn level(level: Option<u8>) -> String {
    level.map(|level| level.to_string()).unwrap_or_default()
}

fn split(split: Split) -> String {
    format!("{split:?}").to_lowercase()
}

fn round(status: &Status) -> String {
    let mut text = format!("{}, {}", status.round, status.phase);
    if status.rounds_wanted > 0 {
        text.push_str(&format!(", ends after {}", status.rounds_wanted));
    }
    for (is_so, word) in [
        (status.exploration_paused, "exploration paused"),
        (status.training_paused, "training paused"),
        (status.draining, "draining"),
    ] {
        if is_so {
            text.push_str(", ");
            text.push_str(word);
        }
    }
    text
}

fn round_report(report: &RoundReport) -> String {
    let mut text = format!("round {} {}", report.round, report.phase);
    if let Some(accuracy) = &report.accuracy {
        text.push_str(&format!(": accuracy {}", estimate(accuracy)));
    }
    if let Some(hard) = &report.hard_accuracy {
        text.push_str(&format!(", hard {}", estimate(hard)));
    }
    if let Some(test) = &report.test_accuracy {
        text.push_str(&format!(", test {}", estimate(test)));
    }
    if let Some(base) = &report.base_accuracy {
        text.push_str(&format!(", base model {}", estimate(base)));
    }
    text.push_str(&by_level(&report.by_level));
    text.push_str(&format!(
        ", pool {}, {} selected, {}",
        report.pool,
        report.selected,
        duration(report.seconds)
    ));
    if let Some(reason) = report.reason() {
        text.push_str(&format!(" ({reason})"));
    }
    text
}

fn by_level(levels: &BTreeMap<u8, Estimate>) -> String {
    let one = |(level, estimate): (&u8, &Estimate)| format!("{level}: {:.1}", estimate.value * 100.0);
    if levels.is_empty() {
        return String::new();
    }
    format!(", by level {}", levels.iter().map(one).collect::<Vec<_>>().join(" / "))
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if let Some(width) = width() {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table
}

/// Columns to fit into: those of the terminal, or what `COLUMNS` says. A pipe has no end of them.
fn width() -> Option<u16> {
    let asked = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    asked.or_else(|| terminal_size::terminal_size().map(|(width, _)| width.0)).filter(|width| *width > 0)
}

/// The table without blanks at the ends of its lines, which would wrap on a narrower terminal.
fn drawn(table: &Table) -> String {
    table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn headed(names: &[&str]) -> Table {
    let mut table = plain();
    table.set_header(names);
    table
}
