//! One row of INFO.

use super::Snapshot;

/// Hears the name and the value of each field of a family.
pub type Tell<'t> = dyn FnMut(&str, &str) + 't;
/// Tells the fields of a family.
pub type Family = fn(&Snapshot<'_>, &mut Tell<'_>);

/// How the value is told.
#[derive(Debug, Clone, Copy)]
pub enum Value {
    /// Text; not a metric.
    Text(fn(&Snapshot<'_>) -> String),
    /// A whole number.
    Int(fn(&Snapshot<'_>) -> i64),
    /// A number with so many digits after the point.
    Float(usize, fn(&Snapshot<'_>) -> f64),
    /// A number with two digits and `%`.
    Percent(fn(&Snapshot<'_>) -> f64),
    /// `ok` or `err`; 1 or 0 as a metric.
    Status(fn(&Snapshot<'_>) -> bool),
    /// Any number of fields with names of their own.
    Family(Family),
}

/// The name and kind in `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Export {
    /// Not a metric, or one that [`super::export`] writes with labels.
    No,
    /// May go down.
    Gauge(&'static str),
    /// Only grows, until a restart or CONFIG RESETSTAT.
    Counter(&'static str),
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Name in INFO; of a family with `<…>` for what varies.
    pub name: &'static str,
    /// One sentence for `docs/info.md` and the help lines of `/metrics`.
    pub help: &'static str,
    /// The value.
    pub value: Value,
    /// The metric.
    pub export: Export,
}

impl Field {
    /// Sets the name in `/metrics`.
    pub const fn gauge(self, name: &'static str) -> Self {
        Self { export: Export::Gauge(name), ..self }
    }

    /// Sets the name in `/metrics`.
    pub const fn counter(self, name: &'static str) -> Self {
        Self { export: Export::Counter(name), ..self }
    }

    /// Calls `tell` with the name and the value, for a family with each of them.
    pub fn each(&self, snapshot: &Snapshot<'_>, tell: &mut Tell<'_>) {
        match self.value {
            Value::Text(value) => tell(self.name, &value(snapshot)),
            Value::Int(value) => tell(self.name, itoa::Buffer::new().format(value(snapshot))),
            Value::Float(digits, value) => {
                tell(self.name, &format!("{:.digits$}", value(snapshot)))
            }
            Value::Percent(value) => tell(self.name, &format!("{:.2}%", value(snapshot))),
            Value::Status(value) => tell(self.name, if value(snapshot) { "ok" } else { "err" }),
            Value::Family(value) => value(snapshot, tell),
        }
    }

    /// The value as a number, if it is one.
    pub fn number(&self, snapshot: &Snapshot<'_>) -> Option<f64> {
        match self.value {
            Value::Int(value) => Some(value(snapshot) as f64),
            Value::Float(_, value) | Value::Percent(value) => Some(value(snapshot)),
            Value::Status(value) => Some(f64::from(u8::from(value(snapshot)))),
            Value::Text(_) | Value::Family(_) => None,
        }
    }
}

const fn field(name: &'static str, help: &'static str, value: Value) -> Field {
    Field { name, help, value, export: Export::No }
}

/// A row with text.
pub const fn text(
    name: &'static str,
    help: &'static str,
    value: fn(&Snapshot<'_>) -> String,
) -> Field {
    field(name, help, Value::Text(value))
}

/// A row with a whole number.
pub const fn int(name: &'static str, help: &'static str, value: fn(&Snapshot<'_>) -> i64) -> Field {
    field(name, help, Value::Int(value))
}

/// A row with a number of two digits after the point.
pub const fn float(
    name: &'static str,
    help: &'static str,
    value: fn(&Snapshot<'_>) -> f64,
) -> Field {
    field(name, help, Value::Float(2, value))
}

/// A row with seconds, to the microsecond.
pub const fn seconds(
    name: &'static str,
    help: &'static str,
    value: fn(&Snapshot<'_>) -> f64,
) -> Field {
    field(name, help, Value::Float(6, value))
}

/// A row with a percentage.
pub const fn percent(
    name: &'static str,
    help: &'static str,
    value: fn(&Snapshot<'_>) -> f64,
) -> Field {
    field(name, help, Value::Percent(value))
}

/// A row with `ok` or `err`.
pub const fn status(
    name: &'static str,
    help: &'static str,
    value: fn(&Snapshot<'_>) -> bool,
) -> Field {
    field(name, help, Value::Status(value))
}

/// A row for any number of fields.
pub const fn family(name: &'static str, help: &'static str, value: Family) -> Field {
    field(name, help, Value::Family(value))
}
