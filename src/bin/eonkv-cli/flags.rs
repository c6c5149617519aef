//! Every option but help and version, in the order of the usage page.

use crate::args::{Family, Flag, Resp3, Take, Task};
use crate::format::Mode;
use crate::{number, quote, screen, uri};

#[rustfmt::skip]
pub static FLAGS: &[Flag] = &[
    Flag { names: &["-h"], help: "Host of the server (127.0.0.1).",
        take: Take::Word("host", |o, v| { o.host = v; Ok(()) }) },
    Flag { names: &["-p"], help: "Port of the server (6379).",
        take: Take::Word("port", |o, v| { o.port = number::leading_int(&v); Ok(()) }) },
    Flag { names: &["-s"], help: "Unix socket of the server; wins over host and port.",
        take: Take::Word("path", |o, v| { o.socket = Some(v); Ok(()) }) },
    Flag { names: &["-a", "--pass"], help: "Password; REDISCLI_AUTH is the safer way to give it.",
        take: Take::Word("password", |o, v| { o.password = Some(v); Ok(()) }) },
    Flag { names: &["--user"], help: "Name of the ACL user; needs a password.",
        take: Take::Word("name", |o, v| { o.user = Some(v); Ok(()) }) },
    Flag { names: &["--askpass"], help: "Ask for the password, without showing it.",
        take: Take::Alone(|o| o.ask_password = true) },
    Flag { names: &["--no-auth-warning"], help: "Do not warn about a password on the command line.",
        take: Take::Alone(|o| o.auth_warning = false) },
    Flag { names: &["-u"], help: "redis://[[user:]password@][host][:port][/db]; eonkv:// is the same.",
        take: Take::Word("uri", |o, v| uri::apply(&v, o)) },
    Flag { names: &["-4"], help: "Prefer IPv4 when a name has both kinds of address (default).",
        take: Take::Alone(|o| o.family = Family::V4) },
    Flag { names: &["-6"], help: "Prefer IPv6.",
        take: Take::Alone(|o| o.family = Family::V6) },
    Flag { names: &["-t"], help: "Give up connecting after so many seconds, fractions allowed.",
        take: Take::Word("seconds", |o, v| {
            o.connect_timeout = number::leading_float(&v);
            if o.connect_timeout < 0.0 { Err("Invalid connection timeout for -t.".to_owned()) } else { Ok(()) }
        }) },
    Flag { names: &["-n"], help: "Number of the database.",
        take: Take::Word("db", |o, v| { o.db = number::leading_int(&v); Ok(()) }) },
    Flag { names: &["-2"], help: "Speak RESP2.",
        take: Take::Alone(|o| o.resp2 = true) },
    Flag { names: &["-3"], help: "Speak RESP3.",
        take: Take::Alone(|o| o.resp3 = Resp3::Required) },
    Flag { names: &["-c"], help: "Follow MOVED and ASK to other nodes of a cluster.",
        take: Take::Alone(|o| o.cluster = true) },
    Flag { names: &["-r"], help: "Send the command so many times; -1 is for ever.",
        take: Take::Word("times", |o, v| { o.repeat = number::leading_int(&v); Ok(()) }) },
    Flag { names: &["-i"], help: "Seconds between repetitions, between --scan and --stat steps.",
        take: Take::Word("seconds", |o, v| { o.interval_us = number::micros(number::leading_float(&v)); Ok(()) }) },
    Flag { names: &["-x"], help: "Append what stdin holds as the last argument.",
        take: Take::Alone(|o| o.last_arg_from_stdin = true) },
    Flag { names: &["-X"], help: "Put what stdin holds in place of the argument <tag>.",
        take: Take::Word("tag", |o, v| { o.tag_from_stdin = Some(v); Ok(()) }) },
    Flag { names: &["-e"], help: "Exit with 1 when the reply is an error, and print it on stderr.",
        take: Take::Alone(|o| o.error_exit = true) },
    Flag { names: &["--eval"], help: "Run the Lua script in a file; a lone comma parts keys from arguments.",
        take: Take::Word("file", |o, v| { o.eval = Some(v); Ok(()) }) },
    Flag { names: &["--quoted-input"], help: "Read each argument as a quoted string: '\"a\\x00b\"'.",
        take: Take::Alone(|o| o.quoted_input = true) },
    Flag { names: &["--raw"], help: "Print replies as they are (default when stdout is no terminal).",
        take: Take::Alone(|o| o.format.mode = Mode::Raw) },
    Flag { names: &["--no-raw"], help: "Print replies for people even when stdout is no terminal.",
        take: Take::Alone(|o| o.format.mode = Mode::Standard) },
    Flag { names: &["-d"], help: "What parts the elements of a raw reply (a newline).",
        take: Take::Word("text", |o, v| { o.format.element_end = v; Ok(()) }) },
    Flag { names: &["-D"], help: "What ends each raw reply (a newline).",
        take: Take::Word("text", |o, v| { o.format.reply_end = v; Ok(()) }) },
    Flag { names: &["--csv"], help: "Print replies as comma-separated values.",
        take: Take::Alone(|o| o.format.mode = Mode::Csv) },
    Flag { names: &["--json"], help: "Print replies as JSON; speaks RESP3 if the server does.",
        take: Take::Alone(|o| { o.prefer_resp3(); o.format.mode = Mode::Json }) },
    Flag { names: &["--quoted-json"], help: "Like --json, with every byte that is not ASCII escaped.",
        take: Take::Alone(|o| { o.prefer_resp3(); o.format.mode = Mode::QuotedJson }) },
    Flag { names: &["--show-pushes"], help: "Print RESP3 push messages: yes (default on a terminal) or no.",
        take: Take::Word("yn", |o, v| {
            match v.first() {
                Some(b'y' | b'Y') => o.show_pushes = true,
                Some(b'n' | b'N') => o.show_pushes = false,
                _ => screen::complain(&format!(
                    "Unknown --show-pushes value '{}' (valid: '[y]es', '[n]o')", String::from_utf8_lossy(&v))),
            }
            Ok(())
        }) },
    Flag { names: &["--pipe"], help: "Send raw protocol from stdin, count the replies.",
        take: Take::Alone(|o| o.tasks.push(Task::Pipe)) },
    Flag { names: &["--pipe-timeout"], help: "Seconds --pipe waits for replies after the last byte (30; 0: for ever).",
        take: Take::Word("seconds", |o, v| { o.pipe_timeout_s = number::leading_int(&v); Ok(()) }) },
    Flag { names: &["--scan"], help: "Print the names of all keys, walking them with SCAN.",
        take: Take::Alone(|o| o.tasks.push(Task::Scan)) },
    Flag { names: &["--pattern"], help: "Only keys that match, for --scan and the --...keys reports.",
        take: Take::Word("glob", |o, v| { o.pattern = Some(v); Ok(()) }) },
    Flag { names: &["--quoted-pattern"], help: "The same, read as a quoted string.",
        take: Take::Word("glob", |o, v| {
            o.pattern = Some(quote::unquote(&v).ok_or("Invalid quoted string specified for --quoted-pattern.")?);
            Ok(())
        }) },
    Flag { names: &["--count"], help: "COUNT for each SCAN of --scan and the --...keys reports.",
        take: Take::Word("keys", |o, v| { o.count = Some(number::leading_int(&v)); Ok(()) }) },
    Flag { names: &["--bigkeys"], help: "Report the key with most elements of each type.",
        take: Take::Alone(|o| o.tasks.push(Task::BigKeys)) },
    Flag { names: &["--memkeys"], help: "Report the key of each type that takes most memory.",
        take: Take::Alone(|o| { o.tasks.push(Task::MemKeys); o.memkeys_samples = 0 }) },
    Flag { names: &["--memkeys-samples"], help: "The same, measuring so many elements of each key.",
        take: Take::Word("elements", |o, v| {
            o.tasks.push(Task::MemKeys);
            o.memkeys_samples = u64::try_from(number::leading_int(&v)).unwrap_or(0);
            Ok(())
        }) },
    Flag { names: &["--hotkeys"], help: "Report the keys used most; needs an LFU maxmemory-policy.",
        take: Take::Alone(|o| o.tasks.push(Task::HotKeys)) },
    Flag { names: &["--stat"], help: "Print a line of statistics each second.",
        take: Take::Alone(|o| o.tasks.push(Task::Stat)) },
    Flag { names: &["--latency"], help: "Measure PING; off a terminal, for one second (-i), then exit.",
        take: Take::Alone(|o| o.tasks.push(Task::Latency)) },
    Flag { names: &["--latency-history"], help: "The same, starting anew every 15 seconds (-i).",
        take: Take::Alone(|o| { o.tasks.push(Task::Latency); o.tasks.push(Task::LatencyHistory) }) },
    Flag { names: &["--latency-dist"], help: "Show latencies as a spectrum of colours, each second (-i).",
        take: Take::Alone(|o| o.tasks.push(Task::LatencyDist)) },
    Flag { names: &["--mono"], help: "Shades of grey for --latency-dist.",
        take: Take::Alone(|o| o.mono = true) },
    Flag { names: &["--lru-test"], help: "Load a cache with an 80-20 mix over so many keys, count the hits.",
        take: Take::Word("keys", |o, v| { o.tasks.push(Task::LruTest); o.lru_keys = number::leading_int(&v); Ok(()) }) },
    Flag { names: &["--intrinsic-latency"], help: "Measure for so many seconds how long this system stalls a process.",
        take: Take::Word("seconds", |o, v| {
            o.tasks.push(Task::IntrinsicLatency);
            o.intrinsic_s = number::leading_int(&v);
            Ok(())
        }) },
    Flag { names: &["--tls", "--insecure", "--sni", "--cacert", "--cacertdir", "--cert", "--key", "--tls-ciphers",
        "--tls-ciphersuites"], help: "", take: Take::Absent("TLS is not in this build of eonkv-cli.") },
    Flag { names: &["--cluster"], help: "", take: Take::Absent("Cluster management is not in this build of eonkv-cli.") },
    Flag { names: &["--replica", "--slave", "--rdb", "--functions-rdb"], help: "",
        take: Take::Absent("Replication is not in this build of eonkv-cli.") },
    Flag { names: &["--ldb", "--ldb-sync-mode"], help: "",
        take: Take::Absent("The script debugger is not in this build of eonkv-cli.") },
];
