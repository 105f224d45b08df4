//! `stilld eval`: how many problems a model solves.
//!
//! The questions, their seeds and what an answer counts are those of the daemon's evaluations ([`Scoring`]): the
//! same model, problems, settings and seed give the same score in either.

use std::{
    io::{Write, stdout},
    path::Path,
    sync::Arc,
};

use serde_json::json;
use still_control::{Exit, Failure, OrExit};
use still_curation::Scoring;
use still_domain::{AnswerKind, Estimate, Evaluation, Problem, SamplingSettings, Split};
use still_embedded::{GeneratorError, StepGenerator, Unserved};
use still_judge::StandardVerifier;
use still_machine::{Model, prompter, refuse_unjudgeable};
use still_operator::{cli::EvalArguments, config::PromptStyle};
use still_roles::{FinishedRollout, Rollout, sheltered_judgement};
use still_text::{PromptBook, Prompter};

use super::{
    answer_file::AnswerFile, conversations, generate, output_failed, read_problems, shape,
    sign_of_life::SignOfLife, verifier_of_job,
};

/// Answers every problem, judges the answers and prints the accuracy.
pub fn evaluate(arguments: &EvalArguments) -> Result<Exit, Failure> {
    if arguments.samples == 0 {
        return Err(Failure::new(Exit::Usage, "`--samples` is 0: ask for at least one answer a problem"));
    }
    if arguments.samples > 1 && arguments.sampling.temperature == 0.0 {
        let message = "at `--temperature 0` all samples of a problem are the same: give a temperature above 0, \
                       or one sample";
        return Err(Failure::new(Exit::Usage, message));
    }
    let sampling = generate::settings(&arguments.sampling)?;
    let model = Model::to_generate(&arguments.model)?;
    let mut problems = read(arguments, &model)?;
    if arguments.limit > 0 {
        problems.truncate(arguments.limit);
    }
    let verifier = verifier_of_job(arguments.profile)?;
    refuse_unjudgeable(&verifier, &problems)?;
    let prompter = prompter_of(arguments, &model)?;
    let longest = arguments.sampling.max_new_tokens;
    let shape = shape(arguments.place, &model, &problems, arguments.samples, longest, prompter)?;
    let library = Arc::new(model.alone());
    let mut generator = model.generator(&library, &shape).or_exit(Exit::Device)?;
    let scoring = Scoring::new(Model::policy().name, arguments.sampling.seed, problems, arguments.samples);
    let out = arguments.out.as_deref().map(AnswerFile::create).transpose()?;
    let mut answers = Answers { scoring, verifier, out };
    let evaluation = answer(sampling, &mut *generator, &mut answers)?;
    let (errors, unanswered) = (answers.scoring.errors(), answers.scoring.unanswered());
    let shown = if arguments.json {
        as_json(arguments, &evaluation, errors, unanswered)?
    } else {
        table(&evaluation, errors, unanswered)
    };
    stdout().lock().write_all(shown.as_bytes()).map_err(|error| output_failed(&error))?;
    answers.end()?;
    let (_, total) = answers.scoring.progress();
    if total > 0 && errors == total {
        let message = format!("not one of {total} answers could be drawn and judged: there is no score");
        return Err(Failure::new(Exit::NoResult, message));
    }
    Ok(Exit::Success)
}

/// The problems that the model is scored on.
fn read(arguments: &EvalArguments, model: &Model) -> Result<Vec<Problem>, Failure> {
    if let Some(path) = &arguments.messages {
        return conversations::problems(path, &arguments.asked.variables, &model.tokenizer);
    }
    let path = arguments.problems.as_deref().unwrap_or_else(|| Path::new("-"));
    read_problems(path, Split::Dev, AnswerKind::default())
}

/// How the problems are asked.
fn prompter_of(arguments: &EvalArguments, model: &Model) -> Result<Prompter, Failure> {
    if arguments.messages.is_some() {
        let format = arguments.asked.format.unwrap_or_default().into();
        let book = PromptBook { style: still_text::PromptStyle::Rendered, format, ..PromptBook::default() };
        return Ok(Prompter::new(model.tokenizer.clone(), book));
    }
    // a model without a template has learnt from plain problems
    let usual = if model.tokenizer.chat_template().is_some() { PromptStyle::Paper } else { PromptStyle::Raw };
    prompter(model, &arguments.asked.section(arguments.prompt.unwrap_or(usual)), None)
}

/// Draws every answer, as many at once as the generator holds, and sums them up.
fn answer(
    sampling: SamplingSettings,
    generator: &mut dyn StepGenerator,
    answers: &mut Answers,
) -> Result<Evaluation, Failure> {
    generator.adopt(&Model::policy()).map_err(|error| match error {
        GeneratorError::Policy(_) => Failure::new(Exit::BadInput, error),
        other => Failure::new(Exit::Device, other),
    })?;
    let (mut reported, mut drawn, mut alive) = (0, 0, SignOfLife::new());
    loop {
        while answers.scoring.in_flight() < generator.capacity()
            && let Some(question) = answers.scoring.next()
        {
            let (id, seed) = (question.id, question.seed);
            let rollout = Rollout { id, problem: (&*question.problem).into(), sampling, seed };
            match generator.submit(rollout) {
                Err(GeneratorError::Refused { id, reason }) => answers.unserved(&Unserved { id, reason })?,
                taken => taken.or_exit(Exit::Device)?,
            }
        }
        if let Some(scores) = answers.scoring.scores(&[]) {
            return Ok(scores.dev);
        }
        let step = generator.step().or_exit(Exit::Device)?;
        step.finished.iter().try_for_each(|rollout| answers.judge(rollout))?;
        step.lost.iter().chain(&step.refused).try_for_each(|unserved| answers.unserved(unserved))?;
        drawn += step.tokens;
        let (judged, total) = answers.scoring.progress();
        let twentieths = judged * 20 / total.max(1);
        if twentieths > reported {
            (reported, alive) = (twentieths, SignOfLife::new());
            eprintln!("{judged} of {total} answers");
        } else if alive.is_due() {
            eprintln!("{judged} of {total} answers, {drawn} tokens drawn");
        }
    }
}

/// What has been answered so far, and who judges it.
struct Answers {
    scoring: Scoring,
    verifier: StandardVerifier,
    out: Option<AnswerFile>,
}

impl Answers {
    fn judge(&mut self, rollout: &FinishedRollout) -> Result<(), Failure> {
        let trajectory = &rollout.trajectory;
        let Some(problem) = self.scoring.problem(&trajectory.id) else { return Ok(()) };
        let verdict = sheltered_judgement(&self.verifier, &problem, &trajectory.text, || ());
        if let Some(out) = &mut self.out {
            out.add(&problem, trajectory, &verdict)?;
        }
        self.scoring.judged(&trajectory.id, verdict.outcome, trajectory.finish);
        Ok(())
    }

    /// A rollout that comes to nothing is told and counted apart: it says nothing of the model's answer.
    fn unserved(&mut self, Unserved { id, reason }: &Unserved) -> Result<(), Failure> {
        eprintln!("{id} cannot be answered, and no score counts it: {reason}");
        if let (Some(out), Some(problem)) = (&mut self.out, self.scoring.problem(id)) {
            out.add_unanswered(&problem, id, reason)?;
        }
        self.scoring.unserved(id);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.out.as_mut().map_or(Ok(()), AnswerFile::end)
    }
}

fn as_json(
    arguments: &EvalArguments,
    evaluation: &Evaluation,
    errors: u64,
    unanswered: u64,
) -> Result<String, Failure> {
    let sampling = &arguments.sampling;
    let json = json!({
        "model": arguments.model.model.to_string(),
        "problems": evaluation.scores.len(),
        "samples": arguments.samples,
        "temperature": sampling.temperature,
        "max_new_tokens": sampling.max_new_tokens,
        "seed": sampling.seed,
        "accuracy": evaluation.accuracy,
        "by_level": evaluation.by_level,
        "truncated": evaluation.truncated,
        "errors": errors,
        "unanswered": unanswered,
        "scores": evaluation.scores,
    });
    serde_json::to_string_pretty(&json).map(|text| text + "\n").or_exit(Exit::Internal)
}

fn table(evaluation: &Evaluation, errors: u64, unanswered: u64) -> String {
    let row = |name: &str, estimate: &Estimate| {
        format!(
            "{name:<10} {:>6.2} %  [{:.2}, {:.2}]  {} of {}\n",
            100.0 * estimate.value,
            100.0 * estimate.low,
            100.0 * estimate.high,
            estimate.correct,
            estimate.total,
        )
    };
    let mut text = row("accuracy", &evaluation.accuracy);
    for (level, estimate) in &evaluation.by_level {
        text.push_str(&row(&format!("level {level}"), estimate));
    }
    text.push_str(&format!("truncated  {:>6.2} %\n", 100.0 * evaluation.truncated));
    if unanswered > 0 {
        text.push_str(&format!("unanswered {unanswered:>6}    could not be drawn; no score counts them\n"));
    }
    if errors > unanswered {
        let errors = errors - unanswered;
        text.push_str(&format!(
            "errors     {errors:>6}    the verifier failed twice; no score counts them\n"
        ));
    }
    text
}
