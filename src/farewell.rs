//! What a run says when it has ended well.

use std::io::{Write, stdout};

use still_domain::{CHECKPOINTS_NAME, PolicyRecord, Split};
use still_operator::config::{Config, ResponseFormat, TaskSection};
use still_recipe::Precision;
use still_store::Store;
use still_text::Format;

/// A problem that is shown as an example is no longer than this.
const MAX_EXAMPLE_BYTES: usize = 80;

/// Says where the policy in force lies, and how it is tried and scored.
pub(crate) fn farewell(config: &Config, store: &Store) {
    // whoever stops reading, or a store that fails at the very end, changes nothing of how the run ended
    if let Ok(Some(PolicyRecord { version, checkpoint: Some(checkpoint), .. })) = store.current_policy() {
        let data_dir =
            std::path::absolute(&config.run.data_dir).unwrap_or_else(|_| config.run.data_dir.clone());
        let folder = data_dir.join(CHECKPOINTS_NAME).join(checkpoint.as_str());
        let (folder, data_dir) = (folder.display(), data_dir.display());
        let (style, more) = (config.task.prompt.name(), asked_by(config));
        let tokens = config.evaluation.sampling.max_new_tokens;
        let problem = store.each_problem().filter_map(Result::ok).find(|problem| {
            problem.split == Split::Dev
                && problem.text.len() <= MAX_EXAMPLE_BYTES
                && !problem.text.contains('\'')
        });
        let example = problem.map_or_else(|| "...".to_owned(), |problem| problem.text);
        let _nobody_reads = writeln!(
            stdout().lock(),
            "policy {version} is a Hugging Face folder: {folder}\n  \
             try it:   stilld generate --model {folder} --style {style}{more} --prompt '{example}'\n  \
             score it: stilld inspect held-out --data-dir {data_dir} > held-out.jsonl\n            \
             stilld eval --model {folder} --prompt {style}{more} --max-new-tokens {tokens} --problems held-out.jsonl"
        );
    }
}

/// What a command needs to ask and draw as the run does, beside the style.
fn asked_by(config: &Config) -> String {
    let TaskSection { format, prompts, .. } = &config.task;
    let mut more = String::new();
    if *format != ResponseFormat::default() {
        more.push_str(&format!(" --format {}", Format::from(*format).name()));
    }
    if !prompts.system.is_empty() {
        more.push_str(&format!(" --system '{}'", prompts.system.replace('\'', "'\\''")));
    }
    if let Some(path) = &prompts.template {
        more.push_str(&format!(" --prompt-template {}", path.display()));
    }
    for (name, value) in &prompts.variables {
        more.push_str(&format!(" --template-variable '{name}={value}'"));
    }
    if config.device.precision == Precision::Bf16 {
        more.push_str(" --precision bf16");
    }
    more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_asks_and_draws_as_the_run_did() {
        let mut config = Config::default();
        assert_eq!(asked_by(&config), "");
        config.task.format = ResponseFormat::None;
        config.task.prompts.system = "It's a sum.".to_owned();
        config.device.precision = Precision::Bf16;
        assert_eq!(asked_by(&config), " --format none --system 'It'\\''s a sum.' --precision bf16");
    }
}
