#!/usr/bin/env python3
"""COMMAND and COMMAND DOCS of EonKV compared with those of redis-server 7.0, for every command that
both have: client libraries route and generate code from these replies.

    tests/command_shapes.py [EONKV-SERVER [REDIS-SERVER]]

Compared exactly, order of fields included: arity, flags, classic key positions, ACL categories, tips,
key specs; since, group, doc_flags, deprecated_since; names, types, tokens, versions, flags and
nesting of arguments. Sentences are each server's own, so of these only it is compared whether they
are there: summary, complexity, replaced_by, notes of key specs, and of the history the versions.

A difference that is meant stands in MEANT with its reason. One that is gone must leave the list.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

LATER = "as in later versions of Redis"
MEANT = {
    "restore arguments": "the time is told as a text",
    "restore history": "IDLETIME and FREQ came together and are told once",
    "restore-asking arguments": "the time is told as a text",
    "restore-asking history": "IDLETIME and FREQ came together and are told once",
    "save flags": "the same in another order",
    "bgsave arguments": "CANCEL, which came later; " + LATER,
    "bitop arguments": "operations that came later; " + LATER + " their names are listed",
    "client|kill arguments": "names the filters once and says that several may stand together; MAXAGE",
    "client|list arguments": "Redis wraps `client-id ...` into a block of one",
    "command|getkeys arguments": LATER + " they are told at all",
    "command|getkeysandflags arguments": LATER + " they are told at all",
    "config|get arguments": "Redis wraps `parameter ...` into a block of one",
    "debug arguments": "Redis tells none",
    "geohash arguments": "a member may be left out; " + LATER + " it is told",
    "geopos arguments": "a member may be left out; " + LATER + " it is told",
    "geosearch arguments": "Redis gives BYRADIUS and BYBOX to the first number only",
    "geosearchstore arguments": "Redis gives BYRADIUS and BYBOX to the first number only",
    "hscan fields": "history; " + LATER,
    "hscan history": "NOVALUES; " + LATER,
    "lolwut arguments": "sizes, which Redis takes and does not tell",
    "migrate arguments": "KEYS takes its keys as one word here",
    "pfmerge arguments": "sourcekey may be left out; " + LATER + " it is told",
    "psubscribe arguments": "Redis wraps `pattern ...` into a block of one",
    "xinfo|consumers fields": "history; " + LATER,
    "xinfo|consumers history": "`inactive`; " + LATER,
    "xinfo|stream arguments": "a token, and a count that may follow it",
    "xinfo|stream history": "`active-time`; " + LATER,
    "xtrim arguments": "Redis wraps strategy, threshold and count into a block",
    "zrank arity": "WITHSCORE; " + LATER,
    "zrank fields": "history; " + LATER,
    "zrank history": "WITHSCORE; " + LATER,
    "zrevrank arity": "WITHSCORE; " + LATER,
    "zrevrank fields": "history; " + LATER,
    "zrevrank history": "WITHSCORE; " + LATER,
}
# Arguments that Redis 7.0 does not have.
ADDED_TOKENS = {"IFEQ", "NOVALUES", "WITHSCORE"}


class Client:
    """Just enough of RESP3. Maps become lists of pairs, so that the order of fields counts."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.file = self.socket.makefile("rb")
        self("HELLO", "3")

    def __call__(self, *words):
        parts = [b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words]
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(parts))
        return self.read()

    def read(self):
        line = self.file.readline()[:-2].decode()
        kind, rest = line[:1], line[1:]
        if kind == "$":
            return self.file.read(int(rest) + 2)[:-2].decode()
        if kind in "*~":
            return [self.read() for _ in range(int(rest))]
        if kind == "%":
            return [(self.read(), self.read()) for _ in range(int(rest))]
        if kind == ":":
            return int(rest)
        if kind == "-":
            raise RuntimeError(rest)
        return rest


class Server:
    def __init__(self, path):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen(
            [path, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""],
            cwd=self.folder.name, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def client(self):
        for _ in range(100):
            try:
                return Client(self.port)
            except OSError:
                time.sleep(0.1)
        raise SystemExit("FAILED: a server does not come up")

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


COLUMNS = ["name", "arity", "flags", "first key", "last key", "step", "categories", "tips", "specs"]


def rows(reply, found):
    for row in reply:
        found[row[0]] = dict(zip(COLUMNS, row))
        found[row[0]]["specs"] = [
            [pair for pair in spec if pair[0] != "notes"] for spec in row[8]]
        found[row[0]]["specs with notes"] = [any(k == "notes" for k, _ in spec) for spec in row[8]]
        rows(row[9], found)
    return found


def arguments(args):
    kept = []
    for pairs in args:
        fields = dict(pairs)
        if fields.get("token") in ADDED_TOKENS:
            continue
        kept.append([(k, arguments(v) if k == "arguments" else v) for k, v in pairs])
    return kept


def docs(reply, found):
    for name, pairs in reply:
        fields = dict(pairs)
        docs(fields.pop("subcommands", []), found)
        entry = {k: v for k, v in fields.items() if k in ("since", "group", "doc_flags", "deprecated_since")}
        entry["fields"] = [k for k, _ in pairs if k not in ("subcommands", "arguments")]
        entry["history"] = [version for version, _ in fields.get("history", [])]
        entry["arguments"] = arguments(fields.get("arguments", []))
        found[name] = entry
    return found


def show(value, depth=1):
    """Lines of a value, arguments one a line."""
    if isinstance(value, list) and value and isinstance(value[0], list) and value[0] \
            and isinstance(value[0][0], tuple):
        lines = []
        for pairs in value:
            inner = [v for k, v in pairs if k == "arguments"]
            lines.append("  " * depth + " ".join(f"{k}={v}" for k, v in pairs if k != "arguments"))
            lines += show(inner[0], depth + 1) if inner else []
        return lines
    return ["  " * depth + repr(value)]


def compare(ours, theirs):
    found = {}
    for name in sorted(set(ours) & set(theirs)):
        for field in sorted(set(ours[name]) | set(theirs[name])):
            pair = ours[name].get(field), theirs[name].get(field)
            if pair[0] != pair[1]:
                found[f"{name} {field}"] = pair
    return found


def main():
    target = os.environ.get("CARGO_TARGET_DIR", "target")
    ours = sys.argv[1] if len(sys.argv) > 1 else \
        os.environ.get("EONKV_SERVER", f"{target}/release/eonkv-server")
    theirs = sys.argv[2] if len(sys.argv) > 2 else shutil.which("redis-server")
    if not theirs:
        print("SKIPPED: command shapes: there is no redis-server to compare with")
        return 0
    servers = [Server(os.path.abspath(ours)), Server(theirs)]
    try:
        clients = [server.client() for server in servers]
        version = dict(clients[1]("HELLO", "3"))["version"]
        if not version.startswith("7.0."):
            print(f"SKIPPED: command shapes: redis-server is {version}, not 7.0")
            return 0
        tables = [rows(client("COMMAND"), {}) for client in clients]
        pages = [docs(client("COMMAND", "DOCS"), {}) for client in clients]
    finally:
        for server in servers:
            server.stop()
    found = {**compare(*tables), **compare(*pages)}
    for what, (mine, other) in found.items():
        if what not in MEANT:
            print("\n".join([what, "  EonKV:", *show(mine, 2), "  Redis:", *show(other, 2)]))
    stale = [what for what in MEANT if what not in found]
    for what in stale:
        print(f"equal now, take it off the list: {what}")
    wrong = len([what for what in found if what not in MEANT])
    print(f"command shapes: {len(set(tables[0]) & set(tables[1]))} commands and subcommands compared "
          f"with Redis {version}: {wrong} differences, {len(found) - wrong} meant")
    return 1 if wrong or stale else 0


if __name__ == "__main__":
    sys.exit(main())
