//! Which files an `include` names: one file, or all that match a pattern as in a shell.

use std::path::{Path, PathBuf};

/// The files a pattern stands for, sorted; a name without `*`, `?`, `[` is itself, existing or not.
pub(super) fn matching(pattern: &str) -> Vec<PathBuf> {
    let path = Path::new(pattern);
    let file = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    if !file.contains(['*', '?', '[']) {
        return vec![path.to_path_buf()];
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| name_matches(file.as_bytes(), entry.file_name().as_encoded_bytes()))
        .map(|entry| folder.join(entry.file_name()))
        .collect();
    files.sort();
    files
}

/// Shell-like matching of one file name, iterative: `*` remembers only its last position.
fn name_matches(pattern: &[u8], name: &[u8]) -> bool {
    if name.first() == Some(&b'.') && pattern.first() != Some(&b'.') {
        return false;
    }
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        let step = match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
                continue;
            }
            Some(b'?') => Some(1),
            Some(b'[') => class(&pattern[p..], name[n]),
            Some(byte) if *byte == name[n] => Some(1),
            _ => None,
        };
        match (step, star) {
            (Some(length), _) => {
                p += length;
                n += 1;
            }
            (None, Some((at, from))) => {
                star = Some((at, from + 1));
                (p, n) = (at + 1, from + 1);
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

/// The length of a `[...]` class that holds `byte`, if it does.
fn class(pattern: &[u8], byte: u8) -> Option<usize> {
    let close = pattern.iter().skip(2).position(|b| *b == b']')? + 2;
    let body = &pattern[1..close];
    let (negated, body) = match body {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, body),
    };
    let mut found = false;
    let mut rest = body;
    while let Some((first, tail)) = rest.split_first() {
        rest = match tail {
            [b'-', last, more @ ..] => {
                found |= (*first..=*last).contains(&byte);
                more
            }
            _ => {
                found |= *first == byte;
                tail
            }
        };
    }
    (found != negated).then_some(close + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_in_a_shell() {
        for (pattern, name, want) in [
            ("*.conf", "a.conf", true),
            ("*.conf", ".conf", false),
            ("a?[0-9x]*", "ab7", true),
            ("a?[!0-9]*", "ab7", false),
            ("*a*a*b", "aaaaab", true),
            ("*a*a*b", "aaaaac", false),
        ] {
            assert_eq!(name_matches(pattern.as_bytes(), name.as_bytes()), want, "{pattern} {name}");
        }
    }
}
