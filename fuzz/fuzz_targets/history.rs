//! Any history of string commands gives the replies that a plain map would give.

#![no_main]

#[path = "common/server.rs"]
mod server;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use server::Server;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::mem::ManuallyDrop;

#[derive(Debug, Arbitrary)]
enum Op {
    Get(u8),
    Set(u8, Value),
    SetNx(u8, Value),
    GetSet(u8, Value),
    GetDel(u8),
    Append(u8, Value),
    SetRange(u8, u16, Value),
    GetRange(u8, i8, i8),
    IncrBy(u8, i64),
    Del(u8, u8),
    Exists(u8, u8),
    Strlen(u8),
    MSet(u8, u8, Value),
    MGet(u8, u8),
    Rename(u8, u8),
    Copy(u8, u8, bool),
    Expire(u8),
    Persist(u8),
    Type(u8),
}

#[derive(Debug, Clone, Arbitrary)]
enum Value {
    Bytes(Vec<u8>),
    Number(i64),
    /// A length: long strings live in another kind of block.
    Long(u16),
}

impl Value {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Number(number) => number.to_string().into_bytes(),
            Self::Long(n) => vec![b'x'; usize::from(*n)],
        }
    }
}

/// Value, and whether it expires (far ahead).
type Model = BTreeMap<Vec<u8>, (Vec<u8>, bool)>;

fn key(key: u8) -> Vec<u8> {
    format!("key:{}", key % 5).into_bytes()
}

fn bulk(value: Option<&Vec<u8>>) -> Vec<u8> {
    match value {
        None => b"$-1\r\n".to_vec(),
        Some(value) => [format!("${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat(),
    }
}

fn int(n: i64) -> Vec<u8> {
    format!(":{n}\r\n").into_bytes()
}

const OK: &[u8] = b"+OK\r\n";

fn number(value: &[u8]) -> Option<i64> {
    let number: i64 = std::str::from_utf8(value).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == value).then_some(number)
}

fn range(value: &[u8], from: i64, to: i64) -> Vec<u8> {
    let n = value.len() as i64;
    if from < 0 && to < 0 && from > to {
        return Vec::new();
    }
    let place = |at: i64| (if at < 0 { n + at } else { at }).max(0);
    let (from, to) = (place(from), place(to).min(n - 1));
    if n == 0 || from > to { Vec::new() } else { value[from as usize..=to as usize].to_vec() }
}

/// The words to send and the reply to expect.
fn step(op: &Op, model: &mut Model) -> (Vec<Vec<u8>>, Vec<u8>) {
    let word = |text: &str| text.as_bytes().to_vec();
    let value = |model: &Model, k: u8| model.get(&key(k)).map(|(value, _)| value.clone());
    match op {
        Op::Get(k) => (vec![word("GET"), key(*k)], bulk(value(model, *k).as_ref())),
        Op::Set(k, v) => {
            model.insert(key(*k), (v.bytes(), false));
            (vec![word("SET"), key(*k), v.bytes()], OK.to_vec())
        }
        Op::SetNx(k, v) => {
            let free = !model.contains_key(&key(*k));
            model.entry(key(*k)).or_insert_with(|| (v.bytes(), false));
            (vec![word("SETNX"), key(*k), v.bytes()], int(i64::from(free)))
        }
        Op::GetSet(k, v) => {
            let old = model.insert(key(*k), (v.bytes(), false)).map(|(old, _)| old);
            (vec![word("GETSET"), key(*k), v.bytes()], bulk(old.as_ref()))
        }
        Op::GetDel(k) => {
            let old = model.remove(&key(*k)).map(|(old, _)| old);
            (vec![word("GETDEL"), key(*k)], bulk(old.as_ref()))
        }
        Op::Append(k, v) => {
            let (text, _) = model.entry(key(*k)).or_default();
            text.extend(v.bytes());
            (vec![word("APPEND"), key(*k), v.bytes()], int(text.len() as i64))
        }
        Op::SetRange(k, at, v) => {
            let (at, v) = (usize::from(*at), v.bytes());
            let mut n = model.get(&key(*k)).map_or(0, |(text, _)| text.len());
            if !v.is_empty() {
                let (text, _) = model.entry(key(*k)).or_default();
                text.resize(text.len().max(at + v.len()), 0);
                text[at..at + v.len()].copy_from_slice(&v);
                n = text.len();
            }
            (vec![word("SETRANGE"), key(*k), at.to_string().into_bytes(), v], int(n as i64))
        }
        Op::GetRange(k, from, to) => {
            let text = value(model, *k).unwrap_or_default();
            let words = [from, to].map(|at| at.to_string().into_bytes());
            let [a, b] = words;
            let part = range(&text, i64::from(*from), i64::from(*to));
            (vec![word("GETRANGE"), key(*k), a, b], bulk(Some(&part)))
        }
        Op::IncrBy(k, by) => {
            let words = vec![word("INCRBY"), key(*k), by.to_string().into_bytes()];
            let reply = match value(model, *k).map_or(Some(0), |text| number(&text)) {
                None => b"-ERR value is not an integer or out of range\r\n".to_vec(),
                Some(old) => match old.checked_add(*by) {
                    None => b"-ERR increment or decrement would overflow\r\n".to_vec(),
                    Some(new) => {
                        model.entry(key(*k)).or_default().0 = new.to_string().into_bytes();
                        int(new)
                    }
                },
            };
            (words, reply)
        }
        Op::Del(a, b) => {
            let gone = [a, b].map(|k| i64::from(model.remove(&key(*k)).is_some()));
            (vec![word("DEL"), key(*a), key(*b)], int(gone[0] + gone[1]))
        }
        Op::Exists(a, b) => {
            let there = [a, b].map(|k| i64::from(model.contains_key(&key(*k))));
            (vec![word("EXISTS"), key(*a), key(*b)], int(there[0] + there[1]))
        }
        Op::Strlen(k) => {
            let n = value(model, *k).map_or(0, |text| text.len());
            (vec![word("STRLEN"), key(*k)], int(n as i64))
        }
        Op::MSet(a, b, v) => {
            model.insert(key(*a), (v.bytes(), false));
            model.insert(key(*b), (v.bytes(), false));
            (vec![word("MSET"), key(*a), v.bytes(), key(*b), v.bytes()], OK.to_vec())
        }
        Op::MGet(a, b) => {
            let values = [a, b].map(|k| bulk(value(model, *k).as_ref()));
            (
                vec![word("MGET"), key(*a), key(*b)],
                [b"*2\r\n".as_slice(), &values[0], &values[1]].concat(),
            )
        }
        Op::Rename(a, b) => {
            let reply = match model.remove(&key(*a)) {
                None => b"-ERR no such key\r\n".to_vec(),
                Some(value) => {
                    model.insert(key(*b), value);
                    OK.to_vec()
                }
            };
            (vec![word("RENAME"), key(*a), key(*b)], reply)
        }
        Op::Copy(a, b, replace) => {
            let mut words = vec![word("COPY"), key(*a), key(*b)];
            words.extend(replace.then(|| word("REPLACE")));
            if key(*a) == key(*b) {
                let text = b"-ERR source and destination objects are the same\r\n";
                return (words, text.to_vec());
            }
            let source = model.get(&key(*a)).cloned();
            let can = source.is_some() && (*replace || !model.contains_key(&key(*b)));
            if let Some(source) = source.filter(|_| can) {
                model.insert(key(*b), source);
            }
            (words, int(i64::from(can)))
        }
        Op::Expire(k) => {
            let there = model.get_mut(&key(*k)).map(|(_, expires)| *expires = true).is_some();
            (vec![word("EXPIRE"), key(*k), word("100000")], int(i64::from(there)))
        }
        Op::Persist(k) => {
            let had = model.get_mut(&key(*k)).is_some_and(|(_, expires)| std::mem::take(expires));
            (vec![word("PERSIST"), key(*k)], int(i64::from(had)))
        }
        Op::Type(k) => {
            let there = model.contains_key(&key(*k));
            let name: &[u8] = if there { b"+string\r\n" } else { b"+none\r\n" };
            (vec![word("TYPE"), key(*k)], name.to_vec())
        }
    }
}

thread_local! {
    // Never dropped: the maps in it want thread-locals that may be gone when this one goes.
    static SERVER: RefCell<ManuallyDrop<Server>> =
        RefCell::new(ManuallyDrop::new(Server::new()));
}

fuzz_target!(|input: (bool, Vec<Op>)| {
    let (together, ops) = input;
    SERVER.with_borrow_mut(|server| {
        server.run(&[vec!["DEL", "key:0", "key:1", "key:2", "key:3", "key:4"]]);
        let mut model = Model::new();
        let steps: Vec<_> = ops.iter().map(|op| step(op, &mut model)).collect();
        if together {
            let words: Vec<_> = steps.iter().map(|(words, _)| words.clone()).collect();
            let want: Vec<u8> = steps.iter().flat_map(|(_, reply)| reply.clone()).collect();
            assert!(server.run(&words) == want, "{ops:?}");
        } else {
            for (words, reply) in steps {
                let got = server.run(std::slice::from_ref(&words));
                assert_eq!(got, reply, "{words:?}");
            }
        }
        let size = server.run(&[vec!["DBSIZE"]]);
        assert_eq!(size, int(model.len() as i64));
    });
});
