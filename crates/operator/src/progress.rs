//! Progress for people: bars and a table after every round on a terminal, lines on a pipe.

use std::io::{self, IsTerminal, Write};

use futures_util::StreamExt;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle as BarStyle};
use still_control::{Event, RoundReport};
use still_domain::{RoundNumber, RoundPhase};

use crate::{config::ProgressStyle, control::EventStream, round_table};

/// Rounds that the table at the end shows.
const MAX_ROWS: usize = 12;
/// A bar: what it counts, how far it is, what else there is to say.
const BAR: &str = "{prefix:10} {bar:32} {human_pos:>7} of {human_len:<7} {msg}";
/// A bar whose end is not known.
const COUNTER: &str = "{prefix:10} {spinner} {human_pos:>7} {msg}";

/// Shows events as they come.
pub enum Progress {
    /// Bars and tables.
    Bars(Box<Bars>),
    /// Lines.
    Lines(Lines),
    /// Nothing.
    Off,
}

/// Bars for what goes on, and a table of the rounds that ended.
pub struct Bars {
    screen: MultiProgress,
    explore: ProgressBar,
    train: ProgressBar,
    evaluate: ProgressBar,
    rounds: Vec<RoundReport>,
    out: Box<dyn Write + Send>,
}

/// One line for every step worth one.
pub struct Lines {
    out: Box<dyn Write + Send>,
}

impl Progress {
    /// Progress in `style` on standard output and, for bars, standard error.
    pub fn new(style: ProgressStyle) -> Self {
        match style {
            ProgressStyle::Auto if io::stderr().is_terminal() && io::stdout().is_terminal() => {
                Self::bars(ProgressDrawTarget::stderr(), Box::new(io::stdout()))
            }
            ProgressStyle::Bars => Self::bars(ProgressDrawTarget::stderr(), Box::new(io::stdout())),
            ProgressStyle::Auto | ProgressStyle::Lines => Self::lines(Box::new(io::stdout())),
            ProgressStyle::Off => Self::Off,
        }
    }

    /// Bars on `target`, tables on `out`.
    pub fn bars(target: ProgressDrawTarget, out: Box<dyn Write + Send>) -> Self {
        let screen = MultiProgress::with_draw_target(target);
        let bar = |name: &'static str| {
            let bar = screen.add(ProgressBar::new(0).with_prefix(name));
            bar.set_style(style(COUNTER));
            bar
        };
        let (explore, train, evaluate) = (bar("exploring"), bar("training"), bar("evaluating"));
        Self::Bars(Box::new(Bars { screen, explore, train, evaluate, rounds: Vec::new(), out }))
    }

    /// Lines on `out`.
    pub fn lines(out: Box<dyn Write + Send>) -> Self {
        Self::Lines(Lines { out })
    }

    /// Says where the daemon can be reached, before anything happens.
    pub fn announce(&mut self, lines: &[String]) {
        for line in lines {
            self.print(line);
        }
    }

    /// Shows events until they end.
    pub async fn follow(mut self, mut events: EventStream) {
        while let Some(event) = events.next().await {
            self.show(&event);
        }
        self.end();
    }

    /// Shows one event.
    pub fn show(&mut self, event: &Event) {
        match self {
            Self::Bars(bars) => bars.show(event),
            Self::Lines(lines) => lines.show(event),
            Self::Off => {}
        }
    }

    /// Takes the bars away.
    pub fn end(&mut self) {
        if let Self::Bars(bars) = self {
            // a terminal that is gone needs no clearing
            let _ = bars.screen.clear();
        }
    }

    fn print(&mut self, line: &str) {
        match self {
            Self::Bars(bars) => bars.print(line),
            Self::Lines(lines) => lines.print(line),
            Self::Off => {}
        }
    }
}

impl Bars {
    fn show(&mut self, event: &Event) {
        match event {
            Event::Phase { phase, .. } => self.enter(*phase),
            Event::Explored { judged, quota, correct, pool, tokens_per_second, .. } => {
                let message = format!("{correct} correct, pool {pool}, {tokens_per_second:.0} tokens/s");
                set(&self.explore, *judged, *quota, message);
            }
            Event::Trained { step, total_steps, loss, tokens_per_second, .. } => {
                let message = format!("loss {loss:.4}, {tokens_per_second:.0} tokens/s");
                set(&self.train, *step, *total_steps, message);
            }
            Event::Evaluated { judged, total, .. } => set(&self.evaluate, *judged, *total, String::new()),
            Event::RoundEnded(report) => {
                self.rounds.push(report.clone());
                let table = round_table::table(std::slice::from_ref(report));
                self.print(&table);
                if let Some(decision) = &report.decision {
                    self.print(&format!("round {}: {decision}", report.round));
                }
            }
            event => {
                if matches!(event, Event::Finished { .. }) && self.rounds.len() > 1 {
                    let first = self.rounds.len().saturating_sub(MAX_ROWS);
                    let table = round_table::table(self.rounds.get(first..).unwrap_or_default());
                    self.print(&table);
                }
                if let Some(line) = rare(event) {
                    self.print(&line);
                }
            }
        }
    }

    /// Clears the bars of what begins anew.
    fn enter(&self, phase: RoundPhase) {
        match phase {
            RoundPhase::Exploring => set(&self.explore, 0, 0, String::new()),
            RoundPhase::Training => set(&self.train, 0, 0, String::new()),
            RoundPhase::Evaluating => set(&self.evaluate, 0, 0, String::new()),
            RoundPhase::Promoted | RoundPhase::Rejected => {}
        }
    }

    fn print(&mut self, text: &str) {
        let out = &mut self.out;
        // a reader that is gone must not end the daemon
        let _ = self.screen.suspend(|| writeln!(out, "{text}").and_then(|()| out.flush()));
    }
}

impl Lines {
    fn show(&mut self, event: &Event) {
        let line = match event {
            Event::Phase { round, phase } if !phase.is_over() => begins(*round, *phase),
            Event::RoundEnded(report) => round_table::line(report),
            event => match rare(event) {
                Some(line) => line,
                None => return,
            },
        };
        self.print(&line);
    }

    fn print(&mut self, line: &str) {
        // a reader that is gone must not end the daemon
        let _ = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
    }
}

fn begins(round: RoundNumber, phase: RoundPhase) -> String {
    format!("round {round} {phase}")
}

/// The line of an event that is no progress.
fn rare(event: &Event) -> Option<String> {
    match event {
        Event::Published { version } => Some(format!("policy {version} is in force")),
        Event::Restarted { actor, restarts, reason } => {
            Some(format!("{actor} failed and is started again (restart {restarts}): {reason}"))
        }
        Event::DeviceFailed { device, restarts, reason, retry_ms } => {
            let seconds = *retry_ms as f64 / 1000.0;
            Some(format!("{device} failed ({restarts}), is opened again in {seconds:.1} s: {reason}"))
        }
        Event::Draining => {
            Some("draining: the work in flight is finished first; a second signal ends at once".to_owned())
        }
        Event::AtWork { waits } => Some(Event::at_work(waits)),
        Event::Finished { reason } => Some(reason.clone()),
        Event::Phase { .. }
        | Event::Sealed { .. }
        | Event::Checkpointed { .. }
        | Event::Explored { .. }
        | Event::Trained { .. }
        | Event::Evaluated { .. }
        // the log tells it, with its time, on standard error
        | Event::Warning { .. }
        | Event::RoundEnded(_) => None,
    }
}

fn set(bar: &ProgressBar, position: u64, length: u64, message: String) {
    if bar.length() != Some(length) {
        bar.set_style(style(if length == 0 { COUNTER } else { BAR }));
        bar.set_length(length);
    }
    bar.set_position(position);
    bar.set_message(message);
}

/// A bar's style; the plain one should a template ever be refused.
fn style(template: &str) -> BarStyle {
    BarStyle::with_template(template).unwrap_or_else(|_| BarStyle::default_bar())
}
