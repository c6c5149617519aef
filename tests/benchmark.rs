//! `eonkv-benchmark` as a user runs it, against a server made of a few lines.
//!
//! The server notes every request, so the tests can say what really went over the wire.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

type Request = Vec<Vec<u8>>;
type Answer = dyn Fn(&Request) -> Vec<u8> + Send + Sync;

/// A server on a port of its own that answers as told.
struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    fn start(answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer): (_, Arc<Answer>) = (requests.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (seen.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &seen, &*answer));
            }
        });
        Server { port, requests }
    }

    /// Answers the default tests' commands rightly enough.
    fn plain() -> Self {
        Server::start(plain)
    }

    /// The requests seen, without the questions about configuration.
    fn requests(&self) -> Vec<Request> {
        let all = self.requests.lock().unwrap();
        all.iter().filter(|request| request[0] != b"CONFIG").cloned().collect()
    }

    /// How often a command was seen.
    fn count(&self, name: &str) -> usize {
        self.requests().iter().filter(|request| request[0] == name.as_bytes()).count()
    }
}

fn plain(request: &Request) -> Vec<u8> {
    match request[0].to_ascii_uppercase().as_slice() {
        b"CONFIG" => [b"*2\r\n$1\r\nx\r\n$".to_vec(), config(&request[2])].concat(),
        b"GET" => b"$3\r\nabc\r\n".to_vec(),
        b"PING" => b"+PONG\r\n".to_vec(),
        b"INCR" | b"LPUSH" => b":1\r\n".to_vec(),
        b"LRANGE" => b"*2\r\n$1\r\na\r\n$-1\r\n".to_vec(),
        _ => b"+OK\r\n".to_vec(),
    }
}

fn config(name: &[u8]) -> Vec<u8> {
    if name == b"save" { b"7\r\n3600 1 \r\n".to_vec() } else { b"3\r\nyes\r\n".to_vec() }
}

fn serve(mut stream: TcpStream, seen: &Mutex<Vec<Request>>, answer: &Answer) {
    let (mut input, mut chunk) = (Vec::new(), [0; 65536]);
    while let Ok(read @ 1..) = stream.read(&mut chunk) {
        input.extend_from_slice(&chunk[..read]);
        let mut replies = Vec::new();
        while let Some((request, used)) = parse(&input) {
            input.drain(..used);
            replies.extend(answer(&request));
            seen.lock().unwrap().push(request);
        }
        if stream.write_all(&replies).is_err() {
            return;
        }
    }
}

/// The first whole request in the bytes, and its length.
fn parse(bytes: &[u8]) -> Option<(Request, usize)> {
    let line = |at: usize| {
        let end = bytes[at..].windows(2).position(|two| two == b"\r\n")? + at;
        Some((std::str::from_utf8(&bytes[at..end]).unwrap(), end + 2))
    };
    let (head, mut at) = line(0)?;
    let Some(count) = head.strip_prefix('*') else {
        return Some((head.split(' ').map(|word| word.as_bytes().to_vec()).collect(), at));
    };
    let mut request = Vec::new();
    for _ in 0..count.parse::<usize>().unwrap() {
        let (head, start) = line(at)?;
        let end = start + head[1..].parse::<usize>().unwrap();
        request.push(bytes.get(start..end)?.to_vec());
        assert_eq!(bytes.get(end..end + 2)?, b"\r\n");
        at = end + 2;
    }
    Some((request, at))
}

fn benchmark(port: u16, line: &str) -> Output {
    let words = line.split_whitespace();
    Command::new(env!("CARGO_BIN_EXE_eonkv-benchmark"))
        .args(["-p", &port.to_string()])
        .args(words)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Standard output of a run that must succeed; progress lines removed.
fn output(port: u16, line: &str) -> String {
    let run = benchmark(port, line);
    let text = String::from_utf8(run.stdout).unwrap();
    assert!(run.status.success(), "{line}: {text}{}", String::from_utf8_lossy(&run.stderr));
    text.lines().map(|line| line.rsplit('\r').next().unwrap_or("").to_owned() + "\n").collect()
}

/// Standard error of a run that must fail with 1.
fn failure(port: u16, line: &str) -> String {
    let run = benchmark(port, line);
    assert_eq!(run.status.code(), Some(1), "{line}");
    String::from_utf8(run.stderr).unwrap()
}

/// Replaces every number by N.
fn shape(text: &str) -> String {
    let mut out = String::new();
    let mut previous = ' ';
    for c in text.chars().filter(|c| *c != '.') {
        if !c.is_ascii_digit() {
            out.push(c);
        } else if !previous.is_ascii_digit() {
            out.push('N');
        }
        previous = c;
    }
    out
}

#[test]
fn quiet_lines_and_exact_numbers_of_requests() {
    let server = Server::plain();
    let text = output(server.port, "-q -n 1001 -c 7 -P 8 -t set,get,incr,ping");
    let expected = ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR"]
        .map(|title| format!("{title}: N requests per second, pN=N msec\n"));
    assert_eq!(shape(&text), expected.concat() + "\n");
    for (name, count) in [("PING", 2002), ("SET", 1001), ("GET", 1001), ("INCR", 1001)] {
        assert_eq!(server.count(name), count, "{name}");
    }
}

#[test]
fn csv_has_a_header_and_a_row_per_test() {
    let server = Server::plain();
    let text = output(server.port, "--csv -n 100 -t set,lrange_100");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4);
    assert!(lines[0].starts_with("\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\""));
    assert_eq!(shape(lines[1]), format!("\"SET\"{}", ",\"N\"".repeat(7)));
    assert!(lines[2].starts_with("\"LPUSH (needed to benchmark LRANGE)\","));
    assert!(lines[3].starts_with("\"LRANGE_100 (first 100 elements)\","));
}

#[test]
fn the_full_report_names_its_circumstances() {
    let server = Server::plain();
    let text = output(server.port, "-n 60 -c 3 --threads 2 -d 9 -t get");
    assert!(text.starts_with("====== GET ======\n  60 requests completed in "), "{text}");
    let head = "  3 parallel clients\n  9 bytes payload\n  keep alive: 1\n  \
                host configuration \"save\": 3600 1 \n  host configuration \"appendonly\": yes\n  \
                multi-thread: yes\n  threads: 2\n\nLatency by percentile distribution:\n";
    assert!(text.contains(head), "{text}");
    assert!(text.contains("(cumulative count 60)\n\nCumulative distribution of latencies:\n"));
    assert!(text.contains("\nSummary:\n  throughput summary: "));
}

#[test]
fn a_command_of_ones_own_has_its_placeholders_filled() {
    let server = Server::plain();
    let text = output(server.port, "-q -n 40 -r 10 -d 5 -c 2 set k:__rand_int__ <__data__> -1");
    let title = "set k:__rand_int__ <__data__> -N";
    assert_eq!(shape(&text), format!("{title}: N requests per second, pN=N msec\n"));
    let requests = server.requests();
    assert_eq!(requests.len(), 40);
    for request in &requests {
        assert_eq!((request[2].len(), request[3].as_slice()), (7, &b"-1"[..]));
        let key = std::str::from_utf8(&request[1]).unwrap().strip_prefix("k:").unwrap();
        assert!(key.len() == 12 && key.parse::<u64>().unwrap() < 10, "{key}");
    }
    let keys: std::collections::HashSet<_> = requests.iter().map(|request| &request[1]).collect();
    assert!(keys.len() > 3);
}

#[test]
fn a_seed_repeats_the_keys() {
    let keys = |seed| {
        let server = Server::plain();
        output(server.port, &format!("-q -n 20 -c 1 -r 1000000 --seed {seed} -t get"));
        server.requests()
    };
    assert_eq!(keys(1), keys(1));
    assert_ne!(keys(1), keys(2));
}

#[test]
fn the_last_argument_may_come_from_standard_input() {
    let server = Server::plain();
    let mut child = Command::new(env!("CARGO_BIN_EXE_eonkv-benchmark"))
        .args(["-p", &server.port.to_string(), "-q", "-n", "3", "-x", "set", "key"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"\xff\r\n\0").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(server.requests()[0], [b"set".to_vec(), b"key".to_vec(), b"\xff\r\n\0".to_vec()]);
}

#[test]
fn each_connection_introduces_itself() {
    let server = Server::plain();
    output(server.port, "-q -n 4 -c 2 --user u -a pw -3 --dbnum 5 -t get");
    let requests = server.requests();
    for name in ["AUTH", "HELLO", "SELECT"] {
        assert_eq!(server.count(name), 3, "two connections and the one that asks before: {name}");
    }
    assert_eq!(requests[0], [b"AUTH".to_vec(), b"u".to_vec(), b"pw".to_vec()]);
    assert_eq!(server.count("GET"), 4);
}

#[test]
fn without_keep_alive_every_batch_reconnects() {
    let server = Server::plain();
    let run = benchmark(server.port, "-q -n 30 -c 3 -k 0 -a pw -t set");
    assert!(run.status.success());
    assert!(String::from_utf8(run.stderr).unwrap().starts_with("WARNING: Keepalive disabled."));
    assert_eq!(server.count("SET"), 30);
    let greeted = server.count("AUTH");
    assert!((31..=34).contains(&greeted), "{greeted}");
}

#[test]
fn errors_end_the_run_with_their_text() {
    let refusing = Server::start(|request| match request[0].as_slice() {
        b"CONFIG" => b"-ERR unknown command\r\n".to_vec(),
        _ => b"-ERR nope\r\n".to_vec(),
    });
    let text = failure(refusing.port, "-q -n 10 -t set");
    assert_eq!(text, "WARNING: Could not fetch server CONFIG\nError from server: ERR nope\n");
    let text = failure(refusing.port, "-q -a pw -t set");
    assert_eq!(text, format!("Node 127.0.0.1:{} replied with error:\nERR nope\n", refusing.port));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = failure(closed, "-q");
    let expected =
        format!("Could not connect to Redis at 127.0.0.1:{closed}: Connection refused\n");
    assert_eq!(text, expected);
    let babbling = Server::start(|request| match request[0].as_slice() {
        b"CONFIG" => plain(request),
        _ => b"HTTP/1.1 400\r\n".to_vec(),
    });
    let text = failure(babbling.port, "-q -t set");
    assert!(text.starts_with("Error: Protocol error, an unknown reply type"), "{text}");
    assert!(failure(babbling.port, "-n 0").contains("-n must be at least 1"));
}

#[test]
fn an_unknown_flag_is_named_before_the_help() {
    let run = benchmark(1, "--bogus");
    assert_eq!(run.status.code(), Some(1));
    let text = String::from_utf8(run.stdout).unwrap();
    assert!(text.starts_with("Invalid option \"--bogus\" or option argument missing\n\nUsage: "));
    assert!(output(1, "--help").contains("--key-pattern"));
    let version = format!("eonkv-benchmark {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(output(1, "--version"), version);
}

/// Remembers what was SET; `spoil` changes what GET returns.
fn store(spoil: fn(Vec<u8>) -> Vec<u8>) -> Server {
    let map = Mutex::new(HashMap::new());
    Server::start(move |request| match request[0].as_slice() {
        b"SET" => {
            map.lock().unwrap().insert(request[1].clone(), request[2].clone());
            b"+OK\r\n".to_vec()
        }
        b"GET" => match map.lock().unwrap().get(&request[1]) {
            None => b"$-1\r\n".to_vec(),
            Some(value) => {
                let value = spoil(value.clone());
                [format!("${}\r\n", value.len()).as_bytes(), &value, b"\r\n"].concat()
            }
        },
        _ => plain(request),
    })
}

#[test]
fn verification_passes_what_is_right() {
    let server = store(|value| value);
    let line = "-q -n 500 -r 100 -d 40 -P 8 --key-pattern seq --verify -t set,get";
    let run = benchmark(server.port, line);
    let text = String::from_utf8(run.stderr).unwrap();
    assert!(run.status.success(), "{text}");
    let line = |name| format!("{name}: 500 replies verified, 0 keys were not set\n");
    assert_eq!(text, line("SET") + &line("GET"));
    let line = "-q -n 500 -r 1000 -d 40 --verify --ratio 1:3 --threads 2";
    let run = benchmark(server.port, line);
    let text = String::from_utf8(run.stderr).unwrap();
    assert!(
        run.status.success() && text.starts_with("SET:GET 1:3: 500 replies verified, "),
        "{text}"
    );
}

#[test]
fn verification_finds_what_is_wrong() {
    let server = store(|mut value| {
        value[7] ^= 1;
        value
    });
    let text = failure(server.port, "-q -n 50 -r 10 -d 8 --key-pattern seq --verify -t set,get");
    let expected = "Verification failed: 50 of 50 replies are wrong. The first: GET key ";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn a_comparison_takes_turns_and_tells_the_spread() {
    let (a, b) = (Server::plain(), Server::plain());
    let line = format!("--compare 127.0.0.1:{} --rounds 3 -n 100 -t get", b.port);
    let text = output(a.port, &(line.clone() + " -q"));
    assert_eq!(shape(&text), "GET: A=N B=N requests per second, A/B=N (N, N% N)\n\n");
    assert_eq!((a.count("GET"), b.count("GET")), (310, 310));
    let text = output(a.port, &(line.clone() + " --csv"));
    assert_eq!(shape(text.lines().nth(1).unwrap()), format!("\"GET\"{}", ",\"N\"".repeat(11)));
    assert!(output(a.port, &line).contains("95% interval of the median "));
}

#[test]
fn json_holds_the_whole_distribution() {
    let server = Server::plain();
    let path = std::env::temp_dir().join(format!("eonkv-benchmark-{}.json", std::process::id()));
    output(server.port, &format!("-q -n 300 -c 5 -t set,get --json {}", path.display()));
    let value: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    std::fs::remove_file(&path).unwrap();
    let results = value["results"].as_array().unwrap();
    assert_eq!((results.len(), &results[1]["test"]), (2, &serde_json::json!("GET")));
    let cells = results[0]["latency_us"]["distribution"].as_array().unwrap();
    assert_eq!(cells.iter().map(|cell| cell[1].as_u64().unwrap()).sum::<u64>(), 300);
    assert_eq!(value["clients"], 5);
}

#[test]
fn an_open_loop_keeps_its_rate_and_time() {
    let server = Server::plain();
    let begun = std::time::Instant::now();
    let run = benchmark(server.port, "--csv --rate 1000 --duration 0.5 -c 4 -t get");
    assert!(run.status.success());
    let took = begun.elapsed().as_secs_f64();
    let sent = server.count("GET");
    // Due are 500: a busy machine may be late with some, never early with any.
    assert!((250..=504).contains(&sent) && (0.4..5.0).contains(&took), "{sent} in {took} s");
}
