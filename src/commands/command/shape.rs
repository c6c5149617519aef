//! COMMAND INFO: a row as the ten-element array that clients have parsed since Redis 2.8, with the
//! parts that 7.0 added.

use super::super::table::{Begin, Find, KeySpec, Row, Table};
use super::super::{Flags, categories, keys_of};
use crate::resp::Reply;

/// Writes one row, its subcommands nested.
pub fn write(reply: &mut Reply, table: &Table, row: &Row) {
    let command = row.command;
    reply.array(10);
    reply.bulk(row.full_name().as_bytes());
    reply.int(i64::from(command.arity));
    flags(reply, row);
    let (first, last, step) = keys_of::classic(command.keys);
    reply.int(first);
    reply.int(last);
    reply.int(step);
    let names: Vec<_> = categories::of(command).map(|name| format!("@{name}")).collect();
    reply.set(names.len());
    names.iter().for_each(|name| reply.simple(name));
    reply.set(command.tips.len());
    command.tips.iter().for_each(|tip| reply.bulk(tip.as_bytes()));
    reply.set(command.keys.len());
    command.keys.iter().for_each(|spec| key_spec(reply, spec));
    reply.set(command.subcommands.len());
    let from = usize::from(row.id) + 1;
    for sub in &table.rows[from..from + command.subcommands.len()] {
        write(reply, table, sub);
    }
}

fn flags(reply: &mut Reply, row: &Row) {
    let movable = if keys_of::movable(row.command) { Flags::MOVABLE_KEYS } else { Flags::NONE };
    let set = row.command.flags.and(movable);
    let names = || Flags::NAMED.iter().filter(|(flag, _)| set.has(*flag));
    reply.set(names().count());
    names().for_each(|(_, name)| reply.simple(name));
}

/// The order and spelling of spec flags in replies.
const KEY_FLAGS: &[(&str, &str)] = &[
    ("RO", "RO"),
    ("RW", "RW"),
    ("OW", "OW"),
    ("RM", "RM"),
    ("ACCESS", "access"),
    ("UPDATE", "update"),
    ("INSERT", "insert"),
    ("DELETE", "delete"),
    ("NOT_KEY", "not_key"),
    ("INCOMPLETE", "incomplete"),
    ("VARIABLE_FLAGS", "variable_flags"),
];

/// Writes the set of a spec's flags.
pub fn key_flags(reply: &mut Reply, flags: &[&str]) {
    let names = || KEY_FLAGS.iter().filter(|(name, _)| flags.contains(name));
    reply.set(names().count());
    names().for_each(|(_, text)| reply.simple(text));
}

fn key_spec(reply: &mut Reply, spec: &KeySpec) {
    reply.map(3 + usize::from(!spec.note.is_empty()));
    if !spec.note.is_empty() {
        reply.bulk(b"notes");
        reply.bulk(spec.note.as_bytes());
    }
    reply.bulk(b"flags");
    key_flags(reply, spec.flags);
    reply.bulk(b"begin_search");
    match spec.begin {
        Begin::Index(at) => typed(reply, "index", &[("index", at)]),
        Begin::Unknown => typed(reply, "unknown", &[]),
        Begin::Keyword(word, from) => {
            head(reply, "keyword", 2);
            reply.bulk(b"keyword");
            reply.bulk(word.as_bytes());
            number(reply, ("startfrom", from));
        }
    }
    reply.bulk(b"find_keys");
    match spec.find {
        Find::Range { last, step, limit } => {
            typed(reply, "range", &[("lastkey", last), ("keystep", step), ("limit", limit)]);
        }
        Find::KeyNum { count, first, step } => {
            typed(reply, "keynum", &[("keynumidx", count), ("firstkey", first), ("keystep", step)]);
        }
        Find::Unknown => typed(reply, "unknown", &[]),
    }
}

fn typed(reply: &mut Reply, kind: &str, numbers: &[(&str, i16)]) {
    head(reply, kind, numbers.len());
    numbers.iter().for_each(|&pair| number(reply, pair));
}

fn head(reply: &mut Reply, kind: &str, fields: usize) {
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(kind.as_bytes());
    reply.bulk(b"spec");
    reply.map(fields);
}

fn number(reply: &mut Reply, (name, value): (&str, i16)) {
    reply.bulk(name.as_bytes());
    reply.int(i64::from(value));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_look_as_in_redis() {
        let mut reply = Reply::default();
        reply.resp3 = true;
        let spec = KeySpec {
            begin: Begin::Keyword("STREAMS", 1),
            find: Find::Range { last: -1, step: 1, limit: 2 },
            flags: &["ACCESS", "RO"],
            note: "",
        };
        key_spec(&mut reply, &spec);
        let text = String::from_utf8(reply.bytes).unwrap().replace("\r\n", " ");
        assert_eq!(
            text,
            "%3 $5 flags ~2 +RO +access $12 begin_search %2 $4 type $7 keyword $4 spec %2 \
             $7 keyword $7 STREAMS $9 startfrom :1 $9 find_keys %2 $4 type $5 range $4 spec %3 \
             $7 lastkey :-1 $7 keystep :1 $5 limit :2 "
        );
    }
}
