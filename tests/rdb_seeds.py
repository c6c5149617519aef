#!/usr/bin/env python3
"""Makes the seeds of the fuzz targets `restore` and `rdb`, which the library's tests read, too.

    tests/rdb_seeds.py PORT      of a redis-server 7.0.15 without data that nobody else uses

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
