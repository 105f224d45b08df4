//! Who may know whom: the directions that keep the house simple, checked against every manifest.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Direct dependencies (development ones left out) of every package of the workspace.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new(".");
    let mut manifests =
        vec![root.join("Cargo.toml"), root.join("actors/Cargo.toml"), root.join("store/Cargo.toml")];
    for entry in fs::read_dir(root.join("crates")).unwrap() {
        manifests.push(entry.unwrap().path().join("Cargo.toml"));
    }
    manifests
        .iter()
        .map(|path| {
            let manifest: toml::Table = fs::read_to_string(path).unwrap().parse().unwrap();
            let name = manifest["package"]["name"].as_str().unwrap().to_owned();
            let names = manifest.get("dependencies").and_then(toml::Value::as_table);
            (name, names.map(|table| table.keys().cloned().collect()).unwrap_or_default())
        })
        .collect()
}

/// The packages that name `dependency` in their manifest.
fn who_knows(dependency: &str) -> BTreeSet<String> {
    let all = dependencies();
    assert!(all.len() > 10, "the workspace has more packages than {}", all.len());
    all.into_iter().filter(|(_, names)| names.contains(dependency)).map(|(name, _)| name).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

#[test]
fn only_the_actors_know_ractor() {
    assert_eq!(who_knows("ractor"), set(&["still-actors"]));
}

#[test]
fn only_the_store_knows_sled() {
    assert_eq!(who_knows("sled"), set(&["still-store"]));
}

#[test]
fn only_policy_and_learning_know_burn() {
    assert_eq!(who_knows("burn"), set(&["still-learning", "still-policy"]));
}

#[test]
fn the_client_and_the_actors_have_no_tensors_in_their_tree() {
    let all = dependencies();
    for program in ["still-client", "still-actors"] {
        let mut seen = BTreeSet::new();
        let mut open = vec![program.to_owned()];
        while let Some(name) = open.pop() {
            for next in all.get(&name).into_iter().flatten() {
                if seen.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        assert!(!seen.contains("burn"), "{program} reaches burn");
    }
}

#[test]
fn the_domain_knows_no_other_room() {
    let all = dependencies();
    let rooms: Vec<_> = all["still-domain"].iter().filter(|name| name.starts_with("still-")).collect();
    assert!(rooms.is_empty(), "still-domain depends on {rooms:?}");
}
