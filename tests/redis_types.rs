//! Random commands on all collection types, transactions and scripts, answered as Redis 7.0 does.
//!
//! Both servers get the same commands, made from the templates below; replies are compared as trees,
//! and after each round so is every key: type, encoding, content. What Redis gives in no order is
//! compared in none. Needs `redis-server` 7.0 on the PATH and says loudly when it is missing.
//! `EONKV_ORACLE_SEED`, `EONKV_ORACLE_ROUNDS` and `EONKV_ORACLE_ONLY` (a word that templates must
//! contain) repeat, prolong or narrow a run.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod oracle;

use oracle::template::expand;
use oracle::{Pair, Random, Value, environment, show};

/// As `oracle::template` reads them. One may begin with `~` if the reply's elements have no order, with
/// `~2` if its pairs have none.
const TEMPLATES: &[&str] = &[
    // Lists.
    "LPUSH $l ( $e )+",
    "RPUSH $l ( $e )+",
    "RPUSH $l ( $e )+",
    "LPUSHX $l ( $e )+",
    "RPUSHX $l ( $e )+",
    "LPOP $l ( $n )?",
    "RPOP $l ( $n )?",
    "LLEN $l",
    "LINDEX $l $i",
    "LRANGE $l $i $i",
    "LSET $l $i $e",
    "LINSERT $l <BEFORE|after|x> $e $e",
    "LREM $l $i $e",
    "LTRIM $l $i $i",
    "LPOS $l $e ( RANK $i )? ( COUNT $n )? ( MAXLEN $n )?",
    "LMOVE $l $l <LEFT|right> <left|RIGHT|up>",
    "RPOPLPUSH $l $l",
    "LMPOP <1|2|0> $l ( $l )? <LEFT|RIGHT> ( COUNT $n )?",
    "LMPOP 2 $l $l <LEFT|RIGHT> ( COUNT $n )?",
    "BLPOP $l $l 0.01",
    "BRPOP $l 0.01",
    "BLMOVE $l $l LEFT RIGHT 0.01",
    "BLMPOP 0.01 2 $l $l <LEFT|RIGHT> ( COUNT $n )?",
    // Hashes.
    "HSET $h ( $d $e )+",
    "HSET $h ( $d $e )+ ( $d )?",
    "HMSET $h ( $d $e )+",
    "HSETNX $h $d $e",
    "HGET $h $d",
    "HMGET $h ( $d )+",
    "~2 HGETALL $h",
    "~ HKEYS $h",
    "~ HVALS $h",
    "HDEL $h ( $d )+",
    "HEXISTS $h $d",
    "HLEN $h",
    "HSTRLEN $h $d",
    "HINCRBY $h <n|m> $i",
    "HINCRBYFLOAT $h <n|m> $f",
    "~2 HRANDFIELD $h 1000 WITHVALUES",
    "HRANDFIELD $h 0",
    // Sets.
    "SADD $s ( $m )+",
    "SADD $s ( $i )+",
    "SREM $s ( $m )+",
    "SCARD $s",
    "SISMEMBER $s $m",
    "SMISMEMBER $s ( $m )+",
    "~ SMEMBERS $s",
    "SMOVE $s $s $m",
    "~ SINTER $s ( $s )*",
    "~ SUNION $s ( $s )*",
    "~ SDIFF $s ( $s )*",
    "SINTERSTORE $s $s ( $s )*",
    "SUNIONSTORE $s $s ( $s )*",
    "SDIFFSTORE $s $s ( $s )*",
    "SINTERCARD <1|2|0> $s ( $s )? ( LIMIT $i )?",
    "~ SRANDMEMBER $s 1000",
    "SRANDMEMBER $s 0",
    "~ SPOP $s 1000",
    "SPOP $s 0",
    // Sorted sets.
    "ZADD $z ( $f $m )+",
    "ZADD $z ( <NX|XX|GT|LT> )? ( CH )? ( $f $m )+",
    "ZADD $z ( <NX|XX> )? ( <GT|LT> )? ( CH )? ( INCR )? $f $m ( $f )?",
    "ZINCRBY $z $f $m",
    "ZREM $z ( $m )+",
    "ZCARD $z",
    "ZSCORE $z $m",
    "ZMSCORE $z ( $m )+",
    "ZRANK $z $m",
    "ZREVRANK $z $m",
    "ZCOUNT $z $b $b",
    // By name only where all scores are the same: else what comes is not specified.
    "ZADD $q ( 0 $m )+",
    "ZADD $q ( 0 $m )+",
    "ZREM $q $m",
    "ZLEXCOUNT $q $y $y",
    "ZRANGE $z $i $i ( REV )? ( WITHSCORES )?",
    "ZRANGE $z $b $b BYSCORE ( REV )? ( LIMIT $i $i )? ( WITHSCORES )?",
    "ZRANGE $q $y $y BYLEX ( REV )? ( LIMIT $i $i )? ( WITHSCORES )?",
    "ZRANGESTORE $z $z $b $b BYSCORE ( REV )? ( LIMIT $i $i )?",
    "ZRANGESTORE $z $z $i $i",
    "ZREVRANGE $z $i $i ( WITHSCORES )?",
    "ZRANGEBYSCORE $z $b $b ( WITHSCORES )? ( LIMIT $i $i )?",
    "ZREVRANGEBYSCORE $z $b $b ( WITHSCORES )? ( LIMIT $i $i )?",
    "ZRANGEBYLEX $q $y $y ( LIMIT $i $i )?",
    "ZREVRANGEBYLEX $q $y $y ( LIMIT $i $i )?",
    "ZREMRANGEBYRANK $z $i $i",
    "ZREMRANGEBYSCORE $z $b $b",
    "ZREMRANGEBYLEX $q $y $y",
    "ZPOPMIN $z ( $n )?",
    "ZPOPMAX $z ( $n )?",
    "ZMPOP 2 $z $z <MIN|MAX> ( COUNT $n )?",
    "BZPOPMIN $z $z 0.01",
    "BZPOPMAX $z 0.01",
    "BZMPOP 0.01 1 $z <MIN|MAX> ( COUNT $n )?",
    "ZUNION 2 $zs $z ( WEIGHTS $f $f )? ( AGGREGATE <SUM|min|MAX> )? ( WITHSCORES )?",
    "ZINTER 2 $zs $z ( WEIGHTS $f $f )? ( AGGREGATE <SUM|min|MAX> )? ( WITHSCORES )?",
    "ZDIFF <1|2|3> $zs $z ( $z )? ( WITHSCORES )?",
    "ZUNIONSTORE $z 2 $zs $z ( WEIGHTS $f $f )? ( AGGREGATE <SUM|min|MAX> )?",
    "ZINTERSTORE $z <1|2> $zs $z ( WEIGHTS $f $f )? ( AGGREGATE <SUM|min|MAX> )?",
    "ZDIFFSTORE $z 2 $zs $z",
    "ZINTERCARD 2 $zs $z ( LIMIT $i )?",
    "~2 ZRANDMEMBER $z 1000 WITHSCORES",
    // Geo.
    "GEOADD $g ( <NX|XX> )? ( CH )? ( $lon $lat $m )+",
    "GEOADD $g ( $lon $lat $m )+",
    "GEOPOS $g ( $m )+",
    "GEODIST $g $m $m ( <m|km|ft|mi|x> )?",
    "GEOHASH $g ( $m )+",
    "GEOSEARCH $g FROMLONLAT $lon $lat BYRADIUS $km km <ASC|DESC> ( COUNT $n )? ( WITHCOORD )? ( WITHDIST )? ( WITHHASH )?",
    "GEOSEARCH $g FROMMEMBER $m BYBOX $km $km km <ASC|DESC> ( COUNT $n )? ( WITHCOORD )? ( WITHDIST )?",
    "GEOSEARCHSTORE $z $g FROMLONLAT $lon $lat BYRADIUS $km km ASC ( COUNT $n )? ( STOREDIST )?",
    "GEORADIUS $g $lon $lat $km km ( WITHDIST )? ASC",
    "GEORADIUSBYMEMBER $g $m $km km ( WITHCOORD )? DESC",
    // Streams.
    "XADD $x ( NOMKSTREAM )? ( MAXLEN $n )? $id ( $d $e )+",
    "XADD $x $id ( $d $e )+",
    "XADD $x $id ( $d $e )+",
    "XLEN $x",
    "XRANGE $x $xb $xb ( COUNT $n )?",
    "XREVRANGE $x $xb $xb ( COUNT $n )?",
    "XDEL $x ( $id )+",
    "XTRIM $x <MAXLEN|MINID> ( = )? $n",
    "XREAD ( COUNT $n )? STREAMS $x $x $id 0",
    "XGROUP CREATE $x <g1|g2> <0|$|5-1> ( MKSTREAM )? ( ENTRIESREAD $i )?",
    "XGROUP SETID $x <g1|g2> <0|$|3-2>",
    // Consumers are not counted: here they exist from their first request, as in 7.2.
    "XGROUP DELCONSUMER $x <g1|g2> <c1|c2>",
    "XGROUP DESTROY $x g2",
    "XREADGROUP GROUP <g1|g2> <c1|c2> ( COUNT $n )? ( NOACK )? STREAMS $x <\\>|0>",
    "XREADGROUP GROUP g1 <c1|c2> COUNT 2 STREAMS $x <\\>|\\>|0>",
    "XACK $x <g1|g2> ( $id )+",
    "XPENDING $x <g1|g2>",
    "XCLAIM $x g1 <c1|c2> 0 ( $id )+ JUSTID",
    "XAUTOCLAIM $x g1 <c1|c2> 0 0 ( COUNT $n )? JUSTID",
    "XSETID $x $id",
    // Keys and SORT.
    "DEL $k",
    "RENAME $k $k",
    "RENAMENX $k $k",
    "COPY $k $k ( REPLACE )?",
    "TYPE $k",
    "EXISTS $k $k",
    "SORT $l ( LIMIT $i $i )? ( <ASC|DESC> )? ALPHA",
    "SORT $l ( LIMIT $i $i )?",
    // Without BY: elements of equal weight come in any order.
    "SORT $l ( GET # )? GET w_* ALPHA",
    "SORT $s ALPHA ( <ASC|DESC> )?",
    "SORT $l GET $h->* ALPHA",
    "SORT $l ALPHA STORE $l",
    "SORT_RO $l ALPHA",
    "SET w_$m $e",
    // Wrong types, arities, options.
    "LPUSH $k $e",
    "LPUSH $l",
    "HSET $k a b",
    "SADD $k a",
    "ZADD $k 1 a",
    "ZADD $z 1",
    "XADD $k $id a b",
    "GET $k",
    "INCR $k",
    "LRANGE $k 0 -1",
    "HGET $k a",
    "SMEMBERS $k a",
    "ZRANGE $k 0 -1 WITHSCORE",
    "~ SINTER $k $s",
    "ZUNION 0 $k",
];

/// Commands of EXEC and EVAL are made from these again.
const WRAPS: u64 = 12;

fn slot(name: &str, random: &mut Random) -> Vec<u8> {
    let keys = |letter: &str, random: &mut Random| {
        let letter = if random.once_in(150) { random.of(&["l", "h", "s", "z"]) } else { letter };
        format!("{letter}{}", random.below(3)).into_bytes()
    };
    match name {
        "l" | "h" | "s" | "z" | "x" | "g" => keys(name, random),
        "q" => format!("q{}", random.below(2)).into_bytes(),
        "zs" => {
            let letter = random.of(&["z", "z", "s"]);
            keys(letter, random)
        }
        "k" => {
            let letter = random.of(&["l", "h", "s", "z", "x", "g", "none"]);
            keys(letter, random)
        }
        "e" => random.element(),
        "d" | "m" => random.member(),
        "i" => random.index(),
        "n" => random.below(6).to_string().into_bytes(),
        "f" => random.score(),
        "b" => random.bound(),
        "y" => random.lex_bound(),
        "lon" => format!("{}.{}", random.below(40), random.below(1000)).into_bytes(),
        "lat" => format!("{}.{}", random.below(30), random.below(1000)).into_bytes(),
        "km" => random.below(3000).to_string().into_bytes(),
        "id" => {
            if random.once_in(60) {
                return random.of(&["*x", "0-0", "7", "1-", "-", "18446744073709551615-1"]).into();
            }
            format!("{}-{}", random.below(9), random.below(4)).into_bytes()
        }
        "xb" => match random.below(8) {
            0..2 => b"-".to_vec(),
            2..4 => b"+".to_vec(),
            4 => format!("({}-{}", random.below(9), random.below(4)).into_bytes(),
            5 => random.below(9).to_string().into_bytes(),
            _ => format!("{}-{}", random.below(9), random.below(4)).into_bytes(),
        },
        other => panic!("no slot {other}"),
    }
}

/// Whether the replies to this differ on purpose: docs/compatibility.md has the reasons.
fn is_meant(words: &[Vec<u8>]) -> bool {
    words[0] == b"LPOS" && words.iter().any(|word| word == b"-9223372036854775808")
}

/// A command, and how many elements of its reply belong together if they have no order.
type Command = (Vec<Vec<u8>>, usize);

fn command(random: &mut Random, only: &str) -> Command {
    loop {
        let template = random.of(TEMPLATES);
        if !template.contains(only) {
            continue;
        }
        let (group, text) = match template.strip_prefix('~') {
            Some(rest) => rest.strip_prefix('2').map_or((1, rest), |rest| (2, rest)),
            None => (0, template),
        };
        let tokens: Vec<&str> = text.split_whitespace().collect();
        let mut words = Vec::new();
        expand(&tokens, &slot, random, &mut words);
        if !is_meant(&words) {
            return (words, group);
        }
    }
}

/// Commands for one round: single ones, transactions and scripts.
fn round(random: &mut Random, only: &str) -> Vec<Command> {
    let mut commands = Vec::new();
    while commands.len() < 100 {
        let (words, group) = command(random, only);
        let ordered = group == 0;
        match random.below(WRAPS) {
            0 if ordered => {
                commands.push((vec!["MULTI".into()], 0));
                commands.push((words, 0));
                (0..random.below(4)).for_each(|_| {
                    let (words, group) = command(random, only);
                    if group == 0 {
                        commands.push((words, 0));
                    }
                });
                commands.push((vec!["EXEC".into()], 0));
            }
            1 if ordered => {
                let script = random
                    .of(&["return redis.call(unpack(ARGV))", "return redis.pcall(unpack(ARGV))"]);
                let mut eval: Vec<Vec<u8>> = vec!["EVAL".into(), script.into(), "0".into()];
                eval.extend(words);
                commands.push((eval, 0));
            }
            _ => commands.push((words, group)),
        }
    }
    commands
}

/// What a key holds, whatever its type.
fn contents(pair: &mut Pair) {
    for letter in ["l", "h", "s", "z", "q", "g", "x"] {
        for number in 0..3 {
            let key = format!("{letter}{number}").into_bytes();
            let Value::Simple(kind) = pair.same(&[b"TYPE".to_vec(), key.clone()], 0) else {
                continue;
            };
            let (words, group): (&[&str], usize) = match kind.as_slice() {
                b"list" => (&["LRANGE", "0", "-1"], 0),
                b"hash" => (&["HGETALL"], 2),
                b"set" => (&["SMEMBERS"], 1),
                b"zset" => (&["ZRANGE", "0", "-1", "WITHSCORES"], 0),
                b"stream" => (&["XRANGE", "-", "+"], 0),
                _ => continue,
            };
            let mut command: Vec<Vec<u8>> = words.iter().map(|word| (*word).into()).collect();
            command.insert(1, key.clone());
            pair.same(&command, group);
            // SORT makes a skiplist of the sorted set that it reads; here it changes nothing.
            if kind != b"zset" {
                pair.same(&[b"OBJECT".to_vec(), b"ENCODING".to_vec(), key], 0);
            }
        }
    }
}

#[test]
fn random_collections_are_those_of_redis() {
    let Some(mut pair) = Pair::start(env!("CARGO_BIN_EXE_eonkv-server")) else {
        eprintln!("SKIPPED: redis-server is not installed, so nothing was compared with it");
        return;
    };
    let mut random = Random::new(environment("EONKV_ORACLE_SEED", 0x9e37_79b9_7f4a_7c15));
    let only = std::env::var("EONKV_ORACLE_ONLY").unwrap_or_default();
    for number in 0..environment("EONKV_ORACLE_ROUNDS", 40) {
        pair.protocol(2 + number % 2);
        for (words, group) in round(&mut random, &only) {
            pair.note(show(&words));
            pair.same(&words, group);
        }
        contents(&mut pair);
        if number % 8 == 7 {
            pair.same(&[b"FLUSHALL".to_vec()], 0);
        }
    }
}
