//! Which events are worth a line: progress is told twenty times a phase, everything else whenever it happens.

use still_control::Event;

/// Lines of progress that a phase is worth.
const LINES: u64 = 20;
/// Where nobody knows how far it is: lines of progress are so many answers or steps apart.
const APART: u64 = 50;

/// What has been told of the phase at work.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    /// The kind of progress told last, and how many lines it was worth by then.
    told: Option<(Progress, u64)>,
}

/// What comes further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Explored,
    Trained,
    Evaluated,
}

impl Summary {
    /// Whether an event says more than the ones told before.
    pub(crate) fn is_worth_telling(&mut self, event: &Event) -> bool {
        let (progress, part, whole) = match event {
            Event::Explored { judged, quota, .. } => (Progress::Explored, *judged, *quota),
            Event::Trained { step, total_steps, .. } => (Progress::Trained, *step, *total_steps),
            Event::Evaluated { judged, total, .. } => (Progress::Evaluated, *judged, *total),
            Event::Phase { .. } => {
                self.told = None;
                return true;
            }
            _ => return true,
        };
        // beyond the whole nothing more is told: what is made ahead is of the next round
        let lines = (part.min(whole) * LINES).checked_div(whole).unwrap_or(part / APART);
        let before = self.told.filter(|(kind, _)| *kind == progress).map_or(0, |(_, lines)| lines);
        if lines > before {
            self.told = Some((progress, lines));
        }
        lines > before
    }
}

#[cfg(test)]
mod tests {
    use still_domain::{RoundNumber, RoundPhase};

    use super::*;

    const ROUND: RoundNumber = RoundNumber(1);

    fn told(summary: &mut Summary, whole: u64, parts: std::ops::RangeInclusive<u64>) -> usize {
        let explored = |judged| Event::Explored {
            round: ROUND,
            judged,
            quota: whole,
            correct: 0,
            pool: 0,
            tokens_per_second: 0.0,
        };
        parts.filter(|part| summary.is_worth_telling(&explored(*part))).count()
    }

    #[test]
    fn progress_is_told_twenty_times_and_never_beyond_its_end() {
        let mut summary = Summary::default();
        assert_eq!(told(&mut summary, 1_200, 1..=1_200), 20);
        assert_eq!(told(&mut summary, 1_200, 1_200..=1_400), 0);
        assert!(summary.is_worth_telling(&Event::Phase { round: ROUND, phase: RoundPhase::Exploring }));
        assert_eq!(told(&mut summary, 5, 1..=5), 5, "a new phase begins anew");
    }

    #[test]
    fn without_an_end_progress_is_told_now_and_then() {
        assert_eq!(told(&mut Summary::default(), 0, 1..=200), 4);
    }
}
