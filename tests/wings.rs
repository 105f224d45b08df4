//! The wings of `actors`: who imports whom, read from the sources. No circle, and no long way down.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

const SOURCES: &str = "actors/src";
const MAX_WINGS_IN_A_CHAIN: usize = 8;

/// For each module at the top of the crate, those that its files name.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// Every source file without the tests' own.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
    found
}

/// The words and signs of a source, without comments, texts and what stands below `#[cfg(test)]`.
fn tokens(source: &str) -> Vec<&str> {
    let source = source.split("#[cfg(test)]\nmod ").next().unwrap();
    let mut tokens = Vec::new();
    let mut rest = source.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if first == '"' {
            text_length(rest)
        } else if rest.starts_with("::") {
            2
        } else if first.is_alphanumeric() || first == '_' {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        if !token.starts_with("//") && first != '"' {
            tokens.push(token);
        }
        rest = after.trim_start();
    }
    tokens
}

/// How long a text in quotation marks is.
fn text_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            '"' if !is_escaped => return at + 1,
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    text.len()
}

/// The first names of a path after `crate::`: one, or those of a list in braces.
fn first_names<'a>(tokens: &[&'a str]) -> Vec<&'a str> {
    if tokens.first() != Some(&"{") {
        return tokens.first().copied().into_iter().collect();
    }
    let mut names = Vec::new();
    let mut depth = 0;
    for pair in tokens.windows(2) {
        match pair[0] {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && ["{", ","].contains(&pair[0]) && pair[1] != "}" {
            names.push(pair[1]);
        }
    }
    names
}

/// The names at the crate's root that a file of a module `depth` below it speaks of.
fn names_at_the_root<'a>(tokens: &[&'a str], depth: usize) -> Vec<&'a str> {
    let mut names = Vec::new();
    for at in 0..tokens.len() {
        let is_start = at == 0 || tokens[at - 1] != "::";
        let rest = &tokens[at..];
        let supers = rest.chunks(2).take_while(|pair| *pair == ["super", "::"]).count();
        if rest.starts_with(&["crate", "::"]) && is_start {
            names.extend(first_names(&rest[2..]));
        } else if is_start && supers > 0 && supers == depth {
            names.extend(first_names(&rest[2 * supers..]));
        }
    }
    names
}

/// The module at the top of the crate that a file belongs to, and how deep below the root its own is.
fn module(path: &Path) -> (String, usize) {
    let inside = path.strip_prefix(SOURCES).unwrap().with_extension("");
    let mut parts: Vec<_> = inside.iter().map(|part| part.to_str().unwrap()).collect();
    if ["mod", "lib"].contains(parts.last().unwrap()) {
        parts.pop();
    }
    (parts.first().copied().unwrap_or("lib").to_owned(), parts.len())
}

fn imports() -> Imports {
    let files = files(Path::new(SOURCES));
    let wings: BTreeSet<_> = files.iter().map(|path| module(path).0).filter(|wing| wing != "lib").collect();
    assert!(wings.len() > 4, "{wings:?}");
    let root = fs::read_to_string(Path::new(SOURCES).join("lib.rs")).unwrap();
    let mut imports: Imports = wings.iter().map(|wing| (wing.clone(), BTreeSet::new())).collect();
    for path in files {
        let (wing, depth) = module(&path);
        let Some(known) = imports.get_mut(&wing) else { continue };
        let source = fs::read_to_string(&path).unwrap();
        for name in names_at_the_root(&tokens(&source), depth) {
            assert!(wings.contains(name) || root.contains(name), "{}: crate::{name}", path.display());
            assert!(wings.contains(name), "{}: `{name}` by its wing, please, not by lib.rs", path.display());
            if name != wing {
                known.insert(name.to_owned());
            }
        }
    }
    imports
}

/// The longest chain of imports that begins with `wing`; a circle ends the test.
fn chain(imports: &Imports, wing: &str, above: &mut Vec<String>) -> usize {
    assert!(!above.iter().any(|name| name == wing), "a circle: {} -> {wing}", above.join(" -> "));
    above.push(wing.to_owned());
    let longest = imports[wing].iter().map(|next| chain(imports, next, above)).max().unwrap_or(0);
    above.pop();
    longest + 1
}

#[test]
fn a_path_is_read_in_all_its_forms() {
    let source = "use crate::{a::{x, y}, b};\n// crate::c\nuse super::super::d;\nlet text = \"crate::e \\\" crate::e\";\n\
                  let f = crate::f::new(); other::crate_::g(); super::h();\n#[cfg(test)]\nmod tests { use crate::i; }";
    assert_eq!(names_at_the_root(&tokens(source), 2), ["a", "b", "d", "f"]);
    assert_eq!(names_at_the_root(&tokens(source), 1), ["a", "b", "f", "h"]);
}

#[test]
fn a_circle_is_found_and_a_chain_is_counted() {
    let graph = |arrows: &[(&str, &[&str])]| -> Imports {
        arrows
            .iter()
            .map(|(from, to)| ((*from).to_owned(), to.iter().map(ToString::to_string).collect()))
            .collect()
    };
    let line = graph(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])]);
    assert_eq!(chain(&line, "a", &mut Vec::new()), 3);
    let circle = graph(&[("a", &["b"]), ("b", &["c"]), ("c", &["a"])]);
    assert!(std::panic::catch_unwind(|| chain(&circle, "a", &mut Vec::new())).is_err());
}

#[test]
fn the_wings_of_the_actors_import_each_other_without_a_circle() {
    let imports = imports();
    let longest = imports.keys().map(|wing| chain(&imports, wing, &mut Vec::new())).max().unwrap();
    assert!(longest <= MAX_WINGS_IN_A_CHAIN, "a chain of {longest} wings: {imports:?}");
}
