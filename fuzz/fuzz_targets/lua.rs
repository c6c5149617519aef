//! Scripts of any text, with any arguments: nothing that a script does may panic, run for ever or
//! leave an interpreter that does not answer the next one.
//!
//! The input is a kind, then text and arguments parted by a NUL. Text is run as it is, or handed to
//! one of the libraries that read bytes of clients.

#![no_main]

use eonkv::resp::args::OwnedArgs;
use eonkv::resp::{Args, Reply};
use eonkv::script::{Host, Run, Uses, Vm, dump, text};
use libfuzzer_sys::fuzz_target;

/// A world that answers each command with its own words, and ends what runs for long.
#[derive(Default)]
struct World {
    reply: Reply,
    looks: u32,
}

impl Host for World {
    fn call(&mut self, args: Args<'_>) -> Result<&mut Reply, Vec<u8>> {
        self.reply.clear();
        self.reply.map(1);
        self.reply.count(args.len());
        self.reply.array(args.len());
        args.iter().for_each(|arg| self.reply.bulk(arg));
        Ok(&mut self.reply)
    }

    fn may_call(&mut self, args: Args<'_>) -> Option<bool> {
        (args.len() > 1).then_some(true)
    }

    fn set_protocol(&mut self, three: bool) {
        self.reply.resp3 = three;
    }

    fn protocol_is_3(&self) -> bool {
        self.reply.resp3
    }

    fn log(&mut self, _: u8, _: &[u8]) {}

    fn must_stop(&mut self) -> bool {
        self.looks += 1;
        self.looks > 20
    }
}

/// What the libraries do with the first argument, and with what comes out of that.
const PROBES: &[&str] = &[
    "return cjson.encode(cjson.decode(ARGV[1]))",
    "local t = {cmsgpack.unpack(ARGV[1])} return cmsgpack.pack(t)",
    "return {struct.unpack(ARGV[1], ARGV[2])}",
    "return struct.pack(ARGV[1], ARGV[2], 3, 4)",
    "return {string.find(ARGV[2], ARGV[1])}",
    "return {string.gsub(ARGV[2], ARGV[1], ARGV[3])}",
    "return string.format(ARGV[1], ARGV[2], 1, 2)",
    "return redis.call(unpack(ARGV))",
];

thread_local! {
    static VM: Vm = Vm::new("7.4.0").expect("an interpreter");
}

fn run(vm: &Vm, text: &[u8], argv: &OwnedArgs) {
    let Ok((_, body)) = text::script(text) else { return };
    let Ok(compiled) = vm.compile(body) else { return };
    let (mut world, mut out) = (World::default(), Reply::default());
    let keys = OwnedArgs::default();
    let _ = vm.run(&mut world, Run::Script(&compiled, "sha", Uses::default()), (keys.view(), argv.view()), &mut out);
}

fuzz_target!(|data: &[u8]| {
    let Some((&kind, rest)) = data.split_first() else { return };
    let mut parts = rest.split(|byte| *byte == 0);
    let first = parts.next().unwrap_or_default();
    VM.with(|vm| {
        match PROBES.get(usize::from(kind)) {
            Some(probe) => {
                let mut words: Vec<&[u8]> = std::iter::once(first).chain(parts).collect();
                words.resize(words.len().max(3), b"");
                run(vm, probe.as_bytes(), &OwnedArgs::new(words));
            }
            None if kind == 0xFF => {
                let _ = dump::read(rest);
                let _ = text::library(rest).map(|(_, body)| vm.load(&mut World::default(), body));
            }
            None => run(vm, first, &OwnedArgs::new(parts)),
        }
        let mut out = Reply::default();
        let compiled = vm.compile(b"return 1").expect("a plain script");
        let none = OwnedArgs::default();
        let what = Run::Script(&compiled, "sha", Uses::default());
        let _ = vm.run(&mut World::default(), what, (none.view(), none.view()), &mut out);
        assert_eq!(out.bytes, b":1\r\n");
    });
});
