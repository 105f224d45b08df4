//! Rollouts that were made elsewhere, judged and kept like the run's own: a run may begin from a model that reasons
//! already, and from what it has drawn.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    path::Path,
    sync::Arc,
};

use still_control::{Exit, Failure, LineProblem, OrExit};
use still_curation::{HygieneConfig, Response};
use still_domain::{
    AttemptId, AttemptNumber, FinishReason, JudgedTrajectory, Outcome, Problem, ProblemId, Provenance,
    SamplingSettings, Split, Statement, Trajectory, VersionSpan, fingerprint::of_words,
};
use still_machine::{measured, prompt_name, question_of};
use still_operator::import::{self, ImportedResponse, ImportedRollout, ProblemKey};
use still_roles::{FinishedRollout, Verifier, sheltered_judgement};
use still_store::Store;
use still_text::Prompter;

/// Trajectories of one commit.
const GROUP: usize = 64;

/// What is needed to judge rollouts like the run's own.
#[derive(Clone, Copy)]
pub struct RolloutImport<'a> {
    /// Where they are kept.
    pub store: &'a Store,
    /// What they are asked by and read by.
    pub prompter: &'a Prompter,
    /// Who judges them.
    pub verifier: &'a dyn Verifier,
    /// What they are held to.
    pub hygiene: &'a HygieneConfig,
}

/// What an import of rollouts brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RolloutReport {
    /// New trajectories, by their verdicts.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Of these, right and clean.
    pub eligible: u64,
    /// Rollouts that were there already.
    pub known: u64,
}

impl RolloutImport<'_> {
    /// Judges the rollouts of a file and keeps those that are new. What is there already, by its problem and its words,
    /// is known: an import that was interrupted goes on where it stopped.
    ///
    /// # Errors
    /// When a line is broken or its problem is not there to explore: then nothing is kept. When the store fails.
    pub fn file(&self, path: &Path) -> Result<RolloutReport, Failure> {
        let read = import::rollouts_from_file(path).map_err(|error| Failure::new(error.exit(), error))?;
        let problems = self.store.problems().or_exit(Exit::Store)?;
        let found = Problems::of(&problems);
        let mut rollouts = Vec::with_capacity(read.len());
        for (line, rollout) in (1..).zip(read) {
            let problem = found.problem(&rollout.problem).map_err(|reason| {
                let remedy = "import it first, or leave the line out".to_owned();
                let field = Some("problem".to_owned());
                let problem = LineProblem { line, field, reason, remedy };
                Failure::new(Exit::BadInput, format!("`{}`, record {problem}", path.display()))
            })?;
            rollouts.push((problem, rollout));
        }
        let origin = path.file_name().unwrap_or(path.as_os_str());
        self.keep(rollouts, &origin.to_string_lossy())
    }

    /// Makes trajectories durable, and first how they came here.
    fn commit(&self, group: &[JudgedTrajectory], told: &Provenances) -> Result<(), Failure> {
        for provenance in [&told.tokens, &told.text] {
            let id = provenance.id();
            if group.iter().any(|judged| judged.trajectory.provenance.as_ref() == Some(&id)) {
                self.store.put_provenance(provenance).or_exit(Exit::Store)?;
            }
        }
        self.store.commit_trajectories(group).map(drop).or_exit(Exit::Store)
    }

    fn keep(
        &self,
        rollouts: Vec<(&Problem, ImportedRollout)>,
        origin: &str,
    ) -> Result<RolloutReport, Failure> {
        let mut known: HashSet<(ProblemId, u128)> = HashSet::new();
        let mut next: HashMap<ProblemId, u32> = HashMap::new();
        for fact in self.store.facts().or_exit(Exit::Store)? {
            let after = next.entry(fact.id.problem.clone()).or_default();
            *after = (*after).max(fact.id.number.0 + 1);
            known.insert((fact.id.problem, fact.fingerprint));
        }
        let mut report = RolloutReport::default();
        let mut group = Vec::new();
        let told = Provenances::of(origin, self.prompter);
        for (problem, rollout) in rollouts {
            let after = next.entry(problem.id.clone()).or_default();
            let id = AttemptId { problem: problem.id.clone(), number: AttemptNumber(*after) };
            let read = self.read(id, problem, rollout, &told)?;
            if !known.insert((problem.id.clone(), of_words(&read.trajectory.text))) {
                report.known += 1;
                continue;
            }
            let judged = self.judged(problem, read);
            *after += 1;
            *report.outcomes.entry(judged.verdict.outcome).or_default() += 1;
            report.eligible += u64::from(judged.is_correct() && judged.rejection.is_none());
            group.push(judged);
            if group.len() == GROUP {
                self.commit(&group, &told)?;
                group.clear();
            }
        }
        self.commit(&group, &told)?;
        Ok(report)
    }

    /// The rollout as a trajectory of this run, measured and not judged.
    fn read(
        &self,
        id: AttemptId,
        problem: &Problem,
        rollout: ImportedRollout,
        told: &Provenances,
    ) -> Result<FinishedRollout, Failure> {
        let named = |error: &dyn fmt::Display| format!("a rollout of problem `{}`: {error}", problem.id);
        let tokenizer = self.prompter.tokenizer();
        let statement = Statement::from(problem);
        let question = question_of(&statement);
        let prompt = self.prompter.prompt(question);
        let prompt = prompt.map_err(|error| named(&error)).or_exit(Exit::BadInput)?;
        let ImportedRollout { response, log_probabilities, finish, temperature, policy, problem: _ } =
            rollout;
        let stops = tokenizer.stop_ids();
        let provenance = match &response {
            ImportedResponse::Tokens(_) => &told.tokens,
            ImportedResponse::Text(_) => &told.text,
        };
        let (tokens, finish) = match response {
            ImportedResponse::Tokens(tokens) => {
                let ends = tokens.last().is_some_and(|last| stops.contains(last));
                let told = if ends { FinishReason::Stop } else { FinishReason::StopString };
                (tokens, finish.unwrap_or(told))
            }
            ImportedResponse::Text(text) => {
                let encoded = self.prompter.gone_on(question, &text);
                let encoded = encoded.map_err(|error| named(&error)).or_exit(Exit::BadInput)?;
                let mut tokens = encoded.ids.get(encoded.prompt_tokens..).unwrap_or_default().to_vec();
                let finish = finish.unwrap_or(FinishReason::Stop);
                // what ends a response is learnt with it, and what was cut off has no end
                if finish != FinishReason::Stop {
                    tokens.pop();
                }
                (tokens, finish)
            }
        };
        let response = measured(self.prompter, &tokens, finish, log_probabilities.as_deref());
        let response = response.map_err(|error| named(&error)).or_exit(Exit::BadInput)?;
        let length = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
        let trajectory = Trajectory {
            id,
            prompt_token_count: u32::try_from(prompt.len()).unwrap_or(u32::MAX),
            tokens,
            log_probabilities: log_probabilities.unwrap_or_default(),
            sampling_log_probabilities: Vec::new(),
            text: response.text,
            sampling: SamplingSettings { temperature, ..SamplingSettings::default() },
            seed: 0,
            finish,
            versions: vec![VersionSpan { policy: policy.into(), start: 0, end: length }],
            provenance: Some(provenance.id()),
        };
        let (measures, is_well_formed) = (response.measures, response.is_well_formed);
        let provenance = Some(Arc::new(provenance.clone()));
        Ok(FinishedRollout { trajectory, measures, is_well_formed, provenance })
    }

    fn judged(&self, problem: &Problem, rollout: FinishedRollout) -> JudgedTrajectory {
        let FinishedRollout { trajectory, measures, is_well_formed, provenance: _ } = rollout;
        let verdict = sheltered_judgement(self.verifier, problem, &trajectory.text, || ());
        let rejection = self.hygiene.rejection(&Response {
            problem: &problem.text,
            text: &trajectory.text,
            response_tokens: u32::try_from(trajectory.tokens.len()).unwrap_or(u32::MAX),
            thought_tokens: measures.thought_tokens,
            is_well_formed,
            finish: trajectory.finish,
        });
        JudgedTrajectory { trajectory, verdict, measures, rejection, eviction: None }
    }
}

/// How the rollouts of a file are said to be drawn.
struct Provenances {
    /// Those that came as tokens.
    tokens: Provenance,
    /// Those that came as text.
    text: Provenance,
}

impl Provenances {
    fn of(origin: &str, prompter: &Prompter) -> Self {
        let tokens = Provenance {
            engine: "import".to_owned(),
            name: origin.to_owned(),
            version: None,
            precision: None,
            prompt: prompt_name(prompter),
            is_retokenized: false,
        };
        Self { text: Provenance { is_retokenized: true, ..tokens.clone() }, tokens }
    }
}

/// The problems that may be attempted, by name and by statement.
struct Problems<'a> {
    by_name: HashMap<&'a ProblemId, &'a Problem>,
    by_statement: HashMap<u128, &'a Problem>,
}

impl<'a> Problems<'a> {
    fn of(problems: &'a [Problem]) -> Self {
        Self {
            by_name: problems.iter().map(|problem| (&problem.id, problem)).collect(),
            by_statement: problems.iter().map(|problem| (of_words(&problem.text), problem)).collect(),
        }
    }

    fn problem(&self, key: &ProblemKey) -> Result<&'a Problem, String> {
        let found = match key {
            ProblemKey::Name(name) => self.by_name.get(name),
            ProblemKey::Statement(text) => self.by_statement.get(&of_words(text)),
        };
        match found {
            Some(problem) if problem.split == Split::Explore => Ok(problem),
            Some(problem) => {
                Err(format!("problem `{}` is held out: nothing of it is trained on", problem.id))
            }
            None => Err("the store holds no such problem".to_owned()),
        }
    }
}

impl fmt::Display for RolloutReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let new: u64 = self.outcomes.values().sum();
        write!(
            f,
            "{new} rollouts kept, {} of them right and clean, {} known already",
            self.eligible, self.known
        )?;
        self.outcomes.iter().try_for_each(|(outcome, count)| write!(f, "\n{count:>8}  {outcome}"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use still_domain::{AnswerKind, PolicyVersion, Rejection};
    use still_judge::StandardVerifier;
    use still_machine::{Model, verifier};
    use still_operator::config::{ModelSource, VerifierSection};
    use still_text::PromptStyle;

    use super::*;

    fn problem(id: &str, split: Split) -> Problem {
        Problem {
            id: ProblemId::new(id),
            text: format!("{id}*7=?"),
            gold: (id.parse::<u32>().unwrap() * 7).to_string(),
            kind: AnswerKind::Integer,
            level: None,
            source: "test".to_owned(),
            split,
        }
    }

    fn response(answer: u32) -> String {
        format!(
            "<|begin_of_thought|>7*7+0=49;<|end_of_thought|><|begin_of_solution|>\\boxed{{{answer}}}<|end_of_solution|>"
        )
    }

    /// What an import works with: a problem to explore and one that is held out.
    struct Run {
        store: Store,
        model: Model,
        prompter: Prompter,
        verifier: StandardVerifier,
        hygiene: HygieneConfig,
    }

    impl Run {
        fn new() -> Self {
            let store = Store::in_memory().unwrap();
            store.import_problems(&[problem("7", Split::Explore), problem("8", Split::Test)]).unwrap();
            let model = Model::from_source(&ModelSource::Embedded, true).unwrap();
            Self {
                store,
                prompter: Prompter::new(model.tokenizer.clone(), PromptStyle::Raw),
                model,
                verifier: verifier(&VerifierSection::default()),
                hygiene: HygieneConfig { min_thought_tokens: 1, ..HygieneConfig::default() },
            }
        }

        fn import(&self) -> RolloutImport<'_> {
            RolloutImport {
                store: &self.store,
                prompter: &self.prompter,
                verifier: &self.verifier,
                hygiene: &self.hygiene,
            }
        }
    }

    #[test]
    fn rollouts_made_elsewhere_are_judged_and_counted_like_the_runs_own() {
        let run = Run::new();
        let (import, store, model) = (run.import(), &run.store, &run.model);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rollouts.jsonl");
        let tokens = model.tokenizer.encode(&response(48), false).unwrap();
        let lines = [
            serde_json::json!({"problem": "7*7=?", "response": response(49)}),
            serde_json::json!({
                "problem_id": "7", "tokens": tokens, "logprobs": vec![-0.5; tokens.len()], "temperature": 0.6
            }),
            serde_json::json!({"problem": "7*7=?", "response": "7*7", "finish": "length", "policy_version": 3}),
        ];
        fs::write(&file, lines.map(|line| line.to_string()).join("\n")).unwrap();
        let report = import.file(&file).unwrap();
        assert_eq!(report.outcomes[&Outcome::Correct], 1);
        assert_eq!(report.outcomes.values().sum::<u64>(), 3);
        assert_eq!((report.eligible, report.known), (1, 0));
        assert_eq!(import.file(&file).unwrap().known, 3, "the same file again");

        let pool: Vec<_> = store.trajectories().collect::<Result<_, _>>().unwrap();
        let numbers: Vec<_> = pool.iter().map(|judged| judged.id().to_string()).collect();
        assert_eq!(numbers, ["7#0", "7#1", "7#2"]);
        let [right, wrong, cut] = pool.as_slice() else { panic!("three") };
        assert!(right.is_correct() && right.rejection.is_none());
        assert!(
            model.tokenizer.stop_ids().contains(right.trajectory.tokens.last().unwrap()),
            "it learns to end"
        );
        assert!(right.measures.perplexity.is_nan(), "nothing is known of it: rescoring measures it");
        assert_eq!(right.measures.thought_tokens, 9);
        assert_eq!(wrong.verdict.outcome, Outcome::Wrong);
        assert!((wrong.measures.perplexity - 0.5_f32.exp()).abs() < 1e-5);
        assert_eq!(cut.rejection, Some(Rejection::Truncated));
        assert_eq!(cut.trajectory.policy_version(), PolicyVersion(3));
        let told = serde_json::to_string(right).unwrap();
        let read: JudgedTrajectory = serde_json::from_str(&told).unwrap();
        assert!(read.measures.perplexity.is_nan(), "what is unknown travels");
    }

    #[test]
    fn a_rollout_of_a_held_out_or_unknown_problem_keeps_nothing_of_the_file() {
        let run = Run::new();
        let import = run.import();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rollouts.jsonl");
        for (other, part) in [("8*7=?", "held out"), ("9*7=?", "no such problem")] {
            let lines = ["7*7=?", other]
                .map(|text| serde_json::json!({"problem": text, "response": response(49)}).to_string());
            fs::write(&file, lines.join("\n")).unwrap();
            let failure = import.file(&file).unwrap_err();
            assert!(
                failure.message.contains(part) && failure.message.contains("line 2"),
                "{}",
                failure.message
            );
            assert_eq!(run.store.last_sequence().unwrap(), 0);
        }
    }
}
