//! The house's rules about where things may stand, as data. A new word in a table below is a
//! decision about the architecture: it wants a reason in the commit that adds it.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

use std::fs;
use std::path::{Path, PathBuf};

/// Each module in layer order, and every other module that it may use. `server` may use all above.
const MAY_USE: &[(&str, &[&str])] = &[
    ("mem", &[]),
    ("sync", &["mem"]),
    ("clock", &["sync"]),
    ("metrics", &["sync"]),
    ("config", &["sync"]),
    ("disk", &["config"]),
    ("resp", &[]),
    ("types", &["mem", "sync"]),
    ("index", &["sync"]),
    ("db", &["clock", "index", "mem", "resp", "sync", "types"]),
    ("log", &["clock", "db", "disk", "resp", "sync"]),
    ("rdb", &["clock", "config", "db", "sync", "types"]),
    ("script", &["rdb", "resp", "types"]),
    ("session", &["clock", "db", "resp", "sync", "types"]),
    (
        "commands",
        &[
            "clock", "config", "db", "disk", "log", "mem", "metrics", "rdb", "resp", "script",
            "session", "sync", "types",
        ],
    ),
    ("net", &["clock", "commands", "config", "db", "mem", "metrics", "resp", "session", "sync"]),
    (
        "server",
        &[
            "clock", "commands", "config", "db", "disk", "log", "mem", "metrics", "net", "rdb",
            "resp", "session", "sync", "types",
        ],
    ),
];

/// Rooms in which `unsafe` may stand, each with the argument that it needs one.
const UNSAFE_ROOMS: &[(&str, &str)] = &[
    ("sync/", "epochs and retired blocks"),
    ("mem/", "the allocator that counts"),
    ("index/", "the table read without locks"),
    ("db/entry.rs", "the block that holds a key and its value"),
    ("db/write.rs", "what a held stripe gives access to"),
    ("db/write/", "the same, for snapshots"),
];

/// Files that may name `std::sync::atomic`; all others go through `crate::sync`.
const ATOMIC_ROOMS: &[(&str, &str)] =
    &[("sync/", "the door itself"), ("mem/", "a static of the allocator must be `const`")];

/// Files longer than [`LINES`], each with its reason.
const LONG_FILES: &[(&str, &str)] = &[];

const LINES: usize = 800;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every source file of the library, as path below `src` and text; the binaries, which are crates
/// of their own, only if asked for.
fn sources(binaries: bool) -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut files = Vec::new();
    walk(&root(), &mut files);
    files.sort();
    let name =
        |path: &Path| path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
    let named = files.iter().map(|path| (name(path), fs::read_to_string(path).unwrap()));
    named.filter(|(name, _)| binaries || !name.starts_with("bin/")).collect()
}

/// The text without comments and without the contents of string literals, so that words in prose
/// are not taken for code. Good enough for code that rustfmt has laid out.
fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let mut quoted = false;
        let mut before = ' ';
        for (at, c) in line.char_indices() {
            if !quoted && line[at..].starts_with("//") {
                break;
            }
            if c == '"' && before != '\\' && before != '\'' {
                quoted = !quoted;
            }
            if !quoted {
                out.push(c);
            }
            before = if before == '\\' { ' ' } else { c };
        }
        out.push('\n');
    }
    out
}

fn has_word(code: &str, word: &str) -> bool {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
}

fn allowed(name: &str, rooms: &[(&str, &str)]) -> bool {
    rooms.iter().any(|(room, _)| name == *room || room.ends_with('/') && name.starts_with(room))
}

/// The modules that `code` names behind `crate::`, groups in braces included.
fn imports(code: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if at > 0 && code[..at].ends_with('$') {
            continue; // a macro's own crate
        }
        let rest = &code[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.push(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut start = true;
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                c if start && !c.is_whitespace() => {
                    found.push(word(&group[at..]));
                    start = false;
                }
                _ => {}
            }
        }
    }
    found
}

fn module_of(name: &str) -> &str {
    let first = name.split('/').next().unwrap_or(name);
    first.strip_suffix(".rs").unwrap_or(first)
}

#[test]
fn imports_point_down() {
    let mut wrong = Vec::new();
    for (name, text) in sources(false) {
        let module = module_of(&name);
        let Some((_, may)) = MAY_USE.iter().find(|(known, _)| *known == module) else { continue };
        for target in imports(&code(&text)) {
            let known = MAY_USE.iter().any(|(known, _)| *known == target);
            if known && target != module && !may.contains(&&*target) {
                wrong.push(format!("src/{name}: {module} may not use {target}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A module may only use those that stand above it, so the table cannot hide a circle.
#[test]
fn the_layers_have_no_circle() {
    for (at, (module, may)) in MAY_USE.iter().enumerate() {
        for target in *may {
            assert!(
                MAY_USE[..at].iter().any(|(above, _)| above == target),
                "{module} uses {target}, which does not stand above it"
            );
        }
    }
}

/// `lib.rs` is the map: the same modules in the same order as the table.
#[test]
fn every_module_has_its_layer() {
    let text = fs::read_to_string(root().join("lib.rs")).unwrap();
    let listed = text.lines().filter_map(|line| line.strip_prefix("pub mod "));
    let listed: Vec<&str> = listed.map(|name| name.trim_end_matches(';')).collect();
    let known: Vec<&str> =
        MAY_USE.iter().map(|(module, _)| *module).filter(|m| listed.contains(m)).collect();
    assert_eq!(listed, known, "src/lib.rs and the table of layers differ");
    for (name, _) in sources(false) {
        let module = module_of(&name);
        let fine = ["lib", "main"].contains(&module) || listed.contains(&module);
        assert!(fine, "src/{name} belongs to no module of the map");
    }
}

#[test]
fn unsafe_stays_in_its_rooms() {
    let mut wrong = Vec::new();
    for (name, text) in sources(true) {
        if has_word(&code(&text), "unsafe") && !allowed(&name, UNSAFE_ROOMS) {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "unsafe outside its rooms: {}", wrong.join(", "));
}

#[test]
fn atomics_come_through_one_door() {
    let mut wrong = Vec::new();
    for (name, text) in sources(false) {
        let code = code(&text).replace(char::is_whitespace, "");
        let named = code.contains("sync::atomic") || code.contains("core::sync::atomic");
        if named && !allowed(&name, ATOMIC_ROOMS) {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "take atomics from crate::sync: {}", wrong.join(", "));
}

#[test]
fn epochs_are_known_in_one_place() {
    for (name, text) in sources(true) {
        let named = has_word(&code(&text), "crossbeam_epoch");
        assert!(!named || name.starts_with("sync/"), "src/{name} names crossbeam_epoch");
    }
}

#[test]
fn files_stay_readable() {
    for (name, text) in sources(true) {
        let (lines, excused) = (text.lines().count(), allowed(&name, LONG_FILES));
        assert!(lines <= LINES || excused, "src/{name} has {lines} lines, without a reason");
        assert!(lines > LINES || !excused, "src/{name} needs no excuse any more");
    }
}

/// The first lines of a file say what it keeps true; names in code and prose stay our own.
#[test]
fn files_say_what_they_are_for() {
    for (name, text) in sources(true) {
        assert!(text.starts_with("//!"), "src/{name} does not begin with what it is for");
        for mark in [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")] {
            assert!(!has_word(&text, mark), "src/{name} has an unfinished {mark}");
        }
    }
}

#[test]
fn the_rules_see_what_they_should() {
    assert_eq!(imports("use crate::{a, b::{c, d}, e::f}; crate::g::h()"), ["a", "b", "e", "g"]);
    assert_eq!(code("a \"unsafe // b\" c // unsafe\nd"), "a \" c \nd\n");
    assert!(has_word("unsafe { x }", "unsafe") && !has_word("not_unsafe", "unsafe"));
    assert_eq!((module_of("db/write.rs"), module_of("clock.rs")), ("db", "clock"));
}
