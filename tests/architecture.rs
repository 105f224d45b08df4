//! Who may know whom: README's map of the house, held to what cargo links.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use workspace::WORKSPACE;

#[allow(dead_code)]
mod workspace;

/// A row of the map.
struct Row {
    /// The packages it describes.
    packages: BTreeSet<String>,
    /// What it says they know.
    knows: String,
}

/// README's table under "Map of the house".
fn map() -> Vec<Row> {
    let readme = fs::read_to_string("README.md").unwrap();
    let (_, section) = readme.split_once("## Map of the house").unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    rows.take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<_> = line.trim_matches('|').split('|').collect();
            let [rooms, _, knows] = cells[..] else { panic!("a row of three cells: {line}") };
            let packages = rooms.split('`').skip(1).step_by(2).map(package).collect();
            Row { packages, knows: knows.trim().to_owned() }
        })
        .collect()
}

/// The package in the folder of a room.
fn package(folder: &str) -> String {
    match folder {
        "src" => "still".to_owned(),
        _ => format!("still-{}", folder.rsplit('/').next().unwrap()),
    }
}

/// The rooms that a cell names: its words, as far as they are rooms.
fn rooms_named(cell: &str, members: &BTreeSet<&str>) -> BTreeSet<String> {
    let words = cell.split(|character: char| !(character.is_alphanumeric() || character == '-'));
    words.map(|word| format!("still-{word}")).filter(|room| members.contains(room.as_str())).collect()
}

#[test]
fn every_package_stands_on_the_map_once() {
    let workspace = &*WORKSPACE;
    let rows = map();
    let shown: Vec<_> = rows.iter().flat_map(|row| row.packages.iter().map(String::as_str)).collect();
    let set: BTreeSet<_> = shown.iter().copied().collect();
    assert_eq!(set, workspace.members());
    assert_eq!(set.len(), shown.len(), "a package stands on the map twice");
}

#[test]
fn every_package_knows_the_rooms_that_the_map_says_and_no_other() {
    let workspace = &*WORKSPACE;
    let members = workspace.members();
    for row in map() {
        if row.knows == "everything" {
            continue;
        }
        let named = row.packages.iter().flat_map(|package| workspace.named_by(package));
        let rooms: BTreeSet<_> = named
            .filter(|name| members.contains(name) && !row.packages.contains(*name))
            .map(str::to_owned)
            .collect();
        assert_eq!(rooms, rooms_named(&row.knows, &members), "{:?}: \"{}\"", row.packages, row.knows);
    }
}

#[test]
fn a_library_is_known_by_the_only_rooms_that_the_map_gives_it() {
    let workspace = &*WORKSPACE;
    let mut libraries = BTreeMap::new();
    for row in map() {
        let said = ["the only room that knows ", "the only rooms that know "];
        if let Some(rest) = said.iter().find_map(|said| row.knows.split(said).nth(1)) {
            let library = rest.split([';', ',', ' ']).next().unwrap();
            libraries.insert(library.to_owned(), row.packages);
        }
    }
    assert_eq!(libraries.keys().collect::<Vec<_>>(), ["burn", "ractor", "sled"]);
    for (library, rooms) in libraries {
        let named: BTreeSet<_> = workspace.who_names(&library).into_iter().map(str::to_owned).collect();
        assert_eq!(named, rooms, "{library}");
    }
}

#[test]
fn where_the_map_says_no_tensors_there_are_none_in_the_tree() {
    let workspace = &*WORKSPACE;
    let rows: Vec<_> = map().into_iter().filter(|row| row.knows.contains("no tensors")).collect();
    assert!(!rows.is_empty());
    for package in rows.iter().flat_map(|row| &row.packages) {
        assert!(!workspace.tree_of(package).contains("burn"), "{package} reaches burn");
    }
}
