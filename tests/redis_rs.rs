//! The redis crate against the built server, as an application uses it: RESP2 and RESP3, pipelines,
//! expiry, AUTH, errors, scanning, big values, and a connection that the server cuts.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

#[path = "server/port.rs"]
mod port;

use port::free_port;
use redis::{
    Client, Commands, Connection, ErrorKind, RedisResult, ServerErrorKind, Value, cmd, pipe,
};
use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server of this build on a free port, stopped when dropped.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(flags: &[&str]) -> Self {
        for _ in 0..10 {
            let port = free_port();
            let mut child = Command::new(env!("CARGO_BIN_EXE_eonkv-server"))
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
                .args(flags)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(20) && child.try_wait().unwrap().is_none() {
                let address = ([127, 0, 0, 1], port).into();
                if std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
                    return Self { child, port };
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = child.kill(); // another process took the port meanwhile: try the next
            let _ = child.wait();
        }
        panic!("the server does not start");
    }

    fn client(&self, rest: &str) -> Client {
        Client::open(format!("redis://127.0.0.1:{}/{rest}", self.port)).unwrap()
    }

    /// One connection of each protocol.
    fn both(&self) -> [Connection; 2] {
        ["?protocol=resp2", "?protocol=resp3"]
            .map(|protocol| self.client(protocol).get_connection().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn strings_and_keys() {
    let server = Server::start(&[]);
    for mut c in server.both() {
        let () = cmd("FLUSHALL").query(&mut c).unwrap();
        let () = c.set("name", "value").unwrap();
        assert_eq!(c.get::<_, String>("name").unwrap(), "value");
        assert_eq!(c.get::<_, Option<String>>("nobody").unwrap(), None);
        assert_eq!(c.append::<_, _, usize>("name", "!").unwrap(), 6);
        assert!(c.set_nx::<_, _, bool>("other", 1).unwrap());
        assert!(!c.set_nx::<_, _, bool>("other", 2).unwrap());
        assert_eq!(c.incr::<_, _, i64>("other", 41).unwrap(), 42);
        assert_eq!(c.incr::<_, _, f64>("float", 0.5).unwrap(), 0.5);
        let () = c.mset(&[("a", 1), ("b", 2)]).unwrap();
        let got: Vec<Option<i64>> = c.mget(&["a", "nobody", "b"]).unwrap();
        assert_eq!(got, [Some(1), None, Some(2)]);
        assert_eq!(c.exists::<_, usize>(&["a", "b", "nobody"]).unwrap(), 2);
        let () = c.rename("a", "c").unwrap();
        assert_eq!(c.del::<_, usize>(&["a", "b", "c"]).unwrap(), 2);
        assert_eq!(c.getrange::<_, String>("name", -2, -1).unwrap(), "e!");
        let kind: String = cmd("TYPE").arg("name").query(&mut c).unwrap();
        assert_eq!(kind, "string");
    }
}

#[test]
fn bytes_of_any_kind_and_size_come_back() {
    let server = Server::start(&[]);
    let every: Vec<u8> = (0..=255).collect();
    for mut c in server.both() {
        for size in [0, 1, 43, 44, 45, 16_383, 16_384, 70_000, 3_000_000] {
            let value: Vec<u8> = every.iter().copied().cycle().take(size).collect();
            let () = c.set(&every, &value).unwrap();
            assert_eq!(c.get::<_, Vec<u8>>(&every).unwrap(), value, "{size} bytes");
            assert_eq!(c.strlen::<_, usize>(&every).unwrap(), size);
        }
    }
}

#[test]
fn pipelines_answer_in_order() {
    let server = Server::start(&[]);
    for mut c in server.both() {
        let () = cmd("FLUSHALL").query(&mut c).unwrap();
        let mut pipeline = pipe();
        for i in 0..5000 {
            pipeline.cmd("SET").arg(format!("k{i}")).arg(i).ignore();
            pipeline.cmd("INCR").arg("sum");
        }
        let sums: Vec<i64> = pipeline.query(&mut c).unwrap();
        assert_eq!(sums, (1..=5000).collect::<Vec<_>>());
        let size: i64 = cmd("DBSIZE").query(&mut c).unwrap();
        assert_eq!(size, 5001);
    }
}

#[test]
fn errors_are_redis_errors_and_cost_nothing_else() {
    let server = Server::start(&[]);
    for mut c in server.both() {
        let () = c.set("text", "not a number").unwrap();
        let error = c.incr::<_, _, i64>("text", 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Server(ServerErrorKind::ResponseError));
        assert_eq!(error.detail(), Some("value is not an integer or out of range"));
        let error = cmd("GET").query::<Value>(&mut c).unwrap_err();
        assert_eq!(error.detail(), Some("wrong number of arguments for 'get' command"));
        let error = cmd("NOSUCH").arg("a").query::<Value>(&mut c).unwrap_err();
        assert!(error.detail().is_some_and(|text| text.starts_with("unknown command 'NOSUCH'")));
        assert_eq!(c.get::<_, String>("text").unwrap(), "not a number");
    }
}

#[test]
fn keys_expire() {
    let server = Server::start(&[]);
    for mut c in server.both() {
        let () = c.pset_ex("short", "x", 60).unwrap();
        let () = c.set_ex("long", "x", 100).unwrap();
        assert!((99..=100).contains(&c.ttl::<_, i64>("long").unwrap()));
        assert!((1..=60).contains(&c.pttl::<_, i64>("short").unwrap()));
        std::thread::sleep(Duration::from_millis(80));
        assert_eq!(c.get::<_, Option<String>>("short").unwrap(), None);
        assert_eq!(c.ttl::<_, i64>("short").unwrap(), -2);
        assert!(c.persist::<_, bool>("long").unwrap());
        assert_eq!(c.ttl::<_, i64>("long").unwrap(), -1);
    }
}

#[test]
fn a_scan_sees_every_key() {
    let server = Server::start(&[]);
    for mut c in server.both() {
        let () = cmd("FLUSHALL").query(&mut c).unwrap();
        let mut pipeline = pipe();
        for i in 0..3000 {
            pipeline.set(format!("scan:{i}"), i).ignore();
        }
        let () = pipeline.query(&mut c).unwrap();
        let () = c.set("other", 1).unwrap();
        let seen =
            c.scan_match::<_, String>("scan:*").unwrap().collect::<RedisResult<BTreeSet<_>>>();
        assert_eq!(seen.unwrap().len(), 3000);
    }
}

#[test]
fn without_the_password_nothing_goes() {
    let server = Server::start(&["--requirepass", "secret"]);
    for protocol in ["?protocol=resp2", "?protocol=resp3"] {
        let open = |who: &str| {
            Client::open(format!("redis://{who}127.0.0.1:{}/{protocol}", server.port)).unwrap()
        };
        assert!(open(":wrong@").get_connection().is_err());
        let mut c = open(":secret@").get_connection().unwrap();
        assert_eq!(c.set::<_, _, String>("k", "v").unwrap(), "OK");
    }
    let mut c = server.client("?protocol=resp2").get_connection().unwrap();
    let error = c.get::<_, Option<String>>("k").unwrap_err();
    assert_eq!(error.code(), Some("NOAUTH"));
}

#[test]
fn databases_are_apart() {
    let server = Server::start(&[]);
    let mut third = server.client("3").get_connection().unwrap();
    let mut first = server.client("0").get_connection().unwrap();
    let () = third.set("k", "three").unwrap();
    assert_eq!(first.get::<_, Option<String>>("k").unwrap(), None);
    assert_eq!(third.get::<_, String>("k").unwrap(), "three");
}

#[test]
fn a_killed_client_connects_again() {
    let server = Server::start(&[]);
    let client = server.client("");
    let mut victim = client.get_connection().unwrap();
    let mut other = client.get_connection().unwrap();
    let id: i64 = cmd("CLIENT").arg("ID").query(&mut victim).unwrap();
    let killed: i64 = cmd("CLIENT").arg("KILL").arg("ID").arg(id).query(&mut other).unwrap();
    assert_eq!(killed, 1);
    assert!(victim.get::<_, Option<String>>("k").is_err());
    let mut again = client.get_connection().unwrap();
    assert_eq!(cmd("PING").query::<String>(&mut again).unwrap(), "PONG");
}
