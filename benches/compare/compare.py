#!/usr/bin/env python3
"""Measures EonKV beside redis-server, in the same run, in turn, on one core.

    compare.py                    all cases, three rounds (about 15 minutes)
    compare.py --quick            a few cases, coarser (two minutes)
    compare.py --match 'P=64'     cases whose name contains that
    compare.py --groups collections   lists, sets, hashes, sorted sets, streams, MULTI, scripts
    compare.py --goals            judge the ratios by goals.tsv; exit 1 if a "must" is missed
    compare.py --server 'name=command --port {port} --dir {dir}'   one more server (may repeat)

Servers run on core 0, the load generator (lg.c, built on first use with cc) on core 1; nothing else
should run. The first server named is the reference of the ratios. `cpu` is user plus system seconds
of the server per million commands, the figure that other work on the machine disturbs least.
"""
import argparse
import dataclasses
import json
import os
import shlex
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
LG = TARGET / "compare" / "lg"
KEYS = 1_000_000

# name -> words, how replies are checked, what must be loaded before
COMMANDS = {
    "GET": (["GET", "key:{r}"], "bytes:71", "strings"),
    "SET": (["SET", "key:{r}", "{d}"], "bytes:5", None),
    "INCR": (["INCR", "counter:{r}"], "resp", None),
    "MGET 10": (["MGET"] + ["key:{r}"] * 10, "resp", "strings"),
    "SETEX": (["SET", "key:{r}", "{d}", "EX", "100000"], "bytes:5", None),
}
DEPTHS = {"GET": (1, 16, 64, 256), "SET": (1, 16, 64, 256), "INCR": (16, 64), "MGET 10": (16,), "SETEX": (64,)}

# The same for the group "collections", each at depth 1, 16 and 64; how many elements or keys {r} stands for.
FEW = 100_000
COLLECTIONS = {
    "LPUSH": (["LPUSH", "list:{r}", "{d}"], FEW),
    "RPUSH": (["RPUSH", "list:{r}", "{d}"], FEW),
    "LPOP": (["LPOP", "biglist"], FEW),
    "LRANGE_100": (["LRANGE", "rangelist", "0", "99"], FEW),
    "SADD": (["SADD", "myset", "element:{r}"], FEW),
    "SISMEMBER": (["SISMEMBER", "myset", "element:{r}"], FEW),
    "SPOP": (["SPOP", "bigset"], FEW),
    "HSET": (["HSET", "myhash", "element:{r}", "{d}"], FEW),
    "HGET": (["HGET", "myhash", "element:{r}"], FEW),
    "ZADD": (["ZADD", "myzset", "{r}", "element:{r}"], FEW),
    "ZSCORE": (["ZSCORE", "myzset", "element:{r}"], FEW),
    "ZRANK": (["ZRANK", "myzset", "element:{r}"], FEW),
    "ZRANGE_10": (["ZRANGE", "myzset", "0", "9"], FEW),
    "ZPOPMIN": (["ZPOPMIN", "bigzset"], FEW),
    "XADD": (["XADD", "mystream", "MAXLEN", "~", "100000", "*", "field", "{d}"], FEW),
    "MSET": (["MSET"] + ["key:{r}", "{d}"] * 10, KEYS),
    "MGET": (["MGET"] + ["key:{r}"] * 10, KEYS),
    "EXEC": (["MULTI", ";", "SET", "key:{r}", "{d}", ";", "GET", "key:{r}", ";", "EXEC"], KEYS),
    "EVAL": (["EVAL", "return redis.call('get', KEYS[1])", "1", "key:{r}"], KEYS),
}
# What they find: words, {r}, how often. What is popped is put back before each measurement.
FOUND = [
    (["SET", "key:{s}", "{d}"], KEYS, KEYS),
    (["RPUSH", "rangelist"] + ["{d}"] * 100, FEW, 1),
    (["SADD", "myset", "element:{s}"], FEW, FEW),
    (["HSET", "myhash", "element:{s}", "{d}"], FEW, FEW),
    (["ZADD", "myzset", "{s}", "element:{s}"], FEW, FEW),
]
REFILL = {
    "LPOP": ["RPUSH", "biglist"] + ["{d}"] * 20,
    "SPOP": ["SADD", "bigset"] + ["element:{r}{r}"] * 20,
    "ZPOPMIN": ["ZADD", "bigzset"] + ["{r}", "element:{r}{r}"] * 20,
}

# name -> words, keys, size of {d}, bytes of key and value
SHAPES = {
    "str 16+16": (["SET", "key:{s}", "{d}"], 1_000_000, 16, 32),
    "str 16+64": (["SET", "key:{s}", "{d}"], 1_000_000, 64, 80),
    "str 16+64 x5M": (["SET", "key:{s}", "{d}"], 5_000_000, 64, 80),
    "str 16+16 TTL": (["SET", "key:{s}", "{d}", "EX", "100000"], 1_000_000, 16, 32),
    "int 16+12": (["SET", "key:{s}", "{s}"], 1_000_000, 0, 28),
}
QUICK = ("GET P=1", "GET P=64", "SET P=64", "str 16+64")


class Failed(Exception):
    """A server or the load generator could not do what was asked; the reason."""


@dataclasses.dataclass
class Server:
    """A server process, started on a free port in a folder of its own."""
    name: str
    command: str
    pinned: bool = True

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="compare-")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        argv = shlex.split(self.command.format(port=self.port, dir=self.folder))
        log = open(Path(self.folder) / "log", "wb")
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)
        if self.pinned:
            os.sched_setaffinity(self.process.pid, {0})
        for _ in range(400):
            if self.process.poll() is not None:
                raise Failed(f"{self.name} ended at its start: see {self.folder}/log")
            try:
                with socket.create_connection(("127.0.0.1", self.port), 5) as s:
                    s.sendall(b"PING\r\n")
                    if s.recv(16).startswith(b"+PONG"):
                        return self
            except OSError:
                pass
            time.sleep(0.025)
        self.process.kill()
        raise Failed(f"{self.name} does not answer")

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def resident(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    def load(self, words, *, depth, reply="resp", seconds=None, count=None, size=64, clients=50,
             keys=KEYS):
        """Runs the load generator; returns what it printed."""
        argv = [str(LG), "-p", str(self.port), "-c", str(clients), "-P", str(depth), "-d", str(size),
                "-r", str(keys), "--reply", reply, "--pid", str(self.process.pid)]
        argv += ["-n", str(count)] if count else ["-t", str(seconds)]
        pin = (lambda: os.sched_setaffinity(0, {1})) if self.pinned else None
        done = subprocess.run(argv + ["--", *words], capture_output=True, text=True, timeout=600, preexec_fn=pin)
        if done.returncode:
            raise Failed(f"{self.name}: {done.stderr.strip()[-120:]}")
        got = json.loads(done.stdout)
        if got["errors"] or not got["ops"]:
            raise Failed(f"{self.name}: {got['errors']} error replies in {got['ops']} operations")
        return got


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--server", action="append", default=[], help="NAME=COMMAND with {port} and {dir}")
    p.add_argument("--eonkv", default=f"{TARGET}/release/eonkv-server --port {{port}} --dir {{dir}} --io-threads 1")
    p.add_argument("--redis", default='redis-server --port {port} --dir {dir} --save "" --appendonly no')
    p.add_argument("--groups", default="speed,memory")
    p.add_argument("--match", action="append", default=[])
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=float, default=2.0, help="of one measurement")
    p.add_argument("--quick", action="store_true")
    p.add_argument("--goals", action="store_true")
    p.add_argument("--json", type=Path)
    return p.parse_args()


def build():
    source = HERE / "lg.c"
    LG.parent.mkdir(parents=True, exist_ok=True)
    if not LG.exists() or LG.stat().st_mtime < source.stat().st_mtime:
        compiler = os.environ.get("CC", "cc")
        subprocess.run([compiler, "-O2", "-march=native", "-o", LG, source, "-lpthread"], check=True)


def wanted(o, name):
    return (not o.quick or name in QUICK) and (not o.match or any(m in name for m in o.match))


def speed(o, servers):
    """case -> server -> median figures. All servers stay up; rounds go from one to the next."""
    cases = [(f"{op} P={depth}", op, depth) for op in COMMANDS for depth in DEPTHS[op] if wanted(o, f"{op} P={depth}")]
    results = {}
    if not cases:
        return results
    running = [server.__enter__() for server in servers]
    try:
        if any(COMMANDS[op][2] for _, op, _ in cases):
            for server in running:
                server.load(["SET", "key:{s}", "{d}"], depth=64, count=KEYS)
        for name, op, depth in cases:
            words, reply, _ = COMMANDS[op]
            results[name] = in_turn(o, running, lambda server: server.load(
                words, depth=depth, reply=reply, seconds=o.seconds))
            show_speed(name, results[name])
    finally:
        for server in running:
            server.__exit__()
    return results


def collections(o, servers):
    """As `speed`. A measurement of what pops is a number of commands, of others a time."""
    cases = [(f"{op} P={depth}", op, depth) for op in COLLECTIONS for depth in (1, 16, 64)
             if wanted(o, f"{op} P={depth}")]
    results = {}
    running = [server.__enter__() for server in servers] if cases else []
    try:
        for server in running:
            for words, keys, count in FOUND:
                server.load(words, depth=64, count=count, keys=keys, clients=min(count, 10))
        for name, op, depth in cases:
            words, keys = COLLECTIONS[op]
            def once(server):
                length = {"seconds": o.seconds}
                if op in REFILL:
                    server.load(REFILL[op], depth=64, count=30_000, keys=1_000_000_000, clients=8)
                    length = {"count": 400_000 if depth > 1 else 50_000}
                return server.load(words, depth=depth, keys=keys, **length)

            results[name] = in_turn(o, running, once)
            show_speed(name, results[name])
    finally:
        for server in running:
            server.__exit__()
    return results


def in_turn(o, running, measure):
    """server -> median figures of rounds in which each server is measured once."""
    rounds = {server.name: [] for server in running}
    for _ in range(o.rounds):
        for server in running:
            rounds[server.name].append(measure(server))
    return {server: {
        "cpu": statistics.median(r["server_cpu_s"] / r["ops"] * 1e6 for r in got),
        "ops": statistics.median(r["ops_per_s"] for r in got),
        "p99_us": statistics.median(r["p99_us"] for r in got),
    } for server, got in rounds.items()}


def show_speed(name, row):
    reference = next(iter(row.values()))["cpu"]
    cells = [f"{server} {r['cpu']:.3f} s/M {r['cpu'] / reference:5.2f}x {r['ops'] / 1e6:6.3f} M/s p99 {r['p99_us']:.0f} us"
             for server, r in row.items()]
    print(f"{name:14} " + "   ".join(cells), flush=True)


def memory(o, servers):
    results = {}
    for name, (words, keys, size, payload) in SHAPES.items():
        if not wanted(o, name):
            continue
        results[name] = {}
        for server in servers:
            with dataclasses.replace(server, pinned=False) as running:
                time.sleep(0.2)
                empty = running.resident()
                running.load(words, depth=100, count=keys, size=size, clients=10)
                time.sleep(0.5)
                beyond = (running.resident() - empty) / keys - payload
                results[name][server.name] = {"bytes": beyond}
        print(f"{name:14} " + "   ".join(f"{s} {r['bytes']:.0f} B a key beyond the payload"
                                        for s, r in results[name].items()), flush=True)
    return results


def judge(o, results, reference):
    """Prints each goal and whether it holds; returns whether one was missed."""
    missed = 0
    for line in (HERE / "goals.tsv").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        case, figure, must, aim = line.split("\t")
        if not wanted(o, case):
            continue
        row = results.get(case, {})
        got = row.get("eonkv", {}).get(figure)
        if got is not None and figure == "cpu":
            got /= row[reference]["cpu"]
        held = got is not None and got <= float(must)
        missed += not held
        shown = "not measured" if got is None else f"{got:.2f}"
        print(f"{'  ' if held else '! '}{case:14} {shown:>12}   must {must}   aim {aim}")
    print(f"goals: {missed} missed")
    return missed > 0


def main():
    o = options()
    if os.cpu_count() < 2:
        sys.exit("two cores are needed: one for the server, one for the load")
    build()
    servers = [Server("redis", o.redis), Server("eonkv", o.eonkv)]
    servers += [Server(*text.split("=", 1)) for text in o.server]
    missing = [s.name for s in servers if not shutil.which(shlex.split(s.command)[0])]
    if missing:
        print(f"SKIPPED, no such program: {', '.join(missing)}")
    servers = [s for s in servers if s.name not in missing]
    if o.quick:
        o.rounds, o.seconds = min(o.rounds, 3), min(o.seconds, 1.0)
    results = {}
    try:
        if "speed" in o.groups:
            results.update(speed(o, servers))
        if "collections" in o.groups:
            results.update(collections(o, servers))
        if "memory" in o.groups:
            results.update(memory(o, servers))
    except Failed as error:
        sys.exit(f"compare: {error}")
    if o.json:
        o.json.write_text(json.dumps(results, indent=1))
    return judge(o, results, servers[0].name) if o.goals else 0


if __name__ == "__main__":
    sys.exit(main())
