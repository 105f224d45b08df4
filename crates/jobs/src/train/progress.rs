//! How far training has come: a bar on a terminal, twenty lines elsewhere.

use std::{
    io::{IsTerminal, stderr},
    time::Instant,
};

use indicatif::{ProgressBar, ProgressStyle};
use still_roles::{LearnerStep, TrainingPlan};

/// Step, bar, share and time left, and what there is to say of the last step.
const BAR: &str = "step {pos}/{len} {bar:32} {percent} %  {msg}  {eta} left";
/// Lines where there is no terminal.
const LINES: u64 = 20;

/// Shows steps as they are taken.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    plan: TrainingPlan,
    step: u64,
    tokens: u64,
    started: Instant,
}

impl Progress {
    /// Nothing taken yet in this run.
    pub(super) fn begin(plan: TrainingPlan) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(plan.total_steps).with_style(style);
            bar.set_position(plan.resumed_step);
            bar.reset_eta();
            bar
        });
        eprintln!("{} of {} steps are taken", plan.resumed_step, plan.total_steps);
        Self { bar, plan, step: plan.resumed_step, tokens: 0, started: Instant::now() }
    }

    /// A step was taken.
    pub(super) fn show(&mut self, taken: &LearnerStep) {
        self.tokens += taken.tokens;
        let seconds = self.started.elapsed().as_secs_f64();
        let text = text(taken, self.tokens as f64 / seconds.max(1e-9));
        if let Some(bar) = &self.bar {
            bar.set_position(taken.step);
            bar.set_message(text);
        } else if taken.step * LINES / taken.total_steps.max(1) > self.step * LINES / taken.total_steps.max(1)
        {
            let (step, total) = (taken.step, taken.total_steps);
            let taken_now = step.saturating_sub(self.plan.resumed_step).max(1) as f64;
            let left = seconds / taken_now * (total - step) as f64;
            eprintln!("step {step}/{total} ({} %)  {text}  {left:.0} s left", step * 100 / total.max(1));
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

    /// Says something beside the bar.
    pub(super) fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    /// Leaves the bar as it stands.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
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
