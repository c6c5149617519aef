//! What the system says of this process, and what the process knows of itself from its start.
//!
//! Everything is read from `/proc` when somebody asks: nothing here runs on the way of a command.
//! On a system without `/proc` the figures are 0.

use crate::sync::{AtomicI64, AtomicUsize, Ordering};
use parking_lot::Mutex;

/// Ticks per second of the times in `/proc`; fixed for user space on Linux.
const TICKS: f64 = 100.0;
/// Bytes of the pages that `/proc/self/statm` counts, on the platforms we build for.
const PAGE: u64 = 4096;

/// Facts of this process.
#[derive(Debug)]
pub struct Process {
    /// Path of the binary.
    pub executable: String,
    /// Bytes in use once the server had started.
    startup: AtomicUsize,
    peak: AtomicUsize,
    peak_at: AtomicI64,
    replid: Mutex<String>,
}

impl Default for Process {
    fn default() -> Self {
        Self::new()
    }
}

impl Process {
    /// To be called when the server starts.
    pub fn new() -> Self {
        let executable = std::env::current_exe().unwrap_or_default();
        Self {
            executable: executable.to_string_lossy().into_owned(),
            startup: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            peak_at: AtomicI64::new(0),
            replid: Mutex::new(random_id()),
        }
    }

    /// Id of the history of changes: random, as long as there is no history to share.
    pub fn replid(&self) -> String {
        self.replid.lock().clone()
    }

    /// Takes a new id.
    pub fn change_replid(&self) {
        *self.replid.lock() = random_id();
    }

    /// All threads run, no client is served yet, and `used` bytes are in use: what an empty server
    /// needs. The first call counts.
    pub fn started(&self, used: usize) {
        let _ = self.startup.compare_exchange(0, used, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// `used` bytes are in use at Unix millisecond `now`. Called some times a second.
    pub fn observe(&self, used: usize, now: i64) {
        if used > self.peak.fetch_max(used, Ordering::Relaxed) {
            self.peak_at.store(now, Ordering::Relaxed);
        }
    }

    /// Bytes in use once the server had started.
    pub fn startup(&self) -> usize {
        self.startup.load(Ordering::Relaxed)
    }

    /// Most bytes ever seen in use, and when, Unix milliseconds.
    pub fn peak(&self) -> (usize, i64) {
        (self.peak.load(Ordering::Relaxed), self.peak_at.load(Ordering::Relaxed))
    }

    /// Forgets the peak.
    pub fn reset_peak(&self, used: usize, now: i64) {
        self.peak.store(used, Ordering::Relaxed);
        self.peak_at.store(now, Ordering::Relaxed);
    }
}

/// Forty random hexadecimal digits.
pub fn random_id() -> String {
    let mut bytes = [0; 20];
    // Without a source of randomness the id is still well formed; it is a name, not a secret.
    let _ = getrandom::fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Processor time in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cpu {
    /// In the kernel.
    pub system: f64,
    /// Outside of it.
    pub user: f64,
}

/// Processor time of all threads of this process.
pub fn cpu() -> Cpu {
    cpu_of("/proc/self/stat", 0)
}

/// Processor time of children that have ended.
pub fn cpu_of_children() -> Cpu {
    cpu_of("/proc/self/stat", 2)
}

/// Processor time of the main thread.
pub fn cpu_of_main_thread() -> Cpu {
    cpu_of(&format!("/proc/self/task/{}/stat", std::process::id()), 0)
}

fn cpu_of(path: &str, skip: usize) -> Cpu {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    parse_stat(&text, skip).unwrap_or_default()
}

/// The fields after the name, which stands in parentheses and may hold anything.
fn parse_stat(text: &str, skip: usize) -> Option<Cpu> {
    let rest = &text[text.rfind(')')? + 1..];
    let mut times = rest.split_ascii_whitespace().skip(11 + skip).map(str::parse::<f64>);
    let user = times.next()?.ok()? / TICKS;
    let system = times.next()?.ok()? / TICKS;
    Some(Cpu { system, user })
}

/// Bytes of this process that are in memory.
pub fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split_ascii_whitespace().nth(1).and_then(|word| word.parse::<u64>().ok());
    pages.unwrap_or(0) * PAGE
}

/// Bytes of memory of the machine.
pub fn total_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Name, release and machine of the system, as `uname` prints them.
pub fn system_name() -> String {
    let read = |name: &str| {
        let text = std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
        text.trim().to_owned()
    };
    let (name, release) = (read("ostype"), read("osrelease"));
    if name.is_empty() {
        return format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
    }
    format!("{name} {release} {}", std::env::consts::ARCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let text = "1 (a) b) R 0 0 0 0 0 0 0 0 0 0 150 50 7 8 0 0";
        assert_eq!(parse_stat(text, 0), Some(Cpu { user: 1.5, system: 0.5 }));
        assert_eq!(parse_stat(text, 2), Some(Cpu { user: 0.07, system: 0.08 }));
        assert_eq!(parse_stat("", 0), None);
        assert_eq!(parse_stat("1 (a) R 0", 0), None);
    }

    #[test]
    fn the_startup_is_told_once_and_the_greatest_use_is_the_peak() {
        let process = Process::new();
        process.started(100);
        process.started(200);
        process.observe(100, 1);
        process.observe(300, 2);
        process.observe(200, 3);
        assert_eq!((process.startup(), process.peak()), (100, (300, 2)));
        process.reset_peak(200, 4);
        assert_eq!(process.peak(), (200, 4));
    }

    #[test]
    fn ids_are_random_and_change() {
        let process = Process::new();
        let before = process.replid();
        process.change_replid();
        assert!(before.len() == 40 && before != process.replid());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_answers() {
        assert!(resident() > 100_000 && total_memory() > resident());
        assert!(system_name().starts_with("Linux "));
    }
}
