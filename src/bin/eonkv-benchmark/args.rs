//! The command line, as words: flags, then perhaps a command.
//!
//! Keeps true: whatever redis-benchmark's grammar accepts is accepted with the same meaning.
//!
//! argh knows the flags, parses their values and writes the help. A pass by hand goes before it,
//! because redis-benchmark's grammar differs from argh's in four ways:
//! - the first word that is no flag begins a command, whose words may look like flags
//!   (`lpush list -1`) and may be any bytes, whereas argh takes flags anywhere and only UTF-8;
//! - a flag given twice is no mistake, the later wins (scripts append flags to a default set);
//! - `-h` takes a host and asks for no help, and `-v` is `--version`;
//! - a flag that is unknown or lacks its value is reported in one fixed sentence.
//!
//! The pass learns from argh which flags take a value, so each flag is named once.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use argh::{ArgsInfo, FlagInfo, FlagInfoKind, FromArgs};

/// Measures how fast a Redis-compatible server answers. Flags may be followed by a command to
/// measure instead of the default tests; __rand_int__ in it becomes a number of 12 digits (with -r)
/// and __data__ a value of -d bytes.
#[derive(Debug, FromArgs, ArgsInfo, PartialEq)]
#[argh(
    help_triggers("--help"),
    example = "Measure all default tests:\n  {command_name}",
    example = "Fill the server with a million keys:\n  {command_name} -t set -n 1000000 -r 1000000 --key-pattern seq -P 64 -q",
    example = "Ten reads for each write, hot keys preferred, 50000 requests a second for a minute:\n  {command_name} --ratio 1:10 -r 1000000 --key-pattern zipf --rate 50000 --duration 60",
    example = "Compare two servers:\n  {command_name} -p 6379 --compare 127.0.0.1:7000 -t get,set -P 16 --rounds 9",
    example = "Measure one command:\n  {command_name} -r 10000 -n 10000 lpush mylist __rand_int__"
)]
pub struct Flags {
    /// server host name (default 127.0.0.1)
    #[argh(option, short = 'h', arg_name = "hostname", default = "String::from(\"127.0.0.1\")")]
    pub host: String,

    /// server port (default 6379)
    #[argh(option, short = 'p', arg_name = "port", default = "6379")]
    pub port: u16,

    /// server's unix socket; overrides host and port
    #[argh(option, short = 's', arg_name = "path")]
    pub socket: Option<String>,

    /// password to authenticate with
    #[argh(option, short = 'a', arg_name = "password")]
    pub password: Option<String>,

    /// user to authenticate as; needs -a
    #[argh(option, arg_name = "username")]
    pub user: Option<String>,

    /// server address as redis://[user[:password]@]host[:port][/db]
    #[argh(option, short = 'u', arg_name = "uri")]
    pub uri: Option<String>,

    /// parallel connections (default 50)
    #[argh(option, short = 'c', arg_name = "clients", default = "50")]
    pub clients: i64,

    /// requests per test (default 100000; without limit if there is a --duration)
    #[argh(option, short = 'n', arg_name = "requests")]
    pub requests: Option<i64>,

    /// size of values in bytes (default 3)
    #[argh(option, short = 'd', arg_name = "bytes", default = "3")]
    pub data: i64,

    /// database to select (default 0)
    #[argh(option, arg_name = "db", default = "0")]
    pub dbnum: u32,

    /// speak RESP3
    #[argh(switch, short = '3')]
    pub resp3: bool,

    /// client threads (default: one, reported as no multi-threading)
    #[argh(option, arg_name = "threads", default = "0")]
    pub threads: i64,

    /// have the server track the keys read, as for client side caching
    #[argh(switch)]
    pub enable_tracking: bool,

    /// whether to keep connections (1, the default) or reconnect for each batch (0)
    #[argh(option, short = 'k', arg_name = "boolean", default = "1")]
    pub keep_alive: i64,

    /// key space: each __rand_int__, also those of the default tests, becomes a number below it;
    /// without it all requests use the same key
    #[argh(option, short = 'r', arg_name = "keys")]
    pub random: Option<u64>,

    /// requests sent at once before replies are awaited (default 1)
    #[argh(option, short = 'P', arg_name = "requests", default = "1")]
    pub pipeline: i64,

    /// accepted for compatibility: error replies always end the run
    #[argh(switch, short = 'e')]
    pub errors: bool,

    /// one line per test
    #[argh(switch, short = 'q')]
    pub quiet: bool,

    /// significant digits of latencies, 1 to 5 (default 3)
    #[argh(option, arg_name = "digits", default = "0")]
    pub precision: u8,

    /// print comma-separated values
    #[argh(switch)]
    pub csv: bool,

    /// repeat the tests for ever
    #[argh(switch, short = 'l', long = "loop")]
    pub repeat: bool,

    /// comma-separated tests to run: ping (or ping_inline, ping_mbulk), set, get, incr, lpush,
    /// rpush, lpop, rpop, sadd, hset, spop, zadd, zpopmin, lrange (or lrange_100, _300, _500,
    /// _600), mset; ignored if there is a command
    #[argh(option, short = 't', arg_name = "tests")]
    pub tests: Option<String>,

    /// open idle connections and wait
    #[argh(switch, short = 'I')]
    pub idle: bool,

    /// read the command's last argument from standard input
    #[argh(switch, short = 'x')]
    pub stdin: bool,

    /// seed of all random choices (default: the time)
    #[argh(option, arg_name = "number")]
    pub seed: Option<u64>,

    /// measure one mix of SETs and GETs, as W:R, instead of the tests
    #[argh(option, arg_name = "w:r")]
    pub ratio: Option<String>,

    /// how keys are chosen from those of -r: uniform, gauss, zipf[:theta] or seq (default uniform)
    #[argh(option, arg_name = "pattern")]
    pub key_pattern: Option<String>,

    /// offer this many requests per second whatever the server does; latencies then count from the
    /// time each request was due
    #[argh(option, arg_name = "requests")]
    pub rate: Option<f64>,

    /// run each test for so many seconds
    #[argh(option, arg_name = "seconds")]
    pub duration: Option<f64>,

    /// check every reply; GET must return what SET stored under --verify
    #[argh(switch)]
    pub verify: bool,

    /// write all results to a file
    #[argh(option, arg_name = "file")]
    pub json: Option<String>,

    /// measure this second server (HOST:PORT or a socket's path) in turns with the first
    #[argh(option, arg_name = "server")]
    pub compare: Option<String>,

    /// turns of a comparison (default 5)
    #[argh(option, arg_name = "count")]
    pub rounds: Option<u32>,

    /// print the version
    #[argh(switch)]
    pub version: bool,
}

/// A command line taken apart.
#[derive(Debug, PartialEq)]
pub struct Words {
    pub flags: Flags,
    /// The command to measure; empty for the default tests.
    pub command: Vec<Vec<u8>>,
}

/// What a command line may be besides a task.
#[derive(Debug, PartialEq)]
pub enum Refusal {
    /// Help was asked for: its text.
    Help(String),
    /// Not understood: what to say before the help.
    Wrong(String),
}

/// The text of `--help`.
pub fn help() -> String {
    let result = Flags::from_args(&["eonkv-benchmark"], &["--help"]);
    result.err().map_or(String::new(), |exit| exit.output)
}

/// Takes a command line (without the program's name) apart.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Words, Refusal> {
    let mut words = words.into_iter().peekable();
    let known = Flags::get_args_info();
    let mut given: Vec<(&str, Option<String>)> = Vec::new();
    let unknown = |word: &str| {
        Refusal::Wrong(format!("Invalid option \"{word}\" or option argument missing"))
    };
    while let Some(word) = words.next_if(|word| word.as_encoded_bytes().starts_with(b"-")) {
        let word = word.to_string_lossy().into_owned();
        match word.as_str() {
            "--" => break,
            "--help" => return Err(Refusal::Help(help())),
            _ => {}
        }
        let flag = find(known.flags, &word).ok_or_else(|| unknown(&word))?;
        let value = match flag.kind {
            FlagInfoKind::Switch => None,
            FlagInfoKind::Option { .. } => {
                let value = words.next().and_then(|value| value.into_string().ok());
                Some(value.ok_or_else(|| unknown(&word))?)
            }
        };
        given.retain(|(long, _)| *long != flag.long);
        given.push((flag.long, value));
    }
    let flat: Vec<&str> =
        given.iter().flat_map(|(long, value)| [Some(*long), value.as_deref()]).flatten().collect();
    let flags = Flags::from_args(&["eonkv-benchmark"], &flat)
        .map_err(|exit| Refusal::Wrong(exit.output.trim_end().to_owned()))?;
    Ok(Words { flags, command: words.map(OsString::into_vec).collect() })
}

fn find<'a>(flags: &'a [FlagInfo<'a>], word: &str) -> Option<&'a FlagInfo<'a>> {
    let word = if word == "-v" { "--version" } else { word };
    flags.iter().find(|flag| {
        let short = flag
            .short
            .is_some_and(|short| word.strip_prefix('-') == Some(short.to_string().as_str()));
        short || (flag.long == word && word.starts_with("--"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &[&str]) -> Result<Words, Refusal> {
        parse(text.iter().map(OsString::from))
    }

    #[test]
    fn every_flag_of_redis_benchmark_is_known() {
        let line = "-h x -p 1 -s /s -a pw --user u -u redis://y -c 2 -n 3 -d 4 --dbnum 5 -3 --threads 6 \
                    --enable-tracking -k 0 -r 7 -P 8 -e -q --precision 2 --csv -l -t ping -I -x --seed 9";
        let flags = words(&line.split_whitespace().collect::<Vec<_>>()).unwrap().flags;
        assert_eq!((flags.host.as_str(), flags.port, flags.clients), ("x", 1, 2));
        assert_eq!((flags.requests, flags.data, flags.dbnum), (Some(3), 4, 5));
        assert_eq!((flags.threads, flags.keep_alive, flags.random), (6, 0, Some(7)));
        assert_eq!((flags.pipeline, flags.precision, flags.seed), (8, 2, Some(9)));
        assert!(flags.resp3 && flags.quiet && flags.csv && flags.repeat && flags.idle);
        assert!(flags.enable_tracking && flags.errors && flags.stdin);
        assert_eq!(flags.tests.as_deref(), Some("ping"));
    }

    #[test]
    fn the_first_bare_word_begins_the_command() {
        let parsed = words(&["-n", "5", "lpush", "-q", "-1", "--help"]).unwrap();
        assert_eq!((parsed.flags.requests, parsed.flags.quiet), (Some(5), false));
        assert_eq!(parsed.command, [&b"lpush"[..], b"-q", b"-1", b"--help"]);
        assert_eq!(words(&["--", "-q"]).unwrap().command, [b"-q"]);
        let bytes = parse([OsString::from_vec(b"set".to_vec()), OsString::from_vec(vec![0xff])]);
        assert_eq!(bytes.unwrap().command[1], [0xff]);
    }

    #[test]
    fn the_later_flag_wins_and_values_may_look_like_flags() {
        let flags = words(&["-n", "5", "-q", "-n", "-6", "-q", "-a", "-q"]).unwrap().flags;
        assert_eq!((flags.requests, flags.quiet), (Some(-6), true));
        assert_eq!(flags.password.as_deref(), Some("-q"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, word) in
            [(&["--bogus"][..], "--bogus"), (&["-q", "-n"], "-n"), (&["-"], "-"), (&["-nq"], "-nq")]
        {
            let text = format!("Invalid option \"{word}\" or option argument missing");
            assert_eq!(words(line), Err(Refusal::Wrong(text)));
        }
        let Err(Refusal::Wrong(text)) = words(&["-n", "many"]) else { panic!("accepted") };
        assert!(text.contains("many"), "{text}");
        assert!(
            matches!(words(&["--help"]), Err(Refusal::Help(text)) if text.contains("--compare"))
        );
        assert!(words(&["-v"]).unwrap().flags.version);
    }
}
