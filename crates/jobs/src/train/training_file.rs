//! What a training file is called: the start and everything that is trained on, field by field.

use still_domain::{Algorithm, TrainingSetId, fingerprint::NamedFields, seed};
use still_roles::{Example, PreferenceExample, Response, SftExample};

/// What is hashed, and the version of that.
const CONTEXT: &str = "still training file 2";

/// Names a set of examples, trained on from `start`.
pub(super) fn name(objective: Algorithm, examples: &[Example], start: &str) -> TrainingSetId {
    let list = match objective {
        Algorithm::Sft => "sft",
        Algorithm::Dpo => "dpo",
    };
    let fields = NamedFields::new(CONTEXT).text("start", start);
    let fields = fields.list(list, examples.iter(), |fields, example| match example {
        Example::Sft(SftExample { problem, response: answer }) => {
            response(fields.text("problem", problem), "response", answer)
        }
        Example::Preference(PreferenceExample { problem, chosen, rejected }) => {
            response(response(fields.text("problem", problem), "chosen", chosen), "rejected", rejected)
        }
    });
    TrainingSetId::new(format!("file-{}", fields.finish()))
}

/// As [`name`] was before it had a version: by a text that happened to be the `Debug` form of the examples. It is
/// written out here and never changes.
pub(super) fn legacy_name(objective: Algorithm, examples: &[Example], start: &str) -> TrainingSetId {
    let each = examples.iter().map(|example| match example {
        Example::Sft(SftExample { problem, response }) => {
            let (problem, response) = (&**problem, legacy_response(response));
            format!("SftExample {{ problem: {problem:?}, response: {response} }}")
        }
        Example::Preference(PreferenceExample { problem, chosen, rejected }) => {
            let problem = &**problem;
            let (chosen, rejected) = (legacy_response(chosen), legacy_response(rejected));
            format!("PreferenceExample {{ problem: {problem:?}, chosen: {chosen}, rejected: {rejected} }}")
        }
    });
    let each = each.collect::<Vec<_>>().join(", ");
    let text = match objective {
        Algorithm::Sft => format!("Sft([{each}])"),
        Algorithm::Dpo => format!("Dpo([{each}])"),
    };
    let seed = seed::derive(0, &["training file", start, &text]);
    TrainingSetId::new(format!("file-{seed:016x}"))
}

fn response(fields: NamedFields, name: &str, response: &Response) -> NamedFields {
    match response {
        Response::Text(text) => fields.text(name, text),
        Response::Tokens(tokens) => {
            fields.list(name, tokens.iter(), |fields, token| fields.number("token", u64::from(*token)))
        }
    }
}

fn legacy_response(response: &Response) -> String {
    match response {
        Response::Text(text) => format!("Text({text:?})"),
        Response::Tokens(tokens) => format!("Tokens({tokens:?})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sft(response: Response) -> Vec<Example> {
        vec![Example::Sft(SftExample { problem: "7*\"12\"=?".into(), response })]
    }

    #[test]
    fn a_file_keeps_its_names_for_ever() {
        // checkpoints of earlier programs are found by them: whoever changes one must go on to recognise these
        let imitation = sft(Response::Text("84\n".to_owned()));
        let (chosen, rejected) = (Response::Tokens(vec![8, 4]), Response::Text("é".to_owned()));
        let pair = PreferenceExample { problem: "p".into(), chosen, rejected };
        let preferences = vec![Example::Preference(pair)];
        let names = [(Algorithm::Sft, &imitation), (Algorithm::Dpo, &preferences)].map(|(kind, examples)| {
            [name(kind, examples, "m"), legacy_name(kind, examples, "m")].map(|name| name.to_string())
        });
        let expected = [
            [
                "file-8240b55a59ad50d8d720f9d24943f5b277d081d68a7ad4368f91425f34cb7827",
                "file-e5b477db9714a94f",
            ],
            [
                "file-55f2308286dc2751a31b2873146b624b7aad3d6f9596599d3ee0936dae4d73b8",
                "file-133f9f53af3b7c7d",
            ],
        ];
        assert_eq!(names, expected.map(|names| names.map(str::to_owned)));
    }

    #[test]
    fn the_start_and_every_example_are_in_the_name() {
        let named = |response, start| name(Algorithm::Sft, &sft(response), start);
        let one = named(Response::Text("84".to_owned()), "m");
        assert_ne!(one, named(Response::Text("85".to_owned()), "m"));
        assert_ne!(one, named(Response::Text("84".to_owned()), "n"));
        assert_ne!(named(Response::Tokens(vec![1]), "m"), named(Response::Text("\u{1}".to_owned()), "m"));
    }
}
