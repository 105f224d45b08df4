//! `stilld generate --problems`: so many responses to every problem of a file, as lines that `stilld pool import` and
//! `stilld grade` read.

use std::{
    io::{Write, stdout},
    sync::Arc,
};

use serde_json::json;
use still_control::{Exit, Failure, OrExit};
use still_domain::{
    AnswerKind, AttemptId, AttemptNumber, Problem, SamplingSettings, Split, fingerprint::NamedFields, seed,
};
use still_embedded::{GeneratorError, StepGenerator, Unserved};
use still_machine::{Model, prompt_name, prompter};
use still_operator::{cli::GenerateArguments, config::PromptStyle};
use still_roles::{FinishedRollout, Rollout};
use still_text::Prompter;
use still_training_data::identity;

use super::settings;
use crate::{draw_file::DrawFile, output_failed, read_problems, shape};

/// Draws what the file does not hold yet.
pub(super) fn generate_for_problems(arguments: &GenerateArguments) -> Result<Exit, Failure> {
    let (Some(path), Some(out)) = (&arguments.problems, &arguments.out) else {
        return Err(Failure::new(
            Exit::Usage,
            "`--problems` wants `--out`, the file that responses are written to",
        ));
    };
    let problems = read_problems(path, Split::Explore, arguments.kind.unwrap_or(AnswerKind::Math))?;
    let model = Model::to_generate(&arguments.model)?;
    // a model without a template has learnt from plain problems
    let usual = if model.tokenizer.chat_template().is_some() { PromptStyle::Paper } else { PromptStyle::Raw };
    let style = if arguments.chat { PromptStyle::Chat } else { arguments.style.unwrap_or(usual) };
    let prompter = prompter(&model, &arguments.asked.section(style), None)?;
    let sampling = settings(&arguments.sampling)?;
    let mut file = DrawFile::open(out, &named(arguments, &model, &prompter, &sampling))?;
    let known = file.len();
    let left: Vec<(AttemptId, &Problem)> = problems
        .iter()
        .flat_map(|problem| {
            let of_problem =
                |number| AttemptId { problem: problem.id.clone(), number: AttemptNumber(number) };
            (0..arguments.count).map(move |number| (of_problem(number), problem))
        })
        .filter(|(id, _)| !file.has(id))
        .collect();
    let mut failed = 0;
    if !left.is_empty() {
        let longest = arguments.sampling.max_new_tokens;
        let mut shape = shape(arguments.place, &model, &problems, arguments.count, longest, prompter)?;
        shape.stop_strings.clone_from(&arguments.stops);
        let mut generator = model.generator(&Arc::new(model.alone()), &shape).or_exit(Exit::Device)?;
        failed = draw(&mut *generator, &left, arguments.sampling.seed, sampling, &mut file)?;
    }
    let told = format!(
        "{} responses to {} problems, {} of them drawn now: {}\n",
        file.len(),
        problems.len(),
        file.len() - known,
        out.display()
    );
    stdout().lock().write_all(told.as_bytes()).map_err(|error| output_failed(&error))?;
    if failed > 0 && file.len() == known {
        return Err(Failure::new(Exit::NoResult, format!("not one of {failed} responses could be drawn")));
    }
    Ok(Exit::Success)
}

/// What the responses depend on.
fn named(
    arguments: &GenerateArguments,
    model: &Model,
    prompter: &Prompter,
    sampling: &SamplingSettings,
) -> NamedFields {
    let adapter = arguments.model.adapter.as_ref().map(|path| path.display().to_string());
    let mut fields = NamedFields::new("still generate 1")
        .text("model", &arguments.model.model.to_string())
        .text("sizes", &model.sizes())
        .text("adapter", &adapter.unwrap_or_default())
        .text("prompt", &prompt_name(prompter))
        .text("stops", &arguments.stops.join("\n"))
        .real("temperature", f64::from(sampling.temperature))
        .number("top_k", u64::from(sampling.top_k))
        .real("top_p", f64::from(sampling.top_p))
        .real("min_p", f64::from(sampling.min_p))
        .real("repetition_penalty", f64::from(sampling.repetition_penalty))
        .number("longest", u64::from(sampling.max_new_tokens))
        .number("seed", arguments.sampling.seed);
    if let Some(precision) = arguments.place.precision {
        fields = fields.text("precision", identity::precision_name(precision));
    }
    fields
}

/// Draws, as many at once as the generator holds; how many can never be.
fn draw(
    generator: &mut dyn StepGenerator,
    left: &[(AttemptId, &Problem)],
    run_seed: u64,
    sampling: SamplingSettings,
    file: &mut DrawFile,
) -> Result<usize, Failure> {
    generator.adopt(&Model::policy()).map_err(|error| match error {
        GeneratorError::Policy(_) => Failure::new(Exit::BadInput, error),
        other => Failure::new(Exit::Device, other),
    })?;
    let texts: std::collections::HashMap<_, _> = left.iter().map(|(id, problem)| (id, *problem)).collect();
    let (mut waiting, mut in_flight, mut failed) = (left.iter(), 0, 0);
    let refused = |Unserved { id, reason }: &Unserved| eprintln!("response {id} cannot be drawn: {reason}");
    loop {
        while in_flight < generator.capacity()
            && let Some((id, problem)) = waiting.next()
        {
            let seed = seed::of_attempt(run_seed, id);
            let rollout = Rollout { id: id.clone(), problem: (*problem).into(), sampling, seed };
            match generator.submit(rollout) {
                Err(GeneratorError::Refused { id, reason }) => {
                    refused(&Unserved { id, reason });
                    failed += 1;
                }
                taken => {
                    taken.or_exit(Exit::Device)?;
                    in_flight += 1;
                }
            }
        }
        if in_flight == 0 {
            return Ok(failed);
        }
        let step = generator.step().or_exit(Exit::Device)?;
        for FinishedRollout { trajectory, provenance, .. } in step.finished {
            in_flight -= 1;
            let problem = texts.get(&trajectory.id).map_or("", |problem| problem.text.as_str());
            let line = json!({
                "problem": problem,
                "response": trajectory.text,
                "tokens": trajectory.tokens,
                "log_probabilities": trajectory.log_probabilities,
                "finish": trajectory.finish,
                "temperature": trajectory.sampling.temperature,
                "sampling": trajectory.sampling,
                "seed": trajectory.seed,
                "drawn_by": provenance.as_deref(),
            });
            file.add(trajectory.id, line)?;
        }
        for unserved in step.lost.iter().chain(&step.refused) {
            in_flight -= 1;
            failed += 1;
            refused(unserved);
        }
    }
}
