//! Commands on a stream and its groups give the replies that a plain list with plain maps gives.
//!
//! Blocks are small (three entries), so that they begin, fill and go all the time.

#![no_main]

#[path = "common/server.rs"]
mod server;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use server::Server;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::mem::ManuallyDrop;

type Id = (u64, u64);

#[derive(Debug, Arbitrary)]
enum Op<'a> {
    Add { ms: u8, seq: u8, next: bool, own: bool, value: &'a [u8] },
    Range { from: u8, to: u8, count: u8, back: bool, open: bool },
    Delete(u8, u8),
    KeepLast(u8),
    KeepFrom(u8),
    Create(bool, u8),
    Destroy(bool),
    Read { group: bool, who: u8, count: u8, forget: bool },
    History { group: bool, who: u8, from: u8 },
    Acknowledge(bool, u8, u8),
    Claim { group: bool, who: u8, at: u8, force: bool },
    Sweep { group: bool, who: u8, from: u8, count: u8 },
    Leave(bool, u8),
    Forget { at: u8, how: u8 },
    Join(bool, u8),
}

#[derive(Default)]
struct Group {
    last: Id,
    pending: BTreeMap<Id, u8>,
    consumers: BTreeMap<u8, ()>,
}

#[derive(Default)]
struct Model {
    entries: BTreeMap<Id, Vec<Vec<u8>>>,
    /// Every name there ever was, to be named again.
    names: Vec<Id>,
    last: Id,
    groups: BTreeMap<bool, Group>,
}

thread_local! {
    static SERVER: RefCell<ManuallyDrop<Server>> = RefCell::new(ManuallyDrop::new(Server::new()));
}

fn text(id: Id) -> String {
    format!("{}-{}", id.0, id.1)
}

fn bulk(text: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", text.len()).as_bytes(), text, b"\r\n"].concat()
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", items.len()).into_bytes();
    items.iter().for_each(|item| out.extend_from_slice(item));
    out
}

fn entry(id: Id, fields: &[Vec<u8>]) -> Vec<u8> {
    let fields: Vec<_> = fields.iter().map(|text| bulk(text)).collect();
    list(&[bulk(text(id).as_bytes()), list(&fields)])
}

fn int(value: usize) -> Vec<u8> {
    format!(":{value}\r\n").into_bytes()
}

impl Model {
    fn name(&self, at: u8) -> Id {
        match self.names.len() {
            0 => (u64::from(at), 1),
            len => self.names[usize::from(at) % len],
        }
    }

    /// The request of an operation, and its reply.
    fn apply(&mut self, op: &Op<'_>) -> (Vec<Vec<u8>>, Vec<u8>) {
        let words = |text: String| text.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        let flag = |group: bool| if group { "g" } else { "h" };
        match *op {
            Op::Add { ms, seq, next, own, value } => {
                let id = (self.last.0 + u64::from(ms % 4), u64::from(seq % 8));
                let name = if next { format!("{}-*", id.0) } else { text(id) };
                let id = match next {
                    true if id.0 == self.last.0 => (id.0, self.last.1 + 1),
                    true => (id.0, 0),
                    false => id,
                };
                let mut fields = vec![b"n".to_vec(), value.to_vec(), b"7".to_vec(), b"-1".to_vec()];
                if own {
                    fields.truncate(2);
                    fields[0] = value.to_vec();
                }
                let mut request = vec![b"XADD".to_vec(), b"s".to_vec(), name.into_bytes()];
                request.extend(fields.iter().cloned());
                if !next && id == (0, 0) {
                    let text = "-ERR The ID specified in XADD must be greater than 0-0\r\n";
                    return (request, text.into());
                }
                if id <= self.last {
                    let text = "-ERR The ID specified in XADD is equal or smaller than the target \
                                stream top item\r\n";
                    return (request, text.into());
                }
                self.last = id;
                self.names.push(id);
                self.entries.insert(id, fields);
                (request, bulk(text(id).as_bytes()))
            }
            Op::Range { from, to, count, back, open } => {
                let (from, to) = (self.name(from), self.name(to));
                let (low, high) = if open { ("(", "(") } else { ("", "") };
                let within =
                    |id: &Id| if open { *id > from && *id < to } else { *id >= from && *id <= to };
                let mut found: Vec<_> = self.entries.iter().filter(|(id, _)| within(id)).collect();
                if back {
                    found.reverse();
                }
                let count = usize::from(count % 8) + 1;
                let found: Vec<_> =
                    found.into_iter().take(count).map(|(id, fields)| entry(*id, fields)).collect();
                let ends = [format!("{low}{}", text(from)), format!("{high}{}", text(to))];
                let line = match back {
                    true => format!("XREVRANGE s {} {} COUNT {count}", ends[1], ends[0]),
                    false => format!("XRANGE s {} {} COUNT {count}", ends[0], ends[1]),
                };
                (words(line), list(&found))
            }
            Op::Delete(one, two) => {
                let ids = [self.name(one), self.name(two)];
                let count = ids.iter().filter(|id| self.entries.remove(id).is_some()).count();
                (words(format!("XDEL s {} {}", text(ids[0]), text(ids[1]))), int(count))
            }
            Op::KeepLast(keep) => {
                let count = self.entries.len().saturating_sub(usize::from(keep));
                (0..count).for_each(|_| drop(self.entries.pop_first()));
                (words(format!("XTRIM s MAXLEN {keep}")), int(count))
            }
            Op::KeepFrom(at) => {
                let from = self.name(at);
                let kept = self.entries.split_off(&from);
                let count = std::mem::replace(&mut self.entries, kept).len();
                (words(format!("XTRIM s MINID {}", text(from))), int(count))
            }
            Op::Create(group, at) => {
                let last = self.name(at);
                let line = words(format!("XGROUP CREATE s {} {}", flag(group), text(last)));
                if self.groups.contains_key(&group) {
                    return (line, b"-BUSYGROUP Consumer Group name already exists\r\n".to_vec());
                }
                self.groups.insert(group, Group { last, ..Group::default() });
                (line, b"+OK\r\n".to_vec())
            }
            Op::Destroy(group) => {
                let gone = self.groups.remove(&group).is_some();
                (words(format!("XGROUP DESTROY s {}", flag(group))), int(usize::from(gone)))
            }
            _ => self.in_group(op),
        }
    }

    fn in_group(&mut self, op: &Op<'_>) -> (Vec<Vec<u8>>, Vec<u8>) {
        let (Op::Read { group, .. }
        | Op::History { group, .. }
        | Op::Acknowledge(group, ..)
        | Op::Claim { group, .. }
        | Op::Sweep { group, .. }
        | Op::Leave(group, _)
        | Op::Join(group, _)) = *op
        else {
            return self.forget(op);
        };
        let name = if group { "g" } else { "h" };
        let names = self.names.clone();
        let named =
            |at: u8| names.get(usize::from(at) % names.len().max(1)).copied().unwrap_or((1, 1));
        let words = |text: String| text.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        let Some(of) = self.groups.get_mut(&group) else {
            return (words("XLEN s".into()), int(self.entries.len()));
        };
        let entries = &mut self.entries;
        match *op {
            Op::Read { who, count, forget, .. } => {
                let (who, count) = (who % 3, usize::from(count % 4) + 1);
                of.consumers.insert(who, ());
                let last = of.last;
                let mut found = Vec::new();
                for (id, fields) in entries.iter().filter(|(id, _)| **id > last).take(count) {
                    found.push(entry(*id, fields));
                    of.last = *id;
                    if !forget {
                        of.pending.insert(*id, who);
                    }
                }
                let forget = if forget { "NOACK " } else { "" };
                let line =
                    format!("XREADGROUP GROUP {name} {who} COUNT {count} {forget}STREAMS s >");
                let reply = match found.is_empty() {
                    true => b"*-1\r\n".to_vec(),
                    false => list(&[list(&[bulk(b"s"), list(&found)])]),
                };
                (words(line), reply)
            }
            Op::History { who, from, .. } => {
                let (who, from) = (who % 3, named(from));
                of.consumers.insert(who, ());
                let mine = of.pending.iter().filter(|(id, owner)| **id > from && **owner == who);
                let found: Vec<_> = mine
                    .map(|(id, _)| match entries.get(id) {
                        Some(fields) => entry(*id, fields),
                        None => list(&[bulk(text(*id).as_bytes()), b"*-1\r\n".to_vec()]),
                    })
                    .collect();
                let line = format!("XREADGROUP GROUP {name} {who} STREAMS s {}", text(from));
                (words(line), list(&[list(&[bulk(b"s"), list(&found)])]))
            }
            Op::Acknowledge(_, one, two) => {
                let ids = [named(one), named(two)];
                let count = ids.iter().filter(|id| of.pending.remove(id).is_some()).count();
                (words(format!("XACK s {name} {} {}", text(ids[0]), text(ids[1]))), int(count))
            }
            Op::Claim { who, at, force, .. } => {
                let (who, id) = (who % 3, named(at));
                of.consumers.insert(who, ());
                let there = entries.contains_key(&id);
                let claimed = there && (force || of.pending.contains_key(&id));
                if claimed {
                    of.pending.insert(id, who);
                } else if !there {
                    of.pending.remove(&id);
                }
                let force = if force { " FORCE" } else { "" };
                let line = format!("XCLAIM s {name} {who} 0 {} JUSTID{force}", text(id));
                let ids = if claimed { vec![bulk(text(id).as_bytes())] } else { Vec::new() };
                (words(line), list(&ids))
            }
            Op::Sweep { who, from, count, .. } => {
                let (who, from, count) = (who % 3, named(from), usize::from(count % 4) + 1);
                of.consumers.insert(who, ());
                let all: Vec<Id> = of.pending.range(from..).map(|(id, _)| *id).collect();
                let (mut kept, mut gone) = (Vec::new(), Vec::new());
                for id in all.iter().take(count) {
                    if entries.contains_key(id) {
                        of.pending.insert(*id, who);
                        kept.push(bulk(text(*id).as_bytes()));
                    } else {
                        of.pending.remove(id);
                        gone.push(bulk(text(*id).as_bytes()));
                    }
                }
                let next = all.get(count).copied().unwrap_or_default();
                let line =
                    format!("XAUTOCLAIM s {name} {who} 0 {} COUNT {count} JUSTID", text(from));
                (words(line), list(&[bulk(text(next).as_bytes()), list(&kept), list(&gone)]))
            }
            Op::Leave(_, who) => {
                let who = who % 3;
                let mine = of.pending.values().filter(|owner| **owner == who).count();
                let mut line = String::new();
                let _ = write!(line, "XGROUP DELCONSUMER s {name} {who}");
                of.pending.retain(|_, owner| *owner != who);
                of.consumers.remove(&who);
                (words(line), int(mine))
            }
            Op::Join(_, who) => {
                let fresh = of.consumers.insert(who % 3, ()).is_none();
                let line = format!("XGROUP CREATECONSUMER s {name} {}", who % 3);
                (words(line), int(usize::from(fresh)))
            }
            _ => unreachable!("told apart above"),
        }
    }

    /// XDELEX in its three forms.
    fn forget(&mut self, op: &Op<'_>) -> (Vec<Vec<u8>>, Vec<u8>) {
        let Op::Forget { at, how } = *op else { unreachable!("told apart above") };
        let (id, how) = (self.name(at), how % 3);
        let there = self.entries.contains_key(&id);
        let needed = |group: &Group| group.last < id || group.pending.contains_key(&id);
        let kept = how == 2 && there && self.groups.values().any(needed);
        if how == 1 {
            for group in self.groups.values_mut() {
                group.pending.remove(&id);
            }
        }
        if !kept {
            self.entries.remove(&id);
        }
        let line = format!(
            "XDELEX s {} IDS 1 {}",
            ["KEEPREF", "DELREF", "ACKED"][usize::from(how)],
            text(id)
        );
        let what = if kept {
            2
        } else if there {
            1
        } else {
            -1
        };
        let words = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        (words, format!("*1\r\n:{what}\r\n").into_bytes())
    }
}

fuzz_target!(|ops: Vec<Op<'_>>| {
    SERVER.with_borrow_mut(|server| {
        server.config().stream_node_max_entries = 3;
        server.run(&[
            vec!["FLUSHALL"],
            vec!["XGROUP", "CREATE", "s", "x", "0", "MKSTREAM"],
            vec!["XGROUP", "DESTROY", "s", "x"],
        ]);
        server.tidy();
        let mut model = Model::default();
        for op in ops.iter().take(200) {
            let (request, want) = model.apply(op);
            let got = server.run(std::slice::from_ref(&request));
            let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let line: Vec<_> = request.iter().map(|word| show(word)).collect();
            assert!(got == want, "{line:?}: {:?} instead of {:?}", show(&got), show(&want));
        }
        let all: Vec<_> = model.entries.iter().map(|(id, fields)| entry(*id, fields)).collect();
        assert!(server.run(&[vec!["XRANGE", "s", "-", "+"]]) == list(&all));
        for (group, of) in &model.groups {
            let name = if *group { "g" } else { "h" };
            let got = server.run(&[vec!["XPENDING", "s", name]]);
            assert!(got.starts_with(&[b"*4\r\n".to_vec(), int(of.pending.len())].concat()));
        }
    });
});
