//! Which scripts are tame: they touch the keys that they declare and no others, and they end soon.
//!
//! A tame script runs under the stripes of its keys, beside everybody else, as EXEC does, and others spin
//! for it; any other reserves its stripes, which costs more. One that touches no other keys, but may
//! run for long, is *closed*: as it never waits for one stripe more, it may write beside others that do.
//!
//! - **T1** Every `redis.call` names its command as a constant, and stands with `KEYS[…]`, or a local
//!   variable that is never anything else, in all places in which the command takes keys. `KEYS` is
//!   never assigned to nor given another name, and neither is `redis`.
//! - **T2** There are no loops, no functions, and nothing of the libraries that takes longer than its
//!   arguments are long: patterns, methods of values, `string.rep`.
//!
//! It is a guess from below: what is not understood is not tame. What is tame is still checked when
//! it runs ([`super::host`]): a mistake here makes it run again, in another way.

use super::super::table::{Begin, Find, Row, table};
use super::super::transaction;
use super::super::{Flags, KeySpec};
use super::lex::{Token, tokens};
use crate::script::{Use, Uses};
use std::ops::Range;

/// Longer texts are not looked at.
const LONGEST: usize = 16 * 1024;

/// What the text of a script says about how it will run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// T1 and T2.
    Tame,
    /// T1.
    Closed,
    /// It may touch any key.
    Open,
}

impl Manner {
    /// Of a script, without its first line if that is special; and what it does with its lists.
    pub fn of(text: &[u8]) -> (Self, Uses) {
        let open = (Self::Open, Uses::default());
        if text.len() > LONGEST {
            return open;
        }
        let Some(tokens) = tokens(text) else { return open };
        for (long, manner) in [(false, Self::Tame), (true, Self::Closed)] {
            if let Some(uses) = closed(&tokens, long) {
                return (manner, uses);
            }
        }
        open
    }
}

/// T1, and T2 unless it may take `long`; then what is done with the lists.
fn closed(tokens: &[Token<'_>], long: bool) -> Option<Uses> {
    let (locals, declared) = (Vec::new(), Vec::new());
    let mut script = Script { tokens, long, locals, declared, keys: Vec::new() };
    let fine = script.read_locals() && (0..tokens.len()).all(|at| script.is_fine(at));
    fine.then(|| Uses { keys: script.use_of(b"KEYS"), argv: script.use_of(b"ARGV") })
}

const KEYWORDS: &[&[u8]] = &[
    b"and", b"break", b"do", b"else", b"elseif", b"end", b"false", b"if", b"local", b"nil", b"not",
    b"or", b"return", b"then", b"true",
];
/// Keywords of what can go on for ever. (What a function does depends on who calls it: never closed.)
const LOOPS: &[&[u8]] = &[b"for", b"in", b"repeat", b"until", b"while"];
/// Globals that walk through tables.
const WALKS: &[&[u8]] = &[b"ipairs", b"next", b"pairs", b"select"];
/// Globals that may be used in any way.
const FREE: &[&[u8]] = &[
    b"ARGV",
    b"assert",
    b"bit",
    b"cjson",
    b"cmsgpack",
    b"error",
    b"math",
    b"struct",
    b"tonumber",
    b"tostring",
    b"type",
    b"unpack",
];
const OF_STRING: &[&[u8]] =
    &[b"byte", b"char", b"format", b"len", b"lower", b"reverse", b"sub", b"upper"];
/// Those that may take long.
const LONG_OF_STRING: &[&[u8]] = &[b"find", b"gmatch", b"gsub", b"match", b"rep"];
const LONG_OF_TABLE: &[&[u8]] = &[b"sort"];
const OF_TABLE: &[&[u8]] = &[b"concat", b"getn", b"insert", b"maxn", b"remove"];
const OF_REDIS: &[&[u8]] = &[
    b"LOG_DEBUG",
    b"LOG_NOTICE",
    b"LOG_VERBOSE",
    b"LOG_WARNING",
    b"REDIS_VERSION",
    b"REDIS_VERSION_NUM",
    b"error_reply",
    b"log",
    b"replicate_commands",
    b"setresp",
    b"sha1hex",
    b"status_reply",
];
/// What a local variable must not be called.
const TAKEN: &[&[u8]] = &[b"KEYS", b"ipairs", b"redis", b"string", b"table", b"unpack"];
/// Words after which a value begins.
const BEFORE_VALUE: &[&[u8]] = &[b"and", b"elseif", b"if", b"not", b"or", b"return"];

struct Script<'t> {
    tokens: &'t [Token<'t>],
    /// It may take long.
    long: bool,
    locals: Vec<&'t [u8]>,
    /// Where they are declared.
    declared: Vec<usize>,
    /// Those that are `KEYS[…]` and nothing else, ever.
    keys: Vec<&'t [u8]>,
}

impl<'t> Script<'t> {
    fn name(&self, at: usize) -> Option<&'t [u8]> {
        match self.tokens.get(at) {
            Some(Token::Name(name)) => Some(name),
            _ => None,
        }
    }

    fn is_sign(&self, at: usize, sign: &str) -> bool {
        self.tokens.get(at) == Some(&Token::Sign(sign.as_bytes()))
    }

    /// Finds out what variables there are; false if one hides what must not be hidden.
    fn read_locals(&mut self) -> bool {
        let mut maybe: Vec<&'t [u8]> = Vec::new();
        for at in 0..self.tokens.len() {
            let of_loop = self.long && self.name(at) == Some(b"for");
            if self.name(at) != Some(b"local") && !of_loop {
                continue;
            }
            let (mut names, mut next) = (Vec::new(), at + 1);
            while let Some(name) = self.name(next) {
                names.push(name);
                self.declared.push(next);
                next += 1;
                if !self.is_sign(next, ",") {
                    break;
                }
                next += 1;
            }
            let values =
                if of_loop { self.walked(next, names.len()) } else { self.plain_list(next) };
            for (i, &name) in names.iter().enumerate() {
                let fresh = !self.locals.contains(&name);
                self.locals.push(name);
                if TAKEN.contains(&name) {
                    return false;
                }
                if fresh && values.get(i) == Some(&true) && values.len() == names.len() {
                    maybe.push(name);
                } else {
                    maybe.retain(|other| *other != name);
                }
            }
        }
        maybe.retain(|name| self.is_never_assigned(name));
        self.keys = maybe;
        true
    }

    /// `in ipairs(KEYS)` after the two names of a loop: which of them is of `KEYS`.
    fn walked(&self, at: usize, names: usize) -> Vec<bool> {
        let all = self.name(at) == Some(b"in")
            && self.name(at + 1) == Some(b"ipairs")
            && self.is_all_keys(at + 2)
            && self.name(at + 5) == Some(b"do");
        if all && names == 2 { vec![false, true] } else { Vec::new() }
    }

    /// `= KEYS[1], ARGV[2]` and nothing more, from its sign on: whether each is of `KEYS`.
    fn plain_list(&self, from: usize) -> Vec<bool> {
        let (mut list, mut at) = (Vec::new(), from);
        while self.is_sign(at, if list.is_empty() { "=" } else { "," }) {
            let name = self.name(at + 1);
            let plain = matches!(name, Some(b"KEYS" | b"ARGV"))
                && self.is_sign(at + 2, "[")
                && self.tokens.get(at + 3) == Some(&Token::Number)
                && self.is_sign(at + 4, "]");
            if !plain {
                return Vec::new();
            }
            list.push(name == Some(b"KEYS"));
            at += 5;
        }
        let more = match self.tokens.get(at) {
            Some(Token::Sign(sign)) => *sign != b";",
            Some(Token::Name(name)) => matches!(*name, b"and" | b"or"),
            Some(Token::Text(_)) => true,
            _ => false,
        };
        if more { Vec::new() } else { list }
    }

    /// Whether no statement but the one that declares it gives a variable a value.
    fn is_never_assigned(&self, name: &[u8]) -> bool {
        let mut depth = 0_usize;
        for at in 0..self.tokens.len() {
            match self.tokens[at] {
                Token::Sign(b"(" | b"[" | b"{") => depth += 1,
                Token::Sign(b")" | b"]" | b"}") => depth = depth.saturating_sub(1),
                Token::Name(other) if other == name && !self.declared.contains(&at) => {
                    let target =
                        self.is_sign(at + 1, "=") || depth == 0 && self.is_sign(at + 1, ",");
                    if target && !(at > 0 && self.is_sign(at - 1, ".")) {
                        return false;
                    }
                }
                _ => {}
            }
        }
        true
    }

    /// Whether the token at `at` may stand there.
    fn is_fine(&self, at: usize) -> bool {
        let name = match self.tokens[at] {
            Token::Name(name) => name,
            Token::Sign(sign) => return sign != b"..." && sign != b"~",
            Token::Text(_) | Token::Number => return true,
        };
        if name == b"function" {
            return false;
        }
        if LOOPS.contains(&name) {
            return self.long;
        }
        let member_of = at.checked_sub(1).filter(|dot| self.is_sign(*dot, "."));
        if member_of.is_some() {
            return true; // its table was looked at
        }
        let member = |known: &[&[u8]]| {
            self.is_sign(at + 1, ".") && self.name(at + 2).is_some_and(|name| known.contains(&name))
        };
        match name {
            b"KEYS" => self.is_read(at),
            b"redis" if matches!(self.name(at + 2), Some(b"call" | b"pcall")) => {
                self.is_sign(at + 1, ".") && self.is_sign(at + 3, "(") && self.is_call(at + 3)
            }
            b"redis" => member(OF_REDIS),
            b"string" => member(OF_STRING) || self.long && member(LONG_OF_STRING),
            b"table" => member(OF_TABLE) || self.long && member(LONG_OF_TABLE),
            _ => {
                let field = at > 0
                    && (self.is_sign(at - 1, "{") || self.is_sign(at - 1, ","))
                    && self.is_sign(at + 1, "=");
                field
                    || [KEYWORDS, FREE].iter().any(|all| all.contains(&name))
                    || self.locals.contains(&name)
                    || self.long && WALKS.contains(&name)
            }
        }
    }

    /// What is done with a list, wherever it stands.
    fn use_of(&self, list: &[u8]) -> Use {
        let mut places =
            (0..self.tokens.len()).filter(|at| self.name(*at) == Some(list)).peekable();
        match () {
            () if places.peek().is_none() => Use::Nothing,
            () if places.all(|at| self.is_read(at)) => Use::Read,
            () => Use::Any,
        }
    }

    /// Whether `KEYS`, or `ARGV`, at `at` is only read from.
    fn is_read(&self, at: usize) -> bool {
        let Some(before) = at.checked_sub(1) else { return false };
        if self.is_sign(before, "#") || self.is_all_of(before, self.name(at)) {
            return true;
        }
        let Some(end) = self.element(at) else { return false };
        let begins = match self.tokens[before] {
            Token::Sign(b",") => self.depth(at) > 0 || self.is_in_plain_list(before),
            Token::Sign(sign) => !matches!(sign, b")" | b"]" | b"}" | b";"),
            Token::Name(name) => BEFORE_VALUE.contains(&name),
            Token::Text(_) | Token::Number => false,
        };
        begins && !self.is_sign(end, "=")
    }

    /// Whether the comma at `at` stands in what [`Script::plain_list`] reads.
    fn is_in_plain_list(&self, at: usize) -> bool {
        let equal = (0..at).rev().find(|i| self.is_sign(*i, "="));
        equal.is_some_and(|equal| {
            let len = self.plain_list(equal).len();
            at < equal + 5 * len
        })
    }

    fn depth(&self, at: usize) -> usize {
        self.tokens[..at].iter().fold(0_usize, |depth, token| match token {
            Token::Sign(b"(" | b"[" | b"{") => depth + 1,
            Token::Sign(b")" | b"]" | b"}") => depth.saturating_sub(1),
            _ => depth,
        })
    }

    /// `(KEYS)` of `unpack(KEYS)`, or of `ipairs(KEYS)`, from its bracket on.
    fn is_all_keys(&self, at: usize) -> bool {
        self.is_all_of(at, Some(b"KEYS"))
    }

    /// The same of either list.
    fn is_all_of(&self, at: usize, list: Option<&[u8]>) -> bool {
        at > 0
            && (self.name(at - 1) == Some(b"unpack")
                // What else it returns is the table itself.
                || self.long
                    && at > 1
                    && self.name(at - 2) == Some(b"in")
                    && self.name(at - 1) == Some(b"ipairs")
                    && self.name(at + 3) == Some(b"do"))
            && self.is_sign(at, "(")
            && self.name(at + 1) == list
            && self.is_sign(at + 2, ")")
    }

    /// The end of `KEYS[…]`, of which `KEYS` is at `at`.
    fn element(&self, at: usize) -> Option<usize> {
        if !self.is_sign(at + 1, "[") {
            return None;
        }
        self.close(at + 1).map(|close| close + 1)
    }

    /// Where the bracket at `open` closes.
    fn close(&self, open: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for at in open..self.tokens.len() {
            match self.tokens[at] {
                Token::Sign(b"(" | b"[" | b"{") => depth += 1,
                Token::Sign(b")" | b"]" | b"}") => {
                    depth -= 1;
                    if depth == 0 {
                        return Some(at);
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// Whether the command whose arguments begin with the bracket at `open` touches only `KEYS`.
    fn is_call(&self, open: usize) -> bool {
        let Some(args) = self.arguments(open) else { return false };
        let Some(&Token::Text(name)) = args.first().and_then(|first| self.only(first)) else {
            return false;
        };
        let Some(row) = table().find(name) else { return false };
        let command = row.command;
        if !command.subcommands.is_empty()
            || command.flags.has(Flags::NOSCRIPT)
            || transaction::is_open(command)
        {
            return false;
        }
        if command.keys.is_empty() {
            return transaction::is_keyless(row);
        }
        command.keys.iter().all(|spec| self.has_keys(row, spec, &args))
    }

    /// Whether all arguments at the places of `spec` are of `KEYS`.
    fn has_keys(&self, row: &Row, spec: &KeySpec, args: &[Range<usize>]) -> bool {
        let (Begin::Index(at), Find::Range { last, step, limit: 0 }) = (spec.begin, spec.find)
        else {
            return false;
        };
        let at = usize::from(at.unsigned_abs());
        let end = match usize::try_from(last) {
            Ok(last) => at + last + 1,
            Err(_) => (args.len() + 1).saturating_sub(usize::from(last.unsigned_abs())),
        };
        let many = args
            .last()
            .is_some_and(|last| last.len() > 1 && self.name(last.start) == Some(b"unpack"));
        let ends_with_keys = args.last().is_some_and(|last| {
            last.len() == 4
                && self.is_all_keys(last.start + 1)
                && (row.command.keys.len(), step) == (1, 1)
        });
        if many && (last < 0 && !(last == -1 && ends_with_keys) || last >= 0 && end >= args.len()) {
            return false; // there are more arguments than can be seen
        }
        (at..end.min(args.len()))
            .step_by(usize::from(step.unsigned_abs()).max(1))
            .all(|i| self.is_key(&args[i]) || many && ends_with_keys && i + 1 == args.len())
    }

    /// Whether an argument is `KEYS[…]` or a variable that is.
    fn is_key(&self, arg: &Range<usize>) -> bool {
        match self.name(arg.start) {
            Some(b"KEYS") => self.element(arg.start) == Some(arg.end),
            Some(name) => arg.len() == 1 && self.keys.contains(&name),
            None => false,
        }
    }

    fn only(&self, arg: &Range<usize>) -> Option<&Token<'t>> {
        if arg.len() == 1 { self.tokens.get(arg.start) } else { None }
    }

    /// The arguments between the bracket at `open` and its end.
    fn arguments(&self, open: usize) -> Option<Vec<Range<usize>>> {
        let close = self.close(open)?;
        let (mut list, mut from, mut at) = (Vec::new(), open + 1, open + 1);
        while at < close {
            if matches!(self.tokens[at], Token::Sign(b"(" | b"[" | b"{")) {
                at = self.close(at)?;
            } else if self.is_sign(at, ",") {
                list.push(from..at);
                from = at + 1;
            }
            at += 1;
        }
        list.push(from..close);
        Some(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_its_keys_and_ends_soon_is_tame() {
        for text in [
            "return 1",
            "return redis.call('get', KEYS[1])",
            "return {KEYS[1], KEYS[2], ARGV[1], #KEYS, #ARGV}",
            "redis.call('set', KEYS[1], ARGV[1]) return redis.call('incr', KEYS[2])",
            "if redis.call(\"get\",KEYS[1]) == ARGV[1] then return redis.call(\"del\",KEYS[1]) else return 0 end",
            "local key, by = KEYS[1], ARGV[1] local n = redis.call('INCRBY', key, by)\nif n == 1 then redis.call('expire', key, 60) end return n",
            "local key = KEYS[1]; return redis.pcall('hmset', key, unpack(ARGV))",
            "return redis.call('del', unpack(KEYS))",
            "return redis.call('mget', KEYS[1], KEYS[#KEYS])",
            "return redis.call('mset', KEYS[1], 'v', KEYS[2], 'w') -- comment 'x",
            "--[[ for ]] return redis.call('publish', ARGV[1], 'for' .. [[while]])",
            "local t = {a = 1, KEYS[1]} t.x = 2.5e3 return cjson.encode(t)",
            "return redis.call('rename', KEYS[1], KEYS[2])",
            "return redis.call('set', KEYS[tonumber(ARGV[1])], 1..2)",
        ] {
            assert_eq!(Manner::of(text.as_bytes()).0, Manner::Tame, "{text}");
        }
    }

    #[test]
    fn what_is_done_with_the_lists_is_known() {
        use Use::{Any, Nothing, Read};
        for (text, keys, argv) in [
            ("return 1", Nothing, Nothing),
            ("return redis.call('get', KEYS[1])", Read, Nothing),
            ("return {KEYS[1], #KEYS, ARGV[1], #ARGV}", Read, Read),
            ("local a, b = KEYS[1], ARGV[1] return redis.call('set', a, b)", Read, Read),
            ("return redis.call('hmset', KEYS[1], unpack(ARGV))", Read, Read),
            ("for i, v in ipairs(ARGV) do redis.call('rpush', KEYS[1], v) end", Read, Read),
            ("if ARGV[1] == 'x' then return KEYS[1] else return ARGV[2] end", Read, Read),
            ("return ARGV", Nothing, Any),
            ("ARGV[1] = 'x' return KEYS[1]", Read, Any),
            ("local a = 1 ARGV[1] = 'x' return KEYS[1]", Read, Any),
            ("local a a, ARGV[1] = 1, 'x' return KEYS[1]", Read, Any),
            ("if true then ARGV.x = 1 end return KEYS[1]", Read, Any),
            ("table.insert(ARGV, 'x') return KEYS[1]", Read, Any),
            ("local a = ARGV a[1] = 'x' return KEYS[1]", Read, Any),
            ("local a = {ARGV} a[1][1] = 'x' return KEYS[1]", Read, Any),
            ("return cjson.encode(ARGV)", Nothing, Any),
            // Not known to touch only what it declares, so nothing is known.
            ("KEYS[1] = 'x' return ARGV[1]", Any, Any),
            ("return _G['KEYS'][1]", Any, Any),
            ("return redis.call('get', 'x')", Any, Any),
        ] {
            assert_eq!(Manner::of(text.as_bytes()).1, Uses { keys, argv }, "{text}");
        }
    }

    #[test]
    fn what_may_touch_other_keys_is_not() {
        for text in [
            "return redis.call('get', 'key')",
            "return redis.call('get', ARGV[1])",
            "return redis.call('get', KEYS[1] .. ':x')",
            "return redis.call('get', KEYS)",
            "return redis.call(ARGV[1], KEYS[1])",
            "return redis.call('g' .. 'et', KEYS[1])",
            "local key = KEYS[1] .. 'x' return redis.call('get', key)",
            "local key = KEYS[1] or 'x' return redis.call('get', key)",
            "local key = KEYS[1] key = 'x' return redis.call('get', key)",
            "local key, x = KEYS[1] x, key = 1, 2 return redis.call('get', key)",
            "local key = KEYS[1] local key = 'x' return redis.call('get', key)",
            "local key = KEYS[1] local t key = 'x' return redis.call('get', key)",
            "local a, key = KEYS[1] return redis.call('get', key)",
            "local call = redis.call return call('get', 'x')",
            "local r = redis return r.call('get', 'x')",
            "local redis = {call = 1} return 1",
            "local k = KEYS k[1] = 'x' return redis.call('get', KEYS[1])",
            "KEYS[1] = 'x' return redis.call('get', KEYS[1])",
            "local a a, KEYS[1] = 1, 'x' return redis.call('get', KEYS[1])",
            "table.insert(KEYS, 1, 'x') return redis.call('get', KEYS[1])",
            "rawset(KEYS, 1, 'x') return redis.call('get', KEYS[1])",
            "return redis.call('del', KEYS[1], 'x')",
            "return redis.call('del', KEYS[1], unpack(ARGV))",
            "return redis.call('get', unpack(ARGV))",
            "return redis.call('mset', unpack(KEYS))",
            "return redis.call('rename', KEYS[1], ARGV[1])",
            "return redis.call('flushall')",
            "return redis.call('dbsize')",
            "return redis.call('sort', KEYS[1], 'by', 'x:*')",
            "return redis.call('eval', 'x', 0)",
            "return redis.call 'randomkey'",
            "return _G.redis.call('get', 'x')",
            "return loadstring('return 1')()",
            "return redis['call']('get', 'x')",
        ] {
            assert_eq!(Manner::of(text.as_bytes()).0, Manner::Open, "{text}");
        }
    }

    #[test]
    fn what_may_run_for_long_is_closed_if_that_is_all() {
        for text in [
            "while true do end",
            "for i = 1, #KEYS do redis.call('incr', KEYS[i]) end return 1",
            "for i, key in ipairs(KEYS) do redis.call('set', key, i) end",
            "local s = 0 for _, v in ipairs(redis.call('lrange', KEYS[1], 0, -1)) do s = s + v end return s",
            "local k = KEYS[1] repeat local v = redis.call('lpop', k) until not v",
            "for k, v in pairs(cjson.decode(ARGV[1])) do redis.call('hset', KEYS[1], k, v) end",
            "return redis.call('set', KEYS[1], string.rep('x', 1000))",
        ] {
            assert_eq!(Manner::of(text.as_bytes()).0, Manner::Closed, "{text}");
        }
        for text in [
            "for i, key in ipairs(ARGV) do redis.call('set', key, i) end",
            "for key, i in ipairs(KEYS) do redis.call('set', key, i) end",
            "for i, key in ipairs(KEYS) do key = 'x' redis.call('set', key, i) end",
            "local key = KEYS[1] for key in pairs(ARGV) do redis.call('set', key, 1) end",
            "for i, key in ipairs(KEYS) do end for i, key in ipairs(ARGV) do redis.call('get', key) end",
            "local ipairs = next for i, key in ipairs(KEYS) do redis.call('get', key) end",
            "for i, key in ipairs(KEYS), 1, 2 do redis.call('get', key) end",
            "for KEYS in pairs(ARGV) do end return redis.call('get', KEYS[1])",
            "local t = ipairs(KEYS)",
            "local function f() redis.call('get', KEYS[1]) end f()",
        ] {
            let (manner, _) = Manner::of(text.as_bytes());
            assert!(manner != Manner::Tame, "{text}");
            assert!(!text.contains("redis.call") || manner == Manner::Open, "{text}");
        }
    }

    #[test]
    fn what_may_run_for_long_is_not() {
        for text in [
            "while true do end",
            "repeat until false",
            "for i = 1, 10 do end return 1",
            "local function f() return f() end return f()",
            "local f = 1 local function f() return f() end return f()",
            "return ('x'):rep(10)",
            "return string.rep('x', 1e9)",
            "return string.find(ARGV[1], ARGV[2])",
            "table.sort(ARGV)",
        ] {
            assert_ne!(Manner::of(text.as_bytes()).0, Manner::Tame, "{text}");
        }
        assert_eq!(Manner::of(&[b' '; LONGEST + 1]).0, Manner::Open);
        assert_eq!(Manner::of(b"return 'open").0, Manner::Open);
    }
}
