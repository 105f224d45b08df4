//! Chat templates against what transformers renders (`fixtures/chat_templates.json`).
#![expect(clippy::unwrap_used, reason = "a failing test may panic")]

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use still_text::{ChatContext, ChatMessage, ChatTemplate};

const FIXTURE: &str = include_str!("fixtures/chat_templates.json");

#[derive(Deserialize)]
struct Fixture {
    unix_seconds: i64,
    templates: BTreeMap<String, Template>,
}

#[derive(Deserialize)]
struct Template {
    source: String,
    special_tokens: BTreeMap<String, String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    label: String,
    messages: Vec<Value>,
    tools: Option<Vec<Value>>,
    add_generation_prompt: bool,
    variables: Map<String, Value>,
    expected: Option<String>,
    error: Option<String>,
}

fn fixture() -> Fixture {
    serde_json::from_str(FIXTURE).unwrap()
}

fn compiled(fixture: &Fixture, name: &str) -> ChatTemplate {
    let template = &fixture.templates[name];
    ChatTemplate::new(&template.source, template.special_tokens.clone()).unwrap()
}

#[test]
fn every_conversation_renders_as_transformers_renders_it() {
    let fixture = fixture();
    assert_eq!(fixture.templates.len(), 6);
    for (name, template) in &fixture.templates {
        let compiled = compiled(&fixture, name);
        for case in &template.cases {
            let rendered = compiled.render_context(&ChatContext {
                messages: case.messages.clone(),
                tools: case.tools.clone(),
                add_generation_prompt: case.add_generation_prompt,
                variables: case.variables.clone(),
                now: Some(fixture.unix_seconds),
            });
            match (&case.expected, &case.error) {
                (Some(expected), None) => {
                    assert_eq!(&rendered.unwrap(), expected, "{name}: {}", case.label);
                }
                (None, Some(error)) => {
                    let refused = rendered.unwrap_err().to_string();
                    assert!(refused.contains(error), "{name}: {}: {refused}", case.label);
                }
                _ => panic!("{name}: {} expects nothing", case.label),
            }
        }
    }
}

#[test]
fn plain_messages_render_as_their_json() {
    let fixture = fixture();
    let template = compiled(&fixture, "qwen2_5");
    let rendered = template.render(&[ChatMessage::user("  What is 12 + 7?\n")], true).unwrap();
    assert_eq!(Some(rendered), fixture.templates["qwen2_5"].cases[0].expected);
}

#[test]
fn a_broken_template_is_refused_with_its_line() {
    let error = ChatTemplate::new("a\n{% if x %}\nb", BTreeMap::new()).unwrap_err().to_string();
    assert!(error.contains("line"), "{error}");
    let template = ChatTemplate::new("{{ strftime_now('%Q!') }}", BTreeMap::new()).unwrap();
    assert!(template.render(&[], false).unwrap_err().to_string().contains("%Q!"));
}
