//! A whole run: the servers are found, the tests run one after the other, results are printed.
//!
//! Keeps true: results go to standard output and nothing else does; what concerns the user but no
//! script (warnings, what was verified) goes to standard error.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::catalog;
use crate::compare::{self, Comparison, Round};
use crate::failure::{Failure, plain};
use crate::job::{Job, Outcome, Shared, TICK, Tick};
use crate::json;
use crate::options::{Options, Output};
use crate::report::{self, ProgressLine, Setting};
use crate::stream::Stream;
use crate::target::{Server, Target};
use crate::template::Workload;
use crate::values::Values;

/// Runs what the options ask for.
pub fn run(options: &Options) -> Result<(), Failure> {
    for warning in &options.warnings {
        eprintln!("{warning}");
    }
    let mut session = Session::new(options)?;
    if options.idle {
        return session.idle();
    }
    loop {
        session.round()?;
        if !options.repeat {
            return Ok(());
        }
    }
}

struct Session<'a> {
    options: &'a Options,
    /// The server under test, and the one it is compared with.
    servers: Vec<Server>,
    values: Arc<Values>,
    /// Of the round under way.
    results: Vec<Value>,
    /// Runs so far: each draws other random keys.
    runs: u64,
}

/// Prints to standard output; that nobody reads it any more ends the run.
fn say(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Failure::Output("standard output".to_owned(), plain(&error)))
}

impl<'a> Session<'a> {
    fn new(options: &'a Options) -> Result<Self, Failure> {
        let targets: Vec<&Target> = [&options.target].into_iter().chain(&options.compare).collect();
        let servers: Vec<Server> = targets
            .iter()
            .map(|target| target.probe(&options.greeting))
            .collect::<Result<_, Failure>>()?;
        if servers[0].configuration.is_none() {
            eprintln!("WARNING: Could not fetch server CONFIG");
        }
        let values = Arc::new(Values::new(options.data));
        Ok(Session { options, servers, values, results: Vec::new(), runs: 0 })
    }

    /// All tests once.
    fn round(&mut self) -> Result<(), Failure> {
        self.results.clear();
        if self.options.output == Output::Csv {
            let header =
                if self.servers.len() > 1 { compare::CSV_HEADER } else { report::CSV_HEADER };
            say(header)?;
        }
        for number in 0..self.workloads().len() {
            match self.servers.len() {
                1 => self.test(number)?,
                _ => self.comparison(number)?,
            }
        }
        if self.options.output != Output::Csv && self.options.command.is_empty() {
            say("\n")?;
        }
        if let Some(path) = &self.options.json {
            let text = json::file(self.options, &self.servers, &self.results);
            std::fs::write(path, text)
                .map_err(|error| Failure::Output(path.display().to_string(), plain(&error)))?;
        }
        Ok(())
    }

    fn workloads(&self) -> Vec<Workload> {
        catalog::workloads(self.options, &self.values)
    }

    /// Test number `number` against server number `server`; `length` is the part of it to do.
    fn job(&mut self, number: usize, server: usize, length: f64) -> Option<Job> {
        let options = self.options;
        self.runs += 1;
        let part = |count: u64| if length < 1.0 { (count as f64 * length) as u64 } else { count };
        Some(Job {
            server: self.servers[server].clone(),
            greeting: options.greeting.clone(),
            workload: self.workloads().into_iter().nth(number)?,
            values: self.values.clone(),
            clients: options.clients,
            threads: options.crew(),
            depth: options.pipeline,
            keep_alive: options.keep_alive,
            pattern: options.pattern,
            key_space: options.key_space.unwrap_or(1),
            seed: options.seed.wrapping_add(self.runs),
            verify: options.verify,
            precision: options.precision,
            requests: part(options.requests).max(1),
            duration: options.duration.map(|whole| whole.mul_f64(length)),
            rate: options.rate,
            shared: Shared::new(options.crew(), Arc::default()),
        })
    }

    /// Measures, with the progress line, and checks what came out.
    fn measure(&self, job: Job, line: &mut ProgressLine) -> Result<Outcome, Failure> {
        let title = job.workload.title.clone();
        let csv = self.options.output == Output::Csv;
        let mut watch = |tick: Tick| if csv { Ok(()) } else { say(&line.line(&title, tick)) };
        let outcome = job.run(&mut watch)?;
        if let Some(rate) = self.options.rate.filter(|rate| outcome.rate() < 0.99 * rate) {
            let reached = outcome.rate();
            eprintln!(
                "WARNING: {title}: {rate:.2} requests per second were due, {reached:.2} were done"
            );
        }
        if !self.options.verify {
            return Ok(outcome);
        }
        let tally = &outcome.tally;
        match &tally.first_wrong {
            None => {
                let (checked, missing) = (tally.checked, tally.missing);
                eprintln!("{title}: {checked} replies verified, {missing} keys were not set");
                Ok(outcome)
            }
            Some(first) => Err(Failure::Wrong {
                wrong: tally.wrong,
                checked: tally.checked,
                first: format!("{title} {first}"),
            }),
        }
    }

    fn test(&mut self, number: usize) -> Result<(), Failure> {
        let Some(job) = self.job(number, 0, 1.0) else { return Ok(()) };
        let title = job.workload.title.clone();
        let setting = Setting {
            clients: job.clients,
            payload: job.workload.payload,
            keep_alive: job.keep_alive,
            configuration: self.servers[0].configuration.clone(),
            threads: self.options.threads,
        };
        let mut line = ProgressLine::default();
        let outcome = self.measure(job, &mut line)?;
        self.results.push(json::test(&title, &outcome));
        say(&match self.options.output {
            Output::Csv => report::csv(&title, &outcome),
            Output::Quiet => line.clear() + &report::quiet(&title, &outcome),
            Output::Report => line.clear() + &report::full(&title, &outcome, &setting),
        })
    }

    fn comparison(&mut self, number: usize) -> Result<(), Failure> {
        let mut line = ProgressLine::default();
        for server in 0..2 {
            let Some(job) = self.job(number, server, 0.1) else { return Ok(()) };
            self.measure(job, &mut ProgressLine::default())?;
        }
        let mut title = String::new();
        let (mut rounds, mut all) = (Vec::new(), [None, None]);
        for round in 0..self.options.rounds {
            let mut rates = [0.0; 2];
            for turn in 0..2 {
                let server = (turn + round as usize) % 2; // AB, BA, AB …
                let Some(job) = self.job(number, server, 1.0) else { return Ok(()) };
                title.clone_from(&job.workload.title);
                line.restart();
                let outcome = self.measure(job, &mut line)?;
                rates[server] = outcome.rate();
                match &mut all[server] {
                    Some(sum) => compare::add(sum, outcome),
                    none => *none = Some(outcome),
                }
            }
            rounds.push(Round { a: rates[0], b: rates[1] });
        }
        let [Some(a), Some(b)] = all else { return Ok(()) };
        let comparison = Comparison { title, rounds, a, b, seed: self.options.seed };
        self.results.push(json::comparison(&comparison));
        let names = [0, 1].map(|i| self.servers[i].target.to_string());
        say(&match self.options.output {
            Output::Csv => compare::csv(&comparison),
            Output::Quiet => line.clear() + &compare::quiet(&comparison),
            Output::Report => line.clear() + &compare::full(&comparison, [&names[0], &names[1]]),
        })
    }

    /// Opens connections and waits for ever.
    fn idle(&self) -> Result<(), Failure> {
        let count = self.options.clients;
        say(&format!(
            "Creating {count} idle connections and waiting forever (Ctrl+C when done)\n"
        ))?;
        let poll = mio::Poll::new().map_err(|error| Failure::broken(&error))?;
        let server = &self.servers[0];
        let streams: Vec<Stream> = (0..count)
            .map(|i| Stream::open(&server.address, poll.registry(), mio::Token(i)))
            .collect::<std::io::Result<_>>()
            .map_err(|error| Failure::Connect(server.target.to_string(), plain(&error)))?;
        loop {
            std::thread::sleep(TICK.min(Duration::from_secs(1)));
            let clients =
                streams.iter().filter(|stream| stream.connected().unwrap_or(false)).count();
            say(&format!("clients: {clients}\r"))?;
        }
    }
}
