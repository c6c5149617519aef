//! Parameters with a grammar of their own: lists, limits by class, save points, event letters.
//!
//! Each has a reader that takes the words of a line and a writer that gives CONFIG GET's text;
//! reading what was written gives the same value. A reader changes nothing unless all words are
//! right.

use super::Config;
use super::value::{integer, memory, single, utf8};

/// At most this many addresses in `bind`, as in Redis.
const BIND_MAX: usize = 16;

/// How much of a client's unread replies is tolerated. 0 means without limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutputLimit {
    /// Bytes; a client above is disconnected at once.
    pub hard: u64,
    /// Bytes; a client above for `soft_seconds` is disconnected.
    pub soft: u64,
    /// Seconds for which `soft` may be exceeded.
    pub soft_seconds: u64,
}

/// Limits by class of client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutputLimits {
    /// Ordinary clients, MONITOR included.
    pub normal: OutputLimit,
    /// Replicas.
    pub replica: OutputLimit,
    /// Clients subscribed to something.
    pub pubsub: OutputLimit,
}

pub(super) fn set_output_limits(config: &mut Config, words: &[Vec<u8>]) -> Result<(), String> {
    let words = if matches!(words, [only] if only.is_empty()) { &[] } else { words };
    if !words.len().is_multiple_of(4) {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    }
    let mut limits = config.client_output_buffer_limit;
    for group in words.chunks_exact(4) {
        let class = match group[0].to_ascii_lowercase().as_slice() {
            b"normal" => &mut limits.normal,
            b"slave" | b"replica" => &mut limits.replica,
            b"pubsub" => &mut limits.pubsub,
            _ => return Err("Invalid client class specified in buffer limit configuration.".into()),
        };
        let seconds = integer(&group[3]).and_then(|s| u64::try_from(s).ok());
        let (Some(hard), Some(soft), Some(soft_seconds)) =
            (memory(&group[1]), memory(&group[2]), seconds)
        else {
            return Err(
                "Error in hard, soft or soft_seconds setting in buffer limit configuration.".into(),
            );
        };
        *class = OutputLimit { hard, soft, soft_seconds };
    }
    config.client_output_buffer_limit = limits;
    Ok(())
}

pub(super) fn output_limits(config: &Config) -> String {
    let limits = &config.client_output_buffer_limit;
    let class =
        |name: &str, l: &OutputLimit| format!("{name} {} {} {}", l.hard, l.soft, l.soft_seconds);
    [
        class("normal", &limits.normal),
        class("slave", &limits.replica),
        class("pubsub", &limits.pubsub),
    ]
    .join(" ")
}

/// Save when `changes` writes happened within `seconds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavePoint {
    /// Seconds, at least 1.
    pub seconds: u64,
    /// Writes.
    pub changes: u64,
}

/// Appends save points; a single empty word removes all, as no word does.
pub(super) fn add_save_points(config: &mut Config, words: &[Vec<u8>]) -> Result<(), String> {
    if words.iter().all(Vec::is_empty) && words.len() < 2 {
        config.save.clear();
        return Ok(());
    }
    let invalid = || "Invalid save parameters".to_string();
    if !words.len().is_multiple_of(2) {
        return Err(invalid());
    }
    let number = |word: &[u8], min: u64| {
        integer(word).and_then(|n| u64::try_from(n).ok()).filter(|n| *n >= min).ok_or_else(invalid)
    };
    let mut points = config.save.clone();
    for pair in words.chunks_exact(2) {
        points.push(SavePoint { seconds: number(&pair[0], 1)?, changes: number(&pair[1], 0)? });
    }
    config.save = points;
    Ok(())
}

pub(super) fn save_points(config: &Config) -> String {
    let points: Vec<String> =
        config.save.iter().map(|p| format!("{} {}", p.seconds, p.changes)).collect();
    points.join(" ")
}

/// Classes of keyspace notifications, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Events(pub u32);

impl Events {
    /// `K`: published as `__keyspace@<db>__:<key>`.
    pub const KEYSPACE: Events = Events(1 << 0);
    /// `E`: published as `__keyevent@<db>__:<event>`.
    pub const KEYEVENT: Events = Events(1 << 1);
    /// `g`: commands without a type of their own, such as DEL, EXPIRE, RENAME.
    pub const GENERIC: Events = Events(1 << 2);
    /// `$`: string commands.
    pub const STRING: Events = Events(1 << 3);
    /// `l`: list commands.
    pub const LIST: Events = Events(1 << 4);
    /// `s`: set commands.
    pub const SET: Events = Events(1 << 5);
    /// `h`: hash commands.
    pub const HASH: Events = Events(1 << 6);
    /// `z`: sorted set commands.
    pub const ZSET: Events = Events(1 << 7);
    /// `x`: a key expired.
    pub const EXPIRED: Events = Events(1 << 8);
    /// `e`: a key was evicted.
    pub const EVICTED: Events = Events(1 << 9);
    /// `t`: stream commands.
    pub const STREAM: Events = Events(1 << 10);
    /// `m`: a key was asked for and missing. Not part of `A`.
    pub const KEY_MISS: Events = Events(1 << 11);
    /// `d`: events of modules.
    pub const MODULE: Events = Events(1 << 12);
    /// `n`: a key was created. Not part of `A`.
    pub const NEW: Events = Events(1 << 13);
    /// `A`: everything but `m` and `n`.
    pub const ALL: Events = Events(0x1ffc & !Events::KEY_MISS.0);

    /// Whether all bits of `other` are set.
    pub const fn has(self, other: Events) -> bool {
        self.0 & other.0 == other.0
    }

    /// The letters that name each class, in the order CONFIG GET shows them.
    const LETTERS: [(u8, Events); 14] = [
        (b'g', Self::GENERIC),
        (b'$', Self::STRING),
        (b'l', Self::LIST),
        (b's', Self::SET),
        (b'h', Self::HASH),
        (b'z', Self::ZSET),
        (b'x', Self::EXPIRED),
        (b'e', Self::EVICTED),
        (b't', Self::STREAM),
        (b'd', Self::MODULE),
        (b'n', Self::NEW),
        (b'K', Self::KEYSPACE),
        (b'E', Self::KEYEVENT),
        (b'm', Self::KEY_MISS),
    ];

    /// Reads letters, `A` standing for all but `m` and `n`.
    pub fn parse(letters: &[u8]) -> Option<Events> {
        let mut events = 0;
        for letter in letters {
            events |= match letter {
                b'A' => Self::ALL.0,
                _ => Self::LETTERS.iter().find(|(l, _)| l == letter)?.1.0,
            };
        }
        Some(Events(events))
    }

    /// The letters of this set, shortened to `A` where possible.
    pub fn text(self) -> String {
        let all = self.has(Self::ALL);
        let mut text = String::from(if all { "A" } else { "" });
        for (letter, event) in Self::LETTERS {
            let covered = all && Self::ALL.has(event);
            if self.has(event) && !covered {
                text.push(char::from(letter));
            }
        }
        text
    }
}

pub(super) fn set_events(config: &mut Config, words: &[Vec<u8>]) -> Result<(), String> {
    config.notify_keyspace_events = Events::parse(single(words)?)
        .ok_or("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")?;
    Ok(())
}

/// A bound that is a number of bytes or a part of `maxmemory`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryShare {
    /// Bytes; 0 means without bound.
    Bytes(u64),
    /// Hundredths of `maxmemory`, at most 100.
    Percent(u8),
}

impl Default for MemoryShare {
    fn default() -> Self {
        Self::Bytes(0)
    }
}

impl MemoryShare {
    /// The bound in bytes, if there is one.
    pub fn limit(self, maxmemory: u64) -> Option<u64> {
        let bytes = match self {
            Self::Bytes(bytes) => bytes,
            Self::Percent(p) => (u128::from(maxmemory) * u128::from(p) / 100) as u64,
        };
        (bytes > 0).then_some(bytes)
    }
}

pub(super) fn set_client_memory(config: &mut Config, words: &[Vec<u8>]) -> Result<(), String> {
    let text = single(words)?;
    let invalid = || "argument must be a memory or percent value".to_string();
    config.maxmemory_clients = match (memory(text), text.strip_suffix(b"%")) {
        (Some(bytes), _) => MemoryShare::Bytes(bytes),
        (None, Some(number)) => {
            let percent = integer(number).filter(|p| *p >= 0).ok_or_else(invalid)?;
            let percent = u8::try_from(percent).ok().filter(|p| *p <= 100);
            let reason = "percentage argument must be less or equal to 100";
            match percent.ok_or(reason)? {
                0 => MemoryShare::Bytes(0),
                percent => MemoryShare::Percent(percent),
            }
        }
        (None, None) => return Err(invalid()),
    };
    Ok(())
}

pub(super) fn client_memory(config: &Config) -> String {
    match config.maxmemory_clients {
        MemoryShare::Bytes(bytes) => bytes.to_string(),
        MemoryShare::Percent(percent) => format!("{percent}%"),
    }
}

pub(super) fn set_bind(config: &mut Config, words: &[Vec<u8>]) -> Result<(), String> {
    if words.len() > BIND_MAX {
        return Err("Too many bind addresses specified.".into());
    }
    let none = matches!(words, [only] if only.is_empty());
    config.bind = match none {
        true => Vec::new(),
        false => words.iter().map(|w| utf8(w)).collect::<Result<_, _>>()?,
    };
    Ok(())
}

pub(super) fn set_percentiles(config: &mut Config, words: &[Vec<u8>]) -> Result<(), String> {
    let name = "latency-tracking-info-percentiles";
    let words = if matches!(words, [only] if only.is_empty()) { &[] } else { words };
    let mut list = Vec::with_capacity(words.len());
    for word in words {
        let value = std::str::from_utf8(word).ok().and_then(|t| t.parse::<f64>().ok());
        let value = value.ok_or_else(|| format!("Invalid {name} parameters"))?;
        if !(0.0..=100.0).contains(&value) {
            return Err(format!("{name} parameters should sit between [0.0,100.0]"));
        }
        list.push(value);
    }
    config.latency_tracking_info_percentiles = list;
    Ok(())
}

pub(super) fn percentiles(config: &Config) -> String {
    let list = &config.latency_tracking_info_percentiles;
    list.iter().map(f64::to_string).collect::<Vec<_>>().join(" ")
}

pub(super) fn set_oom_values(config: &mut Config, words: &[Vec<u8>]) -> Result<(), String> {
    let [a, b, c] = words else { return Err("wrong number of arguments".into()) };
    let value = |word: &[u8]| {
        let value = integer(word).filter(|v| (-2000..=2000).contains(v));
        value.and_then(|v| i32::try_from(v).ok()).ok_or_else(|| {
            "Invalid oom-score-adj-values, elements must be between -2000 and 2000.".to_string()
        })
    };
    config.oom_score_adj_values = [value(a)?, value(b)?, value(c)?];
    Ok(())
}

pub(super) fn oom_values(config: &Config) -> String {
    let [a, b, c] = config.oom_score_adj_values;
    format!("{a} {b} {c}")
}

pub(super) fn set_replicaof(config: &mut Config, words: &[Vec<u8>]) -> Result<(), String> {
    let none = matches!(words, [only] if only.is_empty())
        || matches!(words, [no, one] if no.eq_ignore_ascii_case(b"no") && one.eq_ignore_ascii_case(b"one"));
    if none {
        config.replicaof = None;
        return Ok(());
    }
    let [host, port] = words else { return Err("wrong number of arguments".into()) };
    let port = integer(port).and_then(|p| u16::try_from(p).ok());
    let port = port.ok_or("Invalid master port")?;
    config.replicaof = Some((utf8(host)?, port));
    Ok(())
}

pub(super) fn replicaof(config: &Config) -> String {
    config.replicaof.as_ref().map_or_else(String::new, |(host, port)| format!("{host} {port}"))
}

/// Sets the working directory's name, which must exist. The process changes to it elsewhere.
pub(super) fn set_dir(config: &mut Config, words: &[Vec<u8>]) -> Result<(), String> {
    let path = utf8(single(words)?)?;
    match std::fs::metadata(&path) {
        Ok(meta) if !meta.is_dir() => return Err("Not a directory".into()),
        Ok(_) => {}
        Err(error) => return Err(super::os_reason(&error)),
    }
    // A relative name means something else after the process has moved.
    let path = std::path::absolute(&path).map_err(|e| super::os_reason(&e))?;
    config.dir = path.to_string_lossy().into_owned();
    Ok(())
}

pub(super) fn dir(config: &Config) -> String {
    let path = std::path::absolute(&config.dir);
    path.map_or_else(|_| config.dir.clone(), |p| p.to_string_lossy().into_owned())
}

/// A file name without a directory.
pub(super) fn file_name(text: &str) -> Result<(), String> {
    if text.contains('/') {
        return Err("dbfilename can't be a path, just a filename".into());
    }
    Ok(())
}

/// Words that a process title may contain in braces.
const TITLE_VARIABLES: [&str; 7] =
    ["title", "listen-addr", "server-mode", "port", "tls-port", "unixsocket", "config-file"];

/// A title template: `{name}` of a known variable, `{{` for a brace.
pub(super) fn title_template(text: &str) -> Result<(), String> {
    let invalid = || "template format is invalid or contains unknown variables".to_string();
    if text.is_empty() {
        return Err(invalid());
    }
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let after = &rest[open + 1..];
        rest = match after.strip_prefix('{') {
            Some(after) => after,
            None => {
                let close = after.find('}').ok_or_else(invalid)?;
                if !TITLE_VARIABLES.contains(&&after[..close]) {
                    return Err(invalid());
                }
                &after[close + 1..]
            }
        };
    }
    Ok(())
}

/// Any text.
pub(super) fn any(_: &str) -> Result<(), String> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<Vec<u8>> {
        line.split(' ').map(|w| w.as_bytes().to_vec()).collect()
    }

    #[test]
    fn event_letters_are_shortened_as_redis_does() {
        for (given, shown) in [
            ("KEA", "AKE"),
            ("g$lshzxetd", "A"),
            ("Kg", "gK"),
            ("", ""),
            ("AKEgm", "AKEm"),
            ("n", "n"),
        ] {
            assert_eq!(Events::parse(given.as_bytes()).map(Events::text), Some(shown.into()));
        }
        assert_eq!(Events::parse(b"KEq"), None);
        assert!(!Events::ALL.has(Events::KEY_MISS) && !Events::ALL.has(Events::NEW));
    }

    #[test]
    fn limits_change_only_the_classes_named() {
        let mut config = Config::default();
        set_output_limits(&mut config, &words("replica 1mb 2kb 3 pubsub 1 1 1")).unwrap();
        assert_eq!(output_limits(&config), "normal 0 0 0 slave 1048576 2048 3 pubsub 1 1 1");
        let before = config.clone();
        for bad in ["normal 1 2", "master 1 2 3", "normal a 2 3", "normal 9 9 9 normal -1 2 3"] {
            assert!(set_output_limits(&mut config, &words(bad)).is_err(), "{bad}");
        }
        assert_eq!(config, before);
    }

    #[test]
    fn shares_of_memory() {
        let mut config = Config::default();
        set_client_memory(&mut config, &words("10%")).unwrap();
        assert_eq!(config.maxmemory_clients.limit(1000), Some(100));
        assert_eq!(config.maxmemory_clients.limit(0), None);
        let over = set_client_memory(&mut config, &words("200%"));
        assert_eq!(over, Err("percentage argument must be less or equal to 100".into()));
        assert_eq!(client_memory(&config), "10%");
    }

    #[test]
    fn save_points_accumulate_until_an_empty_word() {
        let mut config = Config { save: Vec::new(), ..Config::default() };
        add_save_points(&mut config, &words("900 1")).unwrap();
        add_save_points(&mut config, &words("100 100")).unwrap();
        assert_eq!(save_points(&config), "900 1 100 100");
        for bad in ["1", "a b", "10 -1", "0 1", "5 5 x y"] {
            assert!(add_save_points(&mut config, &words(bad)).is_err(), "{bad}");
        }
        assert_eq!(save_points(&config), "900 1 100 100");
        add_save_points(&mut config, &words("")).unwrap();
        assert!(config.save.is_empty());
        add_save_points(&mut config, &words("7 1")).unwrap();
        add_save_points(&mut config, &[]).unwrap();
        assert!(config.save.is_empty());
    }

    #[test]
    fn titles() {
        assert!(title_template("{title} {listen-addr} {server-mode} {{x").is_ok());
        assert!(title_template("--my--title--template").is_ok());
        for bad in ["", "{foo}", "{title"] {
            assert!(title_template(bad).is_err(), "{bad}");
        }
    }
}
