//! Small tokenizer folders against the ids of transformers (`fixtures/tokenizer_folders.json`, made by the script beside
//! it): what the files around `tokenizer.json` say of its tokens.

use std::{collections::BTreeMap, fs};

use serde::Deserialize;
use serde_json::Value;
use still_text::Tokenizer;

#[derive(Deserialize)]
struct Fixture {
    texts: Vec<String>,
    /// By what they are made of.
    vocabularies: BTreeMap<String, Value>,
    folders: Vec<Folder>,
}

#[derive(Deserialize)]
struct Folder {
    name: String,
    vocabulary: String,
    files: BTreeMap<String, Value>,
    /// One row a text.
    ids: Vec<Vec<u32>>,
    /// What the ids are decoded to, special tokens included.
    decoded: Vec<String>,
}

#[test]
fn every_folder_gives_the_ids_of_transformers_and_gives_them_again_once_saved() {
    let fixture: Fixture = serde_json::from_str(include_str!("fixtures/tokenizer_folders.json")).unwrap();
    assert_eq!(fixture.folders.len(), 31);
    let mut other = Vec::new();
    for Folder { name, vocabulary, mut files, ids, decoded } in fixture.folders {
        let folder = tempfile::tempdir().unwrap();
        let vocabulary = fixture.vocabularies[&vocabulary].clone();
        files.get_mut("tokenizer.json").unwrap()["model"]["vocab"] = vocabulary;
        for (file, content) in &files {
            fs::write(folder.path().join(file), content.to_string()).unwrap();
        }
        let tokenizer = Tokenizer::load(folder.path()).unwrap();
        let copy = tempfile::tempdir().unwrap();
        tokenizer.save(copy.path()).unwrap();
        let again = Tokenizer::load(copy.path()).unwrap();
        for ((text, ids), decoded) in fixture.texts.iter().zip(&ids).zip(&decoded) {
            let (found, saved) = (tokenizer.encode(text, false).unwrap(), again.encode(text, false).unwrap());
            if found != *ids || saved != *ids {
                other.push(format!("{name}: {text:?}: {found:?}, saved {saved:?} for {ids:?}"));
            }
            let back = tokenizer.decode(ids).unwrap();
            if back != *decoded {
                other.push(format!("{name}: {ids:?}: {back:?} for {decoded:?}"));
            }
        }
    }
    assert!(other.is_empty(), "{}", other.join("\n"));
}

#[test]
fn a_run_of_blanks_that_patterns_give_up_on_is_refused() {
    let tokenizer = Tokenizer::quick_start().unwrap();
    let blanks = |count: usize| format!("1{}2", " ".repeat(count));
    assert_eq!(tokenizer.encode(&blanks(999_999), false).unwrap().len(), 1_000_001);
    let refused = tokenizer.encode(&blanks(1_000_000), false).unwrap_err().to_string();
    assert!(refused.contains("blanks"), "{refused}");
}

#[test]
fn named_templates_are_kept_and_the_one_for_tools_is_used_with_tools() {
    let folder = tempfile::tempdir().unwrap();
    Tokenizer::quick_start().unwrap().save(folder.path()).unwrap();
    let path = folder.path().join("tokenizer_config.json");
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    config["chat_template"] = serde_json::json!([
        { "name": "default", "template": "plain" }, { "name": "tool_use", "template": "tools" },
    ]);
    fs::write(&path, config.to_string()).unwrap();
    let copy = tempfile::tempdir().unwrap();
    Tokenizer::load(folder.path()).unwrap().save(copy.path()).unwrap();
    assert!(copy.path().join("additional_chat_templates/tool_use.jinja").exists());
    for folder in [&folder, &copy] {
        let tokenizer = Tokenizer::load(folder.path()).unwrap();
        let render = |tools| {
            let context = still_text::ChatContext { tools, ..still_text::ChatContext::default() };
            tokenizer.chat_template().unwrap().render_context(&context).unwrap()
        };
        assert_eq!((render(None).as_str(), render(Some(Vec::new())).as_str()), ("plain", "tools"));
    }
}
