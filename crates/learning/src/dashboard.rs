//! A training in the terminal renderer of burn-train: a chart for each number of a step, how far it is, and keys to
//! move between charts and to stop it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use burn::train::{
    Interrupter,
    metric::{MetricDefinition, MetricEntry, MetricId, NumericAttributes, NumericEntry, SerializedEntry},
    renderer::{MetricState, MetricsRenderer, tui::TuiMetricsRendererWrapper},
};
use still_domain::Algorithm;
use still_roles::{LearnerStep, TrainingPlan};

/// The name under which burn-train shows the steps of training, beside those of validation.
const SPLIT: &str = "train";

/// What one chart shows.
struct Chart {
    name: &'static str,
    /// Whether larger numbers are better ones.
    is_gain: bool,
    /// The number, of a step that gave it.
    value: fn(&LearnerStep) -> Option<f64>,
}

/// What every training shows.
const CHARTS: [Chart; 3] = [
    Chart { name: "loss", is_gain: false, value: |step| Some(step.loss) },
    Chart { name: "gradient norm", is_gain: false, value: |step| Some(step.gradient_norm) },
    Chart { name: "learning rate", is_gain: true, value: |step| Some(step.learning_rate) },
];

/// What preference optimisation shows beside it.
const PREFERENCE_CHARTS: [Chart; 3] = [
    Chart { name: "margin", is_gain: true, value: |step| Some(step.preferences?.margin) },
    Chart { name: "preferred", is_gain: true, value: |step| Some(step.preferences?.accuracy) },
    Chart { name: "KL", is_gain: false, value: |step| Some(step.preferences?.kl) },
];

/// A training as it is shown. Dropping it gives the terminal back.
pub struct Dashboard {
    renderer: Box<dyn MetricsRenderer>,
    interrupter: Interrupter,
    charts: Vec<&'static Chart>,
}

/// What whoever watches asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// To go on.
    GoOn,
    /// To end after the step at work, with a checkpoint.
    Stop,
    /// To end at once.
    Kill,
}

impl Dashboard {
    /// Takes the terminal of standard output over.
    pub fn open(objective: Algorithm, plan: TrainingPlan) -> Self {
        let interrupter = Interrupter::new();
        let renderer = Box::new(TuiMetricsRendererWrapper::new(interrupter.clone(), None));
        Self::on(renderer, interrupter, objective, plan)
    }

    fn on(
        mut renderer: Box<dyn MetricsRenderer>,
        interrupter: Interrupter,
        objective: Algorithm,
        plan: TrainingPlan,
    ) -> Self {
        let more: &[Chart] = match objective {
            Algorithm::Sft => &[],
            Algorithm::Dpo => &PREFERENCE_CHARTS,
        };
        let charts: Vec<_> = CHARTS.iter().chain(more).collect();
        for chart in &charts {
            renderer.register_metric(MetricDefinition {
                metric_id: id(chart),
                name: Arc::new(chart.name.to_owned()),
                description: None,
                attributes: NumericAttributes { unit: None, higher_is_better: chart.is_gain }.into(),
            });
        }
        // steps are what there is to count: it is told of no epochs, and of one split
        renderer.start(0, 0, None, Some("stilld train"));
        renderer.start_split(SPLIT, plan.total_steps as usize);
        renderer.update_split(plan.resumed_step as usize);
        Self { renderer, interrupter, charts }
    }

    /// Shows a step that was taken, and says what its watcher wants.
    pub fn show(&mut self, step: &LearnerStep) -> Wish {
        self.draw(|renderer, charts| {
            for chart in charts {
                let Some(value) = (chart.value)(step) else { continue };
                let shown = format!("{value:.4e}");
                let entry = MetricEntry::new(id(chart), SerializedEntry::new(shown, value.to_string()));
                let point = value.is_finite().then_some(NumericEntry::Value(value));
                renderer.update_train(MetricState::Numeric(entry, point));
            }
            renderer.update_split(step.step as usize);
        })
    }

    /// Counts something that happened, beside how far training is.
    pub fn count(&mut self, event: &str) -> Wish {
        self.draw(|renderer, _| renderer.log_event_training(event.to_owned()))
    }

    /// The renderer's key to kill the program is a panic of whoever draws next.
    fn draw(&mut self, draw: impl FnOnce(&mut dyn MetricsRenderer, &[&'static Chart])) -> Wish {
        let Self { renderer, interrupter, charts } = self;
        match catch_unwind(AssertUnwindSafe(|| draw(&mut **renderer, charts))) {
            Err(_) => Wish::Kill,
            Ok(()) if interrupter.should_stop() => Wish::Stop,
            Ok(()) => Wish::GoOn,
        }
    }
}

fn id(chart: &Chart) -> MetricId {
    MetricId::new(Arc::new(chart.name.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use burn::train::{
        logger::{EvaluationProgressLogger, TrainingProgressLogger},
        renderer::{EvaluationName, MetricsRendererEvaluation, MetricsRendererTraining},
    };
    use still_roles::PreferenceMetrics;

    use super::*;

    /// Writes down what it is given, and does what a key would.
    #[derive(Clone, Default)]
    struct Recorder {
        log: Arc<Mutex<Vec<String>>>,
        /// Panics at the next point, as the renderer does once it is to kill the program.
        is_killed: bool,
    }

    impl Recorder {
        fn note(&self, line: String) {
            self.log.lock().unwrap().push(line);
        }
    }

    impl MetricsRendererTraining for Recorder {
        fn update_train(&mut self, state: MetricState) {
            assert!(!self.is_killed, "killed");
            let MetricState::Numeric(entry, point) = state else { panic!("every number has a chart") };
            let value = point.map_or("nothing".to_owned(), |point| point.current().to_string());
            self.note(format!("{} {value}", entry.serialized_entry.formatted));
        }

        fn update_valid(&mut self, _: MetricState) {}
    }

    impl MetricsRendererEvaluation for Recorder {
        fn update_test(&mut self, _: EvaluationName, _: MetricState) {}
    }

    impl MetricsRenderer for Recorder {
        fn manual_close(&mut self) {}

        fn register_metric(&mut self, definition: MetricDefinition) {
            self.note(format!("chart {}", definition.name));
        }
    }

    impl TrainingProgressLogger for Recorder {
        fn start(&mut self, _: usize, _: usize, _: Option<usize>, _: Option<&str>) {}

        fn update_epoch(&mut self, _: usize) {}

        fn start_split(&mut self, split: &str, total: usize) {
            self.note(format!("{split} of {total}"));
        }

        fn update_split(&mut self, done: usize) {
            self.note(format!("{done} done"));
        }

        fn end_split(&mut self) {}

        fn end(&mut self) {}

        fn log_event_training(&mut self, event: String) {
            self.note(event);
        }
    }

    impl EvaluationProgressLogger for Recorder {
        fn start_global_progress(&mut self, _: usize) {}

        fn start_test(&mut self, _: &str, _: usize) {}

        fn update_test_progress(&mut self, _: usize) {}

        fn end_test(&mut self) {}

        fn end_global_progress(&mut self) {}

        fn log_event_evaluation(&mut self, _: String) {}
    }

    const PLAN: TrainingPlan = TrainingPlan { total_steps: 9, resumed_step: 4, left_out: 0 };

    #[test]
    fn every_number_of_a_step_has_its_chart_and_what_is_not_finite_no_point() {
        let recorder = Recorder::default();
        let mut dashboard =
            Dashboard::on(Box::new(recorder.clone()), Interrupter::new(), Algorithm::Dpo, PLAN);
        let preferences = Some(PreferenceMetrics { margin: 0.5, ..PreferenceMetrics::default() });
        let step = LearnerStep { step: 5, loss: f64::NAN, preferences, ..LearnerStep::default() };
        assert_eq!(dashboard.show(&step), Wish::GoOn);
        assert_eq!(dashboard.count("skipped"), Wish::GoOn);
        let log = recorder.log.lock().unwrap().join("\n");
        for part in [
            "chart loss\nchart gradient norm\nchart learning rate\nchart margin\nchart preferred\nchart KL",
            "train of 9\n4 done\nNaN nothing\n0.0000e0 0\n",
            "5.0000e-1 0.5\n",
            "5 done\nskipped",
        ] {
            assert!(log.contains(part), "`{part}` is missing in {log}");
        }
    }

    #[test]
    fn keys_of_the_renderer_are_wishes() {
        let step = LearnerStep::default();
        let interrupter = Interrupter::new();
        let recorder = Box::new(Recorder::default());
        let mut dashboard = Dashboard::on(recorder, interrupter.clone(), Algorithm::Sft, PLAN);
        assert_eq!(dashboard.show(&step), Wish::GoOn);
        interrupter.stop(None);
        assert_eq!(dashboard.show(&step), Wish::Stop);
        let recorder = Box::new(Recorder { is_killed: true, ..Recorder::default() });
        let mut dashboard = Dashboard::on(recorder, Interrupter::new(), Algorithm::Sft, PLAN);
        assert_eq!(dashboard.show(&step), Wish::Kill);
    }
}
