//! The pages that are printed from tables say what the tables say.
//!
//! `EONKV_BLESS=1 cargo test --test generated` writes them anew; without it a stale page fails.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

use std::path::Path;

fn check(name: &str, fresh: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    if std::env::var_os("EONKV_BLESS").is_some() {
        std::fs::write(&path, fresh).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let line = fresh.lines().zip(written.lines()).position(|(new, old)| new != old);
    assert!(
        written == fresh,
        "docs/{name} is stale from line {} on: EONKV_BLESS=1 cargo test --test generated",
        line.unwrap_or_else(|| fresh.lines().count().min(written.lines().count())) + 1,
    );
}

#[test]
fn commands() {
    check("commands.md", &eonkv::commands::page::page());
}

#[test]
fn config() {
    check("config.md", &eonkv::config::docs::page());
}

#[test]
fn info() {
    check("info.md", &eonkv::commands::info::page());
}

/// Not generated, but complete: the parameters that do nothing are those of which the page says so.
#[test]
fn parameters_without_effect_are_named() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/compatibility.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (_, list) = page.split_once("are accepted so that existing files load").unwrap();
    let list = list.split("\n\n").nth(1).unwrap();
    let named: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
    let mut idle: Vec<&str> = eonkv::config::PARAMS
        .iter()
        .filter(|param| !param.harness.is_empty())
        .map(|param| param.name)
        .collect();
    idle.sort_unstable();
    assert_eq!(named, idle);
}
