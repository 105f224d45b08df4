//! Everything that a start would look at, without a start: `stilld run --dry-run` and `stilld config check`.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    net::TcpListener,
    sync::Arc,
};

use still_control::{Exit, Failure, OrExit};
use still_machine::{
    Model,
    plan::Plan,
    preflight::{problem_check, refuse_absent_devices, refuse_misfit, remarks},
    prompter, verifier,
};
use still_operator::config::Config;
use still_store::{Store, StoreError};
use still_text::Prompter;

use crate::{boot, logging, task};

/// What a look at everything came to.
#[derive(Default)]
struct Preflight {
    /// What there is, for people.
    plan: String,
    /// What stands in the way, in the order in which a start would meet it.
    findings: Vec<Failure>,
}

/// Prints what a run would be, and ends as it would.
pub(crate) fn dry_run(config: &Config) -> Result<Exit, Failure> {
    let Preflight { plan, findings } = Preflight::of(config, true);
    io::stdout().lock().write_all(plan.as_bytes()).or_exit(Exit::Internal)?;
    told(findings)
}

/// Says nothing where everything is sound, else what is not.
pub(crate) fn check(config: &Config) -> Result<Exit, Failure> {
    // a daemon may be at work with the configuration that was changed
    told(Preflight::of(config, false).findings)
}

/// All findings in one failure, under the code of the first.
fn told(findings: Vec<Failure>) -> Result<Exit, Failure> {
    let Some(exit) = findings.first().map(|finding| finding.exit) else { return Ok(Exit::Success) };
    let messages: Vec<String> = findings.into_iter().map(|finding| finding.message).collect();
    Err(Failure::new(exit, messages.join("\n")))
}

impl Preflight {
    /// Looks at everything; with `is_start` at what a daemon at work would hold, too.
    fn of(config: &Config, is_start: bool) -> Self {
        let mut found = Self::default();
        found.note(logging::filter(&config.log).map(drop));
        let verifier = Arc::new(verifier(&config.verifier));
        let task = found.take(task::read(config, &verifier));
        if let Some(model) = found.take(Model::load(config)) {
            found.look_at_model(config, &model);
            if let Some(prompter) = found.take(prompter(&model, &config.task, None)) {
                if let Some(task) = &task {
                    let check = problem_check(config, &model, prompter.clone(), verifier);
                    found.note(task.refuse_unfit(&check));
                }
                found.note(look_at_data(config, &model, &prompter, is_start));
            }
        }
        found.note(refuse_absent_devices(config));
        if is_start {
            found.note(look_at_page(config));
        }
        for line in task.iter().flat_map(|task| &task.told) {
            let _never_fails = writeln!(found.plan, "{line}");
        }
        found.plan.push_str(&work(config));
        found
    }

    fn look_at_model(&mut self, config: &Config, model: &Model) {
        let parameters = model.config.parameter_count();
        let _never_fails = writeln!(self.plan, "model {}: {parameters} parameters", config.model.source);
        if let Some(plan) = self.take(Plan::of(config, &model.config)) {
            self.plan.push_str(&plan.table());
            self.note(refuse_misfit(&plan));
        }
        for remark in remarks(config, model) {
            let _never_fails = writeln!(self.plan, "note: {remark}");
        }
    }

    fn take<T>(&mut self, looked: Result<T, Failure>) -> Option<T> {
        looked.map_err(|finding| self.findings.push(finding)).ok()
    }

    fn note(&mut self, looked: Result<(), Failure>) {
        let _noted = self.take(looked);
    }
}

/// How much there is to do.
fn work(config: &Config) -> String {
    let exploration = &config.exploration;
    let attempts = config.round.quota_attempts(exploration.attempts_per_visit);
    let (new_tokens, rounds) = (exploration.sampling.max_new_tokens, config.run.rounds);
    let steps = |steps: u64, epochs: f64| match steps {
        0 => format!("{epochs} passes over the set"),
        steps => format!("{steps} steps"),
    };
    let (imitation, improvement) = (&config.training.imitation, &config.training.improvement);
    let rounds_in_words =
        if rounds == 0 { "rounds without end".to_owned() } else { format!("{rounds} rounds") };
    let mut text = format!(
        "{rounds_in_words}: imitation of {}, then in each round {attempts} attempts and {} of training\n",
        steps(imitation.steps, imitation.epochs),
        steps(improvement.steps, improvement.epochs),
    );
    let tokens = attempts.saturating_mul(u64::from(new_tokens));
    let _never_fails = writeln!(
        text,
        "a round draws at most {tokens} tokens ({attempts} answers of {new_tokens}): {} at 1,000 tokens a second",
        hours(tokens as f64 / 1_000.0)
    );
    text
}

fn hours(seconds: f64) -> String {
    match seconds {
        ..60.0 => format!("{seconds:.0} s"),
        60.0..7_200.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3_600.0),
    }
}

/// Whether the data directory, if there is one, is this run's, and nobody at work in it.
fn look_at_data(config: &Config, model: &Model, prompter: &Prompter, is_start: bool) -> Result<(), Failure> {
    let data_dir = &config.run.data_dir;
    let store = match Store::open_read_only(data_dir) {
        Ok(store) => store,
        // a fresh one, or one that the start brings up
        Err(StoreError::Absent(_) | StoreError::Older { .. }) => return Ok(()),
        Err(StoreError::InUse { .. }) if !is_start => return Ok(()),
        Err(error) => return Err(Failure::new(Exit::Store, error)),
    };
    store.check_identity(&boot::identity(config, model, prompter)).or_exit(Exit::Store)
}

/// Whether the page's address can be had.
fn look_at_page(config: &Config) -> Result<(), Failure> {
    let Some(address) = config.http.address() else { return Ok(()) };
    let bound = TcpListener::bind(address);
    bound.map(drop).map_err(|error| {
        Failure::new(Exit::AddressInUse, format!("`{address}` (`http.listen`) cannot be opened: {error}"))
    })
}
