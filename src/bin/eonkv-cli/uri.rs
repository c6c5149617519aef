//! Server addresses as URIs: `scheme://[[user:]password@][host][:port][/db]`.
//!
//! User and password may be percent-encoded. Only what the URI names is changed, so it can be mixed with
//! the single options; the later one wins.

use crate::args::Options;
use crate::number;

const SCHEMES: [&[u8]; 3] = [b"redis://", b"valkey://", b"eonkv://"];
const TLS_SCHEMES: [&[u8]; 3] = [b"rediss://", b"valkeys://", b"eonkvs://"];

/// Writes what `uri` names into `options`; the error is a whole message.
pub fn apply(uri: &[u8], options: &mut Options) -> Result<(), String> {
    if let Some(scheme) = TLS_SCHEMES.iter().find(|scheme| has_prefix(uri, scheme)) {
        let scheme = String::from_utf8_lossy(scheme);
        return Err(format!("{scheme} is only supported when eonkv-cli is built with TLS"));
    }
    let scheme =
        SCHEMES.iter().find(|scheme| has_prefix(uri, scheme)).ok_or("Invalid URI scheme")?;
    let mut rest = uri.get(scheme.len()..).unwrap_or_default();
    if let Some((user_info, after)) = cut(rest, b'@') {
        let password = match cut(user_info, b':') {
            Some((user, password)) => {
                options.user = Some(percent_decode(user)?);
                password
            }
            None => user_info,
        };
        options.password = Some(percent_decode(password)?);
        rest = after;
    }
    let (authority, path) = cut(rest, b'/').unwrap_or((rest, b""));
    if !authority.is_empty() {
        let (host, port) = host_and_port(authority);
        if let Some(port) = port {
            options.port = number::leading_int(port);
        }
        if !host.is_empty() {
            options.host = host.to_vec();
        }
    }
    if !path.is_empty() {
        options.db = number::leading_int(path);
    }
    Ok(())
}

/// An IPv6 address wears brackets, since it has colons of its own.
fn host_and_port(authority: &[u8]) -> (&[u8], Option<&[u8]>) {
    if let Some((host, after)) = authority.strip_prefix(b"[").and_then(|rest| cut(rest, b']')) {
        return (host, after.strip_prefix(b":"));
    }
    match cut(authority, b':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    }
}

fn has_prefix(text: &[u8], prefix: &[u8]) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn cut(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let found = text.iter().position(|byte| *byte == at)?;
    Some((text.get(..found)?, text.get(found + 1..)?))
}

fn percent_decode(mut text: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    loop {
        text = match text {
            [] => return Ok(out),
            [b'%', high, low, rest @ ..] => {
                let digits = [char::from(*high), char::from(*low)];
                let [Some(high), Some(low)] = digits.map(|digit| digit.to_digit(16)) else {
                    return Err("Illegal character in URI encoding".to_owned());
                };
                out.extend(u8::try_from(high * 16 + low));
                rest
            }
            [b'%'] => return Err("Incomplete URI encoding".to_owned()),
            [b'%', ..] => return Err("Illegal character in URI encoding".to_owned()),
            [byte, rest @ ..] => {
                out.push(*byte);
                rest
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Host, port, user, password, database.
    type Parts = (String, i64, Option<String>, Option<String>, i64);

    fn read(uri: &str) -> Result<Parts, String> {
        let mut options = Options::new(false);
        apply(uri.as_bytes(), &mut options)?;
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ok((
            text(options.host),
            options.port,
            options.user.map(text),
            options.password.map(text),
            options.db,
        ))
    }

    #[test]
    fn parts_are_optional() {
        let plain = |host: &str, port, db| Ok((host.to_owned(), port, None, None, db));
        assert_eq!(read("redis://"), plain("127.0.0.1", 6379, 0));
        assert_eq!(read("REDIS://a"), plain("a", 6379, 0));
        assert_eq!(read("eonkv://a:7/3"), plain("a", 7, 3));
        assert_eq!(read("valkey:///5"), plain("127.0.0.1", 6379, 5));
        assert_eq!(read("redis://[::1]:7/"), plain("::1", 7, 0));
        let (host, port, user, password, db) = read("redis://u%40:p%3Aw@h:1/2").unwrap();
        assert_eq!((host.as_str(), port, db), ("h", 1, 2));
        assert_eq!((user.as_deref(), password.as_deref()), (Some("u@"), Some("p:w")));
        let (host, _, user, password, _) = read("redis://secret@").unwrap();
        assert_eq!((host.as_str(), user, password.as_deref()), ("127.0.0.1", None, Some("secret")));
    }

    #[test]
    fn wrong_ones_say_why() {
        assert_eq!(read("http://a").unwrap_err(), "Invalid URI scheme");
        assert_eq!(read("redis://%@a").unwrap_err(), "Incomplete URI encoding");
        assert_eq!(read("redis://%zz@a").unwrap_err(), "Illegal character in URI encoding");
        assert!(read("rediss://a").unwrap_err().contains("built with TLS"));
    }
}
