//! The log: `tracing` events become lines, and one thread writes them.
//!
//! - **G1** Whoever logs never waits for a disk or a terminal: lines go through a bounded queue,
//!   and what does not fit is dropped.
//! - **G2** What was dropped is counted and said in the log as soon as there is room again.
//! - **G3** No text can forge a line: control characters are escaped, long lines are cut
//!   ([`mod@format`]).
//!
//! Redis' four levels are tracing's: `debug` is TRACE, `verbose` is DEBUG, `notice` is INFO,
//! `warning` is WARN and ERROR. Only events of this program count; libraries' are left out at every
//! level.

mod format;

use crate::config::{LogFormat, LogLevel};
use crate::sync::{AtomicU8, AtomicU64, Ordering};
use format::{Fields, Head, line};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, Registry, reload};

/// Lines that may wait to be written.
const QUEUE: usize = 8192;
/// How long [`Log::flush`] waits for a stuck disk.
const FLUSH_WAIT: Duration = Duration::from_secs(2);

/// What is logged, how and where to.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Shape of lines.
    pub format: LogFormat,
    /// Least level.
    pub level: LogLevel,
    /// File; `None` = standard output.
    pub file: Option<PathBuf>,
}

impl Options {
    /// As the configuration says. A relative file name is looked up in the present directory.
    pub fn of(config: &crate::config::Config) -> Self {
        let path = std::path::absolute(&config.logfile).ok();
        Self { format: config.log_format, level: config.loglevel, file: path }
    }
}

/// The log's handle. Clones act on the same log.
#[derive(Clone)]
pub struct Log {
    queue: SyncSender<Item>,
    state: Arc<State>,
    filter: reload::Handle<Targets, Registry>,
}

#[derive(Debug)]
struct State {
    /// The letter of Redis' lines: `M`, `S` or `C`.
    role: AtomicU8,
    /// Place in [`FORMATS`] of the format in force.
    format: AtomicU8,
    /// Lines dropped since the start (G2).
    dropped: AtomicU64,
}

const FORMATS: [LogFormat; 4] =
    [LogFormat::Redis, LogFormat::Human, LogFormat::Logfmt, LogFormat::Json];

impl State {
    fn new(format: LogFormat) -> Self {
        let (role, format) = (AtomicU8::new(b'M'), AtomicU8::new(place(format)));
        Self { role, format, dropped: AtomicU64::new(0) }
    }

    fn format(&self) -> LogFormat {
        let at = usize::from(self.format.load(Ordering::Relaxed));
        FORMATS.get(at).copied().unwrap_or(LogFormat::Human)
    }
}

fn place(format: LogFormat) -> u8 {
    FORMATS.iter().position(|known| *known == format).unwrap_or_default() as u8
}

enum Item {
    Line(Vec<u8>),
    Reopen,
    Flush(SyncSender<()>),
}

/// Starts the log of this process. Fails if the file cannot be opened or a log exists.
pub fn start(options: &Options) -> io::Result<Log> {
    let (subscriber, log) = build(options)?;
    tracing::subscriber::set_global_default(subscriber).map_err(io::Error::other)?;
    Ok(log)
}

fn build(options: &Options) -> io::Result<(impl Subscriber + use<>, Log)> {
    let mut sink = Sink { path: options.file.clone(), file: None };
    sink.open()?;
    let (queue, items) = sync_channel(QUEUE);
    let state = Arc::new(State::new(options.format));
    let writer = Writer { sink, state: Arc::clone(&state), reported: 0 };
    std::thread::Builder::new().name("log".into()).spawn(move || writer.run(&items))?;
    let (filter, handle) = reload::Layer::new(targets(options.level));
    let lines = Lines { queue: queue.clone(), state: Arc::clone(&state) };
    let subscriber = Registry::default().with(lines.with_filter(filter));
    Ok((subscriber, Log { queue, state, filter: handle }))
}

fn targets(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Debug => LevelFilter::TRACE,
        LogLevel::Verbose => LevelFilter::DEBUG,
        LogLevel::Notice => LevelFilter::INFO,
        LogLevel::Warning => LevelFilter::WARN,
        LogLevel::Nothing => LevelFilter::OFF,
    };
    Targets::new().with_target(env!("CARGO_PKG_NAME"), level)
}

impl Log {
    /// Changes the level, for all threads, from now on.
    pub fn set_level(&self, level: LogLevel) {
        // Fails only if the subscriber is gone, and then there is no log to change.
        let _ = self.filter.reload(targets(level));
    }

    /// Changes the format, for all threads, from now on.
    pub fn set_format(&self, format: LogFormat) {
        self.state.format.store(place(format), Ordering::Relaxed);
    }

    /// Changes the letter in Redis' lines: `M` primary, `S` replica, `C` child.
    pub fn set_role(&self, letter: u8) {
        self.state.role.store(letter, Ordering::Relaxed);
    }

    /// Opens the file anew, for whoever renamed it away (SIGHUP).
    pub fn reopen(&self) {
        // A full queue means that lines are being lost already; then the next signal may find room.
        let _ = self.queue.try_send(Item::Reopen);
    }

    /// Lines that were lost because the writer could not keep up.
    pub fn dropped(&self) -> u64 {
        self.state.dropped.load(Ordering::Relaxed)
    }

    /// Waits, but not for ever, until everything logged so far is written.
    pub fn flush(&self) {
        let (done, written) = sync_channel(1);
        if self.queue.try_send(Item::Flush(done)).is_ok() {
            // A stuck disk must not keep the process from ending.
            let _ = written.recv_timeout(FLUSH_WAIT);
        }
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("dropped", &self.dropped()).finish_non_exhaustive()
    }
}

/// Where lines go.
struct Sink {
    path: Option<PathBuf>,
    file: Option<File>,
}

impl Sink {
    fn open(&mut self) -> io::Result<()> {
        if let Some(path) = &self.path {
            self.file = Some(OpenOptions::new().create(true).append(true).open(path)?);
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) {
        // There is nowhere to report that the log cannot be written.
        let _ = match &mut self.file {
            Some(file) => file.write_all(bytes),
            None => {
                let mut out = io::stdout().lock();
                out.write_all(bytes).and_then(|()| out.flush())
            }
        };
    }
}

/// The thread at the end of the queue.
struct Writer {
    sink: Sink,
    state: Arc<State>,
    /// How many of the dropped lines the log has told.
    reported: u64,
}

impl Writer {
    fn run(mut self, items: &Receiver<Item>) {
        let mut batch = Vec::new();
        loop {
            // Wakes now and then so that a loss is told even if nothing is logged after it.
            match items.recv_timeout(Duration::from_secs(1)) {
                Ok(item) => self.take(item, &mut batch),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            // One write for all that is waiting, as long as that is not too much.
            while batch.len() < 64 << 10
                && let Ok(item) = items.try_recv()
            {
                self.take(item, &mut batch);
            }
            self.tell_losses(&mut batch);
            self.put(&mut batch);
        }
        self.put(&mut batch);
    }

    fn take(&mut self, item: Item, batch: &mut Vec<u8>) {
        match item {
            Item::Line(line) => batch.extend(line),
            Item::Reopen => {
                self.put(batch);
                if let Err(error) = self.sink.open() {
                    let text = format!("the log file cannot be opened again: {error}");
                    batch.extend(self.own_line(&text));
                }
            }
            Item::Flush(done) => {
                self.put(batch);
                // Whoever asked may have given up waiting.
                let _ = done.try_send(());
            }
        }
    }

    fn put(&mut self, batch: &mut Vec<u8>) {
        if !batch.is_empty() {
            self.sink.write(batch);
            batch.clear();
        }
    }

    fn tell_losses(&mut self, batch: &mut Vec<u8>) {
        let dropped = self.state.dropped.load(Ordering::Relaxed);
        if dropped > self.reported {
            let text = format!(
                "{} log lines were lost: the log is slower than its writers",
                dropped - self.reported
            );
            batch.extend(self.own_line(&text));
            self.reported = dropped;
        }
    }

    fn own_line(&self, text: &str) -> Vec<u8> {
        let role = self.state.role.load(Ordering::Relaxed);
        let fields = Fields::of(text);
        line(self.state.format(), &Head::now(Level::WARN, role), &fields)
    }
}

/// The layer that makes lines of events.
struct Lines {
    queue: SyncSender<Item>,
    state: Arc<State>,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let role = self.state.role.load(Ordering::Relaxed);
        let line = line(self.state.format(), &Head::now(*event.metadata().level(), role), &fields);
        if let Err(TrySendError::Full(_)) = self.queue.try_send(Item::Line(line)) {
            self.state.dropped.fetch_add(1, Ordering::Relaxed); // G1, G2
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_to_file(name: &str, level: LogLevel) -> (impl Subscriber, Log, PathBuf) {
        let file = std::env::temp_dir().join(format!("eonkv-log-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&file);
        let options = Options { format: LogFormat::Redis, level, file: Some(file.clone()) };
        let (subscriber, log) = build(&options).unwrap();
        (subscriber, log, file)
    }

    #[test]
    fn levels_change_while_it_runs_and_files_are_reopened() {
        let (subscriber, log, file) = log_to_file("level", LogLevel::Notice);
        tracing::subscriber::with_default(subscriber, || {
            for level in [LogLevel::Notice, LogLevel::Debug, LogLevel::Warning, LogLevel::Nothing] {
                log.set_level(level);
                tracing::trace!("trace at {level:?}");
                tracing::info!("info at {level:?}");
                tracing::error!("error at {level:?}");
                tracing::error!(target: "mio", "a library");
            }
            log.flush();
            let moved = file.with_extension("1");
            std::fs::rename(&file, &moved).unwrap();
            log.reopen();
            log.set_level(LogLevel::Notice);
            tracing::info!("anew");
            log.flush();
            log.set_format(LogFormat::Json);
            tracing::info!("in JSON");
            log.flush();
            let old = std::fs::read_to_string(&moved).unwrap();
            let messages: Vec<&str> = old.lines().map(|l| &l[l.len() - 17..]).collect();
            assert_eq!(old.lines().count(), 6, "{messages:?}");
            assert!(old.contains(" . trace at Debug") && old.contains(" # error at Warning"));
            let new = std::fs::read_to_string(&file).unwrap();
            let lines: Vec<&str> = new.lines().collect();
            assert!(lines[0].ends_with(" * anew") && lines[1].starts_with('{'), "{new}");
            std::fs::remove_file(&moved).unwrap();
        });
        std::fs::remove_file(&file).unwrap();
    }

    /// A pipe nobody reads: the writer is stuck, the program is not.
    #[test]
    fn a_stuck_log_loses_lines_and_says_so() {
        let (queue, items) = sync_channel(4);
        let state = Arc::new(State::new(LogFormat::Human));
        let lines = Lines { queue, state: Arc::clone(&state) };
        let subscriber = Registry::default().with(lines);
        tracing::subscriber::with_default(subscriber, || (0..10).for_each(|i| tracing::info!(i)));
        assert_eq!(state.dropped.load(Ordering::Relaxed), 6);
        let file = std::env::temp_dir().join(format!("eonkv-log-stuck-{}", std::process::id()));
        let mut sink = Sink { path: Some(file.clone()), file: None };
        sink.open().unwrap();
        Writer { sink, state, reported: 0 }.run(&items);
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(
            (text.lines().count(), text.contains("6 log lines were lost")),
            (5, true),
            "{text}"
        );
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_an_error() {
        let file = Some(PathBuf::from("/nonexistent/log"));
        assert!(build(&Options { file, ..Options::default() }).is_err());
    }
}
