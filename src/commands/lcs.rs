//! LCS: what two strings have in common. The comparison itself is in [`crate::types::lcs`].

use super::args::integer;
use super::notes::{Notes, at};
use super::slice::{self, Slice};
use super::sources::Sources;
use super::{Command, Cx, Error, Flags, Group, KeySpec};
use crate::resp::{Args, Reply};
use crate::types::lcs::{self, LcsError, Match, Table};

/// The row of this file.
pub static COMMANDS: &[Command] = &[Command::new("lcs", -3, Group::String, lcs)
    .flags(Flags::READ)
    .acl(&["string"])
    .notes(&Notes::args(&[at("MINMATCHLEN").name("len")]))
    .keys(&[KeySpec::range(1, 1, 1, &["RO", "ACCESS"])])
    .doc(
        "7.0.0",
        "key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]",
        "Finds the longest common subsequence of two strings.",
    )
    .cost("O(N*M), N and M being the lengths of the strings")];

const NOT_STRINGS: Error = Error::new("ERR The specified keys must contain string values");
const LEN_AND_IDX: Error =
    Error::new("ERR If you want both the length and indexes, please just use IDX.");

impl From<LcsError> for Error {
    fn from(error: LcsError) -> Self {
        Error::new(error.text())
    }
}

#[derive(Default)]
struct Options {
    len: bool,
    idx: bool,
    len_min: usize,
    with_len: bool,
}

fn options(args: Args<'_>) -> Result<Options, Error> {
    let mut options = Options::default();
    let mut at = 3;
    while at < args.len() {
        if args.is(at, "idx") {
            options.idx = true;
        } else if args.is(at, "len") {
            options.len = true;
        } else if args.is(at, "withmatchlen") {
            options.with_len = true;
        } else if args.is(at, "minmatchlen") && at + 1 < args.len() {
            at += 1;
            // A negative bound is none.
            options.len_min = usize::try_from(integer(args.get(at))?).unwrap_or(0);
        } else {
            return Err(Error::Syntax);
        }
        at += 1;
    }
    if options.len && options.idx { Err(LEN_AND_IDX) } else { Ok(options) }
}

/// Cells of the table filled between two looks at the time: a tenth of a millisecond.
const CELLS: usize = 64 * 1024;

fn lcs(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let mut table = match slice::resume::<Table>(cx) {
        Some(table) => table,
        None => begin(cx, args)?,
    };
    let slice = Slice::begin();
    while !table.fill(CELLS) {
        if slice.is_over() {
            return Slice::pause(cx, table);
        }
    }
    let options = options(args)?;
    if options.len {
        cx.reply.count(table.length());
    } else if options.idx {
        write_matches(cx.reply, &table.matches(options.len_min), options.with_len);
        cx.reply.bulk(b"len");
        cx.reply.count(table.length());
    } else {
        cx.reply.bulk(&table.subsequence());
    }
    Ok(())
}

/// Reads both strings at one moment: the table is theirs, whatever becomes of the keys meanwhile.
fn begin(cx: &mut Cx<'_>, args: Args<'_>) -> Result<Box<Table>, Error> {
    let keys = [cx.key(args, 1), cx.key(args, 2)];
    let sources = Sources::read(&mut cx.db, &keys).map_err(|_| NOT_STRINGS)?;
    let options = options(args)?;
    let mut texts = sources.kept().into_iter();
    let (a, b) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
    lcs::check_size(&a, &b, cx.local.config.proto_max_bulk_len)?;
    Ok(Box::new(Table::new(a, b, !options.len)))
}

/// The first of the two pairs of the reply. Positions are those of first and last byte.
fn write_matches(reply: &mut Reply, matches: &[Match], with_len: bool) {
    reply.map(2);
    reply.bulk(b"matches");
    reply.array(matches.len());
    for found in matches {
        reply.array(if with_len { 3 } else { 2 });
        for start in [found.a, found.b] {
            reply.array(2);
            reply.count(start);
            reply.count(start + found.len - 1);
        }
        if with_len {
            reply.count(found.len);
        }
    }
}
