//! How a run asks, made of its `[task]` section: styles, texts, format, time.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use still_control::{Exit, Failure};
use still_domain::{Problem, Statement};
use still_generator::question_of;
use still_operator::config::TaskSection;
use still_text::{PROBLEM_PLACEHOLDER, PromptBook, Prompter};

use crate::Model;

/// What asks in a run: the model's tokenizer with the prompts of its `[task]` section. `now` is the time that chat
/// templates are told (seconds since 1970, UTC); the local clock where it is `None`.
///
/// # Errors
/// When a text cannot be read or has no place for the problem, and when a plain question cannot be asked so.
pub fn prompter(model: &Model, task: &TaskSection, now: Option<i64>) -> Result<Prompter, Failure> {
    let prompter = Prompter::new(model.tokenizer.clone(), prompt_book(task, now)?);
    let asked = prompter.prompt("1+1=?");
    asked.map_err(|error| {
        let message = format!(
            "problems cannot be asked as `task.prompt` says: {error}; for a model without a chat template write \
             task.prompt = \"raw\""
        );
        Failure::new(Exit::Configuration, message)
    })?;
    Ok(prompter)
}

/// What a `[task]` section asks by, whoever is asked.
///
/// # Errors
/// When a text cannot be read or has no place for the problem.
pub fn prompt_book(task: &TaskSection, now: Option<i64>) -> Result<PromptBook, Failure> {
    let prompts = &task.prompts;
    let texts = |key: &str, files: &BTreeMap<String, PathBuf>| {
        let read = |(name, path): (&String, &PathBuf)| {
            Ok((name.clone(), text_of(&format!("task.prompts.{key}.{name}"), path)?))
        };
        files.iter().map(read).collect::<Result<BTreeMap<_, _>, Failure>>()
    };
    Ok(PromptBook {
        style: task.prompt.into(),
        format: task.format.into(),
        system: prompts.system.clone(),
        text: prompts.template.as_deref().map(|path| text_of("task.prompts.template", path)).transpose()?,
        by_kind: texts("by_kind", &prompts.by_kind)?,
        by_source: texts("by_source", &prompts.by_source)?,
        variables: prompts.variables.clone(),
        now,
    })
}

/// Length of the prompt that a problem makes, in tokens.
///
/// # Errors
/// When it cannot be asked.
pub fn prompt_tokens(prompter: &Prompter, problem: &Problem) -> Result<usize, Failure> {
    let prompt = prompter.prompt(question_of(&Statement::from(problem)));
    let named =
        |error| Failure::new(Exit::BadInput, format!("problem `{}` cannot be asked: {error}", problem.id));
    prompt.map(|tokens| tokens.len()).map_err(named)
}

/// Whether the prompt that a problem makes has at most `longest` tokens: how many it has, where it has more. Most are
/// short enough by their bytes, of which a token has one at least.
///
/// # Errors
/// When it cannot be asked.
pub(crate) fn longer_than(
    prompter: &Prompter,
    problem: &Problem,
    longest: usize,
) -> Result<Option<usize>, Failure> {
    let named =
        |error| Failure::new(Exit::BadInput, format!("problem `{}` cannot be asked: {error}", problem.id));
    let text = prompter.render(question_of(&Statement::from(problem))).map_err(named)?;
    if text.len() + prompter.tokenizer().tokens_before().len() <= longest {
        return Ok(None);
    }
    Ok(Some(prompt_tokens(prompter, problem)?).filter(|tokens| *tokens > longest))
}

/// The text of a file, with a place for the problem.
fn text_of(key: &str, path: &Path) -> Result<String, Failure> {
    let refused =
        |reason: String| Failure::new(Exit::Configuration, format!("`{key}`: `{}` {reason}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| refused(format!("cannot be read: {error}")))?;
    if !text.contains(PROBLEM_PLACEHOLDER) {
        return Err(refused(format!(
            "has no place for the problem: write {PROBLEM_PLACEHOLDER} where it belongs"
        )));
    }
    Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
}

#[cfg(test)]
mod tests {
    use still_operator::config::{ModelSource, PromptStyle, PromptTexts, ResponseFormat};
    use still_roles::Response;
    use still_text::Tokenizer;
    use still_training_data::ExampleEncoder;

    use super::*;
    use crate::Encoder;

    /// The embedded model with a chat template.
    fn model(template: &str) -> Model {
        let folder = tempfile::tempdir().unwrap();
        Tokenizer::quick_start().unwrap().save(folder.path()).unwrap();
        fs::write(folder.path().join("chat_template.jinja"), template).unwrap();
        let mut model = Model::from_source(&ModelSource::Embedded, true).unwrap();
        model.tokenizer = Tokenizer::load(folder.path()).unwrap();
        model
    }

    #[test]
    fn a_text_without_a_place_for_the_problem_is_refused_with_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text.txt");
        let task = |path: &Path| TaskSection {
            prompts: PromptTexts {
                by_kind: [("code".to_owned(), path.to_owned())].into(),
                ..PromptTexts::default()
            },
            ..TaskSection::default()
        };
        let model = Model::from_source(&ModelSource::Embedded, true).unwrap();
        for (content, part) in [(None, "cannot be read"), (Some("1+1"), "{problem}")] {
            if let Some(content) = content {
                fs::write(&path, content).unwrap();
            }
            let refused = prompter(&model, &task(&path), None).unwrap_err();
            assert_eq!(refused.exit, Exit::Configuration);
            assert!(refused.message.contains("task.prompts.by_kind.code"), "{}", refused.message);
            assert!(refused.message.contains(part), "{}", refused.message);
        }
        fs::write(&path, "0+{problem}\n").unwrap();
        prompter(&model, &task(&path), None).unwrap();
    }

    #[test]
    fn a_response_without_the_thought_that_the_prompt_opens_is_not_imitated() {
        let model = model(
            "{% for m in messages %}{{ '*' if m.role == 'user' else '=' }}{{ m.content.split('</think>')[-1] }}\
             {{ eos_token if m.role == 'assistant' }}{% endfor %}{% if add_generation_prompt %}=<think>{% endif %}",
        );
        let task = TaskSection {
            prompt: PromptStyle::Chat,
            format: ResponseFormat::Think,
            ..TaskSection::default()
        };
        let prompter = prompter(&model, &task, None).unwrap();
        let asked = prompter.prompt("1+1").unwrap();
        let encoder = Encoder::new(prompter);
        let encode = |text: &str| encoder.encode(&"1+1".into(), &Response::Text(text.to_owned()));
        let encoded = encode("<think>1</think>2").unwrap();
        assert_eq!(encoded.tokens[..encoded.prompt_tokens], asked);
        let refused = encode("2").unwrap_err();
        assert!(refused.contains("task.format = \"think\""), "{refused}");
    }
}
