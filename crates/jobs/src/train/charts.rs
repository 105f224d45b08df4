//! Training as charts on the terminal, whose keys do what signals do.

use std::{
    io::{IsTerminal, stdout},
    sync::mpsc::Sender,
};

use still_domain::Algorithm;
use still_learning::dashboard::{Dashboard, Wish};
use still_operator::signals::exit_at_once;
use still_roles::{LearnerStep, TrainingPlan};

use super::Happening;

/// The charts of a training.
pub(super) struct Charts {
    /// None once it has given the terminal back.
    dashboard: Option<Dashboard>,
    happen: Sender<Happening>,
    has_stopped: bool,
    /// What there was to say while the terminal was the charts' own.
    said: Vec<String>,
}

impl Charts {
    /// Takes standard output over, where it is a terminal.
    pub(super) fn open(objective: Algorithm, plan: TrainingPlan, happen: &Sender<Happening>) -> Option<Self> {
        stdout().is_terminal().then(|| Self {
            dashboard: Some(Dashboard::open(objective, plan)),
            happen: happen.clone(),
            has_stopped: false,
            said: Vec::new(),
        })
    }

    /// A step was taken.
    pub(super) fn show(&mut self, taken: &LearnerStep) {
        match self.dashboard.as_mut().map_or(Wish::GoOn, |dashboard| dashboard.show(taken)) {
            Wish::Stop if !self.has_stopped => {
                self.has_stopped = true;
                let _has_ended = self.happen.send(Happening::Interrupted);
            }
            Wish::Stop | Wish::GoOn => {}
            // its terminal is given back already
            Wish::Kill => exit_at_once("key"),
        }
    }

    /// Says something once the terminal is given back.
    pub(super) fn say(&mut self, line: &str) {
        self.said.push(line.to_owned());
    }
}

impl Drop for Charts {
    fn drop(&mut self) {
        self.dashboard = None;
        self.said.iter().for_each(|line| eprintln!("{line}"));
    }
}
