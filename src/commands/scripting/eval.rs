//! Running scripts and functions.

use super::super::table::{Begin, Find, Group, Row};
use super::super::{Args, Command, Cx, Error, Flags, KeySpec, blocking, room, run, waits};
use super::catalog::About;
use super::host::{Anew, Case, Limits, Runner, Way};
use super::interpreter::{Habits, Interpreter};
use super::tame::Manner;
use crate::db::{Key, Reserved};
use crate::script::text::{self, Flags as Says};
use crate::script::{Failure, Run};
use crate::session::pause::Conditions;
use crate::session::{After, Session};
use crate::types::number;

const ANY: Flags =
    Flags::NOSCRIPT.and(Flags::SKIP_MONITOR).and(Flags::NO_MANDATORY_KEYS).and(Flags::STALE);
const WRITES: Flags = ANY.and(Flags::MAY_REPLICATE).and(Flags::MOVABLE_KEYS);
const READS: Flags = ANY.and(Flags::READ).and(Flags::MOVABLE_KEYS);
const ACL: &[&str] = &["scripting"];
const FIND: Find = Find::KeyNum { count: 0, first: 1, step: 1 };
const NOTE: &str = "What a script does with its keys cannot be told in advance.";
const RW: &[KeySpec] = &[KeySpec {
    begin: Begin::Index(2),
    find: FIND,
    flags: &["RW", "ACCESS", "UPDATE"],
    note: NOTE,
}];
const RO: &[KeySpec] =
    &[KeySpec { begin: Begin::Index(2), find: FIND, flags: &["RO", "ACCESS"], note: NOTE }];
/// Redis leaves the note out where the script is named by its SHA1.
const SHA_RW: &[KeySpec] = &[KeySpec { note: "", ..RW[0] }];
const SHA_RO: &[KeySpec] = &[KeySpec { note: "", ..RO[0] }];
const COST: &str = "That of the script.";

const fn row(name: &'static str, run: super::super::table::Handler) -> Command {
    Command::new(name, -3, Group::Scripting, run).flags(WRITES).acl(ACL).keys(RW).cost(COST)
}

const fn reading(command: Command) -> Command {
    Command { flags: READS, keys: RO, ..command }
}

pub const EVAL: Command = row("eval", eval).doc(
    "2.6.0",
    "script numkeys [key ...] [arg ...]",
    "Runs a Lua script as one step.",
);
pub const EVALSHA: Command = row("evalsha", evalsha).keys(SHA_RW).doc(
    "2.6.0",
    "sha1 numkeys [key ...] [arg ...]",
    "Runs a Lua script that is known by its SHA1.",
);
pub const EVALSHA_RO: Command = reading(row("evalsha_ro", evalsha_ro)).keys(SHA_RO).doc(
    "7.0.0",
    "sha1 numkeys [key ...] [arg ...]",
    "Runs a Lua script, known by its SHA1, that may not write.",
);
pub const EVAL_RO: Command = reading(row("eval_ro", eval_ro)).doc(
    "7.0.0",
    "script numkeys [key ...] [arg ...]",
    "Runs a Lua script that may not write.",
);
pub const FCALL: Command = row("fcall", fcall).doc(
    "7.0.0",
    "function numkeys [key ...] [arg ...]",
    "Runs a function of a library as one step.",
);
pub const FCALL_RO: Command = reading(row("fcall_ro", fcall_ro)).doc(
    "7.0.0",
    "function numkeys [key ...] [arg ...]",
    "Runs a function that may not write.",
);

fn eval(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    script(cx, args, false, false)
}

fn eval_ro(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    script(cx, args, false, true)
}

fn evalsha(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    script(cx, args, true, false)
}

fn evalsha_ro(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    script(cx, args, true, true)
}

fn fcall(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    with_interpreter(cx, |cx, interpreter| function(cx, interpreter, args, false))
}

fn fcall_ro(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    with_interpreter(cx, |cx, interpreter| function(cx, interpreter, args, true))
}

/// The properties of a command as far as the script that it names can tell: one that says that it writes
/// nothing need not be held back as one that might.
pub fn flags(cx: &Cx<'_>, row: &Row, args: Args<'_>) -> Flags {
    let flags = row.command.flags;
    if row.command.group != Group::Scripting || !flags.has(Flags::MAY_REPLICATE) {
        return flags;
    }
    let catalog = &cx.shared.catalog;
    let lower = |name: &[u8]| String::from_utf8_lossy(name).to_ascii_lowercase();
    let says = match (row.command.name, args.opt(1)) {
        ("eval", Some(script)) => text::script(script).ok().and_then(|(flags, _)| flags),
        ("evalsha", Some(sha)) => catalog.script(&lower(sha)).and_then(|script| script.flags),
        ("fcall", Some(name)) => {
            let name = lower(name);
            catalog.libraries(|all| {
                let functions = &all.functions.get(&name)?.functions;
                let found = functions.iter().find(|f| f.name.eq_ignore_ascii_case(&name))?;
                Some(found.flags)
            })
        }
        _ => None,
    };
    match says {
        Some(says) if says.has(Says::NO_WRITES) => flags.without(Flags::MAY_REPLICATE),
        _ => flags,
    }
}

/// Lends the worker's interpreter, made on first use.
pub fn with_interpreter<T>(
    cx: &mut Cx<'_>,
    work: impl FnOnce(&mut Cx<'_>, &mut Interpreter) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut interpreter = match cx.local.interpreter.take() {
        Some(interpreter) => interpreter,
        None => Box::new(Interpreter::new().map_err(Error::Bytes)?),
    };
    let result = work(cx, &mut interpreter);
    if !interpreter.spoiled {
        cx.local.interpreter = Some(interpreter);
    }
    result
}

/// How many of the arguments behind the third are keys.
fn count_keys(args: Args<'_>, not_a_number: &'static str) -> Result<usize, Error> {
    let count = number::parse_i64(args.get(2)).ok_or(Error::new(not_a_number))?;
    match usize::try_from(count) {
        Err(_) => Err(Error::new("ERR Number of keys can't be negative")),
        Ok(count) if count > args.len() - 3 => {
            Err(Error::new("ERR Number of keys can't be greater than number of args"))
        }
        Ok(count) => Ok(count),
    }
}

fn script(cx: &mut Cx<'_>, args: Args<'_>, by_sha: bool, reads: bool) -> Result<(), Error> {
    let keys = count_keys(args, "ERR value is not an integer or out of range")?;
    with_interpreter(cx, |cx, interpreter| {
        let catalog = &cx.shared.catalog;
        let ready = if by_sha {
            let unknown = Error::new("NOSCRIPT No matching script. Please use EVAL.");
            interpreter.by_sha(catalog, args.get(1)).ok_or(unknown)?
        } else {
            interpreter.script(catalog, args.get(1), false).map_err(Error::Bytes)?
        };
        let limits = limits(cx, ready.script.flags, reads, false)?;
        let run = Run::Script(&ready.compiled, &ready.script.sha, ready.uses);
        let (manner, habits) = (ready.manner, &*ready.habits);
        let name = &ready.script.sha;
        one_step(cx, interpreter, Call { run, name, args, keys, limits, manner, habits })
    })
}

fn function(
    cx: &mut Cx<'_>,
    interpreter: &mut Interpreter,
    args: Args<'_>,
    reads: bool,
) -> Result<(), Error> {
    let found = interpreter.function(&cx.shared.catalog, args.get(1));
    let found = found.map_err(|text| Error::Bytes([b"ERR ", &text[..]].concat()))?;
    let function = found.ok_or(Error::new("ERR Function not found"))?;
    let keys = count_keys(args, "ERR Bad number of keys provided")?;
    let limits = limits(cx, Some(function.flags), reads, true)?;
    let name = String::from_utf8_lossy(args.get(1));
    let run = Run::Function(&function.compiled, &name);
    let (manner, habits) = (Manner::Open, &*function.habits); // a library is not looked through
    one_step(cx, interpreter, Call { run, name: &name, args, keys, limits, manner, habits })
}

/// What a script may do, by what it says of itself; or why it does not run at all.
fn limits(
    cx: &mut Cx<'_>,
    says: Option<Says>,
    reads: bool,
    function: bool,
) -> Result<Limits, Error> {
    let says_so = |flag: Says| says.is_some_and(|flags| flags.has(flag));
    let quiet = says_so(Says::NO_WRITES);
    if reads && says.is_some() && !quiet {
        let text = "ERR Can not execute a script with write flag using *_ro command.";
        return Err(Error::new(text));
    }
    let short = cx.local.config.maxmemory > 0 && !room::make(cx);
    let free = quiet || says_so(Says::ALLOW_OOM);
    if short && says.is_some() && !free {
        return Err(Error::new(
            "OOM allow-oom flag is not set on the script, can not run it when used memory > \
             'maxmemory'",
        ));
    }
    Ok(Limits { read_only: reads || quiet, short: short && !free, function })
}

/// What is to be run.
struct Call<'a> {
    run: Run<'a>,
    name: &'a str,
    args: Args<'a>,
    keys: usize,
    limits: Limits,
    /// What its text says of it.
    manner: Manner,
    /// What it was seen to do.
    habits: &'a Habits,
}

/// How often a script may begin anew for want of a stripe; then it wants the keyspace to itself.
const TRIES: u8 = 8;

impl Call<'_> {
    /// How it is to run, by what is known of it; none if it must wait.
    fn way(&self, cx: &Cx<'_>) -> Option<Way> {
        let all = cx.shared.switches.scripts_may_all() || self.habits.has(Habits::ALL);
        if self.manner == Manner::Tame && !all && !self.habits.has(Habits::WILD) {
            return Some(Way::Held);
        }
        cx.meanwhile.as_ref()?; // without that this worker is within another script
        let others = cx.db.keyspace.has_reserved();
        // To reserve stripes one after the other costs more than to have them all for a moment.
        let strays = self.habits.has(Habits::STRAYS) && !self.habits.has(Habits::LONG);
        match () {
            () if all || cx.session.tries > TRIES => (!others).then_some(Way::Alone),
            () if strays && !others => Some(Way::Alone),
            () => Some(Way::Reserved),
        }
    }

    /// What is left to be done after it ran in one way, or could not: another way, or none.
    fn next_way(&self, cx: &mut Cx<'_>, ran: &Ran) -> Option<Way> {
        match ran {
            Ran::Anew(Anew::Reserved) => Some(Way::Reserved).filter(|_| cx.meanwhile.is_some()),
            Ran::Anew(Anew::Alone) => Some(Way::Alone).filter(|_| !cx.db.keyspace.has_reserved()),
            _ => None,
        }
    }
}

/// What came of a run.
enum Ran {
    /// It ended; the reply is encoded if that is no failure.
    Ended(Result<bool, Failure>),
    /// It must begin anew, in another way.
    Anew(Anew),
    /// It could not begin: somebody has stripes that it declares.
    Taken,
    /// It could not begin: somebody waits until no stripes are reserved.
    Closed,
    /// Somebody has the keyspace for long.
    Busy,
}

/// Runs a script as one step: under the stripes of its keys, which it reserves unless it is tame; or while
/// nobody else is in the keyspace. Within EXEC nobody is anyway.
fn one_step(cx: &mut Cx<'_>, interpreter: &mut Interpreter, call: Call<'_>) -> Result<(), Error> {
    if cx.shared.conditions.bits() & Conditions::MONITORED != 0 && cx.session.tries == 0 {
        run::show(cx, call.args);
    }
    // It may take long: what the batch has done so far must not wait for it.
    if cx.shared.keyspace.journal.hand_over(cx.db.local).is_some() {
        cx.shared.log.handed_over();
    }
    if cx.db.is_in_step() {
        let way = if cx.db.is_alone() { Way::Alone } else { Way::Held };
        return match one_run(cx, interpreter, way, &call) {
            Ran::Ended(result) => ended(cx, result, &call),
            _ => Err(super::busy(cx)), // EXEC is alone when it runs scripts: they need not begin anew
        };
    }
    let releases = cx.shared.conditions.releases();
    let mut way = call.way(cx);
    while let Some(how) = way {
        let ran = step(cx, interpreter, how, &call);
        match ran {
            Ran::Ended(result) => return ended(cx, result, &call),
            Ran::Busy => return waits::again_or_busy(cx),
            Ran::Closed => {
                waits::park_a_moment(cx);
                return Ok(());
            }
            Ran::Taken | Ran::Anew(Anew::Later(true)) => waits::insist(cx),
            Ran::Anew(_) => {}
        }
        way = call.next_way(cx, &ran);
    }
    if call.habits.has(Habits::ALL) || cx.session.tries > TRIES {
        waits::insist(cx);
    }
    waits::park(cx, releases);
    Ok(())
}

/// One attempt.
fn step(cx: &mut Cx<'_>, interpreter: &mut Interpreter, way: Way, call: &Call<'_>) -> Ran {
    let names = call.args.from(3).first(call.keys);
    let (one, many); // most have one key
    let keys = match names.opt(0) {
        Some(name) if names.len() == 1 => {
            one = [Key::new(name)];
            one.as_slice()
        }
        _ => {
            many = names.iter().map(Key::new).collect::<Vec<_>>();
            &many
        }
    };
    let done = match way {
        Way::Alone => blocking::in_step(cx, None, |cx| one_run(cx, interpreter, way, call)),
        Way::Held => blocking::in_step(cx, Some(keys), |cx| one_run(cx, interpreter, way, call)),
        Way::Reserved => {
            let urgent = cx.session.tries > TRIES / 2;
            let run = |cx: &mut Cx<'_>| one_run(cx, interpreter, way, call);
            match blocking::in_reserved(cx, keys, urgent, run) {
                Ok(ran) => Some(ran),
                Err(Reserved::Taken) => Some(Ran::Taken),
                Err(Reserved::Closed) => Some(Ran::Closed),
                Err(_) => None,
            }
        }
    };
    done.unwrap_or(Ran::Busy)
}

/// What a script that has ended replies.
fn ended(cx: &mut Cx<'_>, result: Result<bool, Failure>, call: &Call<'_>) -> Result<(), Error> {
    match result {
        Ok(counted) => {
            if counted {
                run::worker(cx).failed(cx.row.id);
            }
            Ok(())
        }
        // What a command has said, and was counted for, is not one more error.
        Err(Failure::Raised(raised)) if raised.counted => {
            let errors = cx.reply.errors();
            cx.reply.error(raised.text);
            cx.reply.counted(errors);
            run::worker(cx).failed(cx.row.id);
            Ok(())
        }
        Err(failure) => Err(error(failure, call)),
    }
}

fn one_run(cx: &mut Cx<'_>, interpreter: &mut Interpreter, way: Way, call: &Call<'_>) -> Ran {
    let (mark, errors) = (cx.reply.mark(), cx.reply.errors());
    let before = Before::of(cx);
    std::mem::swap(cx.reply, &mut interpreter.scratch);
    (cx.reply.resp3, cx.session.resp3) = (false, false);
    (cx.session.in_exec, cx.session.in_script) = (true, true);
    let worker = cx.local.worker;
    let (name, args) = (call.name, call.args);
    let about = || About {
        name: name.to_owned(),
        command: args.iter().map(|arg| arg[..arg.len().min(128)].to_vec()).collect(),
    };
    let closed = call.manner != Manner::Open;
    let case = Case { limits: call.limits, closed, habits: call.habits, about: &about };
    let mut runner = Runner::new(cx, way, case);
    let (keys, argv) = (args.from(3).first(call.keys), args.from(3 + call.keys));
    let Interpreter { vm, scratch, .. } = interpreter;
    let result = vm.run(&mut runner, call.run, (keys, argv), scratch);
    let (after, anew, shown) = (runner.after, runner.anew, runner.shown);
    interpreter.spoiled = matches!(result, Err(Failure::Stopped(_)));
    let Interpreter { vm, scratch, .. } = interpreter;
    std::mem::swap(cx.reply, scratch);
    if anew.is_some() {
        cx.reply.cut(mark);
        cx.reply.counted(errors);
    }
    scratch.clear();
    scratch.bytes.shrink_to(64 * 1024);
    before.restore(cx);
    cx.session.in_script = false; // scripts run no scripts
    cx.session.after = if anew.is_some() { After::Continue } else { after };
    if cx.shared.catalog.seat(worker).is_some_and(|seat| seat.end(vm.memory(), shown)) {
        let busy = cx.shared.catalog.busy().next().is_some();
        cx.shared.conditions.set(Conditions::BUSY, busy);
    }
    match anew {
        Some(anew) => Ran::Anew(anew),
        None => Ran::Ended(result),
    }
}

fn error(failure: Failure, call: &Call<'_>) -> Error {
    let which = if call.limits.function { "FUNCTION" } else { "SCRIPT" };
    let text = match failure {
        Failure::Compile(text) => text,
        Failure::Raised(raised) => raised.text,
        Failure::Stopped(place) => {
            let text = format!("ERR Script killed by user with {which} KILL.");
            crate::script::at(text.as_bytes(), call.name, place.as_ref())
        }
        Failure::Memory => b"ERR not enough memory".to_vec(),
    };
    Error::Bytes(text)
}

/// What a script's commands may change of the connection, and must not.
struct Before {
    row: &'static super::super::Row,
    hash: u64,
    db: usize,
    resp3: bool,
    in_exec: bool,
}

impl Before {
    fn of(cx: &Cx<'_>) -> Self {
        let Session { resp3, in_exec, .. } = *cx.session;
        Self { row: cx.row, hash: cx.hash, db: cx.db.db, resp3, in_exec }
    }

    fn restore(self, cx: &mut Cx<'_>) {
        (cx.row, cx.hash) = (self.row, self.hash);
        cx.db.db = self.db;
        cx.session.select(self.db);
        (cx.session.resp3, cx.session.in_exec) = (self.resp3, self.in_exec);
        cx.session.after = After::Continue;
    }
}
