//! The workspace as `cargo metadata` tells it: packages, what they name in their manifests, and what that brings with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    sync::LazyLock,
};

use serde_json::Value;

/// All packages of one build for this machine, with the default features.
pub struct Workspace(Value);

/// The workspace at hand, asked for once.
pub static WORKSPACE: LazyLock<Workspace> = LazyLock::new(Workspace::load);

impl Workspace {
    /// Asks cargo, which needs no network for what it has just built.
    fn load() -> Self {
        let version = output(Command::new("rustc").arg("-vV"));
        let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        let json = output(Command::new(env!("CARGO")).args([
            "metadata",
            "--format-version=1",
            "--locked",
            "--offline",
            "--filter-platform",
            host,
        ]));
        Self(serde_json::from_str(&json).unwrap())
    }

    /// Every package, those from elsewhere and those that only other machines build too.
    pub fn packages(&self) -> &[Value] {
        self.0["packages"].as_array().unwrap()
    }

    /// The names of the workspace's own packages.
    pub fn members(&self) -> BTreeSet<&str> {
        self.packages().iter().filter(|package| package["source"].is_null()).map(name).collect()
    }

    /// What a member names in its manifest, features' dependencies included, those for tests and builds not.
    pub fn named_by(&self, member: &str) -> BTreeSet<&str> {
        let package = self.packages().iter().find(|package| name(package) == member);
        let package = package.unwrap_or_else(|| panic!("{member} is no package of the workspace"));
        let dependencies = package["dependencies"].as_array().unwrap();
        dependencies.iter().filter(|dependency| dependency["kind"].is_null()).map(name).collect()
    }

    /// The members that name `dependency`.
    pub fn who_names(&self, dependency: &str) -> BTreeSet<&str> {
        self.members().into_iter().filter(|member| self.named_by(member).contains(dependency)).collect()
    }

    /// Everything that is linked when `member` is: its dependencies, theirs and so on.
    pub fn tree_of(&self, member: &str) -> BTreeSet<&str> {
        let names: BTreeMap<_, _> =
            self.packages().iter().map(|package| (package["id"].as_str().unwrap(), name(package))).collect();
        let nodes: BTreeMap<_, _> = self.0["resolve"]["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|node| (node["id"].as_str().unwrap(), node["deps"].as_array().unwrap()))
            .collect();
        let root = names.iter().find(|(_, name)| **name == member).map(|(id, _)| *id).unwrap();
        let mut seen = BTreeSet::new();
        let mut open = vec![root];
        while let Some(id) = open.pop() {
            for dependency in nodes[id] {
                let kinds = dependency["dep_kinds"].as_array().unwrap();
                let next = dependency["pkg"].as_str().unwrap();
                if kinds.iter().any(|kind| kind["kind"].is_null()) && seen.insert(next) {
                    open.push(next);
                }
            }
        }
        seen.into_iter().map(|id| names[id]).collect()
    }
}

/// The name of a package or of a dependency.
pub fn name(value: &Value) -> &str {
    value["name"].as_str().unwrap()
}

/// What a command that succeeds writes.
pub fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
