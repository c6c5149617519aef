//! The notation of arguments in the documentation, read into a tree and printed back.
//!
//! ```text
//! key value [NX | XX] [EX seconds | KEEPTTL] field value [field value ...] <LEFT | RIGHT>
//! ```
//! A word without small letters is typed as it is (a token); any other word names an argument.
//! `[…]` may be left out, `|` separates alternatives, `<…>` asks for exactly one of them.
//! `x [x ...]` is one or more, `[x ...]` any number. A token owns the arguments behind it, up to
//! the next token or `[`.
//!
//! The tree serves COMMAND DOCS and the hints of the command line. **N1**: a text that [`parse`]
//! accepts is what [`print()`] gives for its tree, so the rows' texts are canonical and nothing that
//! they say is lost in the tree.

use std::fmt::Write as _;

/// What an argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A name to be replaced by a value of the kind that [`Arg::value_kind`] tells.
    Value,
    /// The word itself.
    Token,
    /// Exactly one of the members.
    OneOf,
    /// All members in order.
    Block,
}

/// How often an argument stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Once.
    Once,
    /// `x [x ...]`: once or more. The flag says that the token is repeated too.
    More(bool),
    /// `[x ...]`: any number of times.
    Any,
}

/// A node of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arg {
    /// Lower case; groups are named after their members.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The word typed before the value, or the word itself for [`Kind::Token`].
    pub token: Option<String>,
    /// May be left out.
    pub optional: bool,
    /// How often it stands.
    pub repeat: Repeat,
    /// Members of a group.
    pub args: Vec<Arg>,
}

/// Where a text is not in the notation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Offset in bytes.
    pub at: usize,
    /// What was expected.
    pub expected: &'static str,
}

/// The tree of `text`, one node per top-level argument.
pub fn parse(text: &str) -> Result<Vec<Arg>, Unreadable> {
    let words = words(text);
    let mut parser = Parser { words: &words, at: 0, end: text.len(), depth: 0 };
    let items = parser.sequence()?;
    match parser.words.get(parser.at) {
        Some(&(at, _)) => Err(Unreadable { at, expected: "an argument, `[` or `<`" }),
        None => canonical(text, items),
    }
}

/// Refuses a second way of writing the same, such as `[<a | b>]` or a double space (N1).
fn canonical(text: &str, items: Vec<Arg>) -> Result<Vec<Arg>, Unreadable> {
    let printed = print(&items);
    if printed == text {
        return Ok(items);
    }
    let at = printed.bytes().zip(text.bytes()).take_while(|(a, b)| a == b).count();
    Err(Unreadable { at, expected: "the shortest way to write this" })
}

/// The notation of a tree.
pub fn print(args: &[Arg]) -> String {
    let mut text = String::new();
    for (i, arg) in args.iter().enumerate() {
        if i > 0 {
            text.push(' ');
        }
        arg.print(&mut text);
    }
    text
}

impl Arg {
    fn new(name: String, kind: Kind) -> Self {
        Self { name, kind, token: None, optional: false, repeat: Repeat::Once, args: Vec::new() }
    }

    fn group(kind: Kind, args: Vec<Self>) -> Self {
        let name = args.iter().map(|arg| arg.name.as_str()).collect::<Vec<_>>().join("_");
        Self { args, ..Self::new(name, kind) }
    }

    /// The type of a [`Kind::Value`], which follows from its name; that of `increment` depends on
    /// the command: its notes may say otherwise.
    pub fn value_kind(&self) -> &'static str {
        let name = self.name.as_str();
        match name {
            _ if name.starts_with("unix-time") => "unix-time",
            "key" | "newkey" | "destination" | "source" | "destkey" | "sourcekey" | "key1"
            | "key2" | "dst" | "src" => "key",
            "pattern" => "pattern",
            _ if INTEGERS.contains(&name) => "integer",
            "score" | "weight" | "longitude" | "latitude" | "radius" | "width" | "height" => {
                "double"
            }
            "min" | "max" | "timeout" => "double",
            _ => "string",
        }
    }

    fn print(&self, text: &mut String) {
        match self.repeat {
            Repeat::Any => {
                text.push('[');
                self.once(text, true);
                text.push_str(" ...]");
            }
            _ if self.optional => {
                text.push('[');
                self.body(text);
                text.push(']');
            }
            _ => self.body(text),
        }
    }

    /// The argument with its repetition, without the brackets of an optional one.
    fn body(&self, text: &mut String) {
        self.once(text, true);
        if let Repeat::More(with_token) = self.repeat {
            text.push_str(" [");
            self.once(text, with_token);
            text.push_str(" ...]");
        }
    }

    fn once(&self, text: &mut String, with_token: bool) {
        if let Some(token) = self.token.as_ref().filter(|_| with_token) {
            text.push_str(token);
            if self.kind != Kind::Token {
                text.push(' ');
            }
        }
        let members = |separator: &str| {
            let printed = self.args.iter().map(|arg| print(std::slice::from_ref(arg)));
            printed.collect::<Vec<_>>().join(separator)
        };
        // Inside its own brackets an optional choice needs no angle brackets.
        let bare = self.optional && self.token.is_none() && self.repeat == Repeat::Once;
        let _ = match self.kind {
            Kind::Token => Ok(()),
            Kind::Value => write!(text, "{}", self.name),
            Kind::Block => write!(text, "{}", members(" ")),
            Kind::OneOf if bare => write!(text, "{}", members(" | ")),
            Kind::OneOf => write!(text, "<{}>", members(" | ")),
        };
    }
}

/// Names whose values are whole numbers.
const INTEGERS: &[&str] = &[
    "seconds",
    "milliseconds",
    "count",
    "cursor",
    "index",
    "offset",
    "start",
    "stop",
    "end",
    "bit",
    "decrement",
    "increment",
    "numkeys",
    "numreplicas",
    "numlocal",
    "len",
    "rank",
    "num-matches",
    "limit",
    "destination-db",
    "index1",
    "index2",
    "db",
    "client-id",
    "version",
    "port",
    "priority",
    "slot",
    "threshold",
    "min-match-len",
    "min-idle-time",
    "ms",
    "protover",
    "frequency",
    "samples",
    "bytes",
];

type Word<'t> = (usize, &'t str);

/// Splits into words and the signs `[ ] < > |`. A sign counts only where it stands apart or at an
/// edge of a word, so `<` and `|` inside a word stay part of it.
fn words(text: &str) -> Vec<Word<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    for part in text.split(' ') {
        let (mut from, mut to) = (at, at + part.len());
        at = to + 1;
        let mut tail = Vec::new();
        while from < to && matches!(text.as_bytes()[from], b'[' | b'<' | b'|') {
            found.push((from, &text[from..=from]));
            from += 1;
        }
        while from < to && matches!(text.as_bytes()[to - 1], b']' | b'>') {
            to -= 1;
            tail.push((to, &text[to..=to]));
        }
        if from < to {
            found.push((from, &text[from..to]));
        }
        found.extend(tail.into_iter().rev());
    }
    found
}

struct Parser<'t> {
    words: &'t [Word<'t>],
    at: usize,
    end: usize,
    depth: usize,
}

/// Deeper nesting than any documentation needs, but no stack overflow.
const DEPTH_MAX: usize = 16;

impl Parser<'_> {
    fn peek(&self) -> &str {
        self.words.get(self.at).map_or("", |&(_, word)| word)
    }

    fn fail<T>(&self, expected: &'static str) -> Result<T, Unreadable> {
        let at = self.words.get(self.at).map_or(self.end, |&(at, _)| at);
        Err(Unreadable { at, expected })
    }

    fn expect(&mut self, sign: &str, expected: &'static str) -> Result<(), Unreadable> {
        if self.peek() != sign {
            return self.fail(expected);
        }
        self.at += 1;
        Ok(())
    }

    /// Items up to a closing sign, `|`, `...` or the end; tokens joined with what they own.
    fn sequence(&mut self) -> Result<Vec<Arg>, Unreadable> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.fail("less nesting");
        }
        let mut items: Vec<Arg> = Vec::new();
        loop {
            match self.peek() {
                "" | "]" | ">" | "|" | "..." => break,
                "[" => self.bracket(&mut items)?,
                "<" => {
                    self.at += 1;
                    let choice = self.choice()?;
                    self.expect(">", "`>`")?;
                    items.push(choice);
                }
                word => {
                    let word = word.to_owned();
                    self.at += 1;
                    items.push(if word.bytes().any(|b| b.is_ascii_lowercase()) {
                        Arg::new(word, Kind::Value)
                    } else {
                        let token = Some(word.clone());
                        Arg { token, ..Arg::new(word.to_ascii_lowercase(), Kind::Token) }
                    });
                }
            }
        }
        self.depth -= 1;
        Ok(own(items))
    }

    /// `a | b | c` as one node.
    fn choice(&mut self) -> Result<Arg, Unreadable> {
        let mut options = vec![self.option()?];
        while self.peek() == "|" {
            self.at += 1;
            options.push(self.option()?);
        }
        if options.len() < 2 {
            return self.fail("`|`");
        }
        Ok(Arg::group(Kind::OneOf, options))
    }

    fn option(&mut self) -> Result<Arg, Unreadable> {
        let items = self.sequence()?;
        if items.is_empty() {
            return self.fail("an argument");
        }
        Ok(single(items))
    }

    /// `[…]`: an optional argument, or the repetition of what stands before it.
    fn bracket(&mut self, items: &mut Vec<Arg>) -> Result<(), Unreadable> {
        self.at += 1;
        let first = self.option()?;
        if self.peek() == "..." {
            self.at += 1;
            self.expect("]", "`]`")?;
            return match repeated(items, &first) {
                true => Ok(()),
                false => {
                    items.push(Arg { repeat: Repeat::Any, optional: true, ..first });
                    Ok(())
                }
            };
        }
        let arg = if self.peek() == "|" {
            let mut options = vec![first];
            while self.peek() == "|" {
                self.at += 1;
                options.push(self.option()?);
            }
            Arg::group(Kind::OneOf, options)
        } else {
            first
        };
        self.expect("]", "`]`")?;
        items.push(Arg { optional: true, ..arg });
        Ok(())
    }
}

/// One node for a sequence.
fn single(mut items: Vec<Arg>) -> Arg {
    match items.pop() {
        // `[[x]]` keeps both pairs of brackets only as a block of one.
        Some(only) if items.is_empty() && !only.optional => only,
        last => {
            items.extend(last);
            Arg::group(Kind::Block, items)
        }
    }
}

/// Marks the end of `items` as repeated when it spells `unit`. The items are still flat: a token
/// before its values is an item of its own.
fn repeated(items: &mut Vec<Arg>, unit: &Arg) -> bool {
    let mut flat = Vec::new();
    flatten(unit, &mut flat);
    let Some(from) = items.len().checked_sub(flat.len()) else { return false };
    if items[from..] != flat[..] {
        return false;
    }
    let with_token = unit.token.is_some();
    items.truncate(from);
    items.push(Arg { repeat: Repeat::More(with_token), ..unit.clone() });
    true
}

/// The items that `arg` was made of before tokens took their values.
fn flatten(arg: &Arg, flat: &mut Vec<Arg>) {
    let plain_block = arg.kind == Kind::Block && !arg.optional && arg.repeat == Repeat::Once;
    match &arg.token {
        Some(token) if arg.kind != Kind::Token && arg.repeat == Repeat::Once => {
            let name = token.to_ascii_lowercase();
            flat.push(Arg { token: Some(token.clone()), ..Arg::new(name, Kind::Token) });
            let bare = Arg { token: None, ..arg.clone() };
            if bare.kind == Kind::Block {
                bare.args.iter().for_each(|member| flatten(member, flat));
            } else {
                flat.push(bare);
            }
        }
        None if plain_block => arg.args.iter().for_each(|member| flatten(member, flat)),
        _ => flat.push(arg.clone()),
    }
}

/// Gives each token the required arguments that follow it.
fn own(items: Vec<Arg>) -> Vec<Arg> {
    let mut owned: Vec<Arg> = Vec::new();
    let mut items = items.into_iter().peekable();
    while let Some(item) = items.next() {
        if item.kind != Kind::Token || item.optional || item.repeat != Repeat::Once {
            owned.push(item);
            continue;
        }
        let mut values = Vec::new();
        while let Some(value) = items.next_if(|next| next.token.is_none() && !next.optional) {
            values.push(value);
        }
        owned.push(match values.len() {
            0 => item,
            1 => {
                let value = values.remove(0);
                Arg { token: item.token, ..value }
            }
            _ => {
                let block = Arg::group(Kind::Block, values);
                Arg { token: item.token, ..block }
            }
        });
    }
    owned
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tree(text: &str) -> Vec<Arg> {
        let args = parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert_eq!(print(&args), text, "{args:#?}");
        args
    }

    #[test]
    fn the_notation_of_real_commands() {
        for text in [
            "",
            "key",
            "key value [NX | XX] [GET] [EX seconds | PX milliseconds | KEEPTTL]",
            "key value [key value ...]",
            "[message]",
            "[section [section ...]]",
            "[command-name ...]",
            "cursor [MATCH pattern] [COUNT count] [TYPE type]",
            "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA] [STORE destination]",
            "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]",
            "key [NOMKSTREAM] [<MAXLEN | MINID> [= | ~] threshold [LIMIT count]] <* | id> field value [field value ...]",
            "GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key [key ...] id [id ...]",
            "key <FROMMEMBER member | FROMLONLAT longitude latitude> <BYRADIUS radius <M | KM> | BYBOX width height <M | KM>> [COUNT count [ANY]]",
            "key [GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] <SET encoding offset value | INCRBY encoding offset increment> [GET encoding offset]]",
            "<ON | OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST]",
            "[protover [AUTH username password] [SETNAME clientname]]",
            "operation destkey key [key ...]",
            "key [start [end [BYTE | BIT]]]",
            "host port <key | \"\"> destination-db timeout [COPY] [AUTH password | AUTH2 username password] [KEYS key [key ...]]",
            "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]",
            "key [<A | B> ...]",
        ] {
            tree(text);
        }
    }

    #[test]
    fn the_tree_of_set() {
        let args = tree("key value [NX | XX] [GET] [EX seconds | KEEPTTL]");
        let shape: Vec<_> = args.iter().map(|a| (a.name.as_str(), a.kind, a.optional)).collect();
        assert_eq!(
            shape,
            [
                ("key", Kind::Value, false),
                ("value", Kind::Value, false),
                ("nx_xx", Kind::OneOf, true),
                ("get", Kind::Token, true),
                ("seconds_keepttl", Kind::OneOf, true),
            ]
        );
        assert_eq!(args[4].args[0].token.as_deref(), Some("EX"));
        assert_eq!(args[4].args[0].value_kind(), "integer");
    }

    #[test]
    fn tokens_own_what_follows() {
        let args = tree("STREAMS key [key ...] id [id ...]");
        assert_eq!((args.len(), args[0].kind), (1, Kind::Block));
        assert_eq!(args[0].args[1].repeat, Repeat::More(false));
        let args = tree("[GET pattern [GET pattern ...]]");
        assert_eq!((args.len(), args[0].repeat, args[0].optional), (1, Repeat::More(true), true));
        let args = tree("[WEIGHTS weight [weight ...]]");
        assert_eq!(args[0].repeat, Repeat::More(false));
        assert_eq!(args[0].token.as_deref(), Some("WEIGHTS"));
    }

    #[test]
    fn texts_outside_the_notation_are_told() {
        for (text, at) in [("[key", 4), ("key]", 3), ("<a>", 2), ("[ ]", 2), ("a | b", 2)] {
            assert_eq!(parse(text).map_err(|error| error.at), Err(at), "{text}");
        }
        assert!(parse(&"[".repeat(1000)).is_err());
    }

    fn notation() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            "[a-d]{1,3}".prop_map(String::from),
            "[A-D]{1,3}".prop_map(String::from),
            Just("[x ...]".to_owned()),
            Just("a b [a b ...]".to_owned()),
            Just("[T a [T a ...]]".to_owned()),
        ];
        leaf.prop_recursive(4, 24, 3, |inner| {
            prop_oneof![
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} {b}")),
                inner.clone().prop_map(|a| format!("[{a}]")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a} | {b}]")),
                (inner.clone(), inner).prop_map(|(a, b)| format!("<{a} | {b}>")),
            ]
        })
    }

    proptest! {
        /// N1, for any nesting.
        #[test]
        fn printing_restores_the_text(text in notation()) {
            match parse(&text) {
                Ok(args) => prop_assert_eq!(print(&args), text),
                Err(_) => prop_assert!(text.contains("[<"), "refused: {}", text),
            }
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "[a-bA-B |<>\\[\\].]{0,60}") {
            if let Ok(args) = parse(&text) {
                prop_assert_eq!(print(&args), text);
            }
        }
    }
}
