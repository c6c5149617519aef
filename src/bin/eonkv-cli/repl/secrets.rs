//! Which lines must not be remembered: those that carry a password, key or the right to use one.

use crate::command::is;
use crate::number;
use crate::quote;

/// Parameters whose values are secrets.
const SECRET_PARAMETERS: [&str; 5] =
    ["requirepass", "masterauth", "masteruser", "tls-key-file-pass", "tls-client-key-file-pass"];

/// Whether a typed line is to be kept out of the history, on disk and in memory.
pub fn has_secret(line: &[u8]) -> bool {
    let args = quote::split(line).unwrap_or_else(|| {
        // Wrong quotes around a password do not make it less of one.
        line.split(|byte| quote::is_space(*byte))
            .filter(|word| !word.is_empty())
            .map(<[u8]>::to_vec)
            .collect()
    });
    let words: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
    match words.as_slice() {
        [times, rest @ ..]
            if !rest.is_empty() && matches!(number::split_int(times), Some((_, []))) =>
        {
            secret(rest)
        }
        words => secret(words),
    }
}

fn secret(words: &[&[u8]]) -> bool {
    let Some((name, rest)) = words.split_first() else {
        return false;
    };
    let sub = |want: &str| rest.first().is_some_and(|word| is(word, want));
    let any = |from: usize, names: &[&str]| {
        rest.iter().skip(from).any(|word| names.iter().any(|name| is(word, name)))
    };
    if is(name, "auth") {
        return true;
    }
    (is(name, "acl") && sub("setuser"))
        || (is(name, "config") && sub("set") && any(1, &SECRET_PARAMETERS))
        || (is(name, "hello") && any(1, &["auth"]))
        || (is(name, "migrate") && any(5, &["auth", "auth2"]))
        || (is(name, "sentinel") && any(1, &["auth-pass", "auth-user", "sentinel-pass"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_remembered() {
        for line in [
            "auth secret",
            "AUTH user secret",
            "auth",
            "auth \"open",
            "3 auth x",
            "acl setuser joe on >pw",
            "config set requirepass x",
            "CONFIG SET maxmemory 1 masterauth x",
            "hello 3 auth u p",
            "HELLO 3 SETNAME n AUTH u p",
            "migrate h 1 k 0 10 COPY AUTH p",
            "migrate h 1 \"\" 0 10 AUTH2 u p KEYS a",
        ] {
            assert!(has_secret(line.as_bytes()), "{line}");
        }
        for line in [
            "",
            "get auth",
            "set auth x",
            "acl list",
            "config get requirepass",
            "config set maxmemory 1",
            "hello 3",
            "3",
        ] {
            assert!(!has_secret(line.as_bytes()), "{line}");
        }
    }
}
