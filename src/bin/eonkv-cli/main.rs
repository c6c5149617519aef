//! `eonkv-cli`: the command line client. Whatever redis-cli does in daily use it does with the same options,
//! the same bytes on stdout and the same exit codes, so that scripts need not care; at a terminal it has a
//! better line editor.
//!
//! | file | what |
//! |---|---|
//! | `args`, `flags`, `uri`, `number` | the command line |
//! | `conn`, `resp` | a connection; replies as values |
//! | `session`, `command`, `interrupt` | keeping a connection usable; sending what the user typed |
//! | `format`, `quote`, `screen` | printing |
//! | `oneshot`, `repl`, `modes` | the three ways to run |
//! | `hints`, `help` | what is known about commands |
#![forbid(unsafe_code)]

mod args;
mod command;
mod conn;
mod flags;
mod format;
mod help;
mod hints;
mod interrupt;
mod modes;
mod number;
mod oneshot;
mod quote;
mod repl;
mod resp;
mod screen;
mod session;
mod uri;

use std::io::IsTerminal;
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

use args::{Options, Parsed};
use session::{Session, Stop};

fn main() -> ExitCode {
    // FAKETTY lets tests, and people piping to a pager, have the form meant for people.
    let terminal = std::io::stdout().is_terminal() || std::env::var_os("FAKETTY").is_some();
    let mut options = match args::parse(std::env::args_os().skip(1).collect(), terminal) {
        Parsed::Run(options) => *options,
        Parsed::Help => {
            screen::say(&args::help());
            return ExitCode::SUCCESS;
        }
        Parsed::Version => {
            screen::say(concat!("eonkv-cli ", env!("CARGO_PKG_VERSION"), "\n"));
            return ExitCode::SUCCESS;
        }
        Parsed::Wrong(text) => {
            screen::complain(&text);
            return ExitCode::FAILURE;
        }
    };
    if options.auth_warning && options.password.is_some() {
        screen::complain(
            "Warning: Using a password with '-a' or '-u' option on the command line interface may not be safe.",
        );
    }
    if options.password.is_none() {
        options.password = std::env::var_os("REDISCLI_AUTH").map(OsStringExt::into_vec);
    }
    if options.ask_password {
        options.password = repl::ask_password("Please input password: ");
    }
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop::Failed) => ExitCode::FAILURE,
        Err(Stop::Exit(code)) => ExitCode::from(code),
    }
}

fn run(options: Options) -> Result<(), Stop> {
    let mut session = Session::new(options);
    if let Some(done) = modes::run(&mut session) {
        return done;
    }
    if let Some(path) = session.options.eval.clone() {
        return oneshot::script(&mut session, &path);
    }
    if session.options.command.is_empty() {
        return repl::run(session);
    }
    oneshot::command(&mut session)
}
