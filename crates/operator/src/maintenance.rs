//! The pool judged and inspected anew: after a verifier was mended, after hygiene was set otherwise, or by hand.
//!
//! | work | what it does to a trajectory |
//! |---|---|
//! | [`reverify`] | judges it with today's verifier |
//! | [`reinspect`] | holds it to today's hygiene |
//! | [`evict`] | puts it out of every set and pair, with a reason that is kept; or lets it in again |
//!
//! All of them go through the pool in the order of arrival, write what they change in batches, and go on where they
//! were interrupted; without writing they tell what they would change. The sets of rounds that are sealed stay as they
//! are: the next round chooses from the pool as it is then.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use still_curation::{HygieneConfig, Response};
use still_domain::{
    AttemptId, JudgedTrajectory, Outcome, PolicyVersion, Problem, ProblemId, Rejection, Verdict,
    fingerprint::NamedFields,
};
use still_store::{RevisionProgress, Store, StoreError};

/// Trajectories looked at between two commits.
const BATCH: u64 = 512;

/// What changed in a trajectory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The trajectory.
    pub id: AttemptId,
    /// What, in a few words.
    pub what: String,
}

/// What a revision brought.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RevisionReport {
    /// Whether nothing was written.
    pub is_dry_run: bool,
    /// Trajectories looked at before, by a revision that was interrupted.
    pub resumed_after: u64,
    /// Trajectories looked at.
    pub looked_at: u64,
    /// Trajectories changed.
    pub changed: u64,
    /// Trajectories that could not be looked at: their problem is gone, or the verifier failed on them.
    pub failed: u64,
    /// Changes by what they are.
    pub changes: BTreeMap<String, u64>,
}

/// Which trajectories to put out, or to let in again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EvictionQuery {
    /// These.
    pub ids: Vec<AttemptId>,
    /// All of this problem.
    pub problem: Option<ProblemId>,
    /// All that this policy began.
    pub policy: Option<PolicyVersion>,
    /// All with this verdict.
    pub verdict: Option<Outcome>,
}

/// What is to become of the trajectories asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Eviction {
    /// They are put out for this reason.
    Out(String),
    /// They are let in again, as far as hygiene has nothing against them.
    In,
}

/// What became of a trajectory that was looked at.
enum Looked {
    Same,
    Changed(Box<JudgedTrajectory>),
    Failed,
}

/// Judges every trajectory anew with `judge`, whose `settings`, its version among them, tell this revision from others.
/// A judgement that fails leaves the verdict as it is.
///
/// # Errors
/// When the store fails; what was done until then is durable.
pub fn reverify(
    store: &Store,
    judge: &dyn Fn(&Problem, &str) -> Verdict,
    settings: &str,
    is_dry_run: bool,
    tell: &mut dyn FnMut(Change),
) -> Result<RevisionReport, StoreError> {
    let work =
        format!("reverify {}", NamedFields::new("still reverify 1").text("settings", settings).finish());
    revise(store, &work, is_dry_run, tell, |judged, problem| {
        let Some(problem) = problem else { return Looked::Failed };
        if judged.trajectory.tokens.is_empty() && judged.verdict.outcome == Outcome::Error {
            // an attempt that was never answered
            return Looked::Same;
        }
        let verdict = judge(problem, &judged.trajectory.text);
        match verdict.outcome {
            Outcome::Error if judged.verdict.outcome != Outcome::Error => Looked::Failed,
            _ if verdict == judged.verdict => Looked::Same,
            _ => Looked::Changed(Box::new(JudgedTrajectory { verdict, ..judged.clone() })),
        }
    })
}

/// Holds every trajectory to today's hygiene. What an operator put out stays out.
///
/// # Errors
/// When the store fails; what was done until then is durable.
pub fn reinspect(
    store: &Store,
    hygiene: &HygieneConfig,
    is_dry_run: bool,
    tell: &mut dyn FnMut(Change),
) -> Result<RevisionReport, StoreError> {
    let settings = serde_json::to_string(hygiene).unwrap_or_default();
    let work = format!("reinspect {}", NamedFields::new("still reinspect 1").text("s", &settings).finish());
    revise(store, &work, is_dry_run, tell, |judged, problem| {
        let Some(problem) = problem else { return Looked::Failed };
        if judged.eviction.is_some() {
            return Looked::Same;
        }
        inspected(hygiene, judged, problem)
    })
}

/// Puts trajectories out, or lets them in again.
///
/// # Errors
/// When the store fails; what was done until then is durable.
pub fn evict(
    store: &Store,
    query: &EvictionQuery,
    eviction: &Eviction,
    hygiene: &HygieneConfig,
    is_dry_run: bool,
    tell: &mut dyn FnMut(Change),
) -> Result<RevisionReport, StoreError> {
    let reason = match eviction {
        Eviction::Out(reason) => reason.as_str(),
        Eviction::In => "",
    };
    let wanted = NamedFields::new("still evict 1").text("reason", reason);
    let wanted = wanted.list("ids", query.ids.iter(), |fields, id| fields.text("id", &id.to_string()));
    let wanted = wanted.text("problem", query.problem.as_ref().map_or("", ProblemId::as_str));
    let wanted = wanted.number("policy", query.policy.map_or(u64::MAX, |policy| policy.0));
    let wanted = wanted.text("verdict", query.verdict.map_or("", Outcome::name));
    let work = format!("evict {}", wanted.finish());
    revise(store, &work, is_dry_run, tell, |judged, problem| {
        if !query.is_met_by(judged) {
            return Looked::Same;
        }
        match (eviction, problem) {
            (Eviction::Out(reason), _) if judged.eviction.as_ref() == Some(reason) => Looked::Same,
            (Eviction::Out(reason), _) => Looked::Changed(Box::new(JudgedTrajectory {
                rejection: Some(Rejection::Evicted),
                eviction: Some(reason.clone()),
                ..judged.clone()
            })),
            (Eviction::In, _) if judged.eviction.is_none() => Looked::Same,
            (Eviction::In, None) => Looked::Failed,
            (Eviction::In, Some(problem)) => {
                inspected(hygiene, &JudgedTrajectory { eviction: None, ..judged.clone() }, problem)
            }
        }
    })
}

impl EvictionQuery {
    /// Whether nothing is asked for: then nothing is met.
    pub const fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.problem.is_none() && self.policy.is_none() && self.verdict.is_none()
    }

    fn is_met_by(&self, judged: &JudgedTrajectory) -> bool {
        !self.is_empty()
            && (self.ids.is_empty() || self.ids.contains(judged.id()))
            && self.problem.as_ref().is_none_or(|problem| judged.problem() == problem)
            && self.policy.is_none_or(|policy| judged.trajectory.policy_version() == policy)
            && self.verdict.is_none_or(|verdict| judged.verdict.outcome == verdict)
    }
}

impl fmt::Display for RevisionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.is_dry_run { "would change" } else { "changed" };
        write!(f, "{} of {} trajectories {verb}", self.changed, self.looked_at)?;
        if self.resumed_after > 0 {
            write!(f, ", {} were looked at before", self.resumed_after)?;
        }
        if self.failed > 0 {
            write!(f, ", {} could not be looked at", self.failed)?;
        }
        self.changes.iter().try_for_each(|(what, count)| write!(f, "\n{count:>8}  {what}"))
    }
}

/// What today's hygiene makes of a trajectory. Which of them keep the format is told by their parts: only those of
/// a well-formed response are measured.
fn inspected(hygiene: &HygieneConfig, judged: &JudgedTrajectory, problem: &Problem) -> Looked {
    let trajectory = &judged.trajectory;
    let is_begun = !trajectory.tokens.is_empty() || trajectory.prompt_token_count > 0;
    let response = Response {
        problem: &problem.text,
        text: &trajectory.text,
        response_tokens: u32::try_from(trajectory.tokens.len()).unwrap_or(u32::MAX),
        thought_tokens: judged.measures.thought_tokens,
        is_well_formed: judged.measures.thought_tokens > 0 || judged.measures.solution_tokens > 0,
        finish: trajectory.finish,
    };
    // of what was never drawn there is nothing to say
    let rejection = is_begun.then(|| hygiene.rejection(&response)).flatten();
    if rejection == judged.rejection {
        return Looked::Same;
    }
    Looked::Changed(Box::new(JudgedTrajectory { rejection, ..judged.clone() }))
}

/// Goes through the pool from where the same work was interrupted.
fn revise(
    store: &Store,
    work: &str,
    is_dry_run: bool,
    tell: &mut dyn FnMut(Change),
    mut look: impl FnMut(&JudgedTrajectory, Option<&Problem>) -> Looked,
) -> Result<RevisionReport, StoreError> {
    let problems: BTreeMap<ProblemId, Problem> =
        store.problems()?.into_iter().map(|problem| (problem.id.clone(), problem)).collect();
    let begun = if is_dry_run { None } else { store.revision()?.filter(|begun| begun.work == work) };
    let resumed_after = begun.map_or(0, |begun| begun.after);
    let mut report = RevisionReport { is_dry_run, resumed_after, ..RevisionReport::default() };
    let mut revised = Vec::new();
    for fact in store.facts_since(resumed_after) {
        let fact = fact?;
        let Some(judged) = store.trajectory(&fact.id)? else { continue };
        report.looked_at += 1;
        match look(&judged, problems.get(judged.problem())) {
            Looked::Same => {}
            Looked::Failed => report.failed += 1,
            Looked::Changed(after) => {
                let what = difference(&judged, &after);
                report.changed += 1;
                *report.changes.entry(what.clone()).or_default() += 1;
                tell(Change { id: fact.id, what });
                revised.push((fact.sequence, *after));
            }
        }
        if !is_dry_run && report.looked_at.is_multiple_of(BATCH) {
            let progress = RevisionProgress { work: work.to_owned(), after: fact.sequence };
            store.revise_trajectories(&revised, Some(&progress))?;
            revised.clear();
        }
    }
    if !is_dry_run {
        store.revise_trajectories(&revised, None)?;
    }
    Ok(report)
}

/// What differs between a trajectory and the same one revised.
fn difference(before: &JudgedTrajectory, after: &JudgedTrajectory) -> String {
    let named = |rejection: Option<Rejection>| rejection.map_or("clean", Rejection::name);
    if before.verdict.outcome != after.verdict.outcome {
        format!("verdict {} -> {}", before.verdict.outcome, after.verdict.outcome)
    } else if before.rejection != after.rejection {
        format!("hygiene {} -> {}", named(before.rejection), named(after.rejection))
    } else if before.eviction != after.eviction {
        "put out for another reason".to_owned()
    } else {
        format!("verdict {} by another reading or rule", after.verdict.outcome)
    }
}
