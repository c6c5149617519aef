//! Requests as bytes with holes: encoded once, afterwards only the holes are rewritten.
//!
//! Keeps true: a request's length never changes, so every request of a batch starts at a multiple of
//! it and the batch is written from one buffer. That is why keys are always twelve digits.
//!
//! A mix of two commands has no such stride; its batches are put together anew, request by request,
//! in an order that spreads the rarer command evenly instead of by chance.

use crate::pattern::Keys;
use crate::values::Values;
use crate::verify::{Expect, Expected};

/// What a random (or chosen) number of twelve digits replaces.
pub const RANDOM: &[u8] = b"__rand_int__";
/// What a value of `-d` bytes replaces.
pub const DATA: &[u8] = b"__data__";
/// `RANDOM` has as many bytes as the digits that replace it.
const DIGITS: usize = RANDOM.len();

/// One command, encoded.
#[derive(Debug, Clone)]
pub struct Template {
    bytes: Vec<u8>,
    holes: Vec<Hole>,
    /// What a right reply looks like.
    pub expect: Expect,
}

/// Offsets into `Template::bytes`.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Hole {
    /// Twelve digits.
    Key(usize),
    /// The value belonging to the key last written into this request (only when checking).
    Value(usize),
}

/// How placeholders are to be understood.
#[derive(Debug, Clone, Copy)]
pub struct Fill<'a> {
    /// Replace `__rand_int__`; otherwise it stays as it is.
    pub random: bool,
    /// Values must belong to their keys, so that replies can be checked.
    pub verify: bool,
    pub values: &'a Values,
}

impl Template {
    /// Encodes a command of these words.
    pub fn command<W: AsRef<[u8]>>(words: &[W], fill: Fill<'_>) -> Self {
        let expect = Expect::of(words);
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        let mut holes = Vec::new();
        for word in words {
            let (word, inside) = expand(word.as_ref(), fill);
            bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            let start = bytes.len();
            holes.extend(inside.into_iter().map(|hole| match hole {
                Hole::Key(at) => Hole::Key(start + at),
                Hole::Value(at) => Hole::Value(start + at),
            }));
            bytes.extend_from_slice(&word);
            bytes.extend_from_slice(b"\r\n");
        }
        Template { bytes, holes, expect }
    }

    /// A request in the inline form, sent as it is.
    pub fn inline(line: &str, expect: Expect) -> Self {
        Template { bytes: line.as_bytes().to_vec(), holes: Vec::new(), expect }
    }

    /// Bytes of a request.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Writes new digits (and their values) into one request. Returns the first key written.
    #[inline]
    fn rewrite(&self, request: &mut [u8], source: &mut Source<'_>) -> u64 {
        let (mut first, mut key) = (None, 0);
        for hole in &self.holes {
            match *hole {
                Hole::Key(at) => {
                    key = source.keys.draw();
                    first = first.or(Some(key));
                    write_digits(&mut request[at..at + DIGITS], key);
                }
                Hole::Value(at) => {
                    let value = source.values.of(key);
                    request[at..at + value.len()].copy_from_slice(value);
                }
            }
        }
        first.unwrap_or(0)
    }
}

/// Replaces the placeholders of a word; the holes' offsets count from the word's beginning.
fn expand(word: &[u8], fill: Fill<'_>) -> (Vec<u8>, Vec<Hole>) {
    let (mut out, mut holes, mut rest) = (Vec::with_capacity(word.len()), Vec::new(), word);
    while let Some(&byte) = rest.first() {
        if fill.random && rest.starts_with(RANDOM) {
            holes.push(Hole::Key(out.len()));
            out.extend_from_slice(&[b'0'; DIGITS]);
            rest = &rest[RANDOM.len()..];
        } else if rest.starts_with(DATA) {
            if fill.verify {
                holes.push(Hole::Value(out.len()));
            }
            out.extend_from_slice(fill.values.of(0));
            rest = &rest[DATA.len()..];
        } else {
            out.push(byte);
            rest = &rest[1..];
        }
    }
    (out, holes)
}

/// What a test sends: one command, or two mixed.
#[derive(Debug)]
pub struct Workload {
    /// The test's name in reports.
    pub title: String,
    /// What reports call the payload, in bytes.
    pub payload: usize,
    /// Commands with their weights, all above 0; at least one.
    commands: Vec<(u32, Template)>,
}

impl Workload {
    /// A test of one command.
    pub fn single(title: &str, payload: usize, template: Template) -> Self {
        Workload { title: title.to_owned(), payload, commands: vec![(1, template)] }
    }

    /// A test that mixes commands by weight.
    pub fn mix(title: String, payload: usize, commands: Vec<(u32, Template)>) -> Self {
        let commands: Vec<_> = commands.into_iter().filter(|(weight, _)| *weight > 0).collect();
        Workload { title, payload, commands }
    }

    /// What the replies of command number `index` must look like.
    pub fn expect(&self, index: usize) -> Expect {
        self.commands.get(index).map_or(Expect::Anything, |(_, template)| template.expect)
    }

    fn only(&self) -> Option<&Template> {
        match self.commands.as_slice() {
            [(_, template)] => Some(template),
            _ => None,
        }
    }
}

/// Where a thread's keys, values and mixing come from.
#[derive(Debug)]
pub struct Source<'a> {
    pub workload: &'a Workload,
    pub values: &'a Values,
    pub keys: Keys,
    /// Note what each request expects, for checking.
    pub verify: bool,
    /// How much each command is owed: the one owed most is next.
    owed: Vec<i64>,
}

impl<'a> Source<'a> {
    pub fn new(workload: &'a Workload, values: &'a Values, keys: Keys, verify: bool) -> Self {
        let owed = vec![0; workload.commands.len()];
        Source { workload, values, keys, verify, owed }
    }

    /// The index of the next command: smooth weighted round robin.
    fn choose(&mut self) -> usize {
        let (mut best, mut total) = (0, 0);
        for (i, (weight, _)) in self.workload.commands.iter().enumerate() {
            total += i64::from(*weight);
            self.owed[i] += i64::from(*weight);
            if self.owed[i] > self.owed[best] {
                best = i;
            }
        }
        self.owed[best] -= total;
        best
    }
}

/// A pipeline of requests. One per thread: what connections send in turn stays in the nearest cache.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Bytes of `bytes` that make up the current batch.
    len: usize,
    /// What each request of the batch expects; empty unless checking.
    pub expected: Vec<Expected>,
}

impl Batch {
    /// A buffer for up to `depth` requests of `workload`.
    pub fn new(workload: &Workload, depth: usize) -> Self {
        let bytes = workload.only().map_or(Vec::new(), |template| template.bytes.repeat(depth));
        Batch { bytes, len: 0, expected: Vec::new() }
    }

    /// Makes the next batch: `requests` of them, at most the depth given to `new`.
    pub fn fill(&mut self, requests: usize, source: &mut Source<'_>) {
        self.expected.clear();
        let workload = source.workload;
        if let Some(template) = workload.only() {
            self.len = template.len() * requests;
            if template.holes.is_empty() && !source.verify {
                return;
            }
            let batch = &mut self.bytes[..self.len];
            if source.verify {
                for request in batch.chunks_exact_mut(template.len()) {
                    let key = template.rewrite(request, source);
                    self.expected.push(Expected { command: 0, key });
                }
            } else if let [Hole::Key(at)] = template.holes[..] {
                // The tests' own commands: nothing is decided anew for each request.
                let mut requests = batch.chunks_exact_mut(template.len());
                source.keys.draw_each(requests.len(), |key| {
                    if let Some(digits) =
                        requests.next().and_then(|request| request.get_mut(at..at + DIGITS))
                    {
                        write_digits(digits, key);
                    }
                });
            } else {
                for request in batch.chunks_exact_mut(template.len()) {
                    template.rewrite(request, source);
                }
            }
            return;
        }
        self.bytes.clear();
        for _ in 0..requests {
            let command = source.choose();
            let (start, template) = (self.bytes.len(), &workload.commands[command].1);
            self.bytes.extend_from_slice(&template.bytes);
            let key = template.rewrite(&mut self.bytes[start..], source);
            if source.verify {
                self.expected.push(Expected { command, key });
            }
        }
        self.len = self.bytes.len();
    }

    /// The batch as it goes over the wire.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Writes the last twelve decimal digits of `number`, with leading zeros.
#[inline]
fn write_digits(to: &mut [u8], number: u64) {
    let (high, low) = (number / 100_000_000, number % 100_000_000);
    to[4..12].copy_from_slice(&eight_digits(low as u32));
    if high == 0 {
        to[..4].copy_from_slice(b"0000");
    } else {
        to[..4].copy_from_slice(&eight_digits((high % 10_000) as u32)[4..]);
    }
}

/// Eight digits at once: the number is split in halves, quarters and digits that lie side by side in
/// one word, each split being one multiplication by a reciprocal instead of a division per digit.
#[inline]
fn eight_digits(number: u32) -> [u8; 8] {
    let halves = u64::from(number / 10_000) | u64::from(number % 10_000) << 32;
    let hundreds = ((halves * 10_486) >> 20) & 0x7f_0000_007f;
    let pairs = hundreds | (halves - hundreds * 100) << 16;
    let tens = ((pairs * 103) >> 10) & 0x000f_000f_000f_000f;
    let digits = tens | (pairs - tens * 10) << 8;
    (digits + 0x3030_3030_3030_3030).to_le_bytes()
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
