//! The borrowed view of one request.
//!
//! A request is a list of spans into the connection's input buffer; nothing is copied. An argument
//! too big to be worth copying out of that buffer was received into a block of its own (a *blob*):
//! its span points there, and a handler may keep the block itself by [`Args::shared`].

use bytes::Bytes;

/// Where one argument lies: in the input buffer, or (with [`Span::BLOB`] set) a whole blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Byte offset into the input; for a blob its number, with `BLOB` set.
    pub at: u32,
    /// Length in bytes.
    pub len: u32,
}

impl Span {
    /// Marks `at` as the number of a blob. Input buffers never grow to 2 GiB: big arguments go
    /// into blobs and small ones are bounded by the inline and header limits.
    pub const BLOB: u32 = 1 << 31;
}

/// One request: the command's name is argument 0.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    input: &'a [u8],
    spans: &'a [Span],
    blobs: &'a [Bytes],
}

impl<'a> Args<'a> {
    /// A view of `spans` over `input` and `blobs`, which the parser has checked to be in range.
    #[inline(always)]
    pub const fn new(input: &'a [u8], spans: &'a [Span], blobs: &'a [Bytes]) -> Self {
        Self { input, spans, blobs }
    }

    /// How many arguments there are, the command's name included.
    #[inline(always)]
    pub const fn len(&self) -> usize {
        self.spans.len()
    }

    /// True for a request without even a name, which the parser never yields.
    #[inline(always)]
    pub const fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Argument `i`. Panics when it does not exist: arity has been checked before a handler runs.
    #[inline(always)]
    pub fn get(&self, i: usize) -> &'a [u8] {
        let Span { at, len } = self.spans[i];
        if at & Span::BLOB == 0 {
            &self.input[at as usize..at as usize + len as usize]
        } else {
            &self.blobs[(at & !Span::BLOB) as usize]
        }
    }

    /// Argument `i`, if there is one.
    #[inline]
    pub fn opt(&self, i: usize) -> Option<&'a [u8]> {
        (i < self.spans.len()).then(|| self.get(i))
    }

    /// The block that argument `i` was received into, when it has one of its own.
    #[inline]
    pub fn shared(&self, i: usize) -> Option<Bytes> {
        let Span { at, .. } = self.spans[i];
        (at & Span::BLOB != 0).then(|| self.blobs[(at & !Span::BLOB) as usize].clone())
    }

    /// The arguments from `i` on, as a request of its own.
    #[inline]
    pub fn from(&self, i: usize) -> Self {
        Self { spans: &self.spans[i.min(self.spans.len())..], ..*self }
    }

    /// The first `n` arguments, as a request of its own.
    #[inline]
    pub fn first(&self, n: usize) -> Self {
        Self { spans: &self.spans[..n.min(self.spans.len())], ..*self }
    }

    /// Appends the request as RESP, as a client would send it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self.as_sent() {
            Some(bytes) => out.extend_from_slice(bytes),
            None => encode(out, self.iter()),
        }
    }

    /// The bytes that it came in, if they are just what [`encode`] would make of it: all headers have
    /// the length of the only proper way to write them, so there is nothing else between.
    #[inline]
    fn as_sent(&self) -> Option<&'a [u8]> {
        let first = self.spans.first()?;
        let begin = (first.at as usize)
            .checked_sub(header(self.spans.len()) + header(first.len as usize))?;
        let mut end = begin + header(self.spans.len());
        for span in self.spans {
            let at = end + header(span.len as usize);
            if span.at as usize != at {
                return None; // as is any blob: its number is beyond every offset
            }
            end = at + span.len as usize + 2;
        }
        let bytes = self.input.get(begin..end)?;
        (bytes[0] == b'*').then_some(bytes)
    }

    /// All arguments in order.
    #[inline]
    pub fn iter(self) -> impl ExactSizeIterator<Item = &'a [u8]> + DoubleEndedIterator + Clone {
        (0..self.len()).map(move |i| self.get(i))
    }

    /// True if argument `i` exists and equals `word`, letter case aside.
    #[inline]
    pub fn is(&self, i: usize, word: &str) -> bool {
        self.opt(i).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
    }
}

/// Bytes of a line that announces `n`.
#[inline(always)]
const fn header(n: usize) -> usize {
    match n {
        0..10 => 4,
        10..100 => 5,
        100..1_000 => 6,
        _ => 4 + n.ilog10() as usize,
    }
}

/// Appends a request of these words in RESP.
pub fn encode<'w>(out: &mut Vec<u8>, words: impl ExactSizeIterator<Item = &'w [u8]>) {
    let mut number = itoa::Buffer::new();
    let mut head = |out: &mut Vec<u8>, sign: u8, n: usize| {
        out.push(sign);
        out.extend_from_slice(number.format(n).as_bytes());
        out.extend_from_slice(b"\r\n");
    };
    head(out, b'*', words.len());
    for word in words {
        head(out, b'$', word.len());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

/// A request that owns its bytes, for tests and for whoever must keep one beyond its batch.
#[derive(Debug, Clone, Default)]
pub struct OwnedArgs {
    input: Vec<u8>,
    spans: Vec<Span>,
    blobs: Vec<Bytes>,
}

impl OwnedArgs {
    /// Copies `words`.
    pub fn new<W: AsRef<[u8]>>(words: impl IntoIterator<Item = W>) -> Self {
        let mut owned = Self::default();
        for word in words {
            owned.push(word.as_ref());
        }
        owned
    }

    /// Copies a borrowed request; blobs are shared, not copied.
    pub fn of(args: Args<'_>) -> Self {
        let small = |i: &usize| args.spans[*i].at & Span::BLOB == 0;
        let bytes = (0..args.len()).filter(small).map(|i| args.get(i).len()).sum();
        let mut owned = Self {
            input: Vec::with_capacity(bytes),
            spans: Vec::with_capacity(args.len()),
            blobs: Vec::new(),
        };
        for i in 0..args.len() {
            match args.shared(i) {
                Some(blob) => {
                    let at = owned.blobs.len() as u32 | Span::BLOB;
                    owned.spans.push(Span { at, len: blob.len() as u32 });
                    owned.blobs.push(blob);
                }
                None => owned.push(args.get(i)),
            }
        }
        owned
    }

    /// Forgets all words; keeps the room.
    pub fn clear(&mut self) {
        self.input.clear();
        self.spans.clear();
        self.blobs.clear();
    }

    /// Gives back room beyond what ordinary requests need.
    pub fn shrink(&mut self) {
        if self.input.capacity() > 64 * 1024 || self.spans.capacity() > 4 * 1024 {
            *self = Self::default();
        }
    }

    /// Adds a copy of `word`.
    pub fn push(&mut self, word: &[u8]) {
        let span = Span { at: self.input.len() as u32, len: word.len() as u32 };
        self.input.extend_from_slice(word);
        self.spans.push(span);
    }

    /// Bytes that the request takes.
    pub fn memory(&self) -> usize {
        let blobs: usize = self.blobs.iter().map(|blob| blob.len() + size_of::<Bytes>()).sum();
        self.input.capacity() + self.spans.capacity() * size_of::<Span>() + blobs
    }

    /// The borrowed view.
    pub fn view(&self) -> Args<'_> {
        Args::new(&self.input, &self.spans, &self.blobs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owned_and_borrowed_agree() {
        let blob = Bytes::from_static(b"blob");
        let spans =
            [Span { at: 0, len: 3 }, Span { at: Span::BLOB, len: 4 }, Span { at: 3, len: 0 }];
        let args = Args::new(b"GETxyz", &spans, std::slice::from_ref(&blob));
        let owned = OwnedArgs::of(args);
        let words: Vec<_> = owned.view().iter().collect();
        assert_eq!(words, [b"GET".as_slice(), b"blob", b""]);
        assert_eq!(owned.view().shared(1).as_deref(), Some(b"blob".as_slice()));
        assert_eq!(owned.view().shared(0), None);
        assert!(args.is(0, "get") && !args.is(3, "get"));
        assert_eq!(args.from(1).len(), 2);
    }

    #[test]
    fn a_request_is_encoded_as_it_came_or_anew() {
        let proper = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$12\r\nhello, world\r\n".as_slice();
        let at = |input: &[u8], word: &[u8]| {
            let at = memchr::memmem::find(input, word).unwrap() as u32;
            Span { at, len: word.len() as u32 }
        };
        let odd = b"*3\r\n$03\r\nSET\r\n$1\r\nk\r\n$12\r\nhello, world\r\n".as_slice();
        let inline = b"   SET   k  hello, world\r\n".as_slice();
        for (input, same) in [(proper, true), (odd, false), (inline, false)] {
            let input = [b"\r\n".as_slice(), input].concat();
            let spans = [
                at(&input, b"SET"),
                Span { at: at(&input, b"k").at, len: 1 },
                at(&input, b"hello, world"),
            ];
            let args = Args::new(&input, &spans, &[]);
            assert_eq!(args.as_sent().is_some(), same);
            let mut out = Vec::new();
            args.encode(&mut out);
            assert_eq!(out, proper);
        }
        for n in [0, 9, 10, 99, 100, 999, 1_000, 123_456] {
            assert_eq!(header(n), format!("${n}\r\n").len());
        }
    }
}
