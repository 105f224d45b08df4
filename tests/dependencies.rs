//! What the program is built from: licences it may use, compilers it asks for, registries it comes from.
//!
//! The licences are those of `deny.toml`, which `.ci/long` gives to cargo-deny, with the advisories.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

use spdx::{Expression, LicenseReq, ParseMode};
use workspace::{WORKSPACE, name, output};

#[allow(dead_code, unreachable_pub)]
mod workspace;

/// What `deny.toml` says of licences: those allowed, and what it found out of packages that only bring a text.
fn licences() -> (BTreeSet<String>, BTreeMap<String, String>) {
    let deny: toml::Table = fs::read_to_string("deny.toml").unwrap().parse().unwrap();
    let text = |value: &toml::Value| value.as_str().unwrap().to_owned();
    let allowed = deny["licenses"]["allow"].as_array().unwrap();
    let clarified = deny["licenses"]["clarify"].as_array().unwrap();
    (
        allowed.iter().map(text).collect(),
        clarified.iter().map(|package| (text(&package["crate"]), text(&package["expression"]))).collect(),
    )
}

#[test]
fn every_package_has_a_licence_that_is_allowed() {
    let (allowed, clarified) = licences();
    let is_allowed = |licence: &LicenseReq| allowed.contains(&licence.to_string());
    for package in WORKSPACE.packages() {
        let licence = package["license"].as_str().or(clarified.get(name(package)).map(String::as_str));
        let licence = licence.unwrap_or_else(|| panic!("{} has no licence", name(package)));
        let licence = Expression::parse_mode(licence, ParseMode::LAX).unwrap();
        assert!(licence.evaluate(is_allowed), "{}: {licence}", name(package));
    }
}

#[test]
fn no_package_asks_for_a_newer_compiler_than_the_program_promises() {
    let version = |text: &str| {
        let mut parts = text.split('.').map(|part| part.parse::<u32>().unwrap());
        (parts.next().unwrap(), parts.next().unwrap_or(0), parts.next().unwrap_or(0))
    };
    let manifest: toml::Table = fs::read_to_string("Cargo.toml").unwrap().parse().unwrap();
    let promised = manifest["workspace"]["package"]["rust-version"].as_str().unwrap();
    for package in WORKSPACE.packages() {
        if let Some(asked) = package["rust_version"].as_str() {
            assert!(version(asked) <= version(promised), "{} asks for Rust {asked}", name(package));
        }
    }
    // so every build and every lint is one by the oldest compiler that is promised
    let toolchain: toml::Table = fs::read_to_string("rust-toolchain.toml").unwrap().parse().unwrap();
    assert_eq!(version(toolchain["toolchain"]["channel"].as_str().unwrap()), version(promised));
    assert!(fs::read_to_string("README.md").unwrap().contains(&format!("({promised} or newer)")));
}

/// Every library of other people with the features that it is built with, as `cargo tree` tells it.
fn libraries(arguments: &[&str]) -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--locked", "--offline", "--prefix=none", "--no-dedupe", "--format={p} [{f}]"]);
    let text = output(cargo.args(arguments));
    text.lines().filter(|line| !line.starts_with("still")).map(str::to_owned).collect()
}

#[test]
fn the_readmes_second_command_builds_no_library_of_the_first_anew() {
    let first = libraries(&["--edges=normal,build"]);
    let second = libraries(&["--workspace", "--edges=normal,build,dev"]);
    assert!(first.len() > 100 && second.len() > first.len());
    let anew: Vec<_> = first.difference(&second).collect();
    assert!(anew.is_empty(), "the tests' packages ask for other features of what these stand on: {anew:?}");
}

#[test]
fn every_package_is_our_own_or_from_the_registry() {
    for package in WORKSPACE.packages() {
        let source = package["source"].as_str().unwrap_or("own");
        let is_known = ["own", "registry+https://github.com/rust-lang/crates.io-index"].contains(&source);
        assert!(is_known, "{} comes from {source}", name(package));
    }
}
