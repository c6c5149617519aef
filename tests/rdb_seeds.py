#!/usr/bin/env python3
"""Makes the seeds of the fuzz targets `restore` and `rdb`, which the library's tests read, too.

    tests/rdb_seeds.py           those by which Redis' weaknesses were used, named after them
    tests/rdb_seeds.py PORT      all, of a redis-server 7.0.15 without data that nobody else uses

What this server writes is asked of it (DUMP, SAVE); forms that older and newer ones write are built
here by their descriptions. A seed of `restore` is a type and a value, without version and sum.
"""

import os
import socket
import struct
import sys

SEEDS = os.path.join(os.path.dirname(__file__), "..", "fuzz", "seeds")


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.file = self.socket.makefile("rb")

    def __call__(self, *words):
        words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        out = b"*%d\r\n" % len(words)
        out += b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)
        self.socket.sendall(out)
        return self.read()

    def read(self):
        line = self.file.readline()[:-2]
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            raise SystemExit(rest.decode())
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.read() for _ in range(int(rest))]
        return rest


def length(n):
    if n < 64:
        return bytes([n])
    if n < 16384:
        return bytes([0x40 | n >> 8, n & 0xFF])
    return b"\x80" + struct.pack(">I", n)


def text(t):
    return length(len(t)) + t


def time(ms):
    return struct.pack("<q", ms)


def listpack(*elements):
    body = b""
    for e in elements:
        if isinstance(e, int) and 0 <= e < 128:
            entry = bytes([e])
        elif isinstance(e, int):
            entry = b"\xf4" + struct.pack("<q", e)
        else:
            entry = bytes([0x80 | len(e)]) + e
        body += entry + bytes([len(entry)])
    return struct.pack("<IH", len(body) + 7, len(elements)) + body + b"\xff"


def ziplist(*elements):
    body, before, last = b"", 0, 10
    for e in elements:
        if isinstance(e, int):
            entry = b"\xc0" + struct.pack("<h", e) if not 0 <= e <= 12 else bytes([0xF1 + e])
        else:
            entry = bytes([len(e)]) + e
        entry = bytes([before]) + entry
        last, before = 10 + len(body), len(entry)
        body += entry
    return struct.pack("<IIH", len(body) + 11, last, len(elements)) + body + b"\xff"


def old_forms():
    yield "zset-text", b"\x03" + length(3) + text(b"a") + b"\x031.5" + text(b"b") + b"\xfe" + text(b"c") + b"\xff"
    yield "hash-zipmap", b"\x09" + text(b"\x02\x01a\x01\x00x\x02bc\x02\x01yz_\xff")
    yield "list-ziplist", b"\x0a" + text(ziplist(b"a", 5, -300, b"some text"))
    yield "set-intset-16", b"\x0b" + text(struct.pack("<IIhhh", 2, 3, -5, 7, 300))
    yield "set-intset-64", b"\x0b" + text(struct.pack("<IIqq", 8, 2, -(1 << 40), 1 << 40))
    yield "zset-ziplist", b"\x0c" + text(ziplist(b"a", 1, b"b", b"2.5"))
    yield "hash-ziplist", b"\x0d" + text(ziplist(b"a", 1, b"b", b"2.5"))
    yield "quicklist", b"\x0e" + length(2) + text(ziplist(b"a", 1)) + text(ziplist(b"b"))
    yield "hash-listpack", b"\x10" + text(listpack(b"a", 1, b"b", b"x"))
    yield "zset-listpack", b"\x11" + text(listpack(b"a", 1, b"b", b"2.5"))
    yield "quicklist-2", b"\x12" + length(2) + b"\x01" + text(b"alone") + b"\x02" + text(listpack(b"a", 1))
    yield "set-listpack", b"\x14" + text(listpack(b"a", 1, b"b"))
    pack = listpack(2, 0, 1, b"f", 0, 2, 0, 0, b"v", 4, 0, 1, 3, 1, b"g", b"w", 6)
    node = length(1) + text(struct.pack(">QQ", 5, 1)) + text(pack)
    pending = struct.pack(">QQ", 5, 1)
    yield "stream-1", b"\x0f" + node + length(2) + length(6) + length(4) + length(1) + text(b"g") + length(5) \
        + length(1) + length(1) + pending + time(1000) + length(1) + length(1) + text(b"c") + time(1000) + length(1) + pending
    yield "stream-3", b"\x15" + node + length(2) + length(6) + length(4) + length(5) + length(1) + length(0) * 2 \
        + length(2) + length(1) + text(b"g") + length(5) + length(1) + length(1) + length(1) + pending + time(1000) \
        + length(1) + length(1) + text(b"c") + time(1000) + time(2000) + length(1) + pending
    far = 1 << 42
    yield "hash-times-candidate", b"\x16" + length(2) + b"\x81" + struct.pack(">Q", far) + text(b"a") + text(b"x") \
        + length(0) + text(b"b") + text(b"y")
    yield "hash-times-listpack-candidate", b"\x17" + text(listpack(b"a", b"x", far, b"b", b"y", 0))
    yield "hash-times", b"\x18" + time(far) + length(3) + length(0) + text(b"a") + text(b"x") + length(1) + text(b"b") \
        + text(b"y") + length(50) + text(b"c") + text(b"z")
    yield "hash-times-listpack", b"\x19" + time(far) + text(listpack(b"a", b"x", far, b"b", b"y", 0))


def hll(opcodes):
    return b"HYLL\x01\x00\x00\x00" + bytes(7) + b"\x80" + opcodes  # no count is remembered


def repeated(pair, count):
    """LZF of two bytes so many times."""
    left, packed = 2 * count - 2, b"\x01" + pair
    while left > 8:
        run = min(left, 264)
        if 0 < left - run < 9:
            run -= 9
        packed += bytes([7 << 5, run - 9, 1])
        left -= run
    packed += b"" if left == 0 else bytes([left - 1]) + (pair * 4)[:left]
    return packed


def packed_text(packed, size):
    return b"\xc3" + b"\x80" + struct.pack(">I", len(packed)) + b"\x80" + struct.pack(">I", size) + packed


def stream(pending, consumers):
    """One entry 5-1, and a group with what is said to be pending, with whom."""
    pack = listpack(1, 0, 1, b"f", 0, 2, 0, 0, b"v", 4)
    out = b"\x0f" + length(1) + text(struct.pack(">QQ", 5, 1)) + text(pack) + length(1) + length(6) + length(4)
    out += length(1) + text(b"g") + length(9) + length(1) + length(len(pending))
    out += b"".join(struct.pack(">QQ", *id) + time(1000) + length(1) for id in pending)
    out += length(len(consumers))
    for name, ids in consumers:
        out += text(name) + time(1000) + length(len(ids)) + b"".join(struct.pack(">QQ", *id) for id in ids)
    return out


def weaknesses():
    """Inputs of the kinds that Redis' weaknesses were about; `tests/weaknesses.rs` says what becomes of each."""
    # A HyperLogLog that says more registers than there are, and one whose sum of runs overflows 32 bits.
    past = hll(b"\x7f\xff" * 2)
    yield "restore", "cve-2019-10192", b"\x00" + text(past)
    yield "restore", "cve-2019-10193", b"\x00" + text(hll(b"\x7f\xff\xfc"))
    head = hll(b"")
    runs = 131072
    sparse = bytes([len(head) - 1]) + head + repeated(b"\x7f\xff", runs) + b"\x00\xfc"
    yield "restore", "cve-2025-32023", b"\x00" + packed_text(sparse, len(head) + 2 * runs + 1)
    # Elements of ziplists and listpacks whose lengths overflow 32 bits.
    huge = b"\x00\x80" + struct.pack(">I", 0xFFFFFFFF) + b"aaaaaaaa"
    for kind, name in ((0x0A, "list"), (0x0C, "zset"), (0x0D, "hash")):
        body = struct.pack("<IIH", len(huge) + 11, 10, 1) + huge + b"\xff"
        yield "restore", "cve-2021-32628-" + name, bytes([kind]) + text(body)
    huge = b"\xf0" + struct.pack("<I", 0xFFFFFFFA) + b"aaaaaaaa"
    body = struct.pack("<IH", len(huge) + 7, 1) + huge + b"\xff"
    yield "restore", "cve-2021-32627-hash", b"\x10" + text(body)
    yield "restore", "cve-2021-32627-stream", b"\x0f" + length(1) + text(bytes(16)) + text(body) + length(1) * 3 + length(0)
    yield "restore", "cve-2021-32627-total", b"\x11" + text(struct.pack("<IH", 0xFFFFFFFF, 2) + body[6:])
    # More numbers than there are bytes, as a product of 32 bits.
    for width in (2, 4, 8):
        count = (1 << 32) // width + 1
        yield "restore", "cve-2021-32687-%d" % (8 * width), b"\x0b" + text(struct.pack("<II", width, count & 0xFFFFFFFF) + bytes(width))
    yield "restore", "cve-2021-29478", b"\x0b" + text(struct.pack("<II", 8, 0x20000000))
    # What is pending was deleted long ago, far more of it than is asked for.
    gone = [(9, n) for n in range(40)]
    yield "restore", "cve-2022-31144", stream(gone, [(b"c", gone)])
    yield "restore", "cve-2022-35951", stream(gone[:1], [(b"c", gone[:1])])
    # Something that would be freed twice: pending with two consumers, with one twice, a consumer twice.
    one = [(5, 1)]
    yield "restore", "cve-2026-66373-two-owners", stream(one, [(b"a", one), (b"b", one)])
    yield "restore", "cve-2026-66373-one-twice", stream(one, [(b"a", one * 2)])
    yield "restore", "cve-2026-66373-consumer", stream(one, [(b"a", one), (b"a", [])])
    yield "restore", "cve-2026-66373-field", b"\x10" + text(listpack(b"a", 1, b"a", 2))
    yield "restore", "cve-2026-66373-member", b"\x11" + text(listpack(b"a", 1, b"a", 2))
    # Structure that points beyond itself.
    yield "restore", "cve-2026-25243-lzf", b"\x00\xc3" + length(4) + length(60) + b"\xe0\xff\x7f\x00"
    yield "restore", "cve-2026-25243-lzf-size", b"\x00" + packed_text(b"\x00a", 0xFFFFFFFF)
    yield "restore", "cve-2026-25243-back", b"\x10" + text(listpack(b"a", 1)[:-2] + b"\x7f\xff")
    last = bytearray(ziplist(b"a", b"b"))
    last[4:8] = struct.pack("<I", 0xFFFFFFF0)
    yield "restore", "cve-2026-25243-last", b"\x0a" + text(bytes(last))
    yield "restore", "cve-2026-25243-count", b"\x12" + b"\x81" + struct.pack(">Q", (1 << 64) - 1) + b"\x02" + text(listpack(b"a"))
    yield "restore", "cve-2026-25243-empty", b"\x12" + length(1) + b"\x02" + text(listpack())
    # The value of a module.
    yield "restore", "cve-2026-21864", b"\x07\x81" + struct.pack(">Q", 0x4D5B0F7E2C3A1004) + length(2) + length(5) + length(0)
    # A score that is no number.
    yield "restore", "cve-2023-28856-zset", b"\x05" + length(1) + text(b"a") + struct.pack("<d", float("nan"))
    # Counts and lengths that are announced, and nothing behind them.
    yield "aof", "cve-2021-32675-count", b"*2147483647\r\n$3\r\nSET\r\n"
    yield "aof", "cve-2021-32675-length", b"*2\r\n$3\r\nGET\r\n$2147483647\r\nx"
    yield "aof", "cve-2021-21309-length", b"*2\r\n$3\r\nGET\r\n$18446744073709551615\r\nx"
    # A name longer than any path, which smashed the stack of redis-check-aof.
    yield "manifest", "cve-2025-27151", b"file " + b"a" * 5000 + b" seq 1 type b\n"


def write_weaknesses():
    for target, name, seed in weaknesses():
        with open(os.path.join(SEEDS, target, name), "wb") as out:
            out.write(seed)


def fill(c):
    c("SET", "number", 12345)
    c("SET", "text", "some text")
    c("SET", "repeated", "abcabc" * 20)
    c("RPUSH", "list", "a", 1, -70000, "x" * 70)
    c("SADD", "numbers", 1, 2, 70000)
    c("SADD", "set", "a", "b", 1)
    c("ZADD", "zset", 1, "a", 2.5, "b", "inf", "c")
    c("HSET", "hash", "f", "v", "n", 1)
    for config in ("hash-max-listpack-entries", "zset-max-listpack-entries", "set-max-intset-entries"):
        c("CONFIG", "SET", config, 1)
    c("ZADD", "long-zset", 1, "a", 2.5, "b")
    c("HSET", "long-hash", "f", "v", "n", 1)
    c("SADD", "long-numbers", 1, 2)
    for n in range(4):
        c("XADD", "stream", "%d-1" % (n + 1), "f", n, "g", "text")
    c("XADD", "stream", "9-1", "other", "names")
    c("XDEL", "stream", "2-1")
    c("XGROUP", "CREATE", "stream", "group", "0")
    c("XREADGROUP", "GROUP", "group", "ann", "COUNT", "2", "STREAMS", "stream", ">")
    c("XGROUP", "CREATECONSUMER", "stream", "group", "bob")
    c("SET", "ends", "x", "PXAT", 1 << 42)
    c("FUNCTION", "LOAD", "REPLACE", "#!lua name=lib\nredis.register_function('f', function() return 1 end)")
    c("SELECT", 3)
    c("SET", "elsewhere", "x")
    c("SELECT", 0)


def main():
    write_weaknesses()
    if len(sys.argv) < 2:
        return
    c = Client(int(sys.argv[1]))
    c("FLUSHALL")
    fill(c)
    for key in c("KEYS", "*"):
        with open(os.path.join(SEEDS, "restore", "redis-" + key.decode()), "wb") as out:
            out.write(c("DUMP", key)[:-10])
    for name, value in old_forms():
        with open(os.path.join(SEEDS, "restore", name), "wb") as out:
            out.write(value)
    c("SAVE")
    folder = c("CONFIG", "GET", "dir")[1].decode()
    file = c("CONFIG", "GET", "dbfilename")[1].decode()
    with open(os.path.join(folder, file), "rb") as saved:
        snapshot = saved.read()
    with open(os.path.join(SEEDS, "rdb", "redis-7"), "wb") as out:
        out.write(snapshot)
    keys = b"".join(v[:1] + text(n.encode()) + v[1:] for n, v in old_forms())
    body = b"REDIS0012\xfa" + text(b"redis-ver") + text(b"7.4.0") + b"\xfe\x00\xfb" + length(9) + length(0)
    with open(os.path.join(SEEDS, "rdb", "all-forms"), "wb") as out:
        out.write(body + keys + b"\xff" + bytes(8))
    hash_2 = b"\x16" + text(b"h") + length(2) + text(b"a") + text(b"x") + time(1 << 42) + text(b"b") + text(b"y") + time(-1)
    with open(os.path.join(SEEDS, "rdb", "valkey-9"), "wb") as out:
        slot = b"\xf4" + length(5) + length(1) + length(0)
        module = b"\xf7" + length(77) + b"\x02" + length(2) + b"\x05" + text(b"data") + b"\x00"
        out.write(b"VALKEY080" + module + b"\xfe\x00" + slot + hash_2 + b"\xff" + bytes(8))
    c("FLUSHALL")


main()
