//! The dashboard: one page without scripts or foreign files, drawn anew on every request.

use still_control::{RoundReport, Status, duration};
use still_domain::Estimate;

use crate::round_table::interval;

/// The page around the figures.
const PAGE: &str = include_str!("dashboard.html");
/// Width of the chart's drawing area.
const CHART_WIDTH: f64 = 900.0;
/// Height of the drawing area.
const CHART_HEIGHT: f64 = 220.0;

/// The page.
pub(super) fn render(status: &Status, rounds: &[RoundReport]) -> String {
    PAGE.replace("{{facts}}", &facts(status))
        .replace("{{chart}}", &chart(rounds))
        .replace("{{rounds}}", &rounds_table(rounds))
        .replace("{{actors}}", &actors(status))
}

fn facts(status: &Status) -> String {
    let policy = status.policy.map_or_else(|| "none yet".to_owned(), |version| version.to_string());
    [
        ("round", format!("{}, {}", status.round, status.phase)),
        ("policy", policy),
        ("explored", of(status.judged, status.quota)),
        ("trained", of(status.step, status.total_steps)),
        ("pool", status.pool.to_string()),
        ("tokens drawn a second", format!("{:.0}", status.rollout_tokens_per_second)),
        ("tokens trained a second", format!("{:.0}", status.training_tokens_per_second)),
        ("up", duration(status.uptime_seconds)),
        ("data directory", status.data_dir.clone()),
    ]
    .iter()
    .fold(String::new(), |table, (name, value)| {
        format!("{table}<tr><th>{name}</th><td>{}</td></tr>", escaped(value))
    })
}

fn rounds_table(rounds: &[RoundReport]) -> String {
    let header = "<tr><th>round</th><th>result</th><th>all</th><th>hard</th><th>pool</th><th>kept</th>\
                  <th>wall</th><th>why</th></tr>";
    let estimate = |estimate: &Option<Estimate>| estimate.as_ref().map(interval).unwrap_or_default();
    let row = |report: &RoundReport| {
        [
            report.round.to_string(),
            report.phase.to_string(),
            estimate(&report.accuracy),
            estimate(&report.hard_accuracy),
            report.pool.to_string(),
            report.selected.to_string(),
            duration(report.seconds),
            report.decision.clone().unwrap_or_default(),
        ]
        .map(|cell| format!("<td>{}</td>", escaped(&cell)))
        .concat()
    };
    rounds.iter().rev().fold(header.to_owned(), |table, report| format!("{table}<tr>{}</tr>", row(report)))
}

fn actors(status: &Status) -> String {
    let header = "<tr><th>actor</th><th>state</th><th>queued</th><th>in flight</th><th>idle</th><th>restarts</th></tr>";
    status.actors.iter().fold(header.to_owned(), |table, actor| {
        let cells = [
            actor.name.clone(),
            actor.state.name().to_owned(),
            actor.queued.to_string(),
            actor.in_flight.to_string(),
            duration(actor.idle_seconds),
            actor.restarts.to_string(),
        ];
        format!("{table}<tr>{}</tr>", cells.map(|cell| format!("<td>{}</td>", escaped(&cell))).concat())
    })
}

/// Accuracy over rounds, with its interval as a band, hard levels dashed.
fn chart(rounds: &[RoundReport]) -> String {
    let all: Vec<_> = rounds.iter().filter_map(|report| report.accuracy).collect();
    let hard: Vec<_> = rounds.iter().filter_map(|report| report.hard_accuracy).collect();
    if all.is_empty() {
        return "<p>No round has been scored yet.</p>".to_owned();
    }
    let mut drawn =
        format!("<svg viewBox=\"-40 -10 {} {}\" role=\"img\">", CHART_WIDTH + 50.0, CHART_HEIGHT + 20.0);
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let y = height(share);
        drawn.push_str(&format!(
            "<line x1=\"0\" x2=\"{CHART_WIDTH}\" y1=\"{y}\" y2=\"{y}\" stroke=\"#8884\"/>\
             <text x=\"-8\" y=\"{}\" text-anchor=\"end\" font-size=\"12\" fill=\"currentColor\">{:.0}</text>",
            y + 4.0,
            share * 100.0
        ));
    }
    drawn.push_str(&curve(&all, "#2a6fdb", ""));
    drawn.push_str(&curve(&hard, "#d9822b", " stroke-dasharray=\"6 4\""));
    drawn.push_str("</svg><p>solid: all levels, dashed: hard levels; bands: 95 % intervals</p>");
    drawn
}

fn curve(estimates: &[Estimate], colour: &str, dashes: &str) -> String {
    let last = estimates.len().saturating_sub(1).max(1) as f64;
    let points = |of: fn(&Estimate) -> f64| {
        estimates
            .iter()
            .enumerate()
            .map(move |(index, estimate)| {
                format!("{:.1},{:.1}", index as f64 / last * CHART_WIDTH, height(of(estimate)))
            })
            .collect::<Vec<_>>()
    };
    let mut band = points(|estimate| estimate.low);
    band.extend(points(|estimate| estimate.high).into_iter().rev());
    format!(
        "<polygon points=\"{}\" fill=\"{colour}\" opacity=\".15\"/>\
         <polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dashes}/>",
        band.join(" "),
        points(|estimate| estimate.value).join(" ")
    )
}

fn height(share: f64) -> f64 {
    (1.0 - share.clamp(0.0, 1.0)) * CHART_HEIGHT
}

fn of(part: u64, whole: u64) -> String {
    if whole == 0 { part.to_string() } else { format!("{part} of {whole}") }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
