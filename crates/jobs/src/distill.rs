//! `stilld distill`: problems in, a teacher's verified long thoughts out, as demonstrations.
//!
//! A problem is asked until enough answers are right, and every answer is kept with its verdict. The demonstrations are
//! written anew from these whenever the job ends. In place of a teacher's, answers may be taken that a model of this
//! machine has drawn before: what it finds right itself.

use std::{
    collections::BTreeMap,
    fs,
    io::{Write, stdout},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Deserialize;
use serde_json::{Value, json};
use still_control::{Exit, Failure, OrExit};
use still_domain::{
    AttemptId, AttemptNumber, FinishReason, Outcome, Problem, ProblemId, SamplingSettings, Split, Statement,
    fingerprint::NamedFields, seed,
};
use still_engines::{TeacherSection, TextAnswer, TextFault, TextQuestion, TextServers};
use still_judge::StandardVerifier;
use still_machine::{prompt_book, question_of, verifier};
use still_operator::{cli::DistillArguments, config::Config};
use still_roles::sheltered_judgement;
use still_text::{Format, PromptBook};
use tokio::task::JoinSet;

use super::{
    draw_file::{DrawFile, read_draws},
    output_failed, read_problems,
};

/// Why a right answer is imitated or not, in the line of its draw.
const USABLE: &str = "usable";

/// Asks the teacher for every problem, and writes the demonstrations.
pub fn distill(arguments: &DistillArguments) -> Result<Exit, Failure> {
    let loaded = arguments.load().map_err(|error| Failure::new(error.exit(), error))?;
    let config = loaded.config;
    if config.teacher.addresses.is_empty() && arguments.responses.is_none() {
        let message = "there is no teacher: name its address in `teacher.addresses`, for example \
                       [\"https://api.example.com/v1\"], or what `stilld generate --problems` has drawn by `--responses`";
        return Err(Failure::new(Exit::Configuration, message));
    }
    let mut problems = read_problems(&arguments.problems, Split::Explore, config.verifier.kind)?;
    if arguments.limit > 0 {
        problems.truncate(arguments.limit);
    }
    let verifier = Arc::new(verifier(&config.verifier));
    still_machine::refuse_unjudgeable(&verifier, &problems)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().or_exit(Exit::Internal)?;
    let answers = if let Some(path) = &arguments.responses {
        Answers::drawn(path)?
    } else {
        let servers = runtime.block_on(TextServers::open(&config.teacher));
        Answers::Asked(Box::new(servers.or_exit(Exit::BadInput)?))
    };
    let book = prompt_book(&config.task, None)?;
    let draws = arguments.attempts.clone().unwrap_or_else(|| beside(&arguments.out));
    let file = DrawFile::open(&draws, &settings(&config, &answers, &book))?;
    let known = file.len();
    let lesson = Arc::new(Lesson {
        sampling: config.teacher.sampling(),
        teacher: config.teacher.clone(),
        format: config.task.format.into(),
        seed: config.run.seed,
        answers,
        book,
        verifier,
        file: Mutex::new(file),
    });
    let asked = runtime.block_on(ask_all(&lesson, &problems));
    let made = lesson.write(&problems, &arguments.out)?;
    let Asked { failed, last_reason } = asked?;
    let drawn = lesson.file().len();
    let mut told = format!(
        "{} of {} problems have a demonstration, {} in all: {}\n{drawn} answers, {} of them drawn now, with their \
         verdicts: {}\n",
        made.problems,
        problems.len(),
        made.demonstrations,
        arguments.out.display(),
        drawn - known,
        draws.display()
    );
    if let Some(reason) = last_reason {
        told.push_str(&format!(
            "{failed} problems came to nothing, the last because: {reason}; the same command goes on with them\n"
        ));
    }
    stdout().lock().write_all(told.as_bytes()).map_err(|error| output_failed(&error))?;
    if made.demonstrations == 0 {
        return Err(Failure::new(Exit::NoResult, "not one answer can be imitated"));
    }
    Ok(Exit::Success)
}

/// Where answers lie beside their demonstrations.
fn beside(out: &Path) -> PathBuf {
    let stem = out.file_stem().unwrap_or_default().to_string_lossy();
    out.with_file_name(format!("{stem}.answers.jsonl"))
}

/// What the answers depend on.
fn settings(config: &Config, answers: &Answers, book: &PromptBook) -> NamedFields {
    let TeacherSection { max_new_tokens, temperature, top_p, extra, api, .. } = &config.teacher;
    NamedFields::new("still distill 1")
        .text("model", answers.model())
        .text("api", &format!("{api:?}"))
        .text("prompt", &book.identity())
        .number("longest", u64::from(*max_new_tokens))
        .real("temperature", *temperature)
        .real("top_p", *top_p)
        .text("extra", &Value::from(extra.clone()).to_string())
        .number("seed", config.run.seed)
}

/// What answers are asked for and judged by.
struct Lesson {
    answers: Answers,
    teacher: TeacherSection,
    sampling: SamplingSettings,
    book: PromptBook,
    format: Format,
    seed: u64,
    verifier: Arc<StandardVerifier>,
    file: Mutex<DrawFile>,
}

/// Where answers come from.
enum Answers {
    /// From a teacher, as they are asked for.
    Asked(Box<TextServers>),
    /// From a file of what has been drawn, by what it was drawn by.
    Drawn { settings: String, lines: BTreeMap<AttemptId, Value> },
}

/// How asking went.
#[derive(Default)]
struct Asked {
    /// Problems that came to nothing and may come to something later.
    failed: usize,
    last_reason: Option<String>,
}

/// What was written.
struct Made {
    problems: usize,
    demonstrations: usize,
}

/// Asks for every problem, as many at once as the servers hold.
async fn ask_all(lesson: &Arc<Lesson>, problems: &[Problem]) -> Result<Asked, Failure> {
    let at_once = lesson.teacher.max_in_flight * lesson.teacher.addresses.len().max(1);
    let (mut tasks, mut asked) = (JoinSet::new(), Asked::default());
    let mut left = problems.iter();
    let mut done = 0;
    loop {
        while tasks.len() < at_once
            && let Some(problem) = left.next()
        {
            let (lesson, problem) = (Arc::clone(lesson), problem.clone());
            tasks.spawn(async move { lesson.learn(problem).await });
        }
        let Some(ended) = tasks.join_next().await else { return Ok(asked) };
        match ended.or_exit(Exit::Internal)? {
            Ok(()) => {}
            Err(Stop::Problem(reason)) => {
                asked.failed += 1;
                asked.last_reason = Some(reason);
            }
            Err(Stop::Job(failure)) => return Err(failure),
        }
        done += 1;
        if done * 20 / problems.len() > (done - 1) * 20 / problems.len() {
            eprintln!("{done} of {} problems", problems.len());
        }
    }
}

/// What ends the questions of a problem.
enum Stop {
    Problem(String),
    Job(Failure),
}

impl Answers {
    fn drawn(path: &Path) -> Result<Self, Failure> {
        let lines = read_draws(path)?;
        let settings = lines.values().next().and_then(|line| line["settings"].as_str());
        let settings = settings.unwrap_or_default().to_owned();
        Ok(Self::Drawn { settings, lines })
    }

    /// The model's name, or that of what the answers were drawn by.
    fn model(&self) -> &str {
        match self {
            Self::Asked(servers) => servers.model(),
            Self::Drawn { settings, .. } => settings,
        }
    }

    /// The answers to a problem that there may be.
    fn numbers(&self, problem: &ProblemId, samples: u32) -> Vec<AttemptNumber> {
        match self {
            Self::Asked(_) => (0..samples).map(AttemptNumber).collect(),
            Self::Drawn { lines, .. } => {
                lines.keys().filter(|id| id.problem == *problem).map(|id| id.number).collect()
            }
        }
    }

    /// One of them.
    async fn to(&self, id: &AttemptId, question: &TextQuestion) -> Result<TextAnswer, TextFault> {
        match self {
            Self::Asked(servers) => servers.ask(question).await,
            Self::Drawn { lines, .. } => {
                let missing = |what| TextFault::Refused(format!("the line of {id} has no {what}"));
                let line = lines.get(id).ok_or_else(|| missing("draw"))?;
                let text = line["response"].as_str().ok_or_else(|| missing("`response`"))?;
                Ok(TextAnswer {
                    text: text.to_owned(),
                    thought: None,
                    finish: FinishReason::deserialize(&line["finish"]).map_err(|_| missing("`finish`"))?,
                    tokens: line["tokens"].as_array().map(|tokens| tokens.len() as u64),
                    server: line["drawn_by"]["name"].as_str().unwrap_or_default().to_owned(),
                })
            }
        }
    }
}

impl Lesson {
    fn file(&self) -> MutexGuard<'_, DrawFile> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks until enough answers are right.
    async fn learn(self: Arc<Self>, problem: Problem) -> Result<(), Stop> {
        let statement = Statement::from(&problem);
        let text = self.book.user_turn(&question_of(&statement));
        for number in self.answers.numbers(&problem.id, self.teacher.samples) {
            let id = AttemptId { problem: problem.id.clone(), number };
            let (is_known, usable) = {
                let file = self.file();
                (file.has(&id), file.of(&problem.id).filter(|(_, line)| line[USABLE] == json!(true)).count())
            };
            if usable >= self.teacher.keep as usize {
                return Ok(());
            }
            if is_known {
                continue;
            }
            let seed = seed::of_attempt(self.seed, &id);
            let question = TextQuestion {
                system: self.book.system.clone(),
                text: text.clone(),
                sampling: self.sampling,
                seed,
            };
            let line = match self.answers.to(&id, &question).await {
                Ok(answer) => {
                    let (lesson, problem) = (Arc::clone(&self), problem.clone());
                    let judged = tokio::task::spawn_blocking(move || lesson.judged(&problem, &answer));
                    judged.await.or_exit(Exit::Internal).map_err(Stop::Job)?
                }
                // it would be refused again
                Err(TextFault::Refused(reason)) => {
                    json!({"problem": problem.text, "response": "", USABLE: false, "refused": reason})
                }
                Err(TextFault::Failed(reason)) => return Err(Stop::Problem(reason)),
                Err(TextFault::Setting(reason)) => {
                    return Err(Stop::Job(Failure::new(Exit::BadInput, reason)));
                }
            };
            let mut line = line;
            if matches!(self.answers, Answers::Asked(_)) {
                line["seed"] = seed.into();
                line["temperature"] = json!(self.sampling.temperature);
            }
            self.file().add(id, line).map_err(Stop::Job)?;
        }
        Ok(())
    }

    /// An answer as a line, with its verdict and whether it can be imitated.
    fn judged(&self, problem: &Problem, answer: &TextAnswer) -> Value {
        let parts = match &answer.thought {
            Some(thought) => Some((thought.trim().to_owned(), answer.text.trim().to_owned())),
            None => self
                .format
                .parse(&answer.text)
                .ok()
                .map(|parts| (parts.thought.to_owned(), parts.solution.to_owned())),
        };
        let parts = parts.filter(|(_, solution)| !solution.is_empty());
        let response = match &parts {
            Some((thought, solution)) => self.format.render(thought, solution),
            None => answer.text.clone(),
        };
        let verdict = sheltered_judgement(&*self.verifier, problem, &response, || ());
        let is_whole = answer.finish == FinishReason::Stop && parts.is_some();
        let mut line = json!({
            "problem": problem.text,
            "gold": problem.gold,
            "response": response,
            "finish": answer.finish,
            "completion_tokens": answer.tokens,
            "verdict": verdict.outcome,
            "extracted": verdict.extracted,
            "rule": verdict.rule,
            "verifier": verdict.verifier,
            "teacher": {"model": self.answers.model(), "server": answer.server},
            USABLE: is_whole && verdict.outcome == Outcome::Correct,
        });
        if let Some((thought, solution)) = parts {
            line["thought"] = thought.into();
            line["solution"] = solution.into();
        }
        line
    }

    /// Writes the demonstrations under another name, and then under their own.
    fn write(&self, problems: &[Problem], out: &Path) -> Result<Made, Failure> {
        let file = self.file();
        let mut made = Made { problems: 0, demonstrations: 0 };
        let mut text = String::new();
        for problem in problems {
            let usable = file.of(&problem.id).filter(|(_, line)| line[USABLE] == json!(true));
            let mut count = 0;
            for (id, line) in usable.take(self.teacher.keep as usize) {
                let mut demonstration = json!({
                    "id": format!("{}/{id}", self.answers.model()),
                    "problem": problem.text,
                    "gold": problem.gold,
                });
                if let Some(level) = problem.level {
                    demonstration["level"] = level.into();
                }
                if line["thought"] == json!("") {
                    demonstration["response"] = line["response"].clone();
                } else {
                    demonstration["thought"] = line["thought"].clone();
                    demonstration["solution"] = line["solution"].clone();
                }
                text.push_str(&format!("{demonstration}\n"));
                count += 1;
            }
            made.problems += usize::from(count > 0);
            made.demonstrations += count;
        }
        let pending = out.with_extension("pending");
        let written = fs::File::create(&pending)
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&pending, out));
        written.map_err(|error| format!("`{}` (--out): {error}", out.display())).or_exit(Exit::Store)?;
        Ok(made)
    }
}
