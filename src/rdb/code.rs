//! Numbers of the format: types of values, and what may stand between keys.

/// The version that is written.
pub const VERSION: u16 = 10;
/// The version of payloads that use [`HASH_TIMES`].
pub const VERSION_TIMES: u16 = 12;
/// The newest of Redis' versions that is read.
pub const NEWEST: u16 = 13;
/// From here on versions are Valkey's.
pub const VALKEY: u16 = 80;

/// Name of the auxiliary field behind a hash in our own files: when its fields end.
pub const HASH_ENDS: &[u8] = b"eonkv-hash-ends";

pub const STRING: u8 = 0;
pub const LIST: u8 = 1;
pub const SET: u8 = 2;
/// Scores as text.
pub const ZSET_TEXT: u8 = 3;
pub const HASH: u8 = 4;
pub const ZSET: u8 = 5;
/// A module's value from before values told their extent.
pub const MODULE_OLD: u8 = 6;
pub const MODULE: u8 = 7;
pub const HASH_ZIPMAP: u8 = 9;
pub const LIST_ZIPLIST: u8 = 10;
pub const SET_INTSET: u8 = 11;
pub const ZSET_ZIPLIST: u8 = 12;
pub const HASH_ZIPLIST: u8 = 13;
/// Ziplists in a row.
pub const QUICKLIST: u8 = 14;
pub const STREAM: u8 = 15;
pub const HASH_LISTPACK: u8 = 16;
pub const ZSET_LISTPACK: u8 = 17;
/// Listpacks and single elements in a row.
pub const QUICKLIST_2: u8 = 18;
/// Bounds and counters beyond [`STREAM`].
pub const STREAM_2: u8 = 19;
pub const SET_LISTPACK: u8 = 20;
/// Consumers' times of activity beyond [`STREAM_2`].
pub const STREAM_3: u8 = 21;
/// Redis 7.4 before its release: fields with absolute times. To Valkey: fields with times behind them.
pub const HASH_22: u8 = 22;
/// Redis 7.4 before its release: a listpack of field, value, time.
pub const HASH_23: u8 = 23;
/// The earliest time, then fields with times relative to it.
pub const HASH_TIMES: u8 = 24;
/// The earliest time, then a listpack of field, value, time.
pub const HASH_TIMES_LISTPACK: u8 = 25;

/// Valkey: slots on their way, which concerns no single server.
pub const SLOT_IMPORT: u8 = 243;
/// Keys of a slot.
pub const SLOT_INFO: u8 = 244;
pub const FUNCTION: u8 = 245;
/// Functions of a release candidate.
pub const FUNCTION_OLD: u8 = 246;
pub const MODULE_AUX: u8 = 247;
pub const IDLE: u8 = 248;
pub const FREQ: u8 = 249;
pub const AUX: u8 = 250;
pub const RESIZE: u8 = 251;
pub const EXPIRE_MS: u8 = 252;
pub const EXPIRE_S: u8 = 253;
pub const SELECT: u8 = 254;
pub const EOF: u8 = 255;
