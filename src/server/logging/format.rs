//! The text of log lines, in four formats.
//!
//! Every event is one line whatever its message holds (G3 of the log): control characters are
//! escaped and long lines are cut.

use crate::config::LogFormat;
use chrono::{DateTime, Local};
use std::fmt::Write as _;
use tracing::Level;
use tracing::field::{Field, Visit};

/// Bytes of the longest line.
const LINE_MAX: usize = 16 << 10;

/// What an event says: its message, and its fields in order.
#[derive(Default)]
pub(super) struct Fields {
    message: String,
    rest: Vec<(&'static str, Value)>,
}

/// A field's value; JSON tells numbers and truth values from text.
enum Value {
    Text(String),
    Bare(String),
}

impl Value {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Bare(text) => text,
        }
    }
}

impl Fields {
    /// A message alone.
    pub fn of(message: &str) -> Self {
        Self { message: message.into(), rest: Vec::new() }
    }

    fn add(&mut self, field: &Field, value: Value) {
        match field.name() {
            "message" => self.message = value.text().into(),
            name => self.rest.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.add(field, Value::Text(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, Value::Text(value.into()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Value::Bare(value.to_string()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Value::Bare(value.to_string()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Value::Bare(value.to_string()));
    }
}

/// What every line begins with.
pub(super) struct Head {
    time: DateTime<Local>,
    level: Level,
    role: u8,
    pid: u32,
}

impl Head {
    pub fn now(level: Level, role: u8) -> Self {
        Self { time: Local::now(), level, role, pid: std::process::id() }
    }

    /// Redis' word and letter for the level.
    fn level(&self) -> (&'static str, char) {
        match self.level {
            Level::TRACE => ("debug", '.'),
            Level::DEBUG => ("verbose", '-'),
            Level::INFO => ("notice", '*'),
            _ => ("warning", '#'),
        }
    }
}

/// The line of an event, with its end.
pub(super) fn line(format: LogFormat, head: &Head, fields: &Fields) -> Vec<u8> {
    let mut text = match format {
        LogFormat::Human => human(head, fields),
        LogFormat::Redis => redis(head, fields),
        LogFormat::Logfmt => logfmt(head, fields),
        LogFormat::Json => return json(head, fields),
    };
    if text.len() > LINE_MAX {
        text.truncate(text.floor_char_boundary(LINE_MAX));
        text.push_str("...");
    }
    text.push('\n');
    text.into_bytes()
}

fn human(head: &Head, fields: &Fields) -> String {
    let time = head.time.format("%Y-%m-%d %H:%M:%S%.3f");
    let mut text = format!("{time} {:<7} ", head.level().0);
    escape(&fields.message, &mut text);
    pairs(&mut text, fields);
    text
}

fn redis(head: &Head, fields: &Fields) -> String {
    let time = head.time.format("%d %b %Y %H:%M:%S%.3f");
    let (role, letter) = (char::from(head.role), head.level().1);
    let mut text = format!("{}:{role} {time} {letter} ", head.pid);
    escape(&fields.message, &mut text);
    pairs(&mut text, fields);
    text
}

fn logfmt(head: &Head, fields: &Fields) -> String {
    let time = head.time.format("%Y-%m-%dT%H:%M:%S%.3f%:z");
    let (level, role) = (head.level().0, char::from(head.role));
    let mut text = format!("time={time} level={level} pid={} role={role} msg=", head.pid);
    quoted(&fields.message, &mut text);
    pairs(&mut text, fields);
    text
}

fn json(head: &Head, fields: &Fields) -> Vec<u8> {
    let mut object = serde_json::Map::new();
    let time = head.time.format("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string();
    object.insert("time".into(), time.into());
    object.insert("level".into(), head.level().0.into());
    object.insert("pid".into(), head.pid.into());
    object.insert("role".into(), char::from(head.role).to_string().into());
    object.insert("message".into(), cut(&fields.message).into());
    for (name, value) in &fields.rest {
        let value = match value {
            Value::Text(text) => cut(text).into(),
            Value::Bare(text) => {
                serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into())
            }
        };
        object.insert((*name).into(), value);
    }
    let mut line = serde_json::Value::Object(object).to_string().into_bytes();
    line.push(b'\n');
    line
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LINE_MAX)]
}

fn pairs(text: &mut String, fields: &Fields) {
    for (name, value) in &fields.rest {
        text.push(' ');
        text.push_str(name);
        text.push('=');
        quoted(value.text(), text);
    }
}

/// A value bare if it is one plain word, else in quotes.
fn quoted(value: &str, text: &mut String) {
    let plain =
        !value.is_empty() && value.chars().all(|c| c.is_alphanumeric() || "-_.:/+%@*".contains(c));
    if plain {
        text.push_str(value);
        return;
    }
    text.push('"');
    let mut inner = String::with_capacity(value.len());
    escape(value, &mut inner);
    text.push_str(&inner.replace('"', "\\\""));
    text.push('"');
}

/// Appends `value` with control characters made visible (G3).
fn escape(value: &str, text: &mut String) {
    for c in value.chars() {
        match c {
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            c if c.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(text, "\\u{{{:x}}}", u32::from(c));
            }
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        let time = DateTime::parse_from_rfc3339("2026-11-20T23:26:04.123Z").unwrap().into();
        Head { time, level: Level::INFO, role: b'M', pid: 7 }
    }

    fn sample() -> Fields {
        let rest =
            vec![("port", Value::Bare("6379".into())), ("why", Value::Text("a \"b\"".into()))];
        Fields { message: "Ready\nto accept".into(), rest }
    }

    fn text(format: LogFormat) -> String {
        String::from_utf8(line(format, &head(), &sample())).unwrap()
    }

    #[test]
    fn lines_have_their_format_and_are_one_line() {
        let redis = text(LogFormat::Redis);
        assert!(redis.starts_with("7:M "), "{redis}");
        assert!(redis.contains(" Nov 2026 "), "{redis}");
        assert!(
            redis.ends_with(".123 * Ready\\nto accept port=6379 why=\"a \\\"b\\\"\"\n"),
            "{redis}"
        );
        let human = text(LogFormat::Human);
        assert!(human.contains(".123 notice  Ready\\nto accept port=6379"), "{human}");
        let logfmt = text(LogFormat::Logfmt);
        assert!(logfmt.contains(" level=notice pid=7 role=M msg=\"Ready\\nto accept\" port=6379 "));
        let json: serde_json::Value = serde_json::from_str(&text(LogFormat::Json)).unwrap();
        assert_eq!((&json["message"], &json["port"]), (&"Ready\nto accept".into(), &6379.into()));
        for format in [LogFormat::Redis, LogFormat::Human, LogFormat::Logfmt, LogFormat::Json] {
            assert_eq!(text(format).matches('\n').count(), 1);
        }
    }
}
