//! The command line: redis-cli's grammar, read from one table that also prints `--help`.
//!
//! The grammar is older than every argument library: options have one dash or two, the first word that is
//! not an option starts the command and everything behind it belongs to the server (`-1` as in
//! `lrange k 0 -1` included), `-h` is a host unless it comes last, and words need not be UTF-8. `argh`, which
//! the other binaries use, refuses all four, so the words are walked here; [`FLAGS`] plays its derive's part.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::flags::FLAGS;
use crate::format::{Format, Mode};

/// What one run shall do besides, or instead of, sending a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    Latency,
    LatencyHistory,
    LatencyDist,
    Pipe,
    BigKeys,
    MemKeys,
    HotKeys,
    Stat,
    Scan,
    LruTest,
    IntrinsicLatency,
}

/// Which RESP version to speak, and who asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resp3 {
    No,
    /// `--json` prefers it, and does without when the server refuses.
    Preferred,
    /// `-3` insists: a refusal is an error.
    Required,
}

/// Which address family to try first when a name has both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

/// Everything the command line and the environment said.
#[derive(Debug, Clone)]
pub struct Options {
    pub host: Vec<u8>,
    pub port: i64,
    pub socket: Option<Vec<u8>>,
    pub user: Option<Vec<u8>>,
    pub password: Option<Vec<u8>>,
    pub ask_password: bool,
    pub auth_warning: bool,
    pub family: Family,
    /// Seconds to wait for a connection; 0 leaves it to the system.
    pub connect_timeout: f64,
    pub db: i64,
    pub resp2: bool,
    pub resp3: Resp3,
    pub cluster: bool,
    pub repeat: i64,
    /// Microseconds.
    pub interval_us: u64,
    pub last_arg_from_stdin: bool,
    pub tag_from_stdin: Option<Vec<u8>>,
    pub quoted_input: bool,
    pub error_exit: bool,
    pub eval: Option<Vec<u8>>,
    pub format: Format,
    pub show_pushes: bool,
    pub tasks: Vec<Task>,
    pub pattern: Option<Vec<u8>>,
    pub count: Option<i64>,
    pub memkeys_samples: u64,
    pub pipe_timeout_s: i64,
    pub lru_keys: i64,
    pub intrinsic_s: i64,
    pub mono: bool,
    pub command: Vec<Vec<u8>>,
}

impl Options {
    /// The defaults; `terminal` is whether replies go to a person.
    pub fn new(terminal: bool) -> Self {
        Options {
            host: b"127.0.0.1".to_vec(),
            port: 6379,
            socket: None,
            user: None,
            password: None,
            ask_password: false,
            auth_warning: true,
            family: Family::V4,
            connect_timeout: 0.0,
            db: 0,
            resp2: false,
            resp3: Resp3::No,
            cluster: false,
            repeat: 1,
            interval_us: 0,
            last_arg_from_stdin: false,
            tag_from_stdin: None,
            quoted_input: false,
            error_exit: false,
            eval: None,
            format: Format::new(if terminal { Mode::Standard } else { Mode::Raw }),
            show_pushes: terminal,
            tasks: Vec::new(),
            pattern: None,
            count: None,
            memkeys_samples: 0,
            pipe_timeout_s: 30,
            lru_keys: 0,
            intrinsic_s: 0,
            mono: false,
            command: Vec::new(),
        }
    }

    pub fn has(&self, task: Task) -> bool {
        self.tasks.contains(&task)
    }

    /// What the JSON modes want: maps and doubles as such, unless `-3` said more already.
    pub fn prefer_resp3(&mut self) {
        if self.resp3 == Resp3::No {
            self.resp3 = Resp3::Preferred;
        }
    }
}

/// What reading the command line ended in.
#[derive(Debug)]
pub enum Parsed {
    Run(Box<Options>),
    Help,
    Version,
    /// The text for stderr; the exit code is 1.
    Wrong(String),
}

/// What follows a flag, and what it changes.
pub enum Take {
    /// The flag stands alone.
    Alone(fn(&mut Options)),
    /// The flag takes the next word; the error is a whole message.
    Word(&'static str, fn(&mut Options, Vec<u8>) -> Result<(), String>),
    /// The capability is not in this build: named, so that nobody takes it for a typing error.
    Absent(&'static str),
}

/// One option: a row of the table that parser and usage page share.
pub struct Flag {
    pub names: &'static [&'static str],
    pub take: Take,
    pub help: &'static str,
}

/// Reads the words behind the program's name.
pub fn parse(words: Vec<OsString>, terminal: bool) -> Parsed {
    let mut options = Options::new(terminal);
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.peek() {
        let text = word.as_bytes().to_vec();
        if !text.starts_with(b"-") {
            break;
        }
        words.next();
        match text.as_slice() {
            b"--help" => return Parsed::Help,
            b"-h" if words.peek().is_none() => return Parsed::Help,
            b"-v" | b"--version" => return Parsed::Version,
            _ => {}
        }
        let flag = FLAGS.iter().find(|flag| flag.names.iter().any(|name| name.as_bytes() == text));
        let refused = || {
            let shown = String::from_utf8_lossy(&text);
            Parsed::Wrong(format!("Unrecognized option or bad number of args for: '{shown}'"))
        };
        match flag.map(|flag| &flag.take) {
            Some(Take::Alone(apply)) => apply(&mut options),
            Some(Take::Word(_, apply)) => {
                let Some(value) = words.next() else {
                    return refused();
                };
                if let Err(message) = apply(&mut options, value.into_vec()) {
                    return Parsed::Wrong(message);
                }
            }
            Some(Take::Absent(why)) => return Parsed::Wrong((*why).to_owned()),
            None => return refused(),
        }
    }
    options.command = words.map(OsString::into_vec).collect();
    match contradiction(&options) {
        Some(text) => Parsed::Wrong(text.to_owned()),
        None => Parsed::Run(Box::new(options)),
    }
}

fn contradiction(options: &Options) -> Option<&'static str> {
    if options.socket.is_some() && options.cluster {
        return Some("Options -c and -s are mutually exclusive.");
    }
    if options.resp2 && options.resp3 == Resp3::Required {
        return Some("Options -2 and -3 are mutually exclusive.");
    }
    if options.last_arg_from_stdin && options.tag_from_stdin.is_some() {
        return Some("Options -x and -X are mutually exclusive.");
    }
    None
}

/// The usage page.
pub fn help() -> String {
    let mut page = format!(
        "eonkv-cli {}\n\nUsage: eonkv-cli [OPTIONS] [COMMAND [ARG ...]]\n\n\
         Without a command it reads them from the terminal, or one per line from a pipe.\n\nOptions:\n",
        env!("CARGO_PKG_VERSION")
    );
    for flag in FLAGS {
        let value = match &flag.take {
            Take::Word(value, _) => format!(" <{value}>"),
            Take::Alone(_) => String::new(),
            Take::Absent(_) => continue,
        };
        let names = format!("{}{value}", flag.names.join(", "));
        page.push_str(&format!("  {names:<28} {}\n", flag.help));
    }
    page.push_str(concat!(
        "  --help                       Print this page.\n",
        "  -v, --version                Print the version.\n\n",
        "Examples:\n",
        "  eonkv-cli set greeting hello\n",
        "  eonkv-cli -x set picture < photo.jpg\n",
        "  eonkv-cli -r 10 -i 0.5 incr beats\n",
        "  eonkv-cli --scan --pattern 'user:*'\n",
        "  eonkv-cli --eval script.lua key1 key2 , arg1 arg2\n\n",
        "Exit codes: 0 when the command was answered (even by an error, unless -e), 1 otherwise.\n",
    ));
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Parsed {
        parse(line.split_whitespace().map(OsString::from).collect(), false)
    }

    fn run(line: &str) -> Options {
        match read(line) {
            Parsed::Run(options) => *options,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn wrong(line: &str) -> String {
        match read(line) {
            Parsed::Wrong(text) => text,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn options_stop_at_the_command() {
        let options = run("-p 7 -n 3 lrange -h 0 -1");
        assert_eq!((options.port, options.db), (7, 3));
        assert_eq!(
            options.command,
            ["lrange", "-h", "0", "-1"].map(|word| word.as_bytes().to_vec())
        );
    }

    #[test]
    fn h_is_a_host_unless_last() {
        assert_eq!(run("-h there").host, b"there");
        assert!(matches!(read("-h"), Parsed::Help));
        assert!(matches!(read("--help ping"), Parsed::Help));
        assert!(matches!(read("--version"), Parsed::Version));
    }

    #[test]
    fn unknown_and_unfinished_flags() {
        let text = "Unrecognized option or bad number of args for: ";
        assert_eq!(wrong("--nope x"), format!("{text}'--nope'"));
        assert_eq!(wrong("-p"), format!("{text}'-p'"));
        assert_eq!(wrong("-"), format!("{text}'-'"));
        assert!(wrong("--tls ping").contains("TLS"));
    }

    #[test]
    fn contradictions() {
        assert_eq!(wrong("-2 -3 ping"), "Options -2 and -3 are mutually exclusive.");
        assert_eq!(wrong("-x -X tag ping"), "Options -x and -X are mutually exclusive.");
        assert_eq!(wrong("-c -s /tmp/x ping"), "Options -c and -s are mutually exclusive.");
        let options = run("-2 --json ping");
        assert!(options.resp2 && options.resp3 == Resp3::Preferred);
        assert_eq!(run("-3 --json ping").resp3, Resp3::Required);
    }

    #[test]
    fn numbers_read_as_c_does() {
        assert_eq!(run("-p 12abc").port, 12);
        assert_eq!(run("-p x").port, 0);
        assert_eq!(run("-r -1").repeat, -1);
        assert_eq!(run("-i 0.25").interval_us, 250_000);
        assert_eq!(run("-i x").interval_us, 0);
    }

    #[test]
    fn the_help_names_every_flag_once() {
        let page = help();
        let mut seen = std::collections::HashSet::new();
        for name in FLAGS.iter().flat_map(|flag| flag.names) {
            assert!(seen.insert(name), "{name} twice");
        }
        for name in ["-h", "--pipe-timeout", "--quoted-pattern", "--show-pushes"] {
            assert!(page.contains(&format!("  {name} ")), "{name}");
        }
        assert!(page.lines().all(|line| line.len() <= 110));
    }
}
