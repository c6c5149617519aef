//! Section Memory. `used_memory` is what the allocator handed out, counted exactly; the dataset is
//! what remains of it beside what an empty server, its clients and the index take.

use super::field::{Field, float, int, percent, text};
use super::human::bytes as human;
use super::snapshot::{Snapshot, ratio, signed};
use crate::db::grave;
use crate::mem;
use crate::metrics::process;

fn dataset(s: &Snapshot<'_>) -> u64 {
    s.used().saturating_sub(s.overhead())
}

/// Bytes of all interpreters: one serves scripts and functions.
fn interpreters(s: &Snapshot<'_>) -> i64 {
    s.shared.catalog.interpreters() as i64
}

/// Bytes of the texts of scripts and functions.
fn texts(s: &Snapshot<'_>) -> i64 {
    (s.shared.catalog.count().1 + s.shared.catalog.library_bytes()) as i64
}

fn peak(s: &Snapshot<'_>) -> u64 {
    s.shared.process.peak().0 as u64
}

fn above(a: u64, b: u64) -> i64 {
    signed(a) - signed(b)
}

/// Section Memory.
pub static FIELDS: &[Field] = &[
    int("used_memory", "Bytes handed out by the allocator.", |s| signed(s.used()))
        .gauge("redis_memory_used_bytes"),
    text("used_memory_human", "The same for people.", |s| human(s.used())),
    int("used_memory_rss", "Bytes of the process in memory.", |s| signed(s.resident()))
        .gauge("redis_memory_used_rss_bytes"),
    text("used_memory_rss_human", "The same for people.", |s| human(s.resident())),
    int("used_memory_peak", "Most bytes ever handed out.", |s| signed(peak(s)))
        .gauge("redis_memory_used_peak_bytes"),
    text("used_memory_peak_human", "The same for people.", |s| human(peak(s))),
    int("used_memory_peak_time", "When that was, Unix seconds.", |s| {
        s.shared.process.peak().1 / 1000
    }),
    percent("used_memory_peak_perc", "Bytes handed out now, of the most ever.", |s| {
        100.0 * ratio(s.used(), peak(s))
    }),
    int("used_memory_overhead", "Bytes that hold no data.", |s| signed(s.overhead()))
        .gauge("redis_memory_used_overhead_bytes"),
    int("used_memory_startup", "Bytes that the empty server needed.", |s| {
        s.shared.process.startup() as i64
    })
    .gauge("redis_memory_used_startup_bytes"),
    int("used_memory_dataset", "Bytes of keys and values.", |s| signed(dataset(s)))
        .gauge("redis_memory_used_dataset_bytes"),
    percent("used_memory_dataset_perc", "Keys and values, of all but the startup.", |s| {
        let startup = s.shared.process.startup() as u64;
        100.0 * ratio(dataset(s), s.used().saturating_sub(startup))
    }),
    int("allocator_allocated", "Bytes handed out, as the allocator says.", |s| {
        s.allocator().allocated as i64
    })
    .gauge("redis_allocator_allocated_bytes"),
    int("allocator_active", "Bytes of pages in use.", |s| s.allocator().active as i64)
        .gauge("redis_allocator_active_bytes"),
    int("allocator_resident", "Bytes of pages in memory.", |s| s.allocator().resident as i64)
        .gauge("redis_allocator_resident_bytes"),
    int("allocator_muzzy", "Bytes given back lazily.", |s| s.allocator().muzzy as i64)
        .gauge("redis_allocator_muzzy_bytes"),
    int("total_system_memory", "Bytes of memory of the machine.", |_| {
        signed(process::total_memory())
    })
    .gauge("redis_total_system_memory_bytes"),
    text("total_system_memory_human", "The same for people.", |_| human(process::total_memory())),
    int("used_memory_lua", "Bytes of script interpreters.", interpreters)
        .gauge("redis_memory_used_lua_bytes"),
    int("used_memory_vm_eval", "Bytes of EVAL's interpreter.", interpreters)
        .gauge("redis_memory_used_vm_eval_bytes"),
    text("used_memory_lua_human", "The same for people.", |s| human(interpreters(s) as u64)),
    int("used_memory_scripts_eval", "Bytes of cached scripts.", |s| {
        s.shared.catalog.count().1 as i64
    })
    .gauge("redis_memory_used_scripts_eval_bytes"),
    int("number_of_cached_scripts", "Cached scripts.", |s| s.shared.catalog.count().0 as i64)
        .gauge("redis_number_of_cached_scripts"),
    int("number_of_functions", "Loaded functions.", |s| {
        s.shared.catalog.libraries(|all| all.functions.len() as i64)
    })
    .gauge("redis_number_of_functions"),
    int("number_of_libraries", "Loaded libraries.", |s| {
        s.shared.catalog.libraries(|all| all.libraries.len() as i64)
    })
    .gauge("redis_number_of_libraries"),
    int("used_memory_vm_functions", "Bytes of the functions' interpreter.", |_| 0)
        .gauge("redis_memory_used_vm_functions_bytes"),
    int("used_memory_vm_total", "Bytes of all interpreters.", interpreters)
        .gauge("redis_memory_used_vm_total"),
    text("used_memory_vm_total_human", "The same for people.", |s| human(interpreters(s) as u64)),
    int("used_memory_functions", "Bytes of loaded functions.", |s| {
        s.shared.catalog.library_bytes() as i64
    })
    .gauge("redis_memory_used_functions_bytes"),
    int("used_memory_scripts", "Bytes of scripts and functions.", texts)
        .gauge("redis_memory_used_scripts_bytes"),
    text("used_memory_scripts_human", "The same for people.", |s| human(texts(s) as u64)),
    int("maxmemory", "Bytes that may be used; 0 is no limit.", |s| signed(s.config.maxmemory))
        .gauge("redis_memory_max_bytes"),
    text("maxmemory_human", "The same for people.", |s| human(s.config.maxmemory)),
    text("maxmemory_policy", "What goes when memory does not suffice.", |s| {
        super::setting(s, "maxmemory-policy")
    }),
    float("allocator_frag_ratio", "Pages in use to bytes handed out.", |s| {
        ratio(s.allocator().active as u64, s.allocator().allocated as u64)
    })
    .gauge("redis_allocator_frag_ratio"),
    int("allocator_frag_bytes", "Bytes lost in pages in use.", |s| {
        above(s.allocator().active as u64, s.allocator().allocated as u64)
    })
    .gauge("redis_allocator_frag_bytes"),
    float("allocator_rss_ratio", "Pages in memory to pages in use.", |s| {
        ratio(s.allocator().resident as u64, s.allocator().active as u64)
    })
    .gauge("redis_allocator_rss_ratio"),
    int("allocator_rss_bytes", "Bytes of pages in memory that are not in use.", |s| {
        above(s.allocator().resident as u64, s.allocator().active as u64)
    })
    .gauge("redis_allocator_rss_bytes"),
    float("rss_overhead_ratio", "The process to what the allocator holds.", |s| {
        ratio(s.resident(), s.allocator().resident as u64)
    })
    .gauge("redis_rss_overhead_ratio"),
    int("rss_overhead_bytes", "Bytes of the process that the allocator does not hold.", |s| {
        above(s.resident(), s.allocator().resident as u64)
    })
    .gauge("redis_rss_overhead_bytes"),
    float("mem_fragmentation_ratio", "The process to the bytes handed out.", |s| {
        ratio(s.resident(), s.used())
    })
    .gauge("redis_mem_fragmentation_ratio"),
    int("mem_fragmentation_bytes", "Bytes of the process that are not handed out.", |s| {
        above(s.resident(), s.used())
    })
    .gauge("redis_mem_fragmentation_bytes"),
    int("mem_not_counted_for_evict", "Bytes that do not count towards maxmemory.", |_| 0)
        .gauge("redis_mem_not_counted_for_eviction_bytes"),
    int("mem_replication_backlog", "Bytes of the replication backlog.", |_| 0),
    int("mem_total_replication_buffers", "Bytes of all replication buffers.", |_| 0)
        .gauge("redis_mem_total_replication_buffers_bytes"),
    int("mem_replicas_repl_buffer", "Bytes of replicas' buffers.", |_| 0),
    int("mem_clients_slaves", "Bytes of replicas' connections.", |_| 0)
        .gauge("redis_mem_clients_slaves"),
    int("mem_clients_normal", "Bytes of clients' connections.", |s| signed(s.clients().memory))
        .gauge("redis_mem_clients_normal"),
    int("mem_cluster_links", "Bytes of the cluster bus.", |_| 0)
        .gauge("redis_mem_cluster_links_bytes"),
    int("mem_aof_buffer", "Bytes waiting for the append-only file.", |_| 0)
        .gauge("redis_mem_aof_buffer_bytes"),
    text("mem_allocator", "The allocator.", |_| mem::allocator().to_owned()),
    int("mem_overhead_db_hashtable_rehashing", "Always 0: tables never rehash.", |_| 0)
        .gauge("redis_mem_overhead_db_hashtable_rehashing_bytes"),
    int("active_defrag_running", "Always 0: there is no active defragmentation.", |_| 0)
        .gauge("redis_active_defrag_running"),
    int("lazyfree_pending_objects", "Keys waiting to be freed.", |s| {
        (s.keyspace.lazy_free().0 + grave::objects().0) as i64
    })
    .gauge("redis_lazyfree_pending_objects"),
    int("lazyfreed_objects", "Keys freed in the background.", |s| {
        (s.keyspace.lazy_free().1 + grave::objects().1) as i64
    })
    .gauge("redis_lazyfreed_objects"),
];
