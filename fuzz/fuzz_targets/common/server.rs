//! A whole server without sockets: what a worker does with the bytes of one connection.

use eonkv::clock::Clock;
use eonkv::commands::run::{Turn, run_batch};
use eonkv::commands::{Local, Shared, debug, persist, scripting, table};
use eonkv::config::Config;
use eonkv::config::live::Live;
use eonkv::db::{self, Access, Keyspace};
use eonkv::metrics::{Metrics, Process};
use eonkv::resp::Reply;
use eonkv::resp::request::{Batch, Limits, Parser};
use eonkv::session::control::Control;
use eonkv::session::registry::Origin;
use eonkv::session::{After, Registry, Session};
use eonkv::sync::pin;
use std::sync::Arc;

pub struct Server {
    shared: Arc<Shared>,
    local: Local,
    seat: db::Local,
    session: Session,
    reply: Reply,
}

impl Server {
    pub fn new() -> Self {
        let clock = Arc::new(Clock::new());
        // No thread saves here, so nothing may wait for one, as FLUSHALL does when there are save points.
        let config = Config { save: Vec::new(), ..Config::default() };
        let shared = Arc::new(Shared {
            started_ms: clock.now(),
            config: Live::new(config.clone()),
            config_file: None,
            keyspace: Arc::new(Keyspace::new(16, 1, clock)),
            clients: Arc::new(Registry::new(1)),
            conditions: Arc::default(),
            metrics: Metrics::new(1, table().rows.len()),
            control: Control::default(),
            run_id: "0".repeat(40),
            process: Process::new(),
            switches: debug::Switches::default(),
            persist: persist::State::default(),
            log: Arc::default(),
            catalog: scripting::Catalog::new(1),
        });
        let client = shared.clients.add(Origin::default());
        let local = Local {
            config: Arc::new(config),
            worker: 0,
            candidates: db::Candidates::default(),
            interpreter: None,
            waited: Default::default(),
            scratch: Vec::new(),
        };
        let seat = shared.keyspace.sit();
        let session = Session::new(client, false);
        Self { shared, local, seat, session, reply: Reply::with_capacity(1024) }
    }

    /// The configuration that commands see.
    #[allow(dead_code)] // not every target changes it
    pub fn config(&mut self) -> &mut Config {
        Arc::make_mut(&mut self.local.config)
    }

    /// The replies to what `commands` say, as bytes.
    pub fn run<W: AsRef<[u8]>>(&mut self, commands: &[Vec<W>]) -> Vec<u8> {
        let mut input = Vec::new();
        for words in commands {
            input.extend(format!("*{}\r\n", words.len()).bytes());
            for word in words {
                input.extend(format!("${}\r\n", word.as_ref().len()).bytes());
                input.extend_from_slice(word.as_ref());
                input.extend_from_slice(b"\r\n");
            }
        }
        let (mut parser, mut at) = (Parser::default(), 0);
        while at < input.len() {
            let mut batch = Batch::default();
            let parsed = parser.parse_batch(&input[at..], &mut batch, &Limits::default());
            self.batch(&batch, &input[at..]);
            if parsed.consumed == 0 {
                break;
            }
            at += parsed.consumed;
        }
        let (mut bytes, mut from) = (Vec::new(), 0);
        for (at, value) in &self.reply.shared {
            bytes.extend_from_slice(&self.reply.bytes[from..*at]);
            bytes.extend_from_slice(value);
            from = *at;
        }
        bytes.extend_from_slice(&self.reply.bytes[from..]);
        self.reply.clear();
        bytes
    }

    /// What the background thread does: frees what was flushed and what was replaced.
    #[allow(dead_code)] // not every target flushes
    pub fn tidy(&mut self) {
        pin().flush();
        self.shared.keyspace.free_flushed();
        db::grave::dig();
    }

    fn batch(&mut self, batch: &Batch, input: &[u8]) {
        let keyspace = &self.shared.keyspace;
        let seat = self.seat.seat;
        keyspace.gate.enter(seat);
        keyspace.clock.tick();
        let mut from = 0;
        while from < batch.reqs.len() {
            let pin = pin(); // a new one each turn, as a worker's: a FLUSH waits for the epoch
            let db = Access::new(keyspace, &mut self.seat, &pin, usize::from(self.session.db));
            self.reply.resp3 = self.session.resp3;
            let turn = Turn {
                shared: &self.shared,
                local: &mut self.local,
                db,
                reply: &mut self.reply,
                session: &mut self.session,
                meanwhile: None,
            };
            let done = run_batch(turn, batch, input, from);
            let after = std::mem::take(&mut self.session.after);
            if !matches!(after, After::Continue | After::Retry | After::Await(_)) {
                break; // closed, parked or paused: what was encoded is there
            }
            from = done;
            if matches!(after, After::Await(_)) {
                drop(pin);
                self.shared.keyspace.free_flushed();
                keyspace.clock.tick();
            }
        }
        self.seat.idle(&pin());
        keyspace.gate.leave(seat);
    }
}
