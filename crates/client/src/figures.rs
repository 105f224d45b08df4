//! Figures and texts as people read them in a cell or a line.

use still_domain::Estimate;

/// Longest text in a cell, in characters.
const CELL_WIDTH: usize = 48;

/// A share with its 95 % interval, in percent.
pub(crate) fn estimate(estimate: &Estimate) -> String {
    let percent = |share: f64| share * 100.0;
    format!(
        "{:.1} % ({:.1} to {:.1})",
        percent(estimate.value),
        percent(estimate.low),
        percent(estimate.high)
    )
}

/// How far something is; without an end, how much there is.
pub(crate) fn share(part: u64, whole: u64) -> String {
    match whole {
        0 => part.to_string(),
        // what is under way when the last is asked for comes as well
        _ if part > whole => format!("{part}, of which {whole} were asked for"),
        _ => format!("{part} of {whole}"),
    }
}

/// A text on one line, cut to the width of a cell.
pub(crate) fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= CELL_WIDTH {
        return line;
    }
    line.chars().take(CELL_WIDTH - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_beyond_what_was_asked_for_is_told_as_such() {
        let told = [(3, 0), (3, 4), (4, 4), (3_610, 3_600)].map(|(part, whole)| share(part, whole));
        assert_eq!(told, ["3", "3 of 4", "4 of 4", "3610, of which 3600 were asked for"]);
    }

    #[test]
    fn a_long_text_is_cut_to_one_line_of_a_cell() {
        assert_eq!(short("a  b\nc"), "a b c");
        let cut = short(&"x".repeat(60));
        assert!(cut.chars().count() == CELL_WIDTH && cut.ends_with('…'), "{cut}");
    }
}
