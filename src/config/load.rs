//! From the command line, the environment and the files to a configuration: defaults, then the
//! file, then standard input, then variables, then flags; the last one to speak wins.
//!
//! The command line is Redis': an optional file first, `-` for standard input first or last, and
//! `--name value...`, where a name may swallow the next word even if it begins with `--`. The flags
//! become lines of redis.conf, so that quoting, repetition and errors are those of a file.

use super::file::{Fault, Loader, Place, is_toml};
use super::param::Kind;
use super::table::{PARAMS, find_any};
use super::{Config, REDIS_VERSION, docs, suggest, words};
use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// Exit code for a wrong command line or configuration.
pub const EXIT_CONFIG: i32 = 2;

/// What to start with.
#[derive(Debug)]
pub struct Startup {
    /// The configuration.
    pub config: Config,
    /// What is asked for.
    pub action: Action,
    /// The main file, absolute: CONFIG REWRITE writes it.
    pub file: Option<PathBuf>,
    /// What an operator should know, to be logged once the log is open.
    pub warnings: Vec<String>,
}

/// What a command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Serve.
    Run,
    /// Say that the configuration is right, and leave.
    Check,
    /// Print this and leave.
    Print(String),
}

/// Why there is no configuration. The text is meant for standard error as it is.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A line is wrong.
    #[error(
        "*** FATAL CONFIG FILE ERROR (Redis {REDIS_VERSION}) ***\n\
         Reading the configuration file, at line {line}\n>>> '{text}'\n{reason}\n{file}:{line}: {hint}"
    )]
    Line {
        /// File, or what stands for one.
        file: String,
        /// Counted from 1.
        line: usize,
        /// The line.
        text: String,
        /// Redis' words.
        reason: String,
        /// What would be right.
        hint: String,
    },
    /// A file cannot be read.
    #[error("Fatal error, can't open config file '{file}': {reason}")]
    Open {
        /// File.
        file: String,
        /// The operating system's words.
        reason: String,
    },
}

/// Builds the configuration of a process.
///
/// `argv` is without the program's name. `env` is every variable; those that concern nobody are
/// skipped.
pub fn load(
    argv: impl IntoIterator<Item = OsString>,
    env: impl IntoIterator<Item = (OsString, OsString)>,
    stdin: &mut dyn Read,
) -> Result<Startup, ConfigError> {
    let arguments = Arguments::read(argv.into_iter().map(OsString::into_vec).collect());
    if let Action::Print(_) = arguments.action {
        let action = arguments.action;
        return Ok(Startup { config: Config::default(), action, file: None, warnings: Vec::new() });
    }
    let mut loader = Loader::new(Config::default());
    let mut warnings = Vec::new();
    if let Some(file) = &arguments.file {
        loader.file(file)?;
    }
    if arguments.stdin {
        let mut text = Vec::new();
        stdin.read_to_end(&mut text).map_err(|error| ConfigError::Open {
            file: "-".into(),
            reason: super::os_reason(&error),
        })?;
        loader.text("stdin", &text)?;
    }
    variables(&mut loader, env, &mut warnings)?;
    loader.lines("command line", &arguments.lines)?;
    let config = finish(loader.config, &mut warnings);
    Ok(Startup { config, action: arguments.action, file: arguments.file, warnings })
}

/// Settles what depends on the place and says which values have no effect yet.
fn finish(mut config: Config, warnings: &mut Vec<String>) -> Config {
    config.dir = super::special::dir(&config);
    let default = Config::default();
    for param in PARAMS.iter().filter(|p| !p.harness.is_empty()) {
        if param.bytes(&config) != param.bytes(&default) {
            warnings.push(format!("'{}' is kept but has no effect: {}", param.name, param.harness));
        }
    }
    config
}

/// Reads `EONKV_<NAME>` and the two variables of rust-keyval.
fn variables(
    loader: &mut Loader,
    env: impl IntoIterator<Item = (OsString, OsString)>,
    warnings: &mut Vec<String>,
) -> Result<(), ConfigError> {
    let mut env: Vec<(String, Vec<u8>)> = env
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_vec())))
        .collect();
    // Their order in the environment is chance; and the product's own names win over borrowed ones.
    env.sort();
    env.sort_by_key(|(name, _)| name.starts_with("EONKV_"));
    for (name, value) in env {
        let place = Place { source: &format!("${name}"), line: 1 };
        let line = [name.as_bytes(), b"=", &value].concat();
        let failed = |fault: Fault| place.error(&line, fault);
        match name.as_str() {
            "KEYVAL_BIND" => address(loader, &value, "bind", "port").map_err(failed)?,
            "METRICS_BIND" => {
                address(loader, &value, "metrics-bind", "metrics-port").map_err(failed)?;
            }
            _ => {
                let Some(own) = name.strip_prefix("EONKV_") else { continue };
                match find_any(own.as_bytes()) {
                    Some(param) => loader.replace(param, &value).map_err(failed)?,
                    // A variable may belong to another program, so it is no error.
                    None => warnings.push(unknown_variable(&name, own)),
                }
            }
        }
    }
    Ok(())
}

fn unknown_variable(name: &str, own: &str) -> String {
    match suggest::nearest(own) {
        Some(near) => {
            let near = near.to_ascii_uppercase().replace('-', "_");
            format!("variable {name} names no parameter; did you mean EONKV_{near}?")
        }
        None => format!("variable {name} names no parameter"),
    }
}

/// Reads `HOST:PORT` into two parameters.
fn address(loader: &mut Loader, value: &[u8], host: &str, port: &str) -> Result<(), Fault> {
    let colon = value.iter().rposition(|b| *b == b':').ok_or_else(|| Fault::Refused {
        reason: "argument must be an address and a port".into(),
        hint: "expected HOST:PORT, such as 127.0.0.1:6379 or [::1]:6379".into(),
    })?;
    let name = &value[..colon];
    let name = name.strip_prefix(b"[").and_then(|n| n.strip_suffix(b"]")).unwrap_or(name);
    loader.directive(&[host.into(), name.to_vec()])?;
    loader.directive(&[port.into(), value[colon + 1..].to_vec()])
}

/// The command line, taken apart.
struct Arguments {
    action: Action,
    file: Option<PathBuf>,
    stdin: bool,
    /// The flags as lines of redis.conf.
    lines: Vec<u8>,
}

impl Arguments {
    fn read(mut argv: Vec<Vec<u8>>) -> Self {
        let mut parsed = Self { action: Action::Run, file: None, stdin: false, lines: Vec::new() };
        match argv.first().map(Vec::as_slice) {
            Some(b"-v" | b"--version") => parsed.action = Action::Print(docs::version()),
            Some(b"-h" | b"--help") => parsed.action = Action::Print(docs::usage()),
            _ => {}
        }
        // Never a parameter's value: no value of any begins like this and means something.
        let before = argv.len();
        argv.retain(|arg| arg != b"--check-config");
        if argv.len() < before && parsed.action == Action::Run {
            parsed.action = Action::Check;
        }
        let mut rest = argv.as_slice();
        if let [first, tail @ ..] = rest
            && !first.starts_with(b"-")
        {
            let path = PathBuf::from(OsString::from_vec(first.clone()));
            parsed.file = Some(std::path::absolute(&path).unwrap_or(path));
            rest = tail;
        }
        let begins = argv.len() == rest.len();
        for (index, arg) in rest.iter().enumerate() {
            let edge = (index == 0 && begins) || index + 1 == rest.len();
            if arg == b"-" && edge {
                parsed.stdin = true;
                rest = if index == 0 { &rest[1..] } else { &rest[..index] };
                break;
            }
        }
        parsed.lines = flags_to_lines(rest);
        parsed
    }
}

/// Writes flags as lines. A flag takes at least one value, even one that looks like a flag, unless
/// its value stands in the same argument; what follows belongs to it up to the next flag.
fn flags_to_lines(argv: &[Vec<u8>]) -> Vec<u8> {
    let mut lines: Vec<u8> = Vec::new();
    // Whether the flag at hand has its value, so that `--x` begins the next.
    let mut satisfied = true;
    for (index, arg) in argv.iter().enumerate() {
        let Some(flag) = arg.strip_prefix(b"--").filter(|_| satisfied) else {
            lines.extend(words::quote(arg).as_bytes());
            lines.push(b' ');
            satisfied = true;
            continue;
        };
        if !lines.is_empty() {
            lines.push(b'\n');
        }
        if let Some((name, value)) = joined(flag) {
            lines.extend([name, b" ", words::quote(value).as_bytes(), b" "].concat());
            continue;
        }
        lines.extend([flag, b" "].concat());
        if words::split(flag).is_some_and(|words| words.len() > 1) {
            continue;
        }
        let next = argv.get(index + 1);
        let bare = next.is_none_or(|next| next.starts_with(b"--"));
        match (bare, value_if_bare(flag, next)) {
            (true, Some(value)) => lines.extend(value.as_bytes()),
            _ => satisfied = false,
        }
    }
    lines
}

/// What a flag means that has no value: `--save` empties, and `--appendonly` before another known
/// flag says yes, as other servers read it. Redis refuses the latter, so nothing that works there
/// changes.
fn value_if_bare(flag: &[u8], next: Option<&Vec<u8>>) -> Option<&'static str> {
    if flag.eq_ignore_ascii_case(b"save") {
        return Some("\"\"");
    }
    let known = |arg: &Vec<u8>| {
        let word = words::split(arg.get(2..)?)?.into_iter().next()?;
        find_any(&word)
    };
    let switch = matches!(find_any(flag)?.kind, Kind::Bool { .. });
    (switch && next.is_none_or(|next| known(next).is_some())).then_some("yes")
}

/// `name=value` of a known parameter.
fn joined(flag: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = flag.iter().position(|b| *b == b'=')?;
    let (name, value) = (&flag[..equals], &flag[equals + 1..]);
    find_any(name).map(|_| (name, value))
}

/// Whether a configuration file's text is TOML; else it is in the syntax of redis.conf.
pub(super) fn toml_syntax(bytes: &[u8]) -> bool {
    is_toml(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn start(argv: &[&str]) -> Result<Startup, String> {
        start_with(argv, &[], "")
    }

    fn start_with(argv: &[&str], env: &[(&str, &str)], stdin: &str) -> Result<Startup, String> {
        let argv = argv.iter().map(OsString::from);
        let env = env.iter().map(|(n, v)| (OsString::from(n), OsString::from(v)));
        load(argv, env, &mut stdin.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn errors_of_the_command_line_read_as_in_redis() {
        for (argv, line, reason) in [
            (&["--port"][..], "'port'", "wrong number of arguments"),
            (&["--port", "6380", "--loglevel"], "'loglevel'", "wrong number of arguments"),
            (&["--port", "6379", "6380"], "'port \"6379\" \"6380\"'", "wrong number of arguments"),
            (
                &["--port", "--loglevel", "verbose"],
                "'port \"--loglevel\" \"verbose\"'",
                "wrong number of arguments",
            ),
            (
                &["--port", "--bla", "--loglevel", "verbose"],
                "'port \"--bla\"'",
                "argument couldn't be parsed into an integer",
            ),
            (
                &["--logfile", "--my--log--file", "--loglevel", "--bla"],
                "'loglevel \"--bla\"'",
                "argument(s) must be one of the following",
            ),
            (
                &["--shutdown-on-sigint"],
                "'shutdown-on-sigint'",
                "argument(s) must be one of the following",
            ),
            (
                &["--shutdown-on-sigint", "now force", "--shutdown-on-sigterm"],
                "'shutdown-on-sigterm'",
                "argument(s) must be one of the following",
            ),
            (
                &["--replicaof", "127.0.0.1", "abc"],
                "'replicaof \"127.0.0.1\" \"abc\"'",
                "Invalid master port",
            ),
            (
                &["--replicaof", "--127.0.0.1", "abc"],
                "'replicaof \"--127.0.0.1\" \"abc\"'",
                "Invalid master port",
            ),
            (
                &["--replicaof", "--127.0.0.1", "--abc"],
                "'replicaof \"--127.0.0.1\"'",
                "wrong number of arguments",
            ),
            (&["--nosuch", "1"], "'nosuch \"1\"'", "Bad directive or wrong number of arguments"),
        ] {
            let error = start(argv).unwrap_err();
            let at = error.find(line).unwrap_or_else(|| panic!("{argv:?}: {error}"));
            assert!(error[at..].contains(reason), "{argv:?}: {error}");
        }
    }

    #[test]
    fn flags_are_read_as_in_redis() {
        let config = |argv: &[&str]| start(argv).unwrap().config;
        let c = config(&["--maxmemory 700mb", "--maxmemory-policy volatile-lru"]);
        assert_eq!((c.maxmemory, c.maxmemory_policy.uses_lru()), (700 << 20, true));
        let c = config(&["--maxmemory '700mb'", "--hz", "20"]);
        assert_eq!((c.maxmemory, c.hz), (700 << 20, 20));
        for argv in [
            &["--proc-title-template", "--my--title", "--loglevel", "verbose"][..],
            &["--proc-title-template --my--title", "--loglevel verbose"],
        ] {
            let c = config(argv);
            assert_eq!(c.proc_title_template, "--my--title");
            assert_eq!(c.loglevel, super::super::LogLevel::Verbose);
        }
        for argv in [
            &["--save", "--loglevel", "verbose"][..],
            &["--loglevel", "verbose", "--save"],
            &["--save", "", "--loglevel", "verbose"],
            &["--proc-title-template", "--save", "--save", "", "--loglevel", "verbose"],
        ] {
            let c = config(argv);
            assert!(c.save.is_empty() && c.loglevel == super::super::LogLevel::Verbose, "{argv:?}");
        }
        let argv = [
            "--shutdown-on-sigint",
            "nosave",
            "force",
            "now",
            "--shutdown-on-sigterm",
            "nosave force",
        ];
        let c = config(&argv);
        assert!(c.shutdown_on_sigint.now && c.shutdown_on_sigterm.force);
        assert_eq!(config(&["--save", "10", "1", "--save", "20", "2"]).save.len(), 2);
    }

    #[test]
    fn other_servers_flags() {
        let c = start(&[
            "--host",
            "127.0.0.1",
            "--max-memory",
            "256MB",
            "--eviction-policy",
            "allkeys-lru",
            "--shards",
            "3",
            "--data-dir",
            "/tmp",
            "--metrics-port=9100",
            "--appendonly",
            "--appendfsync",
            "everysec",
        ])
        .unwrap()
        .config;
        assert_eq!((c.bind.len(), c.maxmemory, c.io_threads), (1, 256 << 20, 3));
        assert_eq!((c.dir.as_str(), c.metrics_port, c.appendonly), ("/tmp", 9100, true));
    }

    #[test]
    fn flags_win_over_variables_and_those_over_files() {
        let stdin = "port 1\nhz 11\ntimeout 1\nsave 5 5\n";
        let env =
            [("EONKV_HZ", "12"), ("EONKV_PORT", "2"), ("EONKV_SAVE", "7 7"), ("EONKV_PROT", "1")];
        let started = start_with(&["-", "--port", "3"], &env, stdin).unwrap();
        let c = &started.config;
        assert_eq!((c.port, c.hz, c.timeout, c.save.len()), (3, 12, 1, 1));
        assert!(started.warnings.iter().any(|w| w.contains("did you mean EONKV_PORT?")));
        let env = [("KEYVAL_BIND", "0.0.0.0:6374"), ("METRICS_BIND", "[::1]:9100")];
        let c = start_with(&[], &env, "").unwrap().config;
        assert_eq!((c.bind[0].as_str(), c.port), ("0.0.0.0", 6374));
        assert_eq!((c.metrics_bind.as_str(), c.metrics_port), ("::1", 9100));
        assert!(start_with(&[], &[("KEYVAL_BIND", "x")], "").unwrap_err().contains("HOST:PORT"));
        assert!(start_with(&[], &[("EONKV_PORT", "x")], "").unwrap_err().contains("$EONKV_PORT:1"));
    }

    /// What the test harness of Redis writes for each server it starts.
    #[test]
    fn the_configuration_of_redis_own_tests() {
        let text = "always-show-logo yes\nnotify-keyspace-events KEA\ndaemonize no\n\
            pidfile /var/run/redis.pid\nport 21111\ntimeout 0\nbind 127.0.0.1\nloglevel verbose\n\
            logfile ''\ndatabases 16\nlatency-monitor-threshold 1\nrepl-diskless-sync-delay 0\n\
            save 900 1\nrdbcompression yes\ndbfilename dump.rdb\ndir /tmp\n\
            slave-serve-stale-data yes\nappendonly no\nappendfsync everysec\n\
            no-appendfsync-on-rewrite no\nactiverehashing yes\nenable-protected-configs yes\n\
            enable-debug-command yes\nenable-module-command yes\n\
            propagation-error-behavior panic\nunixsocket /tmp/socket\n\
            crash-memcheck-enabled no\nuse-exit-on-panic yes\nrename-command flushdb badger\n\
            loading-process-events-interval-bytes 1024\nkey-load-delay 50\n";
        let config = start_with(&["-"], &[], text).unwrap().config;
        assert_eq!((config.port, config.save.len(), config.logfile.as_str()), (21111, 1, ""));
        assert_eq!(config.notify_keyspace_events.text(), "AKE");
        assert_eq!(config.dir, "/tmp");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = start(&["/nonexistent.conf"]).unwrap_err();
        let text =
            "Fatal error, can't open config file '/nonexistent.conf': No such file or directory";
        assert_eq!(error, text);
    }

    #[test]
    fn actions() {
        assert_eq!(start(&["--check-config"]).unwrap().action, Action::Check);
        assert!(
            matches!(start(&["--version"]).unwrap().action, Action::Print(v) if v.contains("v="))
        );
        assert!(matches!(start(&["-h"]).unwrap().action, Action::Print(h) if h.contains("--port")));
    }

    proptest! {
        /// No command line makes the reader panic, and every value survives the way through a line.
        #[test]
        fn any_command_line(argv in proptest::collection::vec("(--)?[ -~]{0,12}", 0..6), title in "[a-z ]{1,20}") {
            let strings: Vec<OsString> = argv.iter().filter(|a| !a.contains("include")).map(OsString::from).collect();
            let _ = Arguments::read(strings.into_iter().map(OsString::into_vec).collect());
            let c = start(&["--proc-title-template", &title]).unwrap().config;
            prop_assert_eq!(c.proc_title_template, title);
        }
    }
}
