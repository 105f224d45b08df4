//! Rounds as a table for people: the same figures on the terminal, on a pipe and in `inspect`.

use std::collections::BTreeSet;

use comfy_table::{Table, presets};
use still_control::{RoundReport, duration};
use still_domain::Estimate;

/// A column: its name, how much it is worth, and its cells.
struct Column {
    name: String,
    /// Columns of a low worth go first where the terminal is narrow.
    worth: u8,
    cells: Vec<String>,
}

/// A table of rounds, one row each, levels as columns; on a terminal with the columns that fit.
pub(crate) fn table(rounds: &[RoundReport]) -> String {
    fitting(rounds, terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)))
}

/// The table with the columns that fit into so many characters.
fn fitting(rounds: &[RoundReport], width: Option<usize>) -> String {
    let mut columns = columns(rounds);
    let is_too_wide = |columns: &[Column]| {
        // a blank stands between two columns
        let taken = columns.iter().map(|column| column.width() + 1).sum::<usize>().saturating_sub(1);
        width.is_some_and(|width| taken > width)
    };
    while is_too_wide(&columns)
        && let Some((place, _)) = columns
            .iter()
            .enumerate()
            .min_by_key(|(_, column)| column.worth)
            .filter(|(_, column)| column.worth < u8::MAX)
    {
        columns.remove(place);
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(columns.iter().map(|column| &column.name));
    for row in 0..rounds.len() {
        table.add_row(columns.iter().map(|column| column.cells.get(row).map_or("", String::as_str)));
    }
    table.to_string()
}

fn columns(rounds: &[RoundReport]) -> Vec<Column> {
    let levels: BTreeSet<u8> = rounds.iter().flat_map(|report| report.by_level.keys().copied()).collect();
    let column = |name: &str, worth: u8, cell: &dyn Fn(&RoundReport) -> String| Column {
        name: name.to_owned(),
        worth,
        cells: rounds.iter().map(cell).collect(),
    };
    let shown = |estimate: &Option<Estimate>| estimate.as_ref().map(interval).unwrap_or_default();
    let mut columns = vec![
        column("round", u8::MAX, &|report| report.round.to_string()),
        column("result", u8::MAX, &|report| report.phase.to_string()),
    ];
    columns.extend(levels.iter().map(|level| {
        let name = format!("level {level}");
        column(&name, 3, &|report| {
            report.by_level.get(level).map(|estimate| percent(estimate.value)).unwrap_or_default()
        })
    }));
    columns.extend([
        column("all, 95 % interval", u8::MAX, &|report| shown(&report.accuracy)),
        column("hard, 95 % interval", 5, &|report| shown(&report.hard_accuracy)),
        column("test, 95 % interval", 5, &|report| shown(&report.test_accuracy)),
        column("pool", 2, &|report| report.pool.to_string()),
        column("kept", 4, &|report| report.selected.to_string()),
        column("gap, nats", 2, &|report| report.gap_nats.map(|gap| format!("{gap:.4}")).unwrap_or_default()),
        column("drawn/s", 1, &|report| rate(report.rollout_tokens_per_second)),
        column("trained/s", 1, &|report| rate(report.training_tokens_per_second)),
        column("wall", 4, &|report| duration(report.seconds)),
    ]);
    // what nobody measured, in rounds of an earlier life of the daemon, takes no room
    columns.retain(|column| column.worth == u8::MAX || column.cells.iter().any(|cell| !cell.is_empty()));
    columns
}

impl Column {
    /// Characters that it takes, with the blanks beside it.
    fn width(&self) -> usize {
        let cells = self.cells.iter().chain([&self.name]).map(|cell| cell.chars().count());
        cells.max().unwrap_or(0) + 2
    }
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
    if let Some(test) = &report.test_accuracy {
        line.push_str(&format!(", test {}", interval(test)));
    }
    if let Some(base) = &report.base_accuracy {
        line.push_str(&format!(", base model {}", interval(base)));
    }
    for (level, estimate) in &report.by_level {
        line.push_str(&format!(", level {level} {}", percent(estimate.value)));
    }
    line.push_str(&format!(", pool {}, kept {}", report.pool, report.selected));
    if let Some(gap) = report.gap_nats {
        line.push_str(&format!(", log-probabilities {gap:.4} nats apart"));
    }
    if report.rollout_tokens_per_second > 0.0 {
        line.push_str(&format!(", drawn {} tokens/s", rate(report.rollout_tokens_per_second)));
    }
    if report.training_tokens_per_second > 0.0 {
        line.push_str(&format!(", trained {} tokens/s", rate(report.training_tokens_per_second)));
    }
    line.push_str(&format!(", {}", duration(report.seconds)));
    if let Some(reason) = report.reason() {
        line.push_str(&format!(" ({reason})"));
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

fn rate(per_second: f64) -> String {
    if per_second > 0.0 { format!("{per_second:.0}") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use still_domain::{PolicyVersion, Round, RoundNumber, RoundPhase};

    use super::*;

    fn report() -> RoundReport {
        let estimate = Estimate { value: 0.5, low: 0.45, high: 0.55, correct: 1, total: 2 };
        let round = Round::begin(RoundNumber(3), PolicyVersion(2), RoundPhase::Promoted, 0);
        let mut report = RoundReport::of(&round);
        report.accuracy = Some(estimate);
        report.hard_accuracy = Some(estimate);
        report.by_level = (3..9).map(|level| (level, estimate)).collect();
        report.rollout_tokens_per_second = 30_000.0;
        report
    }

    #[test]
    fn a_narrow_terminal_gets_the_columns_that_matter_on_one_line_each() {
        let wide = fitting(&[report()], None);
        assert!(
            wide.contains("level 8") && wide.contains("drawn/s") && !wide.contains("trained/s"),
            "{wide}"
        );
        for width in [60, 80, 120] {
            let text = fitting(&[report()], Some(width));
            assert!(text.lines().all(|line| line.chars().count() <= width), "{width}:\n{text}");
            assert!(text.contains("50.0 (45.0 to 55.0)"), "{text}");
            assert_eq!(text.lines().count(), wide.lines().count(), "{text}");
        }
    }
}
