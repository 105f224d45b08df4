//! How much a run has to do, and how long this machine would take: `stilld run --dry-run`.
//!
//! Nobody knows beforehand how long answers become and how many are right. So every figure is a bound: answers of
//! `max_new_tokens`, and a round's set of all that it drew.

use still_domain::{Algorithm, Demonstration, Problem, Split};
use still_machine::{Encoder, pace::Pace, prompt_tokens};
use still_operator::config::Config;
use still_recipe::LearnerSettings;
use still_roles::Response;
use still_text::Prompter;
use still_training_data::ExampleEncoder;

use crate::task::ReadTask;

/// Records whose length is looked at, for the mean of all.
const MAX_SAMPLE: usize = 64;

/// A training job: its steps, and the tokens of all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Training {
    steps: u64,
    tokens: u64,
}

/// What there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Work {
    /// Of the demonstrations, where there are any.
    imitation: Option<Training>,
    /// Attempts of a round.
    attempts: u64,
    /// Tokens that a round draws at most.
    drawn: u64,
    /// Of a round's set, at most.
    improvement: Training,
    /// Answers that a candidate is scored by.
    answers: u64,
    /// Tokens that they have at most.
    scored: u64,
}

impl Training {
    /// On `count` examples of so many tokens each.
    fn on(settings: &LearnerSettings, count: u64, tokens: u64) -> Self {
        let longest = u64::from(settings.max_sequence_tokens);
        let tokens = if longest == 0 { tokens } else { tokens.min(longest) };
        let (count, all) = (count.max(1), count.saturating_mul(tokens).max(1));
        let of_step = match settings.batch_sequences {
            0 => all.min(u64::from(settings.batch_tokens).max(tokens)),
            sequences => tokens.saturating_mul(count.min(u64::from(sequences))),
        }
        .max(1);
        let steps = match settings.steps {
            0 => (settings.epochs * all.div_ceil(of_step) as f64).ceil() as u64,
            steps => steps,
        }
        .max(1);
        Self { steps, tokens: steps.saturating_mul(of_step) }
    }
}

impl Work {
    /// What a run of this task has to do.
    pub(crate) fn of(config: &Config, task: &ReadTask, prompter: &Prompter) -> Self {
        let (exploration, evaluation) = (&config.exploration, &config.evaluation);
        let asked = mean(task.problems(), |problem: &Problem| prompt_tokens(prompter, problem).ok());
        let encoder = Encoder::new(prompter.clone());
        let shown = mean(task.demonstrations(), |one: &Demonstration| {
            let response = Response::Text(one.response.clone());
            encoder.encode(&one.problem.as_str().into(), &response).ok().map(|encoded| encoded.tokens.len())
        });
        let demonstrations = task.demonstrations().len() as u64;
        let attempts =
            if exploration.enabled { config.round.quota_attempts(exploration.attempts_per_visit) } else { 0 };
        let held_out =
            task.problems().iter().filter(|problem| problem.split != Split::Explore).count() as u64;
        let answers = held_out * u64::from(evaluation.samples_per_problem);
        let longest = |tokens: u32| u64::from(tokens);
        let new_tokens = longest(exploration.sampling.max_new_tokens);
        let of_answer = asked + new_tokens;
        let (_, settings) = config.round_learner();
        let of_example = match config.round.algorithm {
            Algorithm::Sft => of_answer,
            Algorithm::Dpo => 2 * of_answer,
        };
        let examples = if attempts == 0 { demonstrations } else { attempts };
        Self {
            imitation: (demonstrations > 0)
                .then(|| Training::on(&config.training.imitation, demonstrations, shown)),
            attempts,
            drawn: attempts.saturating_mul(new_tokens),
            improvement: Training::on(settings, examples, of_example),
            answers,
            scored: answers.saturating_mul(longest(evaluation.sampling.max_new_tokens)),
        }
    }

    /// Rounds, steps, attempts and, where the pace of the machine is known, time.
    pub(crate) fn in_words(&self, config: &Config, pace: Option<&Pace>) -> String {
        let Self { imitation, attempts, drawn, improvement, answers, scored } = self;
        let rounds = match config.run.rounds {
            0 => "rounds without end".to_owned(),
            rounds => format!("{rounds} rounds"),
        };
        let imitated = imitation.map_or(0, |training| training.steps);
        let is_bound = if config.round_learner().1.steps == 0 { "at most " } else { "" };
        let mut text = format!(
            "{rounds}: imitation of {imitated} steps, then in each round {attempts} attempts (at most {drawn} tokens), \
             {is_bound}{} steps of training and a score of {answers} answers\n",
            improvement.steps
        );
        let Some(pace) = pace else { return text };
        let took = |tokens: u64, pace: Option<f64>| pace.map(|pace| tokens as f64 / pace);
        let parts = [
            took(*drawn, pace.drawing),
            took(improvement.tokens, pace.training),
            took(*scored, pace.scoring),
        ];
        let before = imitation.map_or(Some(0.0), |training| took(training.tokens, pace.training));
        text.push_str(&format!(
            "estimate, from a second's measurement on layers of this model's form (expect it within a factor of two or \
             three; answers taken as long as they may be, and all of them trained on), of others as \
             `expected_tokens_per_second` says:\n  \
             drawing {}, training {} tokens a second\n  \
             imitation {}; a round at most {} of exploration, {} of training and {} of scoring\n",
            figure(pace.drawing),
            figure(pace.training),
            words(before),
            words(parts[0]),
            words(parts[1]),
            words(parts[2]),
        ));
        let round: Option<f64> = parts.into_iter().sum();
        text.push_str(&cost(config, round));
        if let (Some(before), Some(round), rounds @ 1..) = (before, round, config.run.rounds) {
            let all = before + f64::from(rounds) * round;
            text.push_str(&format!("  all of it at most {}\n", words(Some(all))));
        }
        text
    }
}

/// What a round of so many seconds costs, where a price is configured.
fn cost(config: &Config, round: Option<f64>) -> String {
    let (price, devices) = (&config.price, config.paid_devices());
    if price.per_device_hour <= 0.0 {
        return String::new();
    }
    if devices == 0 {
        return "  what a round costs is not known: the configuration names no GPU, nor how many are paid for \
                (`price.devices`)\n"
            .to_owned();
    }
    let Some(seconds) = round else {
        return "  what a round costs is not known, as its time is not: see `expected_tokens_per_second` of `engines` and \
                `training.command`\n"
            .to_owned();
    };
    let hours = seconds / 3_600.0;
    let money = hours * f64::from(devices) * price.per_device_hour;
    format!(
        "  a round at most {}, {devices} devices: {money:.2} {} at {} a device and hour\n",
        words(Some(seconds)),
        price.currency,
        price.per_device_hour
    )
}

/// The mean of what some of the records measure; 0 of none.
fn mean<T>(records: &[T], tokens: impl Fn(&T) -> Option<usize>) -> u64 {
    let step = records.len().div_ceil(MAX_SAMPLE).max(1);
    let lengths: Vec<usize> = records.iter().step_by(step).filter_map(tokens).collect();
    lengths.iter().sum::<usize>().div_ceil(lengths.len().max(1)) as u64
}

fn figure(pace: Option<f64>) -> String {
    pace.map_or_else(|| "(not known: others do it)".to_owned(), |pace| format!("{pace:.0}"))
}

fn words(seconds: Option<f64>) -> String {
    match seconds {
        None => "(not known)".to_owned(),
        Some(seconds @ ..120.0) => format!("{seconds:.0} s"),
        Some(seconds @ 120.0..7_200.0) => format!("{:.0} min", seconds / 60.0),
        Some(seconds @ 7_200.0..172_800.0) => format!("{:.1} h", seconds / 3_600.0),
        Some(seconds) => format!("{:.1} days", seconds / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use still_operator::config::{ConfigLayers, QUICKSTART};

    use super::*;

    #[test]
    fn steps_follow_from_passes_or_are_given() {
        let settings = LearnerSettings {
            epochs: 2.0,
            batch_sequences: 4,
            max_sequence_tokens: 100,
            ..Default::default()
        };
        assert_eq!(Training::on(&settings, 10, 50), Training { steps: 6, tokens: 6 * 4 * 50 });
        assert_eq!(Training::on(&settings, 2, 500), Training { steps: 2, tokens: 2 * 2 * 100 });
        let given = LearnerSettings { steps: 7, batch_sequences: 0, batch_tokens: 1_000, ..settings };
        assert_eq!(Training::on(&given, 100, 50), Training { steps: 7, tokens: 7_000 });
    }

    #[test]
    fn time_is_told_for_what_is_measured_and_summed_up_where_all_of_it_is() {
        let layers = ConfigLayers::new().text("q", QUICKSTART).set("run.rounds=2");
        let config = layers.load().unwrap().config;
        let training = Training { steps: 10, tokens: 1_000 };
        let work = Work {
            imitation: Some(training),
            attempts: 8,
            drawn: 4_000,
            improvement: training,
            answers: 3,
            scored: 600,
        };
        let pace = Pace { drawing: Some(10.0), scoring: Some(10.0), training: Some(1.0) };
        let text = work.in_words(&config, Some(&pace));
        for part in [
            "8 attempts",
            "score of 3 answers",
            "imitation 17 min",
            "7 min of exploration",
            "60 s of scoring",
            "all of it at most 65 min",
        ] {
            assert!(text.contains(part), "`{part}` is missing in: {text}");
        }
        let elsewhere = work.in_words(&config, Some(&Pace { training: None, ..pace }));
        assert!(elsewhere.contains("(not known)") && !elsewhere.contains("all of it"), "{elsewhere}");
        assert!(!work.in_words(&config, None).contains("estimate"));
        let mut priced = config;
        priced.price.per_device_hour = 2.5;
        assert!(work.in_words(&priced, Some(&pace)).contains("price.devices"));
        priced.price.devices = 8;
        // 1460 s of 8 devices
        let text = work.in_words(&priced, Some(&pace));
        assert!(text.contains("24 min, 8 devices: 8.11 USD"), "{text}");
        let unknown = work.in_words(&priced, Some(&Pace { drawing: None, ..pace }));
        assert!(unknown.contains("costs is not known, as its time is not"), "{unknown}");
    }
}
