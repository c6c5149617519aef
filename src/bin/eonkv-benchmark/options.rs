//! What the flags mean together: the second stage, which alone may refuse combinations.
//!
//! Keeps true: after this stage every number is within its range, so nothing later needs to check.
//! Values that redis-benchmark silently raises or lowers (`-P 0`, `-d 0`, `-c 0`) are treated alike;
//! those it hangs on or misreads (`-n 0`, `-r abc`) are refused.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::args::{Flags, Words};
use crate::pattern::Pattern;
use crate::target::{Greeting, Target};
use crate::uri::Uri;

/// Twelve digits.
const KEY_SPACE_MAX: u64 = 1_000_000_000_000;
const DATA_MAX: i64 = 1024 * 1024 * 1024;
const PIPELINE_MAX: i64 = 1_000_000;
const CLIENTS_MAX: i64 = 1_000_000;
const THREADS_MAX: i64 = 500;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    Report,
    Quiet,
    Csv,
}

/// A task, checked.
#[derive(Debug)]
pub struct Options {
    pub target: Target,
    pub greeting: Greeting,
    pub clients: usize,
    /// As given: 0 is one thread, reported as no multi-threading.
    pub threads: usize,
    pub requests: u64,
    pub duration: Option<Duration>,
    pub data: usize,
    pub keep_alive: bool,
    /// Without it, `__rand_int__` stays as it is.
    pub key_space: Option<u64>,
    pub pattern: Pattern,
    pub pipeline: usize,
    pub output: Output,
    pub precision: u8,
    pub repeat: bool,
    pub idle: bool,
    /// Lower-case names; `None` is all.
    pub tests: Option<Vec<String>>,
    /// SETs and GETs per cycle.
    pub ratio: Option<(u32, u32)>,
    pub rate: Option<f64>,
    pub verify: bool,
    pub json: Option<PathBuf>,
    pub compare: Option<Target>,
    pub rounds: u32,
    pub seed: u64,
    /// The command to measure instead of tests; empty without one.
    pub command: Vec<Vec<u8>>,
    /// What to tell the user before starting.
    pub warnings: Vec<String>,
}

impl Options {
    /// Makes a task of the words. The error says what does not fit.
    pub fn new(words: Words) -> Result<Self, String> {
        let Words { flags, command } = words;
        combinations(&flags, &command)?;
        let mut warnings = Vec::new();
        let uri = flags.uri.as_deref().map(str::parse::<Uri>).transpose()?.unwrap_or_default();
        let threads = flags.threads.clamp(0, THREADS_MAX);
        if flags.threads > THREADS_MAX {
            warnings.push(format!("WARNING: Too many threads, limiting threads to {THREADS_MAX}."));
        }
        if flags.errors {
            warnings.push("WARNING: -e option has no effect. We now immediately exit on error to avoid false results.".to_owned());
        }
        if flags.keep_alive == 0 {
            warnings.push(
                "WARNING: Keepalive disabled. Each batch uses up a local port for a minute; \
                 for many of them you probably need 'echo 1 > /proc/sys/net/ipv4/tcp_tw_reuse'."
                    .to_owned(),
            );
        }
        Ok(Options {
            greeting: greeting(&flags, &uri)?,
            target: target(&flags, &uri),
            clients: flags.clients.clamp(1, CLIENTS_MAX).max(threads) as usize,
            threads: threads as usize,
            requests: requests(&flags)?,
            duration: flags.duration.map(Duration::from_secs_f64),
            data: flags.data.clamp(1, DATA_MAX) as usize,
            keep_alive: flags.keep_alive != 0,
            key_space: flags.random.map(|space| space.max(1)),
            pattern: flags.key_pattern.as_deref().map_or(Ok(Pattern::Uniform), str::parse)?,
            pipeline: flags.pipeline.clamp(1, PIPELINE_MAX) as usize,
            output: match (flags.csv, flags.quiet) {
                (true, _) => Output::Csv,
                (false, true) => Output::Quiet,
                (false, false) => Output::Report,
            },
            precision: if flags.precision == 0 { 3 } else { flags.precision.min(5) },
            repeat: flags.repeat,
            idle: flags.idle,
            tests: flags
                .tests
                .map(|list| list.split(',').map(|name| name.trim().to_ascii_lowercase()).collect()),
            ratio: flags.ratio.as_deref().map(ratio).transpose()?,
            rate: flags.rate,
            verify: flags.verify,
            json: flags.json.map(PathBuf::from),
            compare: flags.compare.as_deref().map(Target::parse).transpose()?,
            rounds: flags.rounds.unwrap_or(5).clamp(1, 10_000),
            seed: flags.seed.unwrap_or_else(now),
            command,
            warnings,
        })
    }

    /// Threads that really run.
    pub fn crew(&self) -> usize {
        self.threads.max(1)
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// Refuses flags that contradict one another.
fn combinations(flags: &Flags, command: &[Vec<u8>]) -> Result<(), String> {
    let wrong = |bad: bool, text: &str| if bad { Err(text.to_owned()) } else { Ok(()) };
    let positive = |number: Option<f64>| number.is_none_or(|n| n.is_finite() && n > 0.0);
    wrong(flags.key_pattern.is_some() && flags.random.is_none(), "--key-pattern needs -r")?;
    wrong(flags.random.is_some_and(|n| n > KEY_SPACE_MAX), "-r is at most 1000000000000")?;
    wrong(
        flags.ratio.is_some() && !command.is_empty(),
        "--ratio and a command exclude each other",
    )?;
    wrong(flags.ratio.is_some() && flags.tests.is_some(), "--ratio and -t exclude each other")?;
    wrong(flags.stdin && command.is_empty(), "-x needs a command")?;
    wrong(
        !positive(flags.rate) || flags.rate > Some(1e9),
        "--rate must be above 0, and at most 1e9",
    )?;
    let seconds = flags.duration;
    wrong(
        !positive(seconds) || seconds > Some(1e8),
        "--duration must be above 0, and at most 1e8",
    )?;
    wrong(flags.rounds == Some(0), "--rounds must be at least 1")?;
    wrong(flags.rounds.is_some() && flags.compare.is_none(), "--rounds needs --compare")?;
    wrong(flags.idle && flags.compare.is_some(), "-I and --compare exclude each other")
}

fn requests(flags: &Flags) -> Result<u64, String> {
    match flags.requests {
        // Far enough from the end that the shared counter cannot wrap around.
        None if flags.duration.is_some() => Ok(u64::MAX / 2),
        None => Ok(100_000),
        Some(count) => match u64::try_from(count) {
            Ok(count) if (1..=u64::MAX / 2).contains(&count) => Ok(count),
            _ => Err(format!("-n must be at least 1, not {count}")),
        },
    }
}

fn ratio(text: &str) -> Result<(u32, u32), String> {
    let parts = text.split_once(':').map(|(w, r)| (w.parse::<u16>(), r.parse::<u16>()));
    match parts {
        Some((Ok(w), Ok(r))) if w > 0 || r > 0 => Ok((u32::from(w), u32::from(r))),
        _ => Err(format!("--ratio must be WRITES:READS, such as 1:10, not {text:?}")),
    }
}

fn target(flags: &Flags, uri: &Uri) -> Target {
    match (&flags.socket, &uri.host) {
        (Some(path), _) => Target::Unix(PathBuf::from(path)),
        (None, Some(host)) => Target::Tcp(host.clone(), uri.port.unwrap_or(flags.port)),
        (None, None) => Target::Tcp(flags.host.clone(), uri.port.unwrap_or(flags.port)),
    }
}

/// What each connection says first: who it is, then how and where it wants to talk.
fn greeting(flags: &Flags, uri: &Uri) -> Result<Greeting, String> {
    let mut greeting = Greeting::default();
    let user = uri.user.as_deref().or(flags.user.as_deref());
    match (user, uri.password.as_deref().or(flags.password.as_deref())) {
        (Some(user), Some(password)) => greeting.say(&["AUTH", user, password]),
        (None, Some(password)) => greeting.say(&["AUTH", password]),
        (Some(_), None) => return Err("--user needs -a".to_owned()),
        (None, None) => {}
    }
    if flags.resp3 {
        greeting.say(&["HELLO", "3"]);
    }
    let db = uri.db.unwrap_or(flags.dbnum);
    if db != 0 {
        greeting.say(&["SELECT", &db.to_string()]);
    }
    if flags.enable_tracking {
        greeting.say(&["CLIENT", "TRACKING", "on"]);
    }
    Ok(greeting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::parse;

    fn options(line: &str) -> Result<Options, String> {
        Options::new(parse(line.split_whitespace().map(Into::into)).unwrap())
    }

    #[test]
    fn defaults_are_those_of_redis_benchmark() {
        let o = options("").unwrap();
        assert_eq!((o.clients, o.requests, o.data, o.pipeline), (50, 100_000, 3, 1));
        assert_eq!((o.threads, o.crew(), o.keep_alive, o.key_space), (0, 1, true, None));
        assert_eq!(o.target, Target::Tcp("127.0.0.1".to_owned(), 6379));
        assert_eq!((o.output, o.precision, o.greeting.replies()), (Output::Report, 3, 0));
    }

    #[test]
    fn numbers_out_of_range_are_moved_or_refused() {
        let o = options("-c 0 -d -5 -P 0 -r 0 --threads 1000 --csv -q -t SET,Get").unwrap();
        assert_eq!((o.clients, o.data, o.pipeline, o.key_space), (500, 1, 1, Some(1)));
        assert_eq!((o.threads, o.output, o.warnings.len()), (500, Output::Csv, 1));
        assert_eq!(o.tests, Some(vec!["set".to_owned(), "get".to_owned()]));
        for line in [
            "-n 0",
            "-n -1",
            "-r 1000000000001",
            "--key-pattern seq",
            "--key-pattern odd -r 5",
            "--ratio 0:0",
            "--ratio 1",
            "--ratio 1:1 -t get",
            "--ratio 1:1 get x",
            "--rate 0",
            "--rate nan",
            "--duration -1",
            "--rounds 3",
            "--compare here",
            "-x",
            "--user u",
            "-u http://h",
        ] {
            assert!(options(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_uri_overrides_the_flags() {
        let o = options("-h a -p 1 --dbnum 2 -a x -u redis://u:p@b:9/3 -3").unwrap();
        assert_eq!(o.target, Target::Tcp("b".to_owned(), 9));
        let bytes = String::from_utf8(o.greeting.bytes()).unwrap();
        assert!(
            bytes.contains("AUTH\r\n$1\r\nu\r\n$1\r\np\r\n") && bytes.contains("SELECT\r\n$1\r\n3")
        );
        assert_eq!(o.greeting.replies(), 3);
    }

    #[test]
    fn a_duration_lifts_the_default_number_of_requests() {
        assert_eq!(options("--duration 2").unwrap().requests, u64::MAX / 2);
        assert_eq!(options("--duration 2 -n 7").unwrap().requests, 7);
        assert_eq!(options("--ratio 1:10").unwrap().ratio, Some((1, 10)));
    }
}
