//! The default tests, in redis-benchmark's order: the table is what runs.
//!
//! Keeps true: names, titles and requests equal redis-benchmark's, so figures can be compared and
//! scripts find their lines.

use crate::options::Options;
use crate::template::{Fill, Template, Workload};
use crate::values::Values;
use crate::verify::Expect;

struct Test {
    /// What `-t` may call it.
    names: &'static [&'static str],
    title: &'static str,
    words: &'static [&'static str],
}

const KEY: &str = "key:__rand_int__";
const MEMBER: &str = "element:__rand_int__";
const DATA: &str = "__data__";

const TESTS: &[Test] = &[
    test(&["ping_inline", "ping"], "PING_INLINE", &[]),
    test(&["ping_mbulk", "ping"], "PING_MBULK", &["PING"]),
    test(&["set"], "SET", &["SET", KEY, DATA]),
    test(&["get"], "GET", &["GET", KEY]),
    test(&["incr"], "INCR", &["INCR", "counter:__rand_int__"]),
    test(&["lpush"], "LPUSH", &["LPUSH", "mylist", DATA]),
    test(&["rpush"], "RPUSH", &["RPUSH", "mylist", DATA]),
    test(&["lpop"], "LPOP", &["LPOP", "mylist"]),
    test(&["rpop"], "RPOP", &["RPOP", "mylist"]),
    test(&["sadd"], "SADD", &["SADD", "myset", MEMBER]),
    test(&["hset"], "HSET", &["HSET", "myhash", MEMBER, DATA]),
    test(&["spop"], "SPOP", &["SPOP", "myset"]),
    test(&["zadd"], "ZADD", &["ZADD", "myzset", SCORE, MEMBER]),
    test(&["zpopmin"], "ZPOPMIN", &["ZPOPMIN", "myzset"]),
    // The lists to be read must have elements.
    test(
        &["lrange", "lrange_100", "lrange_300", "lrange_500", "lrange_600"],
        "LPUSH (needed to benchmark LRANGE)",
        &["LPUSH", "mylist", DATA],
    ),
    test(
        &["lrange_100", "lrange"],
        "LRANGE_100 (first 100 elements)",
        &["LRANGE", "mylist", "0", "99"],
    ),
    test(
        &["lrange_300", "lrange"],
        "LRANGE_300 (first 300 elements)",
        &["LRANGE", "mylist", "0", "299"],
    ),
    test(
        &["lrange_500", "lrange"],
        "LRANGE_500 (first 500 elements)",
        &["LRANGE", "mylist", "0", "499"],
    ),
    test(
        &["lrange_600", "lrange"],
        "LRANGE_600 (first 600 elements)",
        &["LRANGE", "mylist", "0", "599"],
    ),
    test(
        &["mset"],
        "MSET (10 keys)",
        &[
            "MSET", KEY, DATA, KEY, DATA, KEY, DATA, KEY, DATA, KEY, DATA, KEY, DATA, KEY, DATA,
            KEY, DATA, KEY, DATA, KEY, DATA,
        ],
    ),
];

/// Random with a key space, 0 without.
const SCORE: &str = "__rand_int__";

const fn test(names: &'static [&str], title: &'static str, words: &'static [&str]) -> Test {
    Test { names, title, words }
}

/// What the options ask to measure, in order.
pub fn workloads(options: &Options, values: &Values) -> Vec<Workload> {
    let fill = Fill { random: options.key_space.is_some(), verify: options.verify, values };
    if !options.command.is_empty() {
        return vec![command(&options.command, fill)];
    }
    if let Some((writes, reads)) = options.ratio {
        let title = format!("SET:GET {writes}:{reads}");
        let set = Template::command(&["SET", KEY, DATA], fill);
        let get = Template::command(&["GET", KEY], fill);
        return vec![Workload::mix(title, options.data, vec![(writes, set), (reads, get)])];
    }
    let selected = |test: &&Test| match &options.tests {
        None => true,
        Some(names) => test.names.iter().any(|name| names.iter().any(|wanted| wanted == name)),
    };
    TESTS.iter().filter(selected).map(|test| default_test(test, options.data, fill)).collect()
}

fn default_test(test: &Test, data: usize, fill: Fill<'_>) -> Workload {
    let template = match test.words {
        [] => Template::inline("PING\r\n", Expect::Pong),
        words => {
            let score =
                |word: &&'static str| if *word == SCORE && !fill.random { "0" } else { *word };
            Template::command(&words.iter().map(score).collect::<Vec<_>>(), fill)
        }
    };
    Workload::single(test.title, data, template)
}

/// The user's own command: its title is the command as typed, its payload the encoded length.
fn command(words: &[Vec<u8>], fill: Fill<'_>) -> Workload {
    let template = Template::command(words, fill);
    let title = String::from_utf8_lossy(&words.join(&b' ')).into_owned();
    Workload::single(&title, template.len(), template)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::parse;

    fn titles(line: &str) -> Vec<String> {
        let words = parse(line.split_whitespace().map(Into::into)).unwrap();
        let options = Options::new(words).unwrap();
        let all = workloads(&options, &Values::new(options.data));
        all.into_iter().map(|workload| workload.title).collect()
    }

    #[test]
    fn all_tests_run_in_order_by_default() {
        let all = titles("");
        assert_eq!(all.len(), 20);
        assert_eq!((all[0].as_str(), all[19].as_str()), ("PING_INLINE", "MSET (10 keys)"));
    }

    #[test]
    fn names_select_their_tests() {
        assert_eq!(titles("-t ping"), ["PING_INLINE", "PING_MBULK"]);
        assert_eq!(titles("-t GET,set,bogus"), ["SET", "GET"]);
        assert_eq!(titles("-t lrange_300").len(), 2);
        assert_eq!(titles("-t lrange").len(), 5);
        assert!(titles("-t bogus").is_empty());
        assert_eq!(titles("--ratio 1:9"), ["SET:GET 1:9"]);
        assert_eq!(titles("-t get lpush list x"), ["lpush list x"]);
    }
}
