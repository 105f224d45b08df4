//! Public chat templates against what transformers makes of them (`fixtures/public_templates.json`, made by the script
//! beside it, which says where the templates come from): hashes of texts, as the templates are their makers'.
#![expect(clippy::unwrap_used, reason = "a failing test may panic")]

use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use still_text::{ChatContext, ChatTemplate, Conversation, Tokenizer};

#[derive(Deserialize)]
struct Fixture {
    unix_seconds: i64,
    special_tokens: BTreeMap<String, String>,
    cases: Vec<Case>,
    templates: Vec<Template>,
}

#[derive(Deserialize)]
struct Case {
    label: String,
    messages: Vec<Value>,
    options: Map<String, Value>,
}

#[derive(Deserialize)]
struct Template {
    origin: String,
    name: String,
    sha256: String,
    /// One a case; `None` where the template refuses it.
    hashes: Vec<Option<String>>,
}

impl Case {
    fn context(&self, now: i64) -> ChatContext {
        let mut variables = self.options.clone();
        let tools = variables.remove("tools").map(|tools| tools.as_array().unwrap().clone());
        let prompt = variables.remove("add_generation_prompt");
        ChatContext {
            messages: self.messages.clone(),
            tools,
            add_generation_prompt: prompt == Some(true.into()),
            variables,
            now: Some(now),
        }
    }
}

fn hash(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::new(), |mut hash, byte| {
        let _ = write!(hash, "{byte:02x}");
        hash
    })
}

fn source(folder: &Path, template: &Template) -> String {
    let file = folder.join(format!("{}--{}.jinja", template.origin, template.name));
    let source = fs::read_to_string(file).unwrap();
    assert_eq!(hash(&source), template.sha256, "{}: another revision", template.name);
    source
}

#[test]
#[ignore = "on templates that .ci/long fetches"]
fn public_templates_render_as_transformers_renders_them() {
    let folder = std::env::var("STILL_CHAT_TEMPLATES").unwrap();
    let fixture: Fixture = serde_json::from_str(include_str!("fixtures/public_templates.json")).unwrap();
    let (mut other, mut equal) = (Vec::new(), 0);
    for template in &fixture.templates {
        let source = source(Path::new(&folder), template);
        let compiled = ChatTemplate::new(&source, fixture.special_tokens.clone());
        for (case, expected) in fixture.cases.iter().zip(&template.hashes) {
            let rendered = compiled.as_ref().map_err(ToString::to_string).and_then(|compiled| {
                compiled
                    .render_context(&case.context(fixture.unix_seconds))
                    .map_err(|error| error.to_string())
            });
            let found = rendered.as_ref().ok().map(|text| hash(text)[..16].to_owned());
            if found == *expected {
                equal += 1;
            } else {
                other.push(format!("{}--{}, {}: {rendered:?}", template.origin, template.name, case.label));
            }
        }
    }
    println!("{equal} of {} equal", 15 * fixture.templates.len());
    assert!(other.is_empty(), "{} other, {equal} equal\n{}", other.len(), other.join("\n"));
}

#[test]
#[ignore = "on templates that .ci/long fetches"]
fn a_conversation_is_the_beginning_of_what_the_template_renders() {
    let folder = std::env::var("STILL_CHAT_TEMPLATES").unwrap();
    let fixture: Fixture = serde_json::from_str(include_str!("fixtures/public_templates.json")).unwrap();
    let place = tempfile::tempdir().unwrap();
    Tokenizer::quick_start().unwrap().save(place.path()).unwrap();
    let (mut kept, mut refused) = (0, Vec::new());
    for template in &fixture.templates {
        fs::write(place.path().join("chat_template.jinja"), source(Path::new(&folder), template)).unwrap();
        let Ok(tokenizer) = Tokenizer::load(place.path()) else { continue };
        let compiled = tokenizer.chat_template().unwrap();
        for case in fixture.cases.iter().filter(|case| case.messages.last().unwrap()["role"] == "assistant") {
            let context = case.context(fixture.unix_seconds);
            let Ok(whole) = compiled.render_context(&context) else { continue };
            let asked = ChatContext {
                messages: context.messages[..context.messages.len() - 1].to_vec(),
                add_generation_prompt: true,
                ..context.clone()
            };
            match Conversation::of_messages(&tokenizer, &context) {
                Ok(Conversation { prompt, response, .. }) => {
                    kept += 1;
                    let asked = compiled.render_context(&asked).unwrap();
                    assert!(asked.starts_with(&prompt), "{}: {}", template.name, case.label);
                    assert!(!response.is_empty());
                    // a thought that the template leaves out is learnt as the model would write it
                    let squeezed = |text: &str| text.split_whitespace().collect::<String>();
                    let learnt = format!("{prompt}{response}");
                    let is_rendered = whole.starts_with(&learnt)
                        || (prompt.ends_with(char::is_whitespace)
                            && squeezed(&whole).starts_with(&squeezed(&learnt)));
                    assert!(
                        is_rendered || response.contains("</think>") || prompt.ends_with("</think>"),
                        "{}, {}: {prompt:?} and {response:?} of {whole:?}",
                        template.name,
                        case.label
                    );
                }
                Err(error) => {
                    refused.push(format!("{}--{}, {}: {error}", template.origin, template.name, case.label));
                }
            }
        }
    }
    println!("{}", refused.join("\n"));
    // refused are what the template leaves out, thoughts in a field most of all, and templates that render a question
    // otherwise once it is answered
    assert_eq!((kept, refused.len()), (953, 213), "{}", refused.join("\n"));
}
