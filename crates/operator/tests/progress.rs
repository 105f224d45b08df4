//! Progress as people see it: lines on a pipe, bars and tables on a terminal.
#![allow(clippy::unwrap_used, missing_docs)]

mod fake;

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use fake::report;
use futures_util::{StreamExt, stream};
use indicatif::{ProgressDrawTarget, TermLike};
use still_control::Event;
use still_domain::{PolicyVersion, RoundNumber, RoundPhase};
use still_operator::progress::Progress;

/// Something to write to that can be read afterwards.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A terminal whose screen can be read: its lines, and the one that the cursor is in.
#[derive(Debug, Clone, Default)]
struct Screen(Arc<Mutex<(Vec<String>, usize)>>);

impl Screen {
    fn contents(&self) -> String {
        let screen = self.0.lock().unwrap();
        screen.0.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n").trim_end().to_owned()
    }

    fn change(&self, change: impl FnOnce(&mut String)) {
        let (lines, cursor) = &mut *self.0.lock().unwrap();
        if lines.len() <= *cursor {
            lines.resize(*cursor + 1, String::new());
        }
        change(&mut lines[*cursor]);
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        120
    }

    fn move_cursor_up(&self, count: usize) -> io::Result<()> {
        // a terminal stops at its first line
        let cursor = &mut self.0.lock().unwrap().1;
        *cursor = cursor.saturating_sub(count);
        Ok(())
    }

    fn move_cursor_down(&self, count: usize) -> io::Result<()> {
        self.0.lock().unwrap().1 += count;
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        self.write_str(line)?;
        self.move_cursor_down(1)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.change(|line| line.push_str(text));
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.change(String::clear);
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A pipe whose reader is gone.
struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

fn explored(judged: u64) -> Event {
    Event::Explored {
        round: RoundNumber(1),
        judged,
        quota: 900,
        correct: 7,
        pool: 90,
        tokens_per_second: 30_000.0,
    }
}

fn events() -> Vec<Event> {
    let round = RoundNumber(1);
    vec![
        Event::Phase { round, phase: RoundPhase::Exploring },
        explored(450),
        Event::Phase { round, phase: RoundPhase::Training },
        Event::Trained {
            round,
            step: 1,
            total_steps: 500,
            loss: 0.5,
            learning_rate: 1e-3,
            tokens_per_second: 9.0,
        },
        Event::Phase { round, phase: RoundPhase::Promoted },
        Event::RoundEnded(report()),
        Event::Published { version: PolicyVersion(2) },
        Event::Warning { message: "the disk is nearly full".to_owned() },
    ]
}

#[tokio::test]
async fn a_pipe_gets_a_line_for_every_step_worth_one() {
    let written = Written::default();
    let mut progress = Progress::lines(Box::new(written.clone()));
    progress.announce(&["control socket: data/stilld.sock".to_owned()]);
    progress.follow(stream::iter(events()).boxed()).await;
    let text = written.text();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 5, "the log tells the warning: {text}");
    assert_eq!(lines[..3], ["control socket: data/stilld.sock", "round 1 exploring", "round 1 training"]);
    for part in [
        "round 1 promoted",
        "accuracy 50.0 (45.0 to 55.0)",
        "hard 25.0 (20.0 to 30.0)",
        "level 6 20.0",
        "pool 100, kept 40",
        "drawn 30000 tokens/s",
        "31.5 s (better)",
    ] {
        assert!(lines[3].contains(part), "`{part}` is missing in {}", lines[3]);
    }
}

#[test]
fn a_terminal_gets_bars_while_it_goes_on_and_a_table_after_the_round() {
    let (screen, written) = (Screen::default(), Written::default());
    let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
    let mut progress = Progress::bars(target, Box::new(written.clone()));
    for event in events() {
        progress.show(&event);
    }
    let bars = screen.contents();
    assert!(
        bars.contains("exploring") && bars.contains("450 of 900") && bars.contains("7 correct"),
        "{bars}"
    );
    assert!(bars.contains("training") && bars.contains("loss 0.5000"), "{bars}");
    let text = written.text();
    for part in ["level 5", "level 6", "50.0 (45.0 to 55.0)", "promoted", "31.5 s"] {
        assert!(text.contains(part), "`{part}` is missing in {text}");
    }
    progress.end();
    assert_eq!(screen.contents(), "", "the bars are taken away at the end");
}

#[test]
fn a_reader_that_is_gone_does_no_harm() {
    let mut progress = Progress::lines(Box::new(Broken));
    for event in events() {
        progress.show(&event);
    }
}
