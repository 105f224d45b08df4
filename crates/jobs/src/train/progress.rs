//! How far training has come: a bar on a terminal, twenty lines elsewhere; with the feature `dashboard`, charts on a
//! terminal.

use std::{
    io::{IsTerminal, stderr},
    sync::mpsc::Sender,
    time::Instant,
};

use indicatif::{ProgressBar, ProgressStyle};
use still_domain::Algorithm;
use still_roles::{LearnerStep, TrainingPlan};

use super::Happening;
#[cfg(feature = "dashboard")]
use super::charts::Charts;
use crate::sign_of_life::SignOfLife;

/// Step, bar, share and time left, and what there is to say of the last step.
const BAR: &str = "step {pos}/{len} {bar:32} {percent} %  {msg}  {eta} left";
/// Lines where there is no terminal.
const LINES: u64 = 20;

/// Shows steps as they are taken.
pub(super) struct Progress {
    display: Display,
    plan: TrainingPlan,
    step: u64,
    tokens: u64,
    started: Instant,
    alive: SignOfLife,
}

/// Where they are shown.
enum Display {
    Lines,
    Bar(ProgressBar),
    #[cfg(feature = "dashboard")]
    Charts(Charts),
}

impl Display {
    #[cfg_attr(not(feature = "dashboard"), expect(unused_variables, reason = "charts alone have keys"))]
    fn open(plan: TrainingPlan, objective: Algorithm, keys: &Sender<Happening>) -> Self {
        #[cfg(feature = "dashboard")]
        if let Some(charts) = Charts::open(objective, plan, keys) {
            return Self::Charts(charts);
        }
        if !stderr().is_terminal() {
            return Self::Lines;
        }
        let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(plan.total_steps).with_style(style);
        bar.set_position(plan.resumed_step);
        bar.reset_eta();
        Self::Bar(bar)
    }
}

impl Progress {
    /// Nothing taken yet in this run. A key that asks for the end goes to `keys`.
    pub(super) fn begin(plan: TrainingPlan, objective: Algorithm, keys: &Sender<Happening>) -> Self {
        eprintln!("{} of {} steps are taken", plan.resumed_step, plan.total_steps);
        let display = Display::open(plan, objective, keys);
        Self {
            display,
            plan,
            step: plan.resumed_step,
            tokens: 0,
            started: Instant::now(),
            alive: SignOfLife::new(),
        }
    }

    /// A step was taken.
    pub(super) fn show(&mut self, taken: &LearnerStep) {
        self.tokens += taken.tokens;
        self.alive.told();
        let seconds = self.started.elapsed().as_secs_f64();
        let text = text(taken, self.tokens as f64 / seconds.max(1e-9));
        let (step, total) = (taken.step, taken.total_steps);
        match &mut self.display {
            Display::Bar(bar) => {
                bar.set_position(step);
                bar.set_message(text);
            }
            Display::Lines => {
                if step * LINES / total.max(1) > self.step * LINES / total.max(1) {
                    let taken_now = step.saturating_sub(self.plan.resumed_step).max(1) as f64;
                    let left = seconds / taken_now * (total - step) as f64;
                    eprintln!(
                        "step {step}/{total} ({} %)  {text}  {left:.0} s left",
                        step * 100 / total.max(1)
                    );
                }
            }
            #[cfg(feature = "dashboard")]
            Display::Charts(charts) => charts.show(taken),
        }
        self.step = taken.step;
        if taken.skipped {
            self.say(&format!("step {}: left out, its loss or gradient is not finite", taken.step));
        }
        if taken.rolled_back {
            self.say(&format!("training diverged: back to step {}, with half the learning rate", taken.step));
        }
        if let Some(alarm) = taken.alarm {
            self.say(&format!("step {}: preference optimisation is at {alarm}", taken.step));
        }
        if taken.memory_shortages > 0 {
            self.say("out of memory: steps are taken in smaller parts from now on");
        }
    }

    /// A share of the step at work is done: told where the step takes long.
    pub(super) fn show_share(&mut self, share: f64) {
        if self.alive.is_due() {
            self.say(&format!("step {}: {:.0} % of it done", self.step + 1, 100.0 * share));
        }
    }

    /// Says something beside the bar; behind charts, once they are gone.
    pub(super) fn say(&mut self, line: &str) {
        match &mut self.display {
            Display::Bar(bar) => bar.suspend(|| eprintln!("{line}")),
            Display::Lines => eprintln!("{line}"),
            #[cfg(feature = "dashboard")]
            Display::Charts(charts) => charts.say(line),
        }
    }

    /// Leaves the bar as it stands, and the terminal to others.
    pub(super) fn end(&mut self) {
        if let Display::Bar(bar) = &self.display {
            bar.abandon();
        }
        self.display = Display::Lines;
    }
}

fn text(taken: &LearnerStep, tokens_per_second: f64) -> String {
    let mut text = format!(
        "loss {:.4}  gradient norm {:.3}  learning rate {:.2e}",
        taken.loss, taken.gradient_norm, taken.learning_rate
    );
    if let Some(pairs) = &taken.preferences {
        text += &format!(
            "  margin {:.3}  preferred {:.0} %  chosen {:+.2e} nats a token",
            pairs.margin,
            pairs.accuracy * 100.0,
            pairs.chosen_drift
        );
    }
    text + &format!("  {tokens_per_second:.0} tokens/s")
}
