//! The iterative matcher against the definition written down as recursion, for short texts; for long
//! ones, that it ends in time (libFuzzer's own limit).

#![no_main]

use eonkv::types::glob::{Pattern, matches};
use libfuzzer_sys::fuzz_target;

fn same(a: u8, b: u8, nocase: bool) -> bool {
    a == b || nocase && a.eq_ignore_ascii_case(&b)
}

/// Whether the class that `p` begins with (after its bracket) holds `c`, and what follows it.
fn class(mut p: &[u8], c: u8, nocase: bool) -> (bool, &[u8]) {
    let not = p.first() == Some(&b'^');
    if not {
        p = &p[1..];
    }
    let mut found = false;
    loop {
        match p {
            [b'\\', escaped, rest @ ..] => {
                found |= *escaped == c;
                p = rest;
            }
            [b']', rest @ ..] => return (found != not, rest),
            [] => return (found != not, p),
            [low, b'-', high, rest @ ..] => {
                let (mut low, mut high) = (*low.min(high), *low.max(high));
                let mut c = c;
                if nocase {
                    [low, high, c] = [low, high, c].map(|b| b.to_ascii_lowercase());
                }
                found |= (low..=high).contains(&c);
                p = rest;
            }
            [one, rest @ ..] => {
                found |= same(*one, c, nocase);
                p = rest;
            }
        }
    }
}

fn defined(p: &[u8], s: &[u8], nocase: bool) -> bool {
    match (p, s) {
        ([], _) => s.is_empty(),
        ([b'*', rest @ ..], _) => (0..=s.len()).any(|at| defined(rest, &s[at..], nocase)),
        (_, []) => false,
        ([b'?', rest @ ..], [_, s @ ..]) => defined(rest, s, nocase),
        ([b'[', rest @ ..], [c, s @ ..]) => {
            let (fits, rest) = class(rest, *c, nocase);
            fits && defined(rest, s, nocase)
        }
        ([b'\\', one, rest @ ..] | [one, rest @ ..], [c, s @ ..]) => {
            same(*one, *c, nocase) && defined(rest, s, nocase)
        }
    }
}

fuzz_target!(|input: (bool, &[u8], &[u8])| {
    let (nocase, pattern, text) = input;
    let found = matches(pattern, text, nocase);
    let compiled = if nocase { Pattern::nocase(pattern) } else { Pattern::new(pattern) };
    // KEYS and SCAN take the pattern `*` for none at all.
    let all = pattern == b"*" && text.is_empty();
    assert_eq!(compiled.matches(text), found || all, "{pattern:?} {text:?} {nocase}");
    let stars = pattern.iter().filter(|b| **b == b'*').count();
    if text.len() <= 16 && stars <= 4 && !text.is_empty() {
        let want = defined(pattern, text, nocase);
        assert!(found == want, "{pattern:?} {text:?} {nocase}: {found}, not {want}");
    }
});
