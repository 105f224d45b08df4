//! Expressions of templates against what they come to in the environment of transformers
//! (`fixtures/jinja2_values.json`, made by the script beside it).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use still_text::{ChatContext, ChatTemplate};

const FIXTURE: &str = include_str!("fixtures/jinja2_values.json");

#[derive(Deserialize)]
struct Fixture {
    variables: Map<String, Value>,
    outcomes: Vec<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    /// What is printed, or a whole template that begins with a tag.
    expression: String,
    /// `None` where Jinja2 refuses the expression.
    printed: Option<String>,
}

/// What is known to come out otherwise, by what the expression holds: `minijinja` has no hook there, and none of the
/// public templates at hand needs it.
const KNOWN: [&str; 16] = [
    "| pprint",
    "['<' | safe]",
    "+ [a] }}",
    "{% if a + '<'",
    "a[0] + '<'",
    "{{ m('<' | safe) }}",
    "expandtabs",
    " ~ ",
    "groupby",
    "lipsum",
    "urlencode",
    "wordwrap",
    "self is",
    "| abs",
    "| round",
    "| truncate(4)",
];
/// Of these filters `minijinja` takes what Jinja2 refuses: it sorts what has no order, and lists nothing as nothing.
const LAXER: [&str; 10] =
    ["| sort", "| indent", "| min", "| max", "| unique", "| list", "| join", "| sum", "| batch", "| round"];

#[test]
fn every_expression_comes_to_what_it_does_in_jinja2() {
    let fixture: Fixture = serde_json::from_str(FIXTURE).unwrap();
    let context = ChatContext { variables: fixture.variables, ..ChatContext::default() };
    let (mut other, mut equal) = (Vec::new(), 0);
    for Outcome { expression, printed } in &fixture.outcomes {
        let is_template = expression.starts_with("{%");
        let source = if is_template { expression.clone() } else { format!("{{{{ {expression} }}}}") };
        let rendered = ChatTemplate::new(&source, BTreeMap::new())
            .and_then(|template| template.render_context(&context))
            .ok();
        let holds = |parts: &[&str]| parts.iter().any(|part| expression.contains(part));
        if rendered == *printed {
            equal += 1;
        } else if !holds(&KNOWN) && (printed.is_some() || !holds(&LAXER)) {
            other.push(format!("{expression}: {rendered:?} for {printed:?}"));
        }
    }
    assert!(other.is_empty(), "{}", other.join("\n"));
    assert!(equal >= 2_750, "only {equal} of {} are equal", fixture.outcomes.len());
}
