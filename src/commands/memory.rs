//! MEMORY: what keys and the server take.

use super::info::{Snapshot, human_bytes as human};
use super::table::{Group, Handler};
use super::{Args, Command, Cx, Error, Flags, KeySpec, help};
use crate::config::EvictionPolicy;
use crate::mem;
use crate::types::number;

const fn sub(name: &'static str, arity: i16, run: Handler) -> Command {
    Command::new(name, arity, Group::Server, run)
}

const TIPS: &[&str] =
    &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"];

static SUBCOMMANDS: &[Command] = &[
    sub("doctor", 2, doctor).doc("4.0.0", "", "Explains in words how memory is used.").tips(TIPS),
    help::row(Group::Server, "4.0.0"),
    sub("malloc-stats", 2, malloc_stats)
        .doc("4.0.0", "", "Shows the allocator's own statistics.")
        .cost("Depends on how much memory is allocated")
        .tips(TIPS),
    sub("purge", 2, purge)
        .doc("4.0.0", "", "Gives unused pages back to the system.")
        .cost("Depends on how many pages are unused")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    sub("stats", 2, stats).doc("4.0.0", "", "Tells what the memory in use is used for.").tips(TIPS),
    sub("usage", -3, usage)
        .flags(Flags::READ)
        .keys(&[KeySpec::one(2, &["RO"])])
        .doc("4.0.0", "key [SAMPLES count]", "Tells the bytes that a key and its value take.")
        .cost("O(1)"),
];

/// The rows of this file.
pub static COMMANDS: &[Command] = &[Command::container("memory", Group::Server, SUBCOMMANDS).doc(
    "4.0.0",
    "",
    "What keys and the server take.",
)];

fn usage(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let mut at = 3;
    while at < args.len() {
        if !args.is(at, "SAMPLES") || at + 1 >= args.len() {
            return Err(Error::Syntax);
        }
        // Sizes are counted, not estimated, so the number of samples changes nothing.
        let samples = number::parse_i64(args.get(at + 1)).ok_or(Error::NotAnInteger)?;
        if samples < 0 {
            return Err(Error::Syntax);
        }
        at += 2;
    }
    let key = cx.key(args, 2);
    let mut write = cx.db.write(key);
    match write.entry().map(|entry| entry.block_size()) {
        None => cx.reply.null(),
        Some(block) => {
            let object = write.object().map_or(0, |object| size_of_val(object) + object.weight());
            cx.reply.count(SLOT + block + object);
        }
    }
    Ok(())
}

/// Bytes of the index that a key takes, on average.
const SLOT: usize = 11;

fn purge(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    mem::purge();
    cx.reply.ok();
    Ok(())
}

fn malloc_stats(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    match mem::report() {
        Some(text) => cx.reply.verbatim("txt", text.as_bytes()),
        None => cx.reply.bulk(b"Stats not supported for the current allocator"),
    }
    Ok(())
}

enum Figure {
    Int(u64),
    Signed(i64),
    Float(f64),
}

fn ratio(a: u64, b: u64) -> f64 {
    if b == 0 { 0.0 } else { a as f64 / b as f64 }
}

fn stats(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    use Figure::{Float, Int, Signed};
    let s = Snapshot::new(cx.shared, cx.db.keyspace, cx.db.local.retired_bytes());
    let keyspace = cx.db.keyspace;
    let databases: Vec<(usize, u64, u64)> = (0..keyspace.databases())
        .map(|db| (db, keyspace.size(db).0, keyspace.index_bytes(db, cx.db.pin())))
        .filter(|(_, keys, _)| *keys > 0)
        .collect();
    let keys: u64 = databases.iter().map(|(_, keys, _)| keys).sum();
    let (used, peak) = (s.used(), s.shared.process.peak().0 as u64);
    let startup = s.shared.process.startup() as u64;
    let dataset = used.saturating_sub(s.overhead());
    let net = used.saturating_sub(startup);
    let allocator = s.allocator();
    let (allocated, active) = (allocator.allocated as u64, allocator.active as u64);
    let (resident, rss) = (allocator.resident as u64, s.resident());
    let apart = |a: u64, b: u64| Signed(a.cast_signed().wrapping_sub(b.cast_signed()));
    let before = [
        ("peak.allocated", Int(peak)),
        ("total.allocated", Int(used)),
        ("startup.allocated", Int(startup)),
        ("replication.backlog", Int(0)),
        ("clients.slaves", Int(0)),
        ("clients.normal", Int(s.clients().memory)),
        ("cluster.links", Int(0)),
        ("aof.buffer", Int(0)),
        ("lua.caches", Int(0)),
        ("functions.caches", Int(0)),
    ];
    let after = [
        ("overhead.total", Int(s.overhead())),
        ("keys.count", Int(keys)),
        ("keys.bytes-per-key", Int(net.checked_div(keys).unwrap_or(0))),
        ("dataset.bytes", Int(dataset)),
        ("dataset.percentage", Float(100.0 * ratio(dataset, net))),
        ("peak.percentage", Float(100.0 * ratio(used, peak))),
        ("allocator.allocated", Int(allocated)),
        ("allocator.active", Int(active)),
        ("allocator.resident", Int(resident)),
        ("allocator-fragmentation.ratio", Float(ratio(active, allocated))),
        ("allocator-fragmentation.bytes", apart(active, allocated)),
        ("allocator-rss.ratio", Float(ratio(resident, active))),
        ("allocator-rss.bytes", apart(resident, active)),
        ("rss-overhead.ratio", Float(ratio(rss, resident))),
        ("rss-overhead.bytes", apart(rss, resident)),
        ("fragmentation", Float(ratio(rss, used))),
        ("fragmentation.bytes", apart(rss, used)),
    ];
    cx.reply.map(before.len() + databases.len() + after.len());
    write_figures(cx, &before);
    for (db, _, index) in databases {
        cx.reply.bulk(format!("db.{db}").as_bytes());
        cx.reply.map(3);
        // Expiries stand in the entries, and slots have no lists of their keys.
        let figures = [
            ("overhead.hashtable.main", Int(index)),
            ("overhead.hashtable.expires", Int(0)),
            ("overhead.hashtable.slot-to-keys", Int(0)),
        ];
        write_figures(cx, &figures);
    }
    write_figures(cx, &after);
    Ok(())
}

fn write_figures(cx: &mut Cx<'_>, figures: &[(&str, Figure)]) {
    for (name, figure) in figures {
        cx.reply.bulk(name.as_bytes());
        match figure {
            Figure::Int(n) => cx.reply.int(i64::try_from(*n).unwrap_or(i64::MAX)),
            Figure::Signed(n) => cx.reply.int(*n),
            Figure::Float(value) => {
                let mut text = Vec::new();
                number::format_f64(&mut text, *value);
                cx.reply.double(&String::from_utf8_lossy(&text));
            }
        }
    }
}

fn doctor(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    let s = Snapshot::new(cx.shared, cx.db.keyspace, cx.db.local.retired_bytes());
    let text = report(&Health {
        used: s.used(),
        peak: s.shared.process.peak().0 as u64,
        allocated: s.allocator().allocated as u64,
        active: s.allocator().active as u64,
        resident: s.allocator().resident as u64,
        rss: s.resident(),
        clients: s.clients().memory,
        connected: s.shared.clients.len() as u64,
        limit: s.config.maxmemory,
        evicts: s.config.maxmemory_policy != EvictionPolicy::Noeviction,
    });
    cx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

struct Health {
    used: u64,
    peak: u64,
    allocated: u64,
    active: u64,
    resident: u64,
    rss: u64,
    clients: u64,
    connected: u64,
    limit: u64,
    evicts: bool,
}

/// Below this many bytes ratios tell nothing: the threads' caches alone are some megabytes.
const LITTLE: u64 = 32 << 20;
/// Differences up to here are no reason to write.
const SLACK: u64 = 10 << 20;
/// Bytes of buffers that a client may have on average: Redis' measure.
const CLIENT: u64 = 200 << 10;

/// What is noticed, by the measures of Redis' doctor as far as the thing exists here.
fn report(h: &Health) -> String {
    if h.used < LITTLE {
        return "This server holds too little data to say anything about its memory: ratios of \
                small figures mislead. Ask again with 32 MB or more in use.\n"
            .to_owned();
    }
    let apart = |a: u64, b: u64, percent: u64| {
        (a > b / 100 * (100 + percent) && a - b > SLACK).then(|| human(a.saturating_sub(b)))
    };
    let notes = [
        (h.peak > h.used / 2 * 3).then(|| {
            format!(
                "Peak: {} were in use once. What the system shows may still reflect that; \
                 MEMORY PURGE gives unused pages back.",
                human(h.peak)
            )
        }),
        apart(h.active, h.allocated, 10).map(|lost| {
            format!(
                "Fragmentation: {lost} lie unused between values. Many values changed their \
                 size; a restart or a copy to a fresh server packs them."
            )
        }),
        apart(h.resident, h.active, 10).map(|kept| {
            format!(
                "Allocator: it keeps {kept} of pages without anything in them, usually for some \
                 seconds. MEMORY PURGE gives them back now."
            )
        }),
        apart(h.rss, h.resident, 10).map(|more| {
            format!(
                "Process: {more} are in memory beyond what the allocator holds: threads' stacks, \
                 the program itself, and what the kernel has not taken back yet."
            )
        }),
        (h.connected > 0 && h.clients / h.connected > CLIENT).then(|| {
            format!(
                "Clients: {} of buffers, more than 200 KB for each. CLIENT LIST shows whose; \
                 maxmemory-clients sets a limit.",
                human(h.clients)
            )
        }),
        (h.limit > 0 && h.used > h.limit - h.limit / 20).then(|| {
            let next = if h.evicts { "keys are evicted" } else { "writes are refused" };
            format!("Limit: less than 5 % of maxmemory are left; beyond it {next}.")
        }),
    ];
    let lines: Vec<String> =
        notes.into_iter().flatten().map(|note| format!("- {note}\n")).collect();
    if lines.is_empty() {
        return "Nothing unusual in the use of memory.\n".to_owned();
    }
    format!("Noticed in the use of memory:\n\n{}", lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_doctor_speaks_only_of_what_he_sees() {
        let well = Health {
            used: 100 << 20,
            peak: 110 << 20,
            allocated: 100 << 20,
            active: 101 << 20,
            resident: 105 << 20,
            rss: 110 << 20,
            clients: 40 << 10,
            connected: 2,
            limit: 0,
            evicts: false,
        };
        let names = ["Peak", "Fragmentation", "Allocator", "Process", "Clients", "Limit"];
        let named = |h: &Health| -> Vec<&str> {
            let text = report(h);
            names.into_iter().filter(|name| text.contains(&format!("- {name}: "))).collect()
        };
        assert!(report(&well).starts_with("Nothing unusual"));
        assert!(report(&Health { used: 1 << 20, ..well }).contains("too little data"));
        assert_eq!(named(&Health { peak: 1 << 30, ..well }), ["Peak"]);
        assert_eq!(
            named(&Health { active: 112 << 20, resident: 115 << 20, ..well }),
            ["Fragmentation"]
        );
        assert_eq!(named(&Health { resident: 120 << 20, rss: 120 << 20, ..well }), ["Allocator"]);
        assert_eq!(named(&Health { rss: 130 << 20, ..well }), ["Process"]);
        assert_eq!(named(&Health { clients: 50 << 20, ..well }), ["Clients"]);
        let full = Health { limit: 101 << 20, ..well };
        assert!(named(&full) == ["Limit"] && report(&full).contains("writes are refused"));
        assert!(report(&Health { evicts: true, ..full }).contains("keys are evicted"));
    }
}
