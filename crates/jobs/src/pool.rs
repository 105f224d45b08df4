//! `stilld pool`: a stopped daemon's pool judged or inspected anew, or some of it put out.

use std::{
    collections::BTreeMap,
    io::{Write, stdout},
    ops::ControlFlow,
    sync::Arc,
};

use still_control::{Exit, Failure, OrExit};
use still_domain::{
    AttemptFact, AttemptId, Measures, Outcome, PolicyRef, PolicyVersion, Problem, ProblemId, Score,
};
use still_machine::{Model, prompter, refuse_unjudgeable_store, same_answer, verifier};
use still_operator::{
    cli::{
        EvictArguments, PoolCommand, RescoreArguments, RevisionArguments, RolloutArguments, SuspectsArguments,
    },
    config::Config,
    maintenance::{self, Change, Eviction, EvictionQuery, RevisionReport},
    suspects::{suspects, table},
};
use still_roles::{ScoringPass, TrajectoryRequest, Unscored, Verifier, Withdrawal, sheltered_judgement};
use still_store::{Store, StoreError};

use super::{RolloutImport, output_failed};

/// The time that the run's prompts are told.
fn clock(store: &Store) -> Result<Option<i64>, Failure> {
    Ok(store.identity().or_exit(Exit::Store)?.and_then(|identity| identity.clock()))
}

/// Does what is asked for, and tells of every change.
pub fn pool(command: &PoolCommand) -> Result<Exit, Failure> {
    match command {
        PoolCommand::Import(arguments) => import_rollouts(arguments),
        PoolCommand::Reverify(arguments) => revise(arguments, |store, config, tell| {
            let verifier = verifier(&config.verifier);
            refuse_unjudgeable_store(&verifier, &store.problems().or_exit(Exit::Store)?)?;
            let section = serde_json::to_string(&config.verifier).or_exit(Exit::Internal)?;
            let settings = format!("{} {section}", verifier.version());
            let judge =
                |problem: &Problem, response: &str| sheltered_judgement(&verifier, problem, response, || ());
            maintenance::reverify(store, &judge, &settings, arguments.dry_run, tell).or_exit(Exit::Store)
        }),
        PoolCommand::Reinspect(arguments) => revise(arguments, |store, config, tell| {
            maintenance::reinspect(store, &config.hygiene, arguments.dry_run, tell).or_exit(Exit::Store)
        }),
        PoolCommand::Rescore(arguments) => rescore(arguments),
        PoolCommand::Suspects(arguments) => list_suspects(arguments),
        PoolCommand::Evict(arguments) => {
            let EvictArguments { ids, problem, policy, verdict, reason, undo: _, revision } = arguments;
            let query = EvictionQuery {
                ids: ids.clone(),
                problem: problem.as_ref().map(ProblemId::new),
                policy: policy.map(PolicyVersion),
                verdict: *verdict,
            };
            let eviction = reason.clone().map_or(Eviction::In, Eviction::Out);
            revise(revision, |store, config, tell| {
                let evicted =
                    maintenance::evict(store, &query, &eviction, &config.hygiene, revision.dry_run, tell);
                evicted.or_exit(Exit::Store)
            })
        }
    }
}

fn import_rollouts(arguments: &RolloutArguments) -> Result<Exit, Failure> {
    let loaded = arguments.configuration.load().map_err(|error| Failure::new(error.exit(), error))?;
    let config = &loaded.config;
    let store = Store::open_existing(&config.run.data_dir).or_exit(Exit::Store)?;
    let model = Model::load(config)?;
    let verifier = verifier(&config.verifier);
    refuse_unjudgeable_store(&verifier, &store.problems().or_exit(Exit::Store)?)?;
    let import = RolloutImport {
        store: &store,
        prompter: &prompter(&model, &config.task, clock(&store)?)?,
        verifier: &verifier,
        hygiene: &config.hygiene,
    };
    let report = import.file(&arguments.file)?;
    writeln!(stdout().lock(), "{report}").map_err(|error| output_failed(&error))?;
    Ok(Exit::Success)
}

/// Scores what has no score under the policy, and tells of each.
fn rescore(arguments: &RescoreArguments) -> Result<Exit, Failure> {
    let RescoreArguments { policy, revision } = arguments;
    let loaded = revision.configuration.load().map_err(|error| Failure::new(error.exit(), error))?;
    let (config, data_dir) = (&loaded.config, &loaded.config.run.data_dir);
    let store =
        if revision.dry_run { Store::open_read_only(data_dir) } else { Store::open_existing(data_dir) };
    let store = store.or_exit(Exit::Store)?;
    let version = PolicyVersion(*policy);
    let unknown = || Failure::new(Exit::BadInput, format!("no policy has version {version}"));
    let record = store.policy(version).or_exit(Exit::Store)?.ok_or_else(unknown)?;
    let known = store.scores(version).or_exit(Exit::Store)?;
    let facts = store.facts().or_exit(Exit::Store)?;
    let is_missing = |fact: &&AttemptFact| {
        fact.rejection.is_none()
            && matches!(fact.outcome, Outcome::Correct | Outcome::Wrong)
            && !known.contains_key(&fact.id)
    };
    let missing: Vec<_> = facts.iter().filter(is_missing).collect();
    let mut out = stdout().lock();
    let mut tell = |line: String| writeln!(out, "{line}").map_err(|error| output_failed(&error));
    if revision.dry_run {
        tell(format!("{} trajectories would be scored, {} are", missing.len(), known.len()))?;
        return Ok(Exit::Success);
    }
    let model = Model::load(config)?;
    let checkpoints = data_dir.join("checkpoints");
    let library = Arc::new(model.library(move |checkpoint| checkpoints.join(checkpoint.as_str())));
    let device = config.device.learners.first().copied().unwrap_or_default();
    let open = model.scorers(&library, device, &prompter(&model, &config.task, clock(&store)?)?);
    let mut scorer = open().or_exit(Exit::Device)?;
    let mut pass = Rescoring {
        store: &store,
        version,
        missing: missing.into_iter().enumerate(),
        under_way: BTreeMap::new(),
        is_json: revision.json,
        tell: &mut tell,
        scored: 0,
        unscored: 0,
        failure: None,
    };
    let ended = scorer.score(&PolicyRef::from(&record), &mut pass, &Withdrawal::default());
    let Rescoring { scored, unscored, failure, .. } = pass;
    if let Some(failure) = failure {
        return Err(failure);
    }
    ended.or_exit(Exit::Device)?;
    if !revision.json {
        tell(format!("{scored} trajectories scored, {} were, {unscored} cannot be", known.len()))?;
    }
    Ok(Exit::Success)
}

/// A pass over what has no score under a policy; each is durable before it is told.
struct Rescoring<'a, Missing> {
    store: &'a Store,
    version: PolicyVersion,
    missing: Missing,
    /// What is being scored: its name, and the perplexity that its sampler measured.
    under_way: BTreeMap<u64, (AttemptId, f32)>,
    is_json: bool,
    tell: &'a mut dyn FnMut(String) -> Result<(), Failure>,
    scored: u64,
    unscored: u64,
    failure: Option<Failure>,
}

impl<'a, Missing: Iterator<Item = (usize, &'a AttemptFact)>> Rescoring<'_, Missing> {
    fn read_next(&mut self) -> Result<Option<(u64, TrajectoryRequest)>, Failure> {
        for (number, fact) in self.missing.by_ref() {
            let judged = self.store.trajectory(&fact.id).or_exit(Exit::Store)?;
            let problem = self.store.problem(&fact.id.problem).or_exit(Exit::Store)?;
            if let (Some(judged), Some(problem)) = (judged, problem) {
                let number = number as u64;
                self.under_way.insert(number, (fact.id.clone(), judged.measures.perplexity));
                return Ok(Some((number, TrajectoryRequest { problem, trajectory: judged.trajectory })));
            }
        }
        Ok(None)
    }

    fn take(&mut self, number: u64, found: Result<Measures, Unscored>) -> Result<(), Failure> {
        let Some((id, before)) = self.under_way.remove(&number) else { return Ok(()) };
        let measures = match found {
            Ok(measures) => measures,
            Err(reason) => {
                eprintln!("{id} is left out: {reason}");
                self.unscored += 1;
                return Ok(());
            }
        };
        let score = Score::of(id, self.version, &measures);
        let line = if self.is_json {
            serde_json::to_string(&score).or_exit(Exit::Internal)?
        } else {
            format!("{}  {before:.4} -> {:.4}", score.id, score.perplexity)
        };
        self.store.put_scores(&[score]).or_exit(Exit::Store)?;
        self.scored += 1;
        (self.tell)(line)
    }
}

impl<'a, Missing: Iterator<Item = (usize, &'a AttemptFact)>> ScoringPass<TrajectoryRequest, Measures>
    for Rescoring<'_, Missing>
{
    fn next(&mut self) -> Option<(u64, TrajectoryRequest)> {
        self.read_next().unwrap_or_else(|failure| {
            self.failure = Some(failure);
            None
        })
    }

    fn scored(&mut self, number: u64, found: Result<Measures, Unscored>) -> ControlFlow<()> {
        let Err(failure) = self.take(number, found) else { return ControlFlow::Continue(()) };
        self.failure = Some(failure);
        ControlFlow::Break(())
    }
}

fn list_suspects(arguments: &SuspectsArguments) -> Result<Exit, Failure> {
    let loaded = arguments.configuration.load().map_err(|error| Failure::new(error.exit(), error))?;
    let store = Store::open_read_only(&loaded.config.run.data_dir).or_exit(Exit::Store)?;
    let verifier = Arc::new(verifier(&loaded.config.verifier));
    let found = suspects(&store, &same_answer(verifier)).or_exit(Exit::Store)?;
    let text = if arguments.json {
        serde_json::to_string_pretty(&found).or_exit(Exit::Internal)?
    } else {
        table(&found)
    };
    writeln!(stdout().lock(), "{text}").map_err(|error| output_failed(&error))?;
    Ok(Exit::Success)
}

/// Opens the store, has it revised, and tells what changed.
fn revise(
    arguments: &RevisionArguments,
    work: impl FnOnce(&Store, &Config, &mut dyn FnMut(Change)) -> Result<RevisionReport, Failure>,
) -> Result<Exit, Failure> {
    let loaded = arguments.configuration.load().map_err(|error| Failure::new(error.exit(), error))?;
    let data_dir = &loaded.config.run.data_dir;
    let opened =
        if arguments.dry_run { Store::open_read_only(data_dir) } else { Store::open_existing(data_dir) };
    let store = opened.map_err(|error: StoreError| Failure::new(Exit::Store, error))?;
    let mut out = stdout().lock();
    let mut written = Ok(());
    let mut tell = |change: Change| {
        if written.is_ok() {
            written = if arguments.json {
                serde_json::to_writer(&mut out, &change).map_err(Into::into).and_then(|()| writeln!(out))
            } else {
                writeln!(out, "{}  {}", change.id, change.what)
            };
        }
    };
    let report = work(&store, &loaded.config, &mut tell)?;
    let written = written.and_then(|()| {
        if arguments.json {
            serde_json::to_writer(&mut out, &report)?;
            writeln!(out)
        } else {
            writeln!(out, "{report}")
        }
    });
    written.map_err(|error| output_failed(&error))?;
    Ok(Exit::Success)
}
