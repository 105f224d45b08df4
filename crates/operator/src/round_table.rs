//! Rounds as a table for people: the same figures on the terminal, on a pipe and in `inspect`.

use std::collections::BTreeSet;

use comfy_table::{Table, presets};
use still_control::RoundReport;
use still_domain::Estimate;

/// A table of rounds, one row each, levels as columns.
pub(crate) fn table(rounds: &[RoundReport]) -> String {
    let levels: BTreeSet<u8> = rounds.iter().flat_map(|report| report.by_level.keys().copied()).collect();
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    let mut header = vec!["round".to_owned(), "result".to_owned()];
    header.extend(levels.iter().map(|level| format!("level {level}")));
    header.extend(
        ["all, 95 % interval", "hard, 95 % interval", "pool", "kept", "drawn/s", "trained/s", "wall"]
            .map(str::to_owned),
    );
    table.set_header(header);
    for report in rounds {
        let mut row = vec![report.round.to_string(), report.phase.to_string()];
        row.extend(levels.iter().map(|level| {
            report.by_level.get(level).map(|estimate| percent(estimate.value)).unwrap_or_default()
        }));
        row.extend([
            report.accuracy.as_ref().map(interval).unwrap_or_default(),
            report.hard_accuracy.as_ref().map(interval).unwrap_or_default(),
            report.pool.to_string(),
            report.selected.to_string(),
            rate(report.rollout_tokens_per_second),
            rate(report.training_tokens_per_second),
            seconds(report.seconds),
        ]);
        table.add_row(row);
    }
    table.to_string()
}

/// A round on one line.
pub(crate) fn line(report: &RoundReport) -> String {
    let mut line = format!("round {} {}", report.round, report.phase);
    if let Some(accuracy) = &report.accuracy {
        line.push_str(&format!(", accuracy {}", interval(accuracy)));
    }
    if let Some(hard) = &report.hard_accuracy {
        line.push_str(&format!(", hard {}", interval(hard)));
    }
    for (level, estimate) in &report.by_level {
        line.push_str(&format!(", level {level} {}", percent(estimate.value)));
    }
    line.push_str(&format!(", pool {}, kept {}", report.pool, report.selected));
    if report.rollout_tokens_per_second > 0.0 {
        line.push_str(&format!(", drawn {} tokens/s", rate(report.rollout_tokens_per_second)));
    }
    if report.training_tokens_per_second > 0.0 {
        line.push_str(&format!(", trained {} tokens/s", rate(report.training_tokens_per_second)));
    }
    line.push_str(&format!(", {}", seconds(report.seconds)));
    if let Some(decision) = &report.decision {
        line.push_str(&format!(" ({decision})"));
    }
    line
}

/// A share with its interval, in percent.
pub(crate) fn interval(estimate: &Estimate) -> String {
    format!("{} ({} to {})", percent(estimate.value), percent(estimate.low), percent(estimate.high))
}

/// A share in percent, one decimal.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1}", share * 100.0)
}

/// A duration for people.
pub(crate) fn seconds(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

fn rate(per_second: f64) -> String {
    if per_second > 0.0 { format!("{per_second:.0}") } else { String::new() }
}
