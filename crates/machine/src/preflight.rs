//! What a run needs of its model and of the machine, looked at before anything is taken.

use std::{path::Path, sync::Arc};

use still_control::{Exit, Failure, OrExit};
use still_domain::Problem;
use still_engines::LaunchPlan;
use still_judge::StandardVerifier;
use still_operator::{
    admission::JudgeCheck,
    config::{Config, Device},
};
use still_text::Prompter;

use crate::{
    model::Model,
    placement::{self, device_name, in_words},
    plan::Plan,
    prompter::longer_than,
};

/// What an operator should know before the run: answers that the model's context cuts off.
pub fn remarks(config: &Config, model: &Model) -> Vec<String> {
    let context = model.config.max_position_count;
    let lengths = [
        ("exploration.sampling.max_new_tokens", config.exploration.sampling.max_new_tokens),
        ("evaluation.sampling.max_new_tokens", config.evaluation.sampling.max_new_tokens),
    ];
    let beyond = lengths.into_iter().filter(|(_, tokens)| *tokens as usize >= context);
    let remark = |(key, tokens): (&str, u32)| {
        format!(
            "`{key}` is {tokens}, and the model's context is {context} tokens, prompt included: longer answers are cut off there"
        )
    };
    beyond.map(remark).collect()
}

/// Refuses a run that takes more memory than the host has.
///
/// # Errors
/// Names what takes the most of it, and what helps.
pub fn refuse_misfit(plan: &Plan) -> Result<(), Failure> {
    let (taken, has) = (plan.on_host(), placement::total_bytes(Device::Cpu));
    match has.filter(|has| taken > *has) {
        Some(has) => {
            let (what, bytes) = plan.largest_on_host();
            let message = format!(
                "the run takes {} of the host's memory, which has {}; the most of it is {what} with {}: for a learner lower \
                 `training.micro_batch_tokens` and the `max_sequence_tokens` of its jobs, or train adapters \
                 (`training.lora.rank`); for a sampler or an evaluator lower `exploration.concurrent_rollouts`, \
                 `evaluation.concurrent_rollouts`, `max_new_tokens` or `task.max_prompt_tokens`; or take a smaller \
                 model, or another device (`stilld run --dry-run` tells all of it)",
                in_words(taken),
                in_words(has),
                in_words(bytes)
            );
            Err(Failure::new(Exit::Device, message))
        }
        None => Ok(()),
    }
}

/// Opens every GPU that a configuration names, and lets it go.
///
/// # Errors
/// When one is not there, or not in this build.
pub fn refuse_absent_devices(config: &Config) -> Result<(), Failure> {
    let section = &config.device;
    let draws_here = !still_engines::is_remote(&config.engines);
    let generators = section.samplers.iter().chain([&section.evaluator]).filter(|_| draws_here);
    let named = section.learners.iter().chain(generators);
    for device in named.filter(|device| **device != Device::Cpu) {
        device_name(*device).open().map_err(|error| Failure::new(Exit::Device, error))?;
    }
    Ok(())
}

/// Refuses a run whose servers are to be started by a program that is not there.
///
/// # Errors
/// Names the program and the remedy.
pub fn refuse_absent_servers(config: &Config) -> Result<(), Failure> {
    for plan in config.engines.iter().filter_map(|section| LaunchPlan::of(section, Path::new(""))) {
        plan.executable().or_exit(Exit::Configuration)?;
    }
    Ok(())
}

/// The word on a problem for the rules of imports: whether it can be judged here, and its prompt fits.
pub fn problem_check(
    config: &Config,
    model: &Model,
    prompter: Prompter,
    verifier: Arc<StandardVerifier>,
) -> JudgeCheck {
    let longest = longest_prompt(config, model);
    Arc::new(move |problem: &Problem| {
        verifier.check([problem]).map_err(|error| error.to_string())?;
        let longer = longer_than(&prompter, problem, longest).map_err(|failure| failure.message)?;
        let Some(tokens) = longer else { return Ok(()) };
        Err(format!(
            "problem `{}` takes a prompt of {tokens} tokens, and there is room for {longest}: shorten it, raise \
             `task.max_prompt_tokens`, or take a model with a longer context",
            problem.id
        ))
    })
}

/// Tokens that a prompt may have: as the configuration says, with at least one token of an answer behind it.
fn longest_prompt(config: &Config, model: &Model) -> usize {
    let shortest_answer = 1;
    let of_context = model.config.max_position_count.saturating_sub(shortest_answer);
    config.task.max_prompt_tokens.min(of_context)
}

#[cfg(test)]
mod tests {
    use still_domain::{AnswerKind, ProblemId, Split};
    use still_operator::config::{ConfigLayers, VerifierSection};

    use super::*;
    use crate::{prompter, verifier};

    fn quick_start(more: &[&str]) -> (Config, Model) {
        let layers = ConfigLayers::new().text("q", still_operator::config::QUICKSTART);
        let config = more.iter().fold(layers, |layers, one| layers.set(one)).load().unwrap().config;
        let model = Model::load(&config).unwrap();
        (config, model)
    }

    #[test]
    fn the_quick_start_fits() {
        let (config, model) = quick_start(&[]);
        refuse_misfit(&Plan::of(&config, &model.config).unwrap()).unwrap();
        assert!(remarks(&config, &model).is_empty());
        prompter(&model, &config.task, None).unwrap();
    }

    #[test]
    fn what_does_not_fit_is_told_by_its_key() {
        let (config, model) = quick_start(&["exploration.sampling.max_new_tokens=100000"]);
        let told = remarks(&config, &model);
        assert!(told.len() == 1 && told[0].contains("exploration.sampling.max_new_tokens"), "{told:?}");
        let (config, model) = quick_start(&["exploration.concurrent_rollouts=10000000"]);
        let big = refuse_misfit(&Plan::of(&config, &model.config).unwrap()).unwrap_err();
        assert_eq!(big.exit, Exit::Device);
        assert!(big.message.contains("exploration.concurrent_rollouts"), "{}", big.message);
    }

    #[test]
    fn a_model_without_a_template_cannot_be_asked_through_one() {
        let (config, model) = quick_start(&["task.prompt=paper"]);
        let refused = prompter(&model, &config.task, None).unwrap_err();
        assert_eq!(refused.exit, Exit::Configuration);
        assert!(refused.message.contains("task.prompt"), "{}", refused.message);
    }

    #[test]
    fn a_prompt_that_does_not_fit_is_named_with_the_key() {
        let (config, model) = quick_start(&["task.max_prompt_tokens=20"]);
        let prompter = prompter(&model, &config.task, None).unwrap();
        let check = problem_check(&config, &model, prompter, Arc::new(verifier(&VerifierSection::default())));
        let problem = |text: &str| Problem {
            id: ProblemId::new("long-one"),
            text: text.to_owned(),
            gold: "7".to_owned(),
            kind: AnswerKind::Integer,
            level: None,
            source: String::new(),
            split: Split::Explore,
        };
        check(&problem("12*3=?")).unwrap();
        let refused = check(&problem(&"1".repeat(60))).unwrap_err();
        assert!(refused.contains("`long-one`") && refused.contains("task.max_prompt_tokens"), "{refused}");
    }
}
