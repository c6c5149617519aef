#!/usr/bin/env python3
"""What it costs to keep data: the log, restarts, and snapshots under load, beside redis-server.

    durability.py [--only log|restart|save ...] [--rounds N] [--keys N]

- log: SET under `appendfsync` everysec and always, in turn: server CPU a command with all its threads
  (us), commands a second, and without a log for comparison.
- restart: seconds and CPU seconds until all keys are served again, from a log of SETs and from a snapshot.
- save: what requests of ten clients at depth 1 wait while BGSAVE runs, and before; the server has both
  cores. Needs an otherwise idle machine: a tick of the scheduler shows.

Servers run on core 0, the load generator on core 1, as in compare.py.
"""
import argparse
import os
import shlex
import shutil
import socket
import statistics
import subprocess
import sys
import time

import compare
from compare import Failed, Server, TARGET

NO_REWRITE = "--auto-aof-rewrite-percentage 0"
EONKV = f"{TARGET}/release/eonkv-server --port {{port}} --dir {{dir}} --io-threads 1 --save ''"
REDIS = "redis-server --port {port} --dir {dir} --save ''"


def ask(server, *words):
    parts = [f"*{len(words)}\r\n"] + [f"${len(w)}\r\n{w}\r\n" for w in words]
    with socket.create_connection(("127.0.0.1", server.port), 120) as s:
        s.sendall("".join(parts).encode())
        return s.recv(65536)


def cpu(process):
    fields = open(f"/proc/{process.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def log(o):
    for fsync in ("everysec", "always"):
        kept = f"--appendonly yes --appendfsync {fsync} {NO_REWRITE}"
        servers = [Server("eonkv, no log", EONKV), Server("eonkv", f"{EONKV} {kept}"), Server("redis", f"{REDIS} {kept}")]
        running = [server.__enter__() for server in servers[fsync == "always":]]
        try:
            for depth in (16, 64) if fsync == "everysec" else (1, 16):
                count = {1: 20_000, 16: 200_000}[depth] if fsync == "always" else {16: 1_200_000, 64: 2_500_000}[depth]
                rounds = {server.name: [] for server in running}
                for _ in range(o.rounds):
                    for server in running:
                        before = cpu(server.process)
                        got = server.load(["SET", "key:{r}", "{d}"], depth=depth, count=count, keys=100_000)
                        time.sleep(0.3)  # what the log's threads do afterwards counts as well
                        used = (cpu(server.process) - before) / count * 1e6
                        rounds[server.name].append((used, got["ops_per_s"]))
                for name, got in rounds.items():
                    used, rate = (statistics.median(one[i] for one in got) for i in (0, 1))
                    print(f"{fsync:9} P={depth:<3} {name:14} {used:7.3f} us  {rate:9.0f}/s", flush=True)
        finally:
            for server in running:
                server.__exit__()


def start(server):
    """Starts it again where it was; wall and CPU seconds until it serves."""
    began = time.monotonic()
    argv = shlex.split(server.command.format(port=server.port, dir=server.folder))
    server.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=server.folder)
    os.sched_setaffinity(server.process.pid, {0})
    while True:
        try:
            if ask(server, "PING").startswith(b"+PONG"):
                return time.monotonic() - began, cpu(server.process)
        except OSError:
            pass
        time.sleep(0.02)


def restart(o):
    for source, extra in (("snapshot", ""), ("log", f"--appendonly yes {NO_REWRITE}")):
        results = {}
        for server in (Server("eonkv", f"{EONKV} {extra}"), Server("redis", f"{REDIS} {extra}")):
            with server:
                server.load(["SET", "key:{s}", "{d}"], depth=100, count=o.keys, clients=10)
                if source == "snapshot":
                    ask(server, "SAVE")
                else:
                    time.sleep(1.5)
                for _ in range(o.rounds):
                    server.process.kill()
                    server.process.wait()
                    results.setdefault(server.name, []).append(start(server))
                    if ask(server, "DBSIZE") != f":{o.keys}\r\n".encode():
                        raise Failed(f"{server.name} came back with {ask(server, 'DBSIZE')}")
        for name, got in results.items():
            wall, used = (statistics.median(one[i] for one in got) for i in (0, 1))
            print(f"restart from {source:9} {name:6} {wall:6.2f} s  {used:6.2f} s of CPU", flush=True)


def save(o):
    servers = [Server("eonkv", EONKV), Server("redis", REDIS)]
    running = [server.__enter__() for server in servers]
    words = {"SET": ["SET", "key:{r}", "{d}"], "GET": ["GET", "key:{r}"]}
    try:
        for server in running:
            server.load(["SET", "key:{s}", "{d}"], depth=100, count=o.keys, clients=10)
            for task in os.listdir(f"/proc/{server.process.pid}/task"):
                os.sched_setaffinity(int(task), {0, 1})
        for op in ("SET", "GET"):
            for _ in range(o.rounds):
                for server in running:
                    load = lambda count: server.load(words[op], depth=1, count=count, clients=10)["p999_us"]
                    before = load(60_000)
                    ask(server, "BGSAVE")
                    time.sleep(0.05)
                    during = []
                    while b"rdb_bgsave_in_progress:1" in ask(server, "INFO", "persistence"):
                        during.append(load(15_000))
                    during = statistics.median(during) if during else float("nan")
                    print(f"{op} {server.name:6} p99.9 {before:5.0f} us, while saving {during:5.0f} us", flush=True)
    finally:
        for server in running:
            server.__exit__()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"log": log, "restart": restart, "save": save}
    p.add_argument("--only", action="append", choices=parts)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--keys", type=int, default=5_000_000)
    o = p.parse_args()
    if os.cpu_count() < 2:
        sys.exit("two cores are needed: one for the server, one for the load")
    for program in (shlex.split(EONKV)[0], "redis-server"):
        if not shutil.which(program):
            sys.exit(f"SKIPPED: no {program}")
    compare.build()
    try:
        for name in o.only or parts:
            parts[name](o)
    except Failed as error:
        sys.exit(f"durability: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
