//! Random commands on strings, bitmaps and HyperLogLogs, answered byte for byte as Redis 7.0 does.
//!
//! Both servers get the same commands; each reply is compared as raw RESP, and now and then so is
//! every value. Needs `redis-server` 7.0 on the PATH and says loudly when it is missing.
//! `EONKV_ORACLE_SEED` and `EONKV_ORACLE_ROUNDS` repeat or prolong a run.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod oracle;

use oracle::{Random, Server, environment};
use std::io::{BufRead, Read};

impl Server {
    /// One reply, as it came.
    fn raw_reply(&mut self) -> Vec<u8> {
        let mut raw = Vec::new();
        let mut missing = 1;
        while missing > 0 {
            missing -= 1;
            let start = raw.len();
            self.input.read_until(b'\n', &mut raw).unwrap();
            let line = std::str::from_utf8(&raw[start..]).unwrap().trim_end();
            let number = line.get(1..).unwrap_or("").parse::<i64>().unwrap_or(-1);
            match line.as_bytes().first() {
                Some(b'$') if number >= 0 => {
                    let end = raw.len();
                    raw.resize(end + number as usize + 2, 0);
                    self.input.read_exact(&mut raw[end..]).unwrap();
                }
                Some(b'*') if number > 0 => missing += number,
                Some(_) => {}
                None => panic!("the connection was closed"),
            }
        }
        raw
    }
}

/// The words that commands on strings are made of.
impl Random {
    fn key(&mut self) -> String {
        if self.once_in(20) { "absent".into() } else { format!("k{}", self.below(5)) }
    }

    fn sketch(&mut self) -> String {
        if self.once_in(60) { self.key() } else { format!("h{}", self.below(4)) }
    }

    fn offset(&mut self) -> String {
        match self.below(60) {
            0 => "-1".into(),
            1 => "4294967296".into(),
            2 => "x".into(),
            3 => "01".into(),
            4..14 => self.below(200_000).to_string(),
            _ => self.below(300).to_string(),
        }
    }

    fn integer(&mut self) -> String {
        match self.below(40) {
            0 => "9223372036854775807".into(),
            1 => "-9223372036854775808".into(),
            2 => "9223372036854775808".into(),
            3 => "x".into(),
            4..8 => (self.next() as i64).to_string(),
            _ => (self.below(600) as i64 - 300).to_string(),
        }
    }

    fn float(&mut self) -> String {
        let sign = self.of(&["", "", "-", "+"]);
        let (a, b) = (self.below(100_000), self.below(1_000_000));
        match self.below(12) {
            0 => self
                .of(&["inf", "-inf", "nan", "", " 1", "1e", "0x1p3", "1e4000", "1e-5000"])
                .into(),
            1 => format!("{sign}{a}e{}", self.below(40) as i64 - 20),
            2 => format!("{sign}{}.5", self.next()),
            3 => format!("{sign}{a}"),
            _ => format!("{sign}{a}.{b}"),
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        if self.once_in(4) {
            return self.integer().into_bytes();
        }
        let len = if self.once_in(10) { self.below(40_000) } else { self.below(40) };
        let fill = [0, 255, 0x61][self.below(3) as usize];
        (0..len).map(|_| if self.once_in(3) { self.next() as u8 } else { fill }).collect()
    }

    fn range(&mut self, words: &mut Vec<Vec<u8>>) {
        for _ in 0..self.below(3) {
            words.push(self.integer().into_bytes());
        }
        if words.len() == 4 || self.once_in(10) {
            if self.once_in(2) {
                words.push(self.of(&["bit", "BYTE", "Bit", "byte", "nibble"]).into());
            }
            if self.once_in(30) {
                words.push(b"more".to_vec());
            }
        }
    }

    fn field(&mut self) -> Vec<u8> {
        match self.below(40) {
            0 => self.of(&["u64", "i65", "u0", "x8", "i", "u08"]).into(),
            _ => format!("{}{}", self.of(&["u", "i"]), 1 + self.below(63)).into_bytes(),
        }
    }

    /// Not below -2^62: Redis 7.0 takes numbers far below the smallest of a signed field for too
    /// large (`BITFIELD k OVERFLOW SAT SET i33 0 -9223372036854775808` stores the largest), and we
    /// do not follow it there.
    fn field_value(&mut self) -> String {
        let text = self.integer();
        match text.parse::<i64>() {
            Ok(value) if value < -(1 << 62) => (value >> 1).to_string(),
            _ => text,
        }
    }

    fn field_operations(&mut self, words: &mut Vec<Vec<u8>>, write: bool) {
        for _ in 0..self.below(5) {
            if self.once_in(3) {
                words.push(b"OVERFLOW".to_vec());
                words.push(self.of(&["wrap", "SAT", "fail", "FAIL", "sat"]).into());
            }
            let word = if write { self.of(&["get", "SET", "incrby", "INCRBY"]) } else { "GET" };
            words.push(word.into());
            words.push(self.field());
            let prefix = self.of(&["", "", "#"]);
            words.push(format!("{prefix}{}", self.offset()).into_bytes());
            if word != "get" && word != "GET" {
                words.push(self.field_value().into_bytes());
            }
        }
        if self.once_in(40) {
            words.push(self.of(&["get", "overflow", "u8", "foo"]).into());
        }
    }

    fn bit_command(&mut self) -> Vec<Vec<u8>> {
        let name = self.of(&[
            "SETBIT",
            "GETBIT",
            "BITCOUNT",
            "BITPOS",
            "BITOP",
            "BITFIELD",
            "BITFIELD_RO",
        ]);
        let mut words = vec![name.into()];
        if name == "BITOP" {
            let operation = self.of(&["and", "OR", "xor", "NOT", "not", "Xor", "nand"]);
            words.push(operation.into());
            for _ in 0..2 + if operation == "not" { 0 } else { self.below(4) } {
                words.push(self.key().into_bytes());
            }
            return words;
        }
        words.push(self.key().into_bytes());
        match name {
            "SETBIT" => {
                words.push(self.offset().into_bytes());
                words.push(self.of(&["0", "1", "0", "1", "1", "2", "01"]).into());
            }
            "GETBIT" => words.push(self.offset().into_bytes()),
            "BITCOUNT" => self.range(&mut words),
            "BITPOS" => {
                words.push(self.of(&["0", "1", "0", "1", "1", "2", "x"]).into());
                self.range(&mut words);
            }
            _ => self.field_operations(&mut words, name == "BITFIELD"),
        }
        words
    }

    fn sketch_command(&mut self) -> Vec<Vec<u8>> {
        let name =
            self.of(&["PFADD", "PFADD", "PFADD", "PFCOUNT", "PFMERGE", "PFDEBUG", "GET", "DEL"]);
        let mut words = vec![name.into()];
        if name == "PFDEBUG" {
            words.push(
                self.of(&["encoding", "DECODE", "encoding", "getreg", "todense", "x"]).into(),
            );
        }
        if name == "DEL" && !self.once_in(4) {
            return vec!["PFCOUNT".into(), self.sketch().into_bytes()];
        }
        words.push(self.sketch().into_bytes());
        match name {
            "PFADD" => {
                let span = [10, 1000, 1_000_000][self.below(3) as usize];
                for _ in 0..self.below(60) {
                    words.push(self.below(span).to_string().into_bytes());
                }
            }
            "PFCOUNT" | "PFMERGE" => {
                (0..self.below(3)).for_each(|_| words.push(self.sketch().into_bytes()));
            }
            _ => {}
        }
        words
    }

    /// Bytes with a HyperLogLog's header and too few registers, and commands that find out. PFADD is
    /// not among them: there Redis keeps what it changed before it found out, and we change nothing.
    fn forged_sketch(&mut self) -> Vec<Vec<u8>> {
        let mut bytes = b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80".to_vec();
        // Few values: beyond the last register Redis 7.0.15 itself reads on.
        for _ in 0..self.below(8) {
            bytes.push((self.next() as u8) | 0x80);
        }
        match self.below(5) {
            0 => vec!["SET".into(), "forged".into(), bytes],
            1 => vec!["PFCOUNT".into(), "forged".into()],
            2 => vec!["PFCOUNT".into(), self.sketch().into(), "forged".into()],
            3 => vec!["PFMERGE".into(), self.sketch().into(), "forged".into()],
            _ => vec![
                "PFDEBUG".into(),
                self.of(&["todense", "getreg", "decode"]).into(),
                "forged".into(),
            ],
        }
    }

    fn string_command(&mut self) -> Vec<Vec<u8>> {
        let key = self.key();
        match self.below(8) {
            0 => vec!["SET".into(), key.into(), self.bytes()],
            1 => vec!["GET".into(), key.into()],
            2 => vec!["DEL".into(), key.into()],
            3 => vec!["APPEND".into(), key.into(), self.integer().into_bytes()],
            4 => vec!["INCRBYFLOAT".into(), "number".into(), self.float().into_bytes()],
            5 => vec!["SET".into(), "number".into(), self.float().into_bytes()],
            6 => vec!["STRLEN".into(), key.into()],
            _ => self.lcs_command(),
        }
    }

    fn lcs_command(&mut self) -> Vec<Vec<u8>> {
        let mut words: Vec<Vec<u8>> = vec!["LCS".into(), "s0".into(), "s1".into()];
        if self.once_in(2) {
            let text = |random: &mut Self| {
                (0..random.below(30)).map(|_| b'a' + random.below(3) as u8).collect()
            };
            return vec!["MSET".into(), "s0".into(), text(self), "s1".into(), text(self)];
        }
        for _ in 0..self.below(4) {
            match self.of(&["len", "IDX", "withmatchlen", "minmatchlen", "idx", "foo"]) {
                "minmatchlen" => {
                    words.push("MINMATCHLEN".into());
                    words.push(self.integer().into_bytes());
                }
                word => words.push(word.into()),
            }
        }
        words
    }

    fn command(&mut self) -> Vec<Vec<u8>> {
        match self.below(40) {
            0 => self.forged_sketch(),
            1..19 => self.bit_command(),
            19..30 => self.sketch_command(),
            _ => self.string_command(),
        }
    }
}

fn show(words: &[Vec<u8>]) -> String {
    let word = |word: &Vec<u8>| {
        String::from_utf8_lossy(&word[..word.len().min(80)]).escape_debug().to_string()
    };
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn random_commands_are_answered_as_by_redis() {
    let Some(mut redis) = Server::start("redis-server") else {
        eprintln!("SKIPPED: redis-server is not installed, so nothing was compared with it");
        return;
    };
    let mut ours = Server::start(env!("CARGO_BIN_EXE_eonkv-server")).unwrap();
    let mut random = Random::new(environment("EONKV_ORACLE_SEED", 0x9e37_79b9_7f4a_7c15));
    let values: Vec<Vec<Vec<u8>>> =
        ["k0", "k1", "k2", "k3", "k4", "h0", "h1", "h2", "h3", "number"]
            .iter()
            .map(|key| vec!["GET".into(), (*key).into()])
            .collect();
    for _ in 0..environment("EONKV_ORACLE_ROUNDS", 40) {
        let mut commands: Vec<_> = (0..100).map(|_| random.command()).collect();
        commands.extend(values.iter().cloned());
        redis.send_all(&commands);
        ours.send_all(&commands);
        for (index, command) in commands.iter().enumerate() {
            let (want, got) = (redis.raw_reply(), ours.raw_reply());
            if want != got {
                let differ = want.iter().zip(&got).position(|(a, b)| a != b);
                let key = command.get(1);
                let before = commands[..index]
                    .iter()
                    .rev()
                    .filter(|c| c[1..].iter().any(|w| Some(w) == key));
                panic!(
                    "{}\nredis: {}\nours:  {}\ndifferent from byte {differ:?} on\nbefore it:\n{}",
                    show(command),
                    show(&[want]),
                    show(&[got]),
                    before.map(|c| show(c)).collect::<Vec<_>>().join("\n"),
                );
            }
        }
    }
}
