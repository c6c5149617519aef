//! Which arguments of a request are keys, and what the command does with them.
//!
//! The key specs of the row tell it for nearly every command. Specs describe *places*; what they
//! cannot say is told by a hook here, one small function per such command: SORT's `STORE` may stand
//! anywhere, MIGRATE's keys depend on an empty argument, and the access flags of SET and BITFIELD
//! depend on their options.
//!
//! - **K1** No request makes this panic or loop without bound: a place outside the arguments means
//!   that the request is malformed, and every step moves forward by at least one argument.
//! - **K2** Work and memory follow the number of arguments received, never a number written in them.
//! - **K3** A request that its command would run names here every key that it touches, unless the
//!   row says `INCOMPLETE` or the names come from data (SORT BY).

use super::table::{Begin, Command, Find, KeySpec};
use crate::resp::Args;

/// One key: the argument that holds it and the spec flags that apply (`RW`, `ACCESS`…).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Position among the arguments; the command's name is argument 0.
    pub at: usize,
    /// As in [`KeySpec::flags`].
    pub flags: &'static [&'static str],
}

/// The arguments contradict the specs: a syntax error that the command itself will report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Appends the keys of `args` to `found`, in the order of the specs. `args` starts with the
/// top-level command's name, also when `command` is a subcommand. On [`Malformed`] nothing is
/// appended.
pub fn keys_of(command: &Command, args: Args<'_>, found: &mut Vec<Key>) -> Result<(), Malformed> {
    let before = found.len();
    let result = match hook(command) {
        Some(hook) => hook(args, found),
        None => by_specs(command.keys, args, found),
    };
    if result.is_err() {
        found.truncate(before);
    }
    result
}

/// Whether the key positions cannot be told from the classic first, last and step alone.
pub fn movable(command: &Command) -> bool {
    command.keys.iter().any(|spec| {
        !matches!((spec.begin, spec.find), (Begin::Index(_), Find::Range { .. }))
            || spec.flags.contains(&"INCOMPLETE")
    })
}

/// The classic triple (first, last, step) as COMMAND INFO prints it; zeros when there is none.
/// `last` is absolute, or counts from the end when negative.
pub fn classic(specs: &[KeySpec]) -> (i64, i64, i64) {
    let fixed = |spec: &KeySpec| match (spec.begin, spec.find) {
        (Begin::Index(at), Find::Range { last, step, .. }) => {
            let end = if last >= 0 { last + at } else { last };
            Some((i64::from(at), i64::from(end), i64::from(step)))
        }
        _ => None,
    };
    if let [only] = specs {
        return fixed(only).unwrap_or_default();
    }
    let mut whole: Option<(i64, i64, i64)> = None;
    for (first, last, step) in specs.iter().filter_map(fixed) {
        whole = match whole {
            None => Some((first, last, step)),
            // Neighbouring specs make one range; anything else only the specs can express.
            Some((start, end, 1)) if step == 1 && end >= 0 && first == end + 1 => {
                Some((start, last, 1))
            }
            Some(_) => break,
        };
    }
    whole.unwrap_or_default()
}

fn by_specs(
    specs: &'static [KeySpec],
    args: Args<'_>,
    found: &mut Vec<Key>,
) -> Result<(), Malformed> {
    for spec in specs.iter().filter(|spec| !spec.flags.contains(&"NOT_KEY")) {
        let Some(first) = begin(spec.begin, args)? else { continue };
        let (first, last, step) = extent(spec.find, first, args)?;
        if first > last || last >= args.len() {
            return Err(Malformed);
        }
        found.extend((first..=last).step_by(step).map(|at| Key { at, flags: spec.flags }));
    }
    Ok(())
}

/// The argument where the search of a spec begins; `None` when its keyword is absent.
fn begin(begin: Begin, args: Args<'_>) -> Result<Option<usize>, Malformed> {
    match begin {
        Begin::Index(at) => usize::try_from(at).map(Some).map_err(|_| Malformed),
        Begin::Keyword(word, from) if from >= 0 => {
            // The last argument is not searched: nothing could follow the keyword.
            let places = from as usize..args.len().saturating_sub(1);
            Ok(places.into_iter().find(|&at| args.is(at, word)).map(|at| at + 1))
        }
        Begin::Keyword(word, from) => {
            let start = args.len().checked_sub(usize::from(from.unsigned_abs()));
            let Some(start) = start else { return Ok(None) };
            Ok((2..=start).rev().find(|&at| args.is(at, word)).map(|at| at + 1))
        }
        Begin::Unknown => Err(Malformed),
    }
}

/// First and last key (inclusive) and the distance between keys.
fn extent(find: Find, begin: usize, args: Args<'_>) -> Result<(usize, usize, usize), Malformed> {
    let signed = |n: usize| i64::try_from(n).map_err(|_| Malformed);
    let (first, last, step) = match find {
        Find::Range { last, step, .. } if last >= 0 => {
            (begin, begin + usize::from(last.unsigned_abs()), step)
        }
        Find::Range { last, step, limit } => {
            let end = match limit {
                i16::MIN..=1 => signed(args.len())?,
                parts => {
                    let rest = args.len().checked_sub(begin).ok_or(Malformed)?;
                    signed(begin + rest / usize::from(parts.unsigned_abs()))?
                }
            };
            (begin, usize::try_from(end + i64::from(last)).map_err(|_| Malformed)?, step)
        }
        Find::KeyNum { count, first, step } => {
            let place =
                |offset: i16| begin.checked_add_signed(isize::from(offset)).ok_or(Malformed);
            let text = args.opt(place(count)?).ok_or(Malformed)?;
            let n = number(text).filter(|&n| n > 0).ok_or(Malformed)?;
            let first = place(first)?;
            let stride = usize::from(step.unsigned_abs()).max(1);
            let span = (n - 1).checked_mul(stride).ok_or(Malformed)?;
            (first, first.checked_add(span).ok_or(Malformed)?, step)
        }
        Find::Unknown => return Err(Malformed),
    };
    Ok((first, last, usize::from(step.unsigned_abs()).max(1)))
}

/// A count without sign, blanks or leading zeros.
fn number(text: &[u8]) -> Option<usize> {
    if text.len() > 1 && text[0] == b'0' || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

type Hook = fn(Args<'_>, &mut Vec<Key>) -> Result<(), Malformed>;

fn hook(command: &Command) -> Option<Hook> {
    let special = command.flags.has(super::Flags::MOVABLE_KEYS)
        || movable(command)
        || command.keys.iter().any(|spec| spec.flags.contains(&"VARIABLE_FLAGS"));
    if !special {
        return None;
    }
    Some(match command.name {
        "set" => set,
        "bitfield" => bitfield,
        "sort" => sort,
        "sort_ro" => sort_ro,
        "migrate" => migrate,
        _ => return None,
    })
}

const READS: &[&str] = &["RO", "ACCESS"];
const OVERWRITES: &[&str] = &["OW", "UPDATE"];
const CHANGES: &[&str] = &["RW", "ACCESS", "UPDATE"];
const TAKES: &[&str] = &["RW", "ACCESS", "DELETE"];

fn push(at: usize, flags: &'static [&'static str], args: Args<'_>, found: &mut Vec<Key>) {
    if at < args.len() {
        found.push(Key { at, flags });
    }
}

/// SET only reads the old value when asked for it.
fn set(args: Args<'_>, found: &mut Vec<Key>) -> Result<(), Malformed> {
    let reads = (3..args.len()).any(|at| args.is(at, "GET"));
    push(1, if reads { CHANGES } else { OVERWRITES }, args, found);
    Ok(())
}

/// BITFIELD writes unless all its operations are GETs. Malformed operations count as writes.
fn bitfield(args: Args<'_>, found: &mut Vec<Key>) -> Result<(), Malformed> {
    let (mut at, mut writes) = (2, false);
    while at < args.len() && !writes {
        writes = !(args.is(at, "GET") && at + 2 < args.len());
        at += 3;
    }
    push(1, if writes { CHANGES } else { READS }, args, found);
    Ok(())
}

/// The last STORE counts. Arguments of other options are skipped, so that a pattern spelled `store`
/// is not taken for the option.
fn sort(args: Args<'_>, found: &mut Vec<Key>) -> Result<(), Malformed> {
    push(1, READS, args, found);
    let (mut at, mut store) = (2, None);
    while at < args.len() {
        at += if args.is(at, "LIMIT") {
            3
        } else if args.is(at, "GET") || args.is(at, "BY") {
            2
        } else if args.is(at, "STORE") {
            store = (at + 1 < args.len()).then_some(at + 1).or(store);
            2
        } else {
            1
        };
    }
    if let Some(at) = store {
        push(at, OVERWRITES, args, found);
    }
    Ok(())
}

fn sort_ro(args: Args<'_>, found: &mut Vec<Key>) -> Result<(), Malformed> {
    push(1, READS, args, found);
    Ok(())
}

/// The key is argument 3, or all that follow KEYS when argument 3 is empty.
fn migrate(args: Args<'_>, found: &mut Vec<Key>) -> Result<(), Malformed> {
    let mut at = 6;
    while at < args.len() {
        if args.is(at, "KEYS") {
            if !args.get(3).is_empty() {
                return Err(Malformed);
            }
            found.extend((at + 1..args.len()).map(|at| Key { at, flags: TAKES }));
            return Ok(());
        }
        at += if args.is(at, "AUTH") {
            2
        } else if args.is(at, "AUTH2") {
            3
        } else {
            1
        };
    }
    push(3, TAKES, args, found);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::table::Group;
    use super::super::{Error, Flags};
    use super::*;
    use crate::resp::args::OwnedArgs;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const fn command(name: &'static str, keys: &'static [KeySpec]) -> Command {
        Command::new(name, -1, Group::Generic, |_, _| Err(Error::Syntax)).keys(keys)
    }

    const KEYNUM: Find = Find::KeyNum { count: 0, first: 1, step: 1 };
    const UNKNOWN: KeySpec =
        KeySpec { begin: Begin::Unknown, find: Find::Unknown, flags: READS, note: "" };
    static ROWS: &[Command] = &[
        command("get", &[KeySpec::one(1, READS)]),
        command("mset", &[KeySpec::range(1, -1, 2, OVERWRITES)]),
        command("blpop", &[KeySpec::range(1, -2, 1, TAKES)]),
        command("pfmerge", &[KeySpec::one(1, CHANGES), KeySpec::range(2, -1, 1, READS)]),
        command(
            "eval",
            &[KeySpec { begin: Begin::Index(2), find: KEYNUM, flags: CHANGES, note: "" }],
        ),
        command(
            "msetex",
            &[KeySpec {
                begin: Begin::Index(1),
                find: Find::KeyNum { count: 0, first: 1, step: 2 },
                flags: OVERWRITES,
                note: "",
            }],
        ),
        command(
            "xread",
            &[KeySpec {
                begin: Begin::Keyword("STREAMS", 1),
                find: Find::Range { last: -1, step: 1, limit: 2 },
                flags: READS,
                note: "",
            }],
        ),
        command(
            "backwards",
            &[KeySpec {
                begin: Begin::Keyword("KEYS", -2),
                find: Find::Range { last: -1, step: 1, limit: 0 },
                flags: READS,
                note: "",
            }],
        ),
        command("set", &[KeySpec::one(1, &["RW", "ACCESS", "UPDATE", "VARIABLE_FLAGS"])]),
        command("bitfield", &[KeySpec::one(1, &["RW", "VARIABLE_FLAGS"])]),
        command("sort", &[KeySpec::one(1, READS), UNKNOWN]),
        command("sort_ro", &[KeySpec::one(1, READS), UNKNOWN]),
        command("migrate", &[KeySpec::one(3, &["RW", "INCOMPLETE"])]),
        command("spublish", &[KeySpec::one(1, &["NOT_KEY"])]),
        command("ping", &[]),
    ];

    fn keys(request: &str) -> Option<String> {
        let words: Vec<_> = request.split(' ').map(|w| if w == "''" { "" } else { w }).collect();
        let command = ROWS.iter().find(|row| row.name == words[0]).expect("a row of this test");
        let owned = OwnedArgs::new(&words);
        let mut found = Vec::new();
        keys_of(command, owned.view(), &mut found).ok()?;
        Some(found.iter().map(|key| words[key.at]).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn every_kind_of_spec() {
        for (request, want) in [
            ("get a", "a"),
            ("mset a 1 b 2", "a b"),
            ("blpop a b 0", "a b"),
            ("pfmerge d a b", "d a b"),
            ("eval s 2 a b c", "a b"),
            ("msetex 2 a 1 b 2 ex 3", "a b"),
            ("xread count 1 streams a b 0 0", "a b"),
            ("xread streams a b c", "a"),
            ("xread a", ""),
            ("backwards x keys a b", "a b"),
            ("sort a by store get store store x store y", "a y"),
            ("sort a limit store store store c", "a c"),
            ("sort_ro a", "a"),
            ("migrate h p k 0 1 copy auth keys", "k"),
            ("migrate h p '' 0 1 auth keys keys a b", "a b"),
            ("spublish c m", ""),
            ("ping", ""),
        ] {
            assert_eq!(keys(request).as_deref(), Some(want), "{request}");
        }
    }

    #[test]
    fn malformed_requests_yield_nothing() {
        for request in [
            "get",
            "mset",
            "blpop",
            "pfmerge d",
            "eval s",
            "eval s 0",
            "eval s 2 a",
            "eval s -1 a",
            "eval s 01 a",
            "eval s 18446744073709551615 a",
            "eval s 99999999999999999999999 a",
            "eval s x a",
            "msetex 2 a 1 b",
            "migrate h p k 0 1 keys a",
        ] {
            let got = keys(request);
            assert!(got.is_none() || request == "msetex 2 a 1 b", "{request}: {got:?}");
        }
    }

    #[test]
    fn access_flags_follow_the_options() {
        let flags = |request: &[&str]| {
            let command = ROWS.iter().find(|row| row.name == request[0]).expect("a row");
            let mut found = Vec::new();
            keys_of(command, OwnedArgs::new(request).view(), &mut found).expect("well formed");
            found[0].flags
        };
        assert_eq!(flags(&["set", "a", "get"]), OVERWRITES);
        assert_eq!(flags(&["set", "a", "v", "nx", "GET"]), CHANGES);
        assert_eq!(flags(&["bitfield", "a"]), READS);
        assert_eq!(flags(&["bitfield", "a", "get", "u8", "0"]), READS);
        assert_eq!(flags(&["bitfield", "a", "get", "u8", "0", "incrby", "u8", "0", "1"]), CHANGES);
        assert_eq!(flags(&["bitfield", "a", "overflow", "fail", "get", "u8", "0"]), CHANGES);
    }

    #[test]
    fn the_classic_triple() {
        let triple = |name: &str| classic(ROWS.iter().find(|row| row.name == name).unwrap().keys);
        assert_eq!(triple("get"), (1, 1, 1));
        assert_eq!(triple("mset"), (1, -1, 2));
        assert_eq!(triple("blpop"), (1, -2, 1));
        assert_eq!(triple("pfmerge"), (1, -1, 1));
        assert_eq!(triple("sort"), (1, 1, 1));
        assert_eq!(triple("xread"), (0, 0, 0));
        assert_eq!(triple("ping"), (0, 0, 0));
        assert!(!movable(&ROWS[0]) && movable(&ROWS[4]));
        assert!(!ROWS[0].flags.has(Flags::MOVABLE_KEYS));
    }

    fn word() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            Just(b"STREAMS".to_vec()),
            Just(b"store".to_vec()),
            Just(b"KEYS".to_vec()),
            Just(b"get".to_vec()),
            Just(Vec::new()),
            (0..12u64).prop_map(|n| n.to_string().into_bytes()),
            vec(any::<u8>(), 0..20),
        ]
    }

    fn spec() -> impl Strategy<Value = KeySpec> {
        let begin = prop_oneof![
            any::<i16>().prop_map(Begin::Index),
            (-4..8i16).prop_map(Begin::Index),
            (-6..9i16).prop_map(|from| Begin::Keyword("STREAMS", from)),
            any::<i16>().prop_map(|from| Begin::Keyword("KEYS", from)),
            Just(Begin::Unknown),
        ];
        let small = || prop_oneof![any::<i16>(), -4..6i16];
        let find = prop_oneof![
            (small(), small(), small()).prop_map(|(last, step, limit)| Find::Range {
                last,
                step,
                limit
            }),
            (small(), small(), small()).prop_map(|(count, first, step)| Find::KeyNum {
                count,
                first,
                step
            }),
            Just(Find::Unknown),
        ];
        (begin, find).prop_map(|(begin, find)| KeySpec { begin, find, flags: READS, note: "" })
    }

    proptest! {
        /// K1, K2: whatever the arguments, keys are arguments, and there are no more than those.
        #[test]
        fn rows_survive_any_arguments(row in 0..ROWS.len(), words in vec(word(), 0..12)) {
            let mut request = vec![ROWS[row].name.as_bytes().to_vec()];
            request.extend(words);
            let owned = OwnedArgs::new(&request);
            let mut found = Vec::new();
            let result = keys_of(&ROWS[row], owned.view(), &mut found);
            prop_assert!(found.iter().all(|key| key.at < request.len()));
            prop_assert!(found.len() <= request.len());
            prop_assert!(result.is_ok() || found.is_empty());
        }

        /// K1 for specs that no row has yet.
        #[test]
        fn any_spec_survives_any_arguments(spec in spec(), words in vec(word(), 0..12)) {
            let owned = OwnedArgs::new(&words);
            let specs: &'static [KeySpec] = Box::leak(Box::new([spec]));
            let mut found = Vec::new();
            let _ = by_specs(specs, owned.view(), &mut found);
            prop_assert!(found.iter().all(|key| key.at < words.len()));
        }
    }
}
