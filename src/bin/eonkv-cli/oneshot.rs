//! A command given on the command line, or a script file: run it, print, leave.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;

use crate::conn;
use crate::quote;
use crate::screen;
use crate::session::{Session, Stop};

/// Runs the command of the options.
pub fn command(session: &mut Session) -> Result<(), Stop> {
    let mut args = session.options.command.clone();
    if session.options.quoted_input {
        let unquoted: Option<Vec<_>> = args.iter().map(|arg| quote::unquote(arg)).collect();
        let Some(unquoted) = unquoted else {
            screen::say("Invalid quoted string\n");
            return Err(Stop::Exit(1));
        };
        args = unquoted;
    }
    // Nobody answering is told when the command is sent.
    let _ = session.connect(true);
    if session.options.last_arg_from_stdin {
        args.push(stdin()?);
    } else if let Some(tag) = &session.options.tag_from_stdin {
        let Some(place) = args.iter_mut().find(|arg| *arg == tag) else {
            screen::complain("Using -X option but stdin tag not match.");
            return Err(Stop::Exit(1));
        };
        *place = stdin()?;
    }
    session.issue(&args, session.options.repeat)
}

/// Runs the script of `--eval`: the words before a lone comma are keys, the ones behind it arguments.
pub fn script(session: &mut Session, path: &[u8]) -> Result<(), Stop> {
    session.connect(false)?;
    let source = std::fs::read(OsStr::from_bytes(path)).map_err(|error| {
        let path = String::from_utf8_lossy(path);
        screen::complain(&format!("Can't open file '{path}': {}", conn::plain(&error)));
        Stop::Exit(1)
    })?;
    session.issue(&eval(source, &session.options.command), session.options.repeat)
}

fn eval(source: Vec<u8>, words: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let comma = words.iter().position(|word| word == b",");
    let keys = comma.unwrap_or(words.len());
    let mut args = vec![b"EVAL".to_vec(), source, keys.to_string().into_bytes()];
    args.extend(
        words.iter().enumerate().filter(|(at, _)| Some(*at) != comma).map(|(_, word)| word.clone()),
    );
    args
}

fn stdin() -> Result<Vec<u8>, Stop> {
    let mut bytes = Vec::new();
    match std::io::stdin().lock().read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => {
            screen::complain(&format!("Reading from standard input: {}", conn::plain(&error)));
            Err(Stop::Exit(1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_parts_keys_from_arguments() {
        let words =
            |line: &str| line.split(' ').map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
        assert_eq!(eval(b"s".to_vec(), &words("a b , c , d")), words("EVAL s 2 a b c , d"));
        assert_eq!(eval(b"s".to_vec(), &words("a")), words("EVAL s 1 a"));
        assert_eq!(eval(b"s".to_vec(), &[]), words("EVAL s 0"));
    }
}
