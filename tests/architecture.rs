//! Who may know whom: README's map of the house, held to what cargo links.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{collections::BTreeSet, fs};

use workspace::WORKSPACE;

#[allow(dead_code, unreachable_pub)]
mod workspace;

/// A row of the map.
struct Row {
    /// The packages it describes.
    packages: BTreeSet<String>,
    /// Whether they may know everything.
    is_everything: bool,
    /// The rooms that they name in their manifests, all of them.
    rooms: BTreeSet<String>,
    /// What is nowhere in their trees.
    absent: Vec<String>,
    /// The library that nobody else names.
    library: Option<String>,
}

impl Row {
    /// Reads `| rooms | what they are | what they know |`; words that mean nothing end the test.
    fn read(line: &str) -> Self {
        let cells: Vec<_> = line.trim_matches('|').split('|').collect();
        let [rooms, _, knows] = cells[..] else { panic!("a row of three cells: {line}") };
        let packages = rooms.split('`').skip(1).step_by(2).map(package).collect();
        let mut row = Self {
            packages,
            is_everything: false,
            rooms: BTreeSet::new(),
            absent: Vec::new(),
            library: None,
        };
        for word in knows.split([',', ';']).map(str::trim).filter(|word| !word.is_empty()) {
            let only = ["the only room that knows ", "the only rooms that know "];
            if let Some(library) = only.iter().find_map(|only| word.strip_prefix(only)) {
                row.library = Some(library.to_owned());
            } else if word == "no tensors" {
                row.absent.push("burn".to_owned());
            } else if let Some(room) = word.strip_prefix("no ") {
                row.absent.push(package(room));
            } else if word == "everything" {
                row.is_everything = true;
            } else if word != "nothing of the house" {
                row.rooms.insert(package(word));
            }
        }
        let members = WORKSPACE.members();
        for room in row.rooms.iter().chain(row.absent.iter().filter(|name| *name != "burn")) {
            assert!(members.contains(room.as_str()), "`{room}` is no package: {line}");
        }
        row
    }
}

/// README's table under "Map of the house".
fn map() -> Vec<Row> {
    let readme = fs::read_to_string("README.md").unwrap();
    let (_, section) = readme.split_once("## Map of the house").unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let rows: Vec<_> = rows.take_while(|line| line.starts_with('|')).map(Row::read).collect();
    assert!(rows.len() > 10, "the map has more rows than {}", rows.len());
    rows
}

/// The package in the folder of a room.
fn package(folder: &str) -> String {
    match folder {
        "src" => "still".to_owned(),
        _ => format!("still-{}", folder.rsplit('/').next().unwrap()),
    }
}

#[test]
fn every_package_stands_on_the_map_once() {
    let rows = map();
    let shown: Vec<_> = rows.iter().flat_map(|row| row.packages.iter().map(String::as_str)).collect();
    let set: BTreeSet<_> = shown.iter().copied().collect();
    assert_eq!(set, WORKSPACE.members());
    assert_eq!(set.len(), shown.len(), "a package stands on the map twice");
}

#[test]
fn every_package_knows_the_rooms_that_the_map_says_and_no_other() {
    let members = WORKSPACE.members();
    for row in map().iter().filter(|row| !row.is_everything) {
        let named = row.packages.iter().flat_map(|package| WORKSPACE.named_by(package));
        let rooms: BTreeSet<_> = named
            .filter(|name| members.contains(name) && !row.packages.contains(*name))
            .map(str::to_owned)
            .collect();
        assert_eq!(rooms, row.rooms, "{:?}", row.packages);
    }
}

#[test]
fn a_library_is_known_by_the_only_rooms_that_the_map_gives_it() {
    let mut libraries = BTreeSet::new();
    for row in map() {
        if let Some(library) = row.library {
            let named: BTreeSet<_> = WORKSPACE.who_names(&library).into_iter().map(str::to_owned).collect();
            assert_eq!(named, row.packages, "{library}");
            libraries.insert(library);
        }
    }
    assert_eq!(libraries.iter().collect::<Vec<_>>(), ["burn", "ractor", "sled"]);
}

#[test]
fn what_the_map_says_a_room_is_without_is_nowhere_in_its_tree() {
    let mut checked = 0;
    for row in map() {
        for package in &row.packages {
            let tree = WORKSPACE.tree_of(package);
            for absent in &row.absent {
                assert!(!tree.contains(absent.as_str()), "{package} reaches {absent}");
                checked += 1;
            }
        }
    }
    assert!(checked > 0);
}

#[test]
fn roles_and_actors_have_no_weights_in_their_tree() {
    for package in ["still-roles", "still-actors"] {
        let tree = WORKSPACE.tree_of(package);
        for weights in ["still-decoder", "gemm", "memmap2"] {
            assert!(!tree.contains(weights), "{package} reaches {weights}: policies travel by name");
        }
    }
}
