//! Requests must be valid RESP whatever is written into their holes.

use std::sync::Arc;

use super::*;
use crate::pattern::Pattern;
use crate::rng::Rng;

fn keys(space: u64) -> Keys {
    Keys::new(Pattern::Sequential, space, Rng::new(1, 0), Arc::default())
}

fn text(batch: &Batch) -> String {
    batch.bytes().escape_ascii().to_string()
}

fn fill(values: &Values) -> Fill<'_> {
    Fill { random: true, verify: false, values }
}

#[test]
fn digits_equal_the_standard_formatting() {
    let mut rng = Rng::new(3, 0);
    let powers = (0..12).flat_map(|e| [10u64.pow(e) - 1, 10u64.pow(e), 10u64.pow(e) + 1]);
    let random = (0..100_000).map(|i| rng.below(10u64.pow(1 + i % 12)));
    let mut out = [0; 12];
    for number in powers.chain(random).chain([999_999_999_999]) {
        write_digits(&mut out, number);
        assert_eq!(out, format!("{number:012}").as_bytes());
    }
    for number in 0..10_000 {
        assert_eq!(
            eight_digits(number * 10_001 % 100_000_000)[..],
            *format!("{:08}", number * 10_001 % 100_000_000).as_bytes()
        );
    }
}

#[test]
fn every_placeholder_draws_its_own_number() {
    let values = Values::new(3);
    let words = ["ZADD", "z", "__rand_int__", "e:__rand_int__:x", "__rand_int", ""];
    let template = Template::command(&words, fill(&values));
    let workload = Workload::single("ZADD", 3, template);
    let mut batch = Batch::new(&workload, 2);
    let mut source = Source::new(&workload, &values, keys(100), false);
    batch.fill(2, &mut source);
    let one = |a, b| {
        format!(
            r"*6\r\n$4\r\nZADD\r\n$1\r\nz\r\n$12\r\n00000000000{a}\r\n$16\r\ne:00000000000{b}:x\r\n$10\r\n__rand_int\r\n$0\r\n\r\n"
        )
    };
    assert_eq!(text(&batch), one(0, 1) + &one(2, 3));
    batch.fill(1, &mut source);
    assert_eq!(text(&batch), one(4, 5), "a shorter batch is a prefix of the buffer");
}

#[test]
fn without_a_key_space_the_placeholder_stays() {
    let values = Values::new(3);
    let keep = Fill { random: false, ..fill(&values) };
    let workload =
        Workload::single("GET", 3, Template::command(&["GET", "key:__rand_int__"], keep));
    let mut batch = Batch::new(&workload, 1);
    batch.fill(1, &mut Source::new(&workload, &values, keys(1), false));
    assert_eq!(text(&batch), r"*2\r\n$3\r\nGET\r\n$16\r\nkey:__rand_int__\r\n");
}

#[test]
fn data_has_the_size_asked_for() {
    let values = Values::new(5);
    let template = Template::command(&["SET", "k", "<__data__>"], fill(&values));
    let value = String::from_utf8(values.of(0).to_vec()).unwrap();
    let expected = format!(r"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$7\r\n<{value}>\r\n");
    assert_eq!(template.bytes.escape_ascii().to_string(), expected);
}

#[test]
fn when_checking_each_key_carries_its_own_value() {
    let values = Values::new(8);
    let checked = Fill { verify: true, ..fill(&values) };
    let words = ["MSET", "k:__rand_int__", "__data__", "k:__rand_int__", "__data__"];
    let workload = Workload::single("MSET", 8, Template::command(&words, checked));
    let mut batch = Batch::new(&workload, 1);
    let mut source = Source::new(&workload, &values, keys(1_000), true);
    batch.fill(1, &mut source);
    batch.fill(1, &mut source);
    let parts: Vec<&[u8]> = batch.bytes().split(|&b| b == b'\n').collect();
    assert_eq!(parts[4], b"k:000000000002\r");
    assert_eq!(parts[6], [values.of(2), b"\r"].concat());
    assert_eq!(parts[10], [values.of(3), b"\r"].concat());
    assert_eq!(batch.expected, [Expected { command: 0, key: 2 }]);
}

#[test]
fn a_mix_keeps_its_ratio_and_spreads_it() {
    let values = Values::new(3);
    let set = Template::command(&["SET", "key:__rand_int__", "__data__"], fill(&values));
    let get = Template::command(&["GET", "key:__rand_int__"], fill(&values));
    let workload = Workload::mix("mix".to_owned(), 3, vec![(1, set.clone()), (4, get.clone())]);
    let mut batch = Batch::new(&workload, 7);
    let mut source = Source::new(&workload, &values, keys(100), true);
    let (mut order, mut bytes) = (Vec::new(), 0);
    for _ in 0..10 {
        batch.fill(7, &mut source);
        order.extend(batch.expected.iter().map(|e| e.command));
        bytes += batch.bytes().len();
    }
    assert_eq!(order.iter().filter(|&&command| command == 0).count(), 14);
    assert!(order.chunks(5).all(|five| five.iter().filter(|&&c| c == 0).count() == 1));
    assert_eq!(bytes, 14 * set.len() + 56 * get.len());
    let reads = Workload::mix("reads".to_owned(), 3, vec![(0, set), (1, get)]);
    assert!(reads.only().is_some(), "a weight of 0 leaves the other command alone");
}
