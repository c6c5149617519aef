//! `redis://[[user]:password@]host[:port][/db]`, percent-decoded.
//!
//! Keeps true: a lone word before the `@` is the password, as redis-benchmark takes it.

use std::str::FromStr;

/// The parts that were given.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Uri {
    pub user: Option<String>,
    pub password: Option<String>,
    pub host: Option<String>,
    pub port: Option<u16>,
    pub db: Option<u32>,
}

impl FromStr for Uri {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("rediss://") {
            return Err("rediss:// needs TLS, which this program does not speak".to_owned());
        }
        let rest = text.strip_prefix("redis://").ok_or("Invalid URI scheme")?;
        let mut uri = Uri::default();
        let (rest, db) = match rest.split_once('/') {
            Some((rest, db)) => (rest, db),
            None => (rest, ""),
        };
        if !db.is_empty() {
            uri.db = Some(db.parse().map_err(|_| format!("Invalid URI database {db:?}"))?);
        }
        let place = match rest.rsplit_once('@') {
            None => rest,
            Some((who, place)) => {
                let (user, password) = match who.split_once(':') {
                    Some((user, password)) => (decode(user)?, decode(password)?),
                    None => (String::new(), decode(who)?),
                };
                uri.user = Some(user).filter(|user| !user.is_empty());
                uri.password = Some(password).filter(|password| !password.is_empty());
                place
            }
        };
        // An IPv6 address has colons of its own, and brackets around it.
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (place, ""),
        };
        if !port.is_empty() {
            uri.port = Some(port.parse().map_err(|_| format!("Invalid URI port {port:?}"))?);
        }
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        uri.host = Some(decode(host)?).filter(|host| !host.is_empty());
        Ok(uri)
    }
}

/// Replaces `%41` by `A`.
fn decode(text: &str) -> Result<String, String> {
    let wrong = || "Incomplete URI encoding".to_owned();
    let (mut out, mut bytes) = (Vec::with_capacity(text.len()), text.bytes());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16)).ok_or_else(wrong);
        out.push((digit()? * 16 + digit()?) as u8); // two hexadecimal digits fit
    }
    String::from_utf8(out).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (String, String, String, u16, u32) {
        let uri: Uri = text.parse().unwrap();
        let text = |part: Option<String>| part.unwrap_or_default();
        (
            text(uri.user),
            text(uri.password),
            text(uri.host),
            uri.port.unwrap_or(0),
            uri.db.unwrap_or(0),
        )
    }

    #[test]
    fn all_parts_are_optional() {
        let expected =
            |u: &str, p: &str, h: &str, port, db| (u.into(), p.into(), h.into(), port, db);
        assert_eq!(parts("redis://u:p%40x@host:7/2"), expected("u", "p@x", "host", 7, 2));
        assert_eq!(parts("redis://p@host"), expected("", "p", "host", 0, 0));
        assert_eq!(parts("redis://:p@host/"), expected("", "p", "host", 0, 0));
        assert_eq!(parts("redis://[::1]:7"), expected("", "", "::1", 7, 0));
        assert_eq!(parts("redis://[::1]"), expected("", "", "::1", 0, 0));
        assert_eq!(parts("redis://"), expected("", "", "", 0, 0));
    }

    #[test]
    fn what_is_no_uri_is_refused() {
        for text in [
            "http://h",
            "rediss://h",
            "h",
            "redis://h:x",
            "redis://h/x",
            "redis://%4@h",
            "redis://%ff@h",
        ] {
            assert!(text.parse::<Uri>().is_err(), "{text}");
        }
    }
}
