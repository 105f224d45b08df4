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
    pace::Pace,
    plan::{Plan, place},
    preflight::{problem_check, refuse_absent_devices, refuse_absent_servers, refuse_misfit, remarks},
    prompter, verifier,
};
use still_operator::config::Config;
use still_store::{Store, StoreError};
use still_text::Prompter;

use crate::{boot, logging, task, work::Work};

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
        let mut asked = None;
        if let Some(model) = found.take(Model::load(config)) {
            found.look_at_model(config, &model);
            if let Some(prompter) = found.take(prompter(&model, &config.task, None)) {
                if let Some(task) = &task {
                    let check = problem_check(config, &model, prompter.clone(), verifier);
                    found.note(task.refuse_unfit(&check));
                }
                found.note(look_at_data(config, &model, &prompter, is_start));
                asked = Some((model, prompter));
            }
        }
        found.note(refuse_absent_devices(config));
        found.note(refuse_absent_servers(config));
        if is_start {
            found.note(look_at_page(config));
        }
        for line in task.iter().flat_map(|task| &task.told) {
            let _never_fails = writeln!(found.plan, "{line}");
        }
        if is_start && let (Some(task), Some((model, prompter))) = (&task, &asked) {
            // what cannot be run is not measured
            let placement = found.findings.is_empty().then(|| place(config, &model.config).ok()).flatten();
            let pace = placement.map(|placement| Pace::measure(config, &model.config, &placement));
            found.plan.push_str(&Work::of(config, task, prompter).in_words(config, pace.as_ref()));
        }
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
