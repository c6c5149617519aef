//! Reading directives: redis.conf lines, TOML, and the files they include.
//!
//! All sources end in [`Loader::directive`], so a flag, a variable, a line and a TOML key mean the
//! same. A file is TOML if its first line that says something has the shape `key =` or `[table]`,
//! which no line of redis.conf has. Later directives win, except that save points add up.

use super::include::matching;
use super::load::ConfigError;
use super::param::Param;
use super::suggest::nearest;
use super::table::find_any;
use super::{Config, os_reason, words};
use std::path::{Path, PathBuf};

/// Files that may be open inside each other.
const INCLUDE_DEPTH: usize = 16;

/// Reads directives into a configuration.
pub(super) struct Loader {
    pub config: Config,
    /// Files being read, outermost first, to notice cycles.
    open: Vec<PathBuf>,
    /// Parameters whose lines add up and which have had a line already.
    begun: Vec<&'static Param>,
}

/// Why a directive was refused.
pub(super) enum Fault {
    /// In Redis' words, and for people what would be right.
    Refused { reason: String, hint: String },
    /// Inside an included file.
    Nested(ConfigError),
}

impl Fault {
    fn refused(reason: &str, hint: String) -> Self {
        Fault::Refused { reason: reason.into(), hint }
    }
}

impl Loader {
    pub fn new(config: Config) -> Self {
        Self { config, open: Vec::new(), begun: Vec::new() }
    }

    /// Reads a file, whichever of the two syntaxes it has.
    pub fn file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let name = path.display().to_string();
        let failed = |error: std::io::Error| ConfigError::Open {
            file: path.display().to_string(),
            reason: os_reason(&error),
        };
        let real = path.canonicalize().map_err(failed)?;
        let bytes = std::fs::read(path).map_err(failed)?;
        self.open.push(real);
        let result = self.text(&name, &bytes);
        self.open.pop();
        result
    }

    /// Reads a text, whichever of the two syntaxes it has.
    pub fn text(&mut self, source: &str, bytes: &[u8]) -> Result<(), ConfigError> {
        if is_toml(bytes) { self.toml(source, bytes) } else { self.lines(source, bytes) }
    }

    /// Reads lines in the syntax of redis.conf.
    pub fn lines(&mut self, source: &str, bytes: &[u8]) -> Result<(), ConfigError> {
        for (index, line) in bytes.split(|b| *b == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line[0] == b'#' {
                continue;
            }
            let place = Place { source, line: index + 1 };
            let Some(split) = words::split(line) else {
                let hint = "a quote that opens must close, and end the word".into();
                let fault = Fault::refused("Unbalanced quotes in configuration line", hint);
                return Err(place.error(line, fault));
            };
            self.directive(&split).map_err(|fault| place.error(line, fault))?;
        }
        Ok(())
    }

    /// Applies one directive: its name and what follows.
    pub fn directive(&mut self, words: &[Vec<u8>]) -> Result<(), Fault> {
        let Some((name, rest)) = words.split_first() else { return Ok(()) };
        match (name.to_ascii_lowercase().as_slice(), rest) {
            (b"include", [pattern]) => return self.include(pattern),
            (b"rename-command", [old, new]) => return self.rename(old, new),
            _ => {}
        }
        let Some(param) = find_any(name) else {
            return Err(unknown(&String::from_utf8_lossy(name)));
        };
        let wrong = |reason: String| Fault::Refused {
            reason,
            hint: format!("'{}' takes {}", param.name, param.form()),
        };
        if rest.is_empty() && !param.multi {
            return Err(wrong(super::param::wrong_count()));
        }
        let split = match rest {
            [one] if param.multi && !one.is_empty() => words::split(one),
            _ => Some(rest.to_vec()),
        };
        let values =
            split.ok_or_else(|| wrong("Unbalanced quotes in configuration line".into()))?;
        self.begin(param);
        param.set(&mut self.config, &values).map_err(wrong)
    }

    /// The first line of a parameter that accumulates replaces the default, later ones add.
    fn begin(&mut self, param: &'static Param) {
        if param.accumulates && !self.begun.contains(&param) {
            self.begun.push(param);
            // An empty word empties such a parameter; that cannot fail.
            let _ = param.set(&mut self.config, &[Vec::new()]);
        }
    }

    /// Sets a parameter to a whole value, whatever earlier sources said.
    pub fn replace(&mut self, param: &'static Param, text: &[u8]) -> Result<(), Fault> {
        self.begin(param);
        param.set_text(&mut self.config, text).map_err(|reason| Fault::Refused {
            reason,
            hint: format!("'{}' takes {}", param.name, param.form()),
        })
    }

    fn rename(&mut self, old: &[u8], new: &[u8]) -> Result<(), Fault> {
        let text = |bytes: &[u8]| {
            String::from_utf8(bytes.to_vec()).map_err(|_| {
                Fault::refused("No such command in rename-command", "names are text".into())
            })
        };
        let pair = (text(old)?, text(new)?);
        self.config.renamed_commands.push(pair);
        Ok(())
    }

    /// Reads the files a name or a pattern of names stands for. A pattern may match nothing.
    fn include(&mut self, pattern: &[u8]) -> Result<(), Fault> {
        let pattern = String::from_utf8_lossy(pattern).into_owned();
        if self.open.len() >= INCLUDE_DEPTH {
            let hint = format!("files may include each other {INCLUDE_DEPTH} deep");
            return Err(Fault::refused("Too many nested include directives", hint));
        }
        for path in matching(&pattern) {
            if path.canonicalize().is_ok_and(|real| self.open.contains(&real)) {
                let hint = format!("'{}' is being read already", path.display());
                return Err(Fault::refused(
                    "Configuration files include each other in a circle",
                    hint,
                ));
            }
            self.file(&path).map_err(Fault::Nested)?;
        }
        Ok(())
    }

    fn toml(&mut self, source: &str, bytes: &[u8]) -> Result<(), ConfigError> {
        let text = std::str::from_utf8(bytes).map_err(|e| {
            let line = 1 + bytes[..e.valid_up_to()].iter().filter(|b| **b == b'\n').count();
            let fault = Fault::refused("TOML must be UTF-8", "save the file as UTF-8".into());
            Place { source, line }.error(b"", fault)
        })?;
        let document = toml_edit::Document::parse(text).map_err(|error| {
            let place = Place::at(source, text, error.span());
            let fault =
                Fault::refused(error.message(), "see https://toml.io for the syntax".into());
            place.error(place.text_of(text), fault)
        })?;
        self.toml_table(source, text, document.as_table())
    }

    /// Tables only group: the key alone names the parameter.
    fn toml_table(
        &mut self,
        source: &str,
        text: &str,
        table: &dyn toml_edit::TableLike,
    ) -> Result<(), ConfigError> {
        for (key, item) in table.iter() {
            if let Some(inner) = item.as_table_like() {
                self.toml_table(source, text, inner)?;
                continue;
            }
            let place = Place::at(source, text, item.span());
            let failed = |fault| place.error(place.text_of(text), fault);
            for words in toml_directives(key, item).map_err(failed)? {
                self.directive(&words).map_err(failed)?;
            }
        }
        Ok(())
    }
}

/// The lines of redis.conf that a TOML key stands for.
fn toml_directives(key: &str, item: &toml_edit::Item) -> Result<Vec<Vec<Vec<u8>>>, Fault> {
    let invalid = || {
        let hint = format!("'{key}' takes text, a number, true, false or a list of them");
        Fault::refused("wrong type of value", hint)
    };
    let name = key.as_bytes().to_vec();
    let mut values = Vec::new();
    scalars(item.as_value().ok_or_else(invalid)?, &mut values, 0).ok_or_else(invalid)?;
    let list = item.is_array();
    let parted = |value: &Vec<u8>| words::split(value).unwrap_or_else(|| vec![value.clone()]);
    Ok(match key {
        "include" => values.into_iter().map(|value| vec![name.clone(), value]).collect(),
        "rename-command" => {
            let flat: Vec<Vec<u8>> = values.iter().flat_map(|value| parted_pairs(value)).collect();
            flat.chunks(2).map(|pair| [std::slice::from_ref(&name), pair].concat()).collect()
        }
        _ if list && values.is_empty() => vec![vec![name, Vec::new()]],
        _ if list => {
            let flat = values.iter().flat_map(parted);
            vec![std::iter::once(name).chain(flat).collect()]
        }
        _ => vec![std::iter::once(name).chain(values).collect()],
    })
}

/// `OLD NEW` in one text, or one of the two.
fn parted_pairs(value: &[u8]) -> Vec<Vec<u8>> {
    match words::split(value) {
        Some(words) if words.len() == 2 => words,
        _ => vec![value.to_vec()],
    }
}

/// Collects the texts of a value and of all in its lists; `None` for a type no parameter has.
fn scalars(value: &toml_edit::Value, into: &mut Vec<Vec<u8>>, depth: usize) -> Option<()> {
    use toml_edit::Value;
    match value {
        Value::String(text) => into.push(text.value().as_bytes().to_vec()),
        Value::Integer(number) => into.push(number.value().to_string().into()),
        Value::Float(number) => into.push(number.value().to_string().into()),
        Value::Boolean(yes) => into.push(if *yes.value() { "yes" } else { "no" }.into()),
        Value::Array(list) if depth < 2 => {
            for inner in list {
                scalars(inner, into, depth + 1)?;
            }
        }
        _ => return None,
    }
    Some(())
}

/// Where a directive stands.
pub(super) struct Place<'a> {
    pub source: &'a str,
    /// Counted from 1.
    pub line: usize,
}

impl<'a> Place<'a> {
    /// The line in which a stretch of `text` begins.
    fn at(source: &'a str, text: &str, span: Option<std::ops::Range<usize>>) -> Self {
        let start = span.map_or(0, |s| s.start).min(text.len());
        Self { source, line: 1 + text.as_bytes()[..start].iter().filter(|b| **b == b'\n').count() }
    }

    /// The line itself.
    fn text_of<'t>(&self, text: &'t str) -> &'t [u8] {
        text.lines().nth(self.line - 1).unwrap_or("").trim().as_bytes()
    }

    /// The error for a directive here.
    pub fn error(&self, line: &[u8], fault: Fault) -> ConfigError {
        match fault {
            Fault::Nested(error) => error,
            Fault::Refused { reason, hint } => ConfigError::Line {
                file: self.source.into(),
                line: self.line,
                text: shown(line),
                reason,
                hint,
            },
        }
    }
}

/// A line as it may be printed: without the secret it may hold.
fn shown(line: &[u8]) -> String {
    let end = line.iter().position(|b| b" \t=".contains(b)).unwrap_or(line.len());
    match find_any(&line[..end]) {
        Some(param) if param.sensitive && end < line.len() => {
            format!("{} \"(redacted)\"", param.name)
        }
        _ => String::from_utf8_lossy(line).into_owned(),
    }
}

fn unknown(name: &str) -> Fault {
    let hint = match nearest(name) {
        Some(near) => format!("'{name}' is not a parameter; did you mean '{near}'?"),
        None => format!("'{name}' is not a parameter; --help lists all"),
    };
    Fault::refused("Bad directive or wrong number of arguments", hint)
}

/// Whether a text is TOML rather than redis.conf.
pub(super) fn is_toml(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|b| *b == b'\n').map(|line| line.trim_ascii());
    let Some(line) = lines.find(|line| !line.is_empty() && line[0] != b'#') else { return false };
    if line[0] == b'[' {
        return true;
    }
    let key =
        line.iter().take_while(|b| b.is_ascii_alphanumeric() || b"-_.\"'".contains(b)).count();
    key > 0 && line[key..].trim_ascii_start().first() == Some(&b'=')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Config, String> {
        let mut loader = Loader::new(Config::default());
        loader.text("test", text.as_bytes()).map_err(|e| e.to_string())?;
        Ok(loader.config)
    }

    #[test]
    fn lines_of_redis_conf() {
        let config = read(
            "# comment\n\n  maxmemory '700mb' \r\nSAVE 900 1\nsave 300 10\nslave-read-only no\n\
             client-output-buffer-limit replica 1mb 1mb 1\nclient-output-buffer-limit pubsub 2 2 2\n\
             rename-command flushdb \"\"\nbind 127.0.0.1 -::1\nshutdown-on-sigterm \"nosave force\"\n",
        )
        .unwrap();
        assert_eq!((config.maxmemory, config.save.len()), (700 << 20, 2));
        assert!(!config.replica_read_only && config.shutdown_on_sigterm.force);
        assert_eq!(config.client_output_buffer_limit.replica.hard, 1 << 20);
        assert_eq!(config.client_output_buffer_limit.pubsub.hard, 2);
        assert_eq!(config.renamed_commands, [("flushdb".into(), String::new())]);
        assert_eq!(config.bind, ["127.0.0.1", "-::1"]);
    }

    #[test]
    fn errors_name_line_value_and_expectation() {
        let error = read("# one\nport abc\n").unwrap_err();
        assert_eq!(
            error,
            "*** FATAL CONFIG FILE ERROR (Redis 7.4.0) ***\n\
             Reading the configuration file, at line 2\n>>> 'port abc'\n\
             argument couldn't be parsed into an integer\n\
             test:2: 'port' takes number, 0..65535"
        );
        assert!(read("maxmemroy 1gb").unwrap_err().contains("did you mean 'maxmemory'?"));
        assert!(read("port 1 2").unwrap_err().contains("\nwrong number of arguments\n"));
        assert!(read("port").unwrap_err().contains("\nwrong number of arguments\n"));
        assert!(read("port \"1").unwrap_err().contains("Unbalanced quotes in configuration line"));
        assert!(!read("requirepass se cret").unwrap_err().contains("se cret"));
    }

    #[test]
    fn toml_is_told_apart_and_grouping_is_free() {
        let config = read(
            "# EonKV\nport = 7000\n[memory]\nmax-memory = \"1gb\"\nmaxmemory_policy = 'allkeys-lru'\n\
             [server]\nbind = [\"127.0.0.1\", \"-::1\"]\ndynamic-hz = false\nsave = [[900, 1], [300, 10]]\n\
             latency-tracking-info-percentiles = [50, 99.9]\nrename-command = ['flushall \"\"']\n",
        )
        .unwrap();
        assert_eq!((config.port, config.maxmemory, config.bind.len()), (7000, 1 << 30, 2));
        assert_eq!(config.latency_tracking_info_percentiles, [50.0, 99.9]);
        assert_eq!((config.save.len(), config.dynamic_hz), (2, false));
        assert_eq!(config.renamed_commands, [("flushall".into(), String::new())]);
        assert!(read("save = []").unwrap().save.is_empty());
        let error = read("port = 1\n\nhz = \"x\"\n").unwrap_err();
        assert!(error.contains("at line 3\n>>> 'hz = \"x\"'\n"), "{error}");
        assert!(read("port = 1\nport = 2").unwrap_err().contains("at line 2"));
        assert!(!is_toml(b"port 1") && !is_toml(b"") && !is_toml(b"proc-title-template a=b"));
    }

    #[test]
    fn includes_nest_glob_and_never_circle() {
        let folder = std::env::temp_dir().join(format!("eonkv-include-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let at = folder.display();
        write("a.inc", "timeout 1\n".into());
        write("b.inc", "timeout 2\nhz 50\n".into());
        let main = write("main.conf", format!("include {at}/*.inc\ninclude {at}/no-*.inc\n"));
        let mut loader = Loader::new(Config::default());
        loader.file(&main).unwrap();
        assert_eq!((loader.config.timeout, loader.config.hz), (2, 50));

        write("x.conf", format!("include {at}/y.conf\n"));
        let y = write("y.conf", format!("timeout 1\ninclude {at}/x.conf\n"));
        let error = loader.file(&y).unwrap_err().to_string();
        assert!(error.contains("include each other in a circle"), "{error}");
        let missing = write("z.conf", format!("include {at}/missing.conf\n"));
        let error = loader.file(&missing).unwrap_err().to_string();
        assert!(error.ends_with("missing.conf': No such file or directory"), "{error}");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    proptest! {
        /// No file makes the reader panic.
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            // Nothing but the reader's own errors: such a file names no other file by chance.
            let _ = Loader::new(Config::default()).text("fuzz", &bytes);
        }

        /// Nor one that is nearly right.
        #[test]
        fn any_directives_are_read_or_refused(
            lines in proptest::collection::vec((0..super::super::PARAMS.len(), "[ -~]{0,20}", any::<bool>()), 0..8)
        ) {
            let mut text = String::new();
            for (row, value, toml) in lines {
                let name = super::super::PARAMS[row].name;
                text += &if toml { format!("{name} = {value}\n") } else { format!("{name} {value}\n") };
            }
            let _ = Loader::new(Config::default()).text("fuzz", text.as_bytes());
        }
    }
}
