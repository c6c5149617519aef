//! The first line of a script or library: `#!lua flags=…` and `#!lua name=…`.

/// What a script says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(u8);

impl Flags {
    /// Writes nothing.
    pub const NO_WRITES: Self = Self(1);
    /// May run when memory is over `maxmemory`.
    pub const ALLOW_OOM: Self = Self(2);
    /// May run on a replica whose data is stale.
    pub const ALLOW_STALE: Self = Self(4);
    /// Does not run in cluster mode.
    pub const NO_CLUSTER: Self = Self(8);
    /// May touch keys of several slots.
    pub const ALLOW_CROSS_SLOT: Self = Self(16);

    /// All of them with their names, in the order in which FUNCTION LIST shows them.
    pub const NAMES: &'static [(Self, &'static str)] = &[
        (Self::NO_WRITES, "no-writes"),
        (Self::ALLOW_OOM, "allow-oom"),
        (Self::ALLOW_STALE, "allow-stale"),
        (Self::NO_CLUSTER, "no-cluster"),
        (Self::ALLOW_CROSS_SLOT, "allow-cross-slot-keys"),
    ];

    /// Whether all of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Adds the flag called `name`; false if there is none.
    pub fn add(&mut self, name: &[u8]) -> bool {
        let found = Self::NAMES.iter().find(|(_, known)| known.as_bytes() == name);
        if let Some((flag, _)) = found {
            self.0 |= flag.0;
        }
        found.is_some()
    }

    /// The names of those that are set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.iter().filter(move |(flag, _)| self.has(*flag)).map(|(_, name)| *name)
    }
}

/// The flags of a script, none if it has no such line, and what is to be compiled: all but that
/// line's words, so that lines keep their numbers.
pub fn script(text: &[u8]) -> Result<(Option<Flags>, &[u8]), Vec<u8>> {
    if !text.starts_with(b"#!") {
        return Ok((None, text));
    }
    let Some(end) = memchr::memchr(b'\n', text) else {
        return Err(b"Invalid script shebang".to_vec());
    };
    let words = words(&text[..end]);
    let mut words = words.iter().map(Vec::as_slice);
    let engine = words.next().unwrap_or_default();
    if engine != b"#!lua" {
        return Err([b"Unexpected engine in script shebang: ", engine].concat());
    }
    let mut flags = Flags::default();
    for word in words {
        let Some(list) = word.strip_prefix(b"flags=") else {
            return Err([b"Unknown lua shebang option: ", word].concat());
        };
        for name in list.split(|b| *b == b',').filter(|name| !name.is_empty()) {
            if !flags.add(name) {
                return Err([b"Unexpected flag in script shebang: ", name].concat());
            }
        }
    }
    Ok((Some(flags), &text[end..]))
}

/// The name of a library, and what is to be compiled.
pub fn library(text: &[u8]) -> Result<(String, &[u8]), Vec<u8>> {
    if !text.starts_with(b"#!") {
        return Err(b"Missing library metadata".to_vec());
    }
    let Some(end) = memchr::memchr(b'\n', text) else {
        return Err(b"Invalid library metadata".to_vec());
    };
    let words = words(&text[..end]);
    let mut words = words.iter().map(Vec::as_slice);
    let engine = words.next().unwrap_or_default();
    let mut name = None;
    for word in words {
        let is_name = word.len() >= 5 && word[..5].eq_ignore_ascii_case(b"name=");
        if !is_name {
            return Err([b"Invalid metadata value given: ", word].concat());
        }
        if name.replace(&word[5..]).is_some() {
            let text = b"Invalid metadata value, name argument was given multiple times";
            return Err(text.to_vec());
        }
    }
    let Some(name) = name else { return Err(b"Library name was not given".to_vec()) };
    let Some(name) = name_of(name) else { return Err(NAME.as_bytes().to_vec()) };
    if !engine[2..].eq_ignore_ascii_case(b"lua") {
        return Err([b"Engine '", &engine[2..], b"' not found"].concat());
    }
    Ok((name.to_owned(), &text[end..]))
}

/// What is said of a name that is none.
pub(super) const NAME: &str = "Library names can only contain letters, numbers, or underscores(_) \
                               and must be at least one character long";

/// The name of a library or function, if it is one.
pub(super) fn name_of(name: &[u8]) -> Option<&str> {
    let fine = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    if name.is_empty() || !name.iter().all(fine) { None } else { std::str::from_utf8(name).ok() }
}

/// The words of a line; blanks between quotation marks are part of them, the marks are not.
fn words(line: &[u8]) -> Vec<Vec<u8>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<Vec<u8>>, None);
    for &byte in line {
        match byte {
            _ if quote == Some(byte) => quote = None,
            b'"' | b'\'' if quote.is_none() => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            _ if quote.is_none() && byte.is_ascii_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines_of_scripts() {
        let (flags, body) = script(b"#!lua flags=no-writes,allow-stale\nreturn 1").unwrap();
        let names: Vec<_> = flags.unwrap().names().collect();
        assert_eq!(
            (names.as_slice(), body),
            (&["no-writes", "allow-stale"][..], &b"\nreturn 1"[..])
        );
        assert_eq!(script(b"return 1"), Ok((None, &b"return 1"[..])));
        for (text, error) in [
            (&b"#!lua"[..], &b"Invalid script shebang"[..]),
            (b"#!foo\n", b"Unexpected engine in script shebang: #!foo"),
            (b"#!lua x=1\n", b"Unknown lua shebang option: x=1"),
            (b"#!lua flags=x\n", b"Unexpected flag in script shebang: x"),
        ] {
            assert_eq!(script(text), Err(error.to_vec()));
        }
    }

    #[test]
    fn first_lines_of_libraries() {
        assert_eq!(library(b"#!LUA name=\"a_1\"\nx"), Ok(("a_1".to_owned(), &b"\nx"[..])));
        for (text, error) in [
            (&b"x"[..], &b"Missing library metadata"[..]),
            (b"#!lua\n", b"Library name was not given"),
            (b"#!js name=a\n", b"Engine 'js' not found"),
            (
                b"#!lua name=a name=b\n",
                b"Invalid metadata value, name argument was given multiple times",
            ),
            (b"#!lua name=a-b\n", NAME.as_bytes()),
            (b"#!lua foo=c\n", b"Invalid metadata value given: foo=c"),
        ] {
            assert_eq!(library(text), Err(error.to_vec()));
        }
    }
}
