#!/usr/bin/env python3
"""How long one client's command on a million elements keeps other clients waiting.

    stalls.py target/release/eonkv-server [--only WORD ...] [--elements N] [--workers N]

Starts the server with one worker, so that all clients share a thread.  While
one client runs a command another sends a PING every 0.3 ms; the longest it
waited is the stall.  A line a command: stall, time until its whole reply was
read, and the size of the reply.  Those above 5 ms are marked; on a busy machine
repeat what is marked.  Whoever may set priorities (root) gets steadier figures.
"""
import argparse
import multiprocessing
import os
import socket
import subprocess
import time


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb", 1 << 20)

    def send(self, *words):
        self.socket.sendall(request(words))

    def read(self):
        line = self.file.readline()
        kind, rest = line[:1], line[1:-2]
        if kind in b"+:-":
            return rest
        if kind == b"$":
            return self.file.read(int(rest) + 2)[:-2] if int(rest) >= 0 else None
        if kind == b"*":
            return [self.read() for _ in range(int(rest))]
        raise ValueError(line)

    def ask(self, *words):
        self.send(*words)
        return self.read()


def request(words):
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    parts = [b"*%d\r\n" % len(words)]
    parts += [b"$%d\r\n%s\r\n" % (len(word), word) for word in words]
    return b"".join(parts)


def waiting(port, longest, over):
    """Sends PINGs until it is over; the longest time that one took is kept."""
    prefer(-16)
    client = Client(port)
    while not over.value:
        begin = time.perf_counter()
        client.socket.sendall(b"PING\r\n")
        client.socket.recv(100)
        longest.value = max(longest.value, time.perf_counter() - begin)
        time.sleep(0.0003)


def prefer(nice):
    try:
        os.nice(nice)
    except PermissionError:
        pass


def flat(pairs):
    return [word for pair in pairs for word in pair]


class Bench:
    """The collections that commands are run on, each copied from one that is filled once."""

    def __init__(self, client, elements):
        self.client, self.n, self.filled = client, elements, set()

    def spread(self, i):
        return i * 7919 % self.n  # a prime: every number once, in no order

    def words(self, kind, i):
        k = self.spread(i)
        return {
            "zset": lambda: (i, f"m:{k:012}"),
            "list": lambda: (f"e:{i:012}",),
            "set": lambda: (f"e:{k:012}",),
            "hash": lambda: (f"f:{k:012}", f"v:{i}"),
            "geo": lambda: (k * 360 / self.n - 180, (i % 1700) / 10 - 85, f"g:{i}"),
        }[kind]()

    def fill(self, kind):
        adds = {"zset": "ZADD", "list": "RPUSH", "set": "SADD", "hash": "HSET", "geo": "GEOADD"}
        if kind in ("stream", "pending"):
            script = "for i = 1, 1000 do redis.call('XADD', KEYS[1], '*', 'f', i) end"
            for _ in range(0, self.n, 1000):
                self.client.ask("EVAL", script, 1, f"all:{kind}")
            if kind == "pending":
                self.client.ask("XGROUP", "CREATE", "all:pending", "g", "0")
                self.client.ask("XREADGROUP", "GROUP", "g", "c", "STREAMS", "all:pending", ">")
            return
        for start in range(0, self.n, 500):
            words = flat(self.words(kind, i) for i in range(start, min(start + 500, self.n)))
            self.client.ask(adds[kind], f"all:{kind}", *words)

    def prepare(self, kind):
        """`it` is a collection of this kind, which shares nothing that is still being freed."""
        if kind not in self.filled:
            self.filled.add(kind)
            self.fill(kind)
        self.client.ask("DEL", "it", "to")
        time.sleep(0.3)
        self.client.ask("COPY", f"all:{kind}", "it")
        time.sleep(0.1)


def commands(n):
    half, many = n // 2, range(n // 10)
    yield from (("zset", line) for line in f"""
        ZREMRANGEBYRANK it 10 {n - n // 10}
        ZREMRANGEBYSCORE it 10 {half}
        ZPOPMIN it {half}
        ZPOPMAX it {half}
        ZMPOP 1 it MIN COUNT {half}
        ZRANGE it 0 -1
        ZRANGE it 0 -1 REV WITHSCORES
        ZRANGESTORE to it 0 -1
        ZUNIONSTORE to 2 it all:zset
        ZINTERSTORE to 2 it all:zset
        ZUNION 2 it all:zset
        ZINTERCARD 2 it all:zset
        ZRANDMEMBER it {half}
        COPY it to
        DEL it""".strip().splitlines())
    yield from (("geo", line) for line in """
        GEOSEARCH it FROMLONLAT 0 0 BYRADIUS 20000 km
        GEOSEARCH it FROMLONLAT 0 0 BYBOX 30000 30000 km ASC COUNT 10
        GEOSEARCHSTORE to it FROMLONLAT 0 0 BYRADIUS 20000 km""".strip().splitlines())
    yield from (("list", line) for line in f"""
        LRANGE it 0 -1
        LPOP it {half}
        LTRIM it {half} -1
        LREM it 0 e:{half:012}
        LINSERT it BEFORE e:{n - 1000:012} x
        LPOS it none
        SORT it ALPHA
        SORT it ALPHA STORE to
        COPY it to
        DEL it""".strip().splitlines())
    yield from (("set", line) for line in f"""
        SMEMBERS it
        SPOP it {half}
        SRANDMEMBER it {half}
        SRANDMEMBER it -{half}
        SINTER it all:set
        SUNION it all:set
        SDIFF it all:set
        SUNIONSTORE to it all:set
        SINTERSTORE to it all:set
        COPY it to
        DEL it""".strip().splitlines())
    yield from (("hash", line) for line in f"""
        HGETALL it
        HKEYS it
        HRANDFIELD it {half}
        COPY it to
        DEL it""".strip().splitlines())
    yield from (("stream", line) for line in """
        XRANGE it - +
        XTRIM it MAXLEN 10
        COPY it to
        DEL it""".strip().splitlines())
    yield from (("pending", line) for line in f"""
        XPENDING it g - + {n}
        XPENDING it g - + {n} c
        XINFO STREAM it FULL COUNT 0
        XREADGROUP GROUP g c STREAMS it 0
        XAUTOCLAIM it g d 0 - COUNT {n} JUSTID
        XGROUP DELCONSUMER it g c""".strip().splitlines())
    yield "set", " ".join(["SREM it"] + [f"e:{i:012}" for i in many])
    yield "hash", " ".join(["HMGET it"] + [f"f:{i:012}" for i in many])
    yield "zset", " ".join(["ZADD it"] + [f"{i} n:{i}" for i in many])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server", help="path of eonkv-server")
    parser.add_argument("--only", nargs="*", help="only commands that contain one of these words")
    parser.add_argument("--elements", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = f"--port {port} --io-threads {args.workers} --save".split()
    server = subprocess.Popen(
        [args.server, *options, "", "--client-output-buffer-limit", "normal 0 0 0"],
        stdout=subprocess.DEVNULL, preexec_fn=lambda: prefer(-15))
    longest, over = multiprocessing.Value("d", 0.0), multiprocessing.Value("b", 0)
    try:
        time.sleep(1)
        other = multiprocessing.Process(target=waiting, args=(port, longest, over))
        other.start()
        client = Client(port)
        bench = Bench(client, args.elements)
        for kind, line in commands(args.elements):
            line = line.strip()
            if args.only and not any(word in line for word in args.only):
                continue
            bench.prepare(kind)
            whole = request(line.split())
            longest.value = 0
            time.sleep(0.02)
            begin = time.perf_counter()
            client.socket.sendall(whole)
            reply = client.read()
            took = time.perf_counter() - begin
            time.sleep(0.05)
            stall = 1000 * longest.value
            size = f"{len(reply)} elements" if isinstance(reply, list) else repr(reply)
            shown = line if len(line) < 70 else line[:50] + f" ... ({len(line.split())} words)"
            print(f"{'!' if stall > 5 else ' '} {stall:8.2f} ms {1000 * took:9.1f} ms"
                  f"  {shown}: {size}", flush=True)
    finally:
        over.value = 1
        server.kill()


if __name__ == "__main__":
    main()
