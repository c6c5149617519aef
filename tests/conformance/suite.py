#!/usr/bin/env python3
"""Runs units of Redis' Tcl suite against a server binary and judges the result.

The suite starts the binary itself, with the redis.conf files it writes. Each unit runs in a copy
of the suite's folder, so that several can run side by side. A case on which the server hangs is
recorded as failed and the unit is run again without it: one bad case never hides the others.

Judged against two files beside this one: `redis-7.0.15.txt`, the cases that Redis itself passes,
and `expected.toml`, those that EonKV may fail, each with the reason. Any other case must pass, and
one that passes though it is listed is told, so that the list shrinks. A unit with a case that fails is
run once more by itself, which is told as well. The exit status says what that came to.
"""
import argparse
import concurrent.futures
import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import judge

HERE = Path(__file__).resolve().parent
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
LINE = re.compile(r"^\[(ok|err|skip|ignore|exception|TIMEOUT)\]: ?(.*)$")
GROUPS = set()  # process groups this run started and has not ended yet


@dataclasses.dataclass
class Outcome:
    """What one unit came to."""
    unit: str
    passed: list = dataclasses.field(default_factory=list)
    failed: list = dataclasses.field(default_factory=list)  # [case, first lines of the error]
    setup: list = dataclasses.field(default_factory=list)   # commands between cases that failed
    ended: bool = True
    why: str = ""
    seconds: float = 0.0


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--suite", required=True, type=Path, help="unpacked redis-7.0.15")
    p.add_argument("--server", required=True, type=Path, help="binary that the suite starts")
    p.add_argument("--tools", default="/usr/bin", type=Path, help="where redis-cli and redis-benchmark are")
    p.add_argument("--units", default="", help="comma list; default: units.txt")
    p.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="units at a time")
    p.add_argument("--ports", default="12000-13999", help="range for the suite's servers, shared by the jobs")
    p.add_argument("--quiet-limit", type=int, default=90, help="seconds without progress that count as a hang")
    p.add_argument("--unit-limit", type=int, default=600, help="seconds for a unit")
    p.add_argument("--only", action="append", default=[], help="run this case only (may repeat)")
    p.add_argument("--logs", type=Path, help="keep the suite's output and the servers' logs here")
    p.add_argument("--json", type=Path, help="write all outcomes here")
    p.add_argument("--record", type=Path, help="write the passed cases as a new redis-7.0.15.txt; judge nothing")
    p.add_argument("--verbose", action="store_true", help="show each failed case, expected or not")
    return p.parse_args()


def make_room(o, room):
    """A folder in which the suite can run: its tests, and src/ with links to the programs."""
    shutil.copytree(o.suite / "tests", room / "tests", symlinks=True)
    (room / "tests/tmp").mkdir(exist_ok=True)
    (room / "src").mkdir()
    (room / "redis.conf").symlink_to((o.suite / "redis.conf").resolve())
    (room / "src/redis-server").symlink_to(o.server.resolve())
    for tool in ("redis-cli", "redis-benchmark", "redis-check-aof", "redis-check-rdb"):
        if (o.tools / tool).exists():
            (room / "src" / tool).symlink_to((o.tools / tool).resolve())


def end_group(group, how=signal.SIGKILL):
    try:
        os.killpg(group, how)
    except (ProcessLookupError, PermissionError):
        pass


def run_once(o, room, unit, ports, skips):
    """One run of a unit: its output, the events of the driver, and whether it hung."""
    events = room / "events.log"
    events.write_text("")
    first, count = ports
    argv = ["tclsh", str(HERE / "driver.tcl"), "--durable", "--single", unit, "--clients", "1",
            "--timeout", str(o.quiet_limit), "--baseport", str(first + 40), "--portcount", str(count - 40)]
    for skip in skips:
        argv += ["--skiptest", skip]
    for only in o.only:
        argv += ["--only", only]
    environment = dict(os.environ, EONKV_EVENTS=str(events), TERM="dumb")
    hung, began = False, time.time()
    with open(room / "output.log", "wb+") as raw:
        process = subprocess.Popen(argv, cwd=room, stdout=raw, stderr=subprocess.STDOUT,
                                   stdin=subprocess.DEVNULL, env=environment, start_new_session=True)
        GROUPS.add(process.pid)
        while not hung:
            try:
                process.wait(0.25)
                break
            except subprocess.TimeoutExpired:
                moved = max(began, events.stat().st_mtime, os.fstat(raw.fileno()).st_mtime)
                now = time.time()
                hung = now - began > o.unit_limit or now - moved > o.quiet_limit + 15
        end_group(process.pid)  # the suite's servers are in its session
        process.wait()
        GROUPS.discard(process.pid)
        raw.seek(0)
        text = COLOUR.sub("", raw.read().decode("utf-8", "replace"))
    return text, events.read_text(errors="replace").splitlines(), hung


def read_output(text, outcome):
    """Fills `outcome` from what the suite printed."""
    error, over = None, False
    outcome.passed, outcome.failed, outcome.why, outcome.ended = [], [], "", True
    timed_out = False
    for line in text.split("\n"):
        over = over or line.strip() == "The End"
        found = LINE.match(line)
        if found:
            kind, rest = found.groups()
            error = None
            if kind == "ok":
                outcome.passed.append(re.sub(r" \(\d+ ms\)$", "", rest))
            elif kind == "err":
                named = re.match(r"^(.*) in tests/\S+\.tcl$", rest)
                error = [named.group(1), ""] if named else ["(between cases)", rest]
                outcome.failed.append(error)
            elif kind == "exception":
                error = ["(the unit)", rest]
                outcome.why = rest
                outcome.ended = False
            elif kind == "TIMEOUT":
                timed_out = True
        elif error and not over and not re.match(r"^(\[\d+/\d+ done\]|Testing )", line):
            error[1] = (error[1] + "\n" + line).strip()[:600]
    outcome.ended = outcome.ended and over
    for error in outcome.failed:
        lines = error[1].split("\n")
        # The suite cuts the first characters off an error reply; the next line has it whole.
        if len(lines) > 1 and lines[0] and lines[1].endswith(lines[0]):
            error[1] = "\n".join(lines[1:])
    return timed_out


def running_case(events):
    """The case that had begun and not ended."""
    open_cases = []
    for event in events:
        kind, _, name = event.partition(" ")
        if kind == "test":
            open_cases.append(name)
        elif kind == "end" and name in open_cases:
            del open_cases[open_cases.index(name):]
    return open_cases[-1] if open_cases else None


def run_unit(o, unit, ports):
    outcome = Outcome(unit)
    began, hangs, left_out = time.time(), [], judge.left_out(unit)
    while True:
        with tempfile.TemporaryDirectory(prefix="eonkv-suite-") as name:
            room = Path(name) / "suite"
            room.mkdir()
            make_room(o, room)
            text, events, hung = run_once(o, room, unit, ports, hangs + left_out)
            if o.logs:
                kept = o.logs / unit.replace("/", "_")
                shutil.rmtree(kept, ignore_errors=True)
                shutil.copytree(room / "tests/tmp", kept, symlinks=True,
                                ignore=shutil.ignore_patterns("*.rdb", "*.aof", "socket*"))
                (kept / "output.log").write_text(text)
        hung = read_output(text, outcome) or hung
        case = running_case(events) if hung else None
        if case is None or case in hangs or len(hangs) >= 12:
            break
        hangs.append(case)
    outcome.failed += [[case, "HANG"] for case in hangs]
    outcome.setup = sorted({e.partition(" ")[2] for e in events if e.startswith("setup ")})
    outcome.seconds = time.time() - began
    return outcome


def run_all(o, units):
    low, high = (int(x) for x in o.ports.split("-"))
    share = (high - low + 1) // o.jobs
    free = [(low + i * share, share) for i in range(o.jobs)]
    outcomes = []

    def one(unit):
        ports = free.pop()
        try:
            return run_unit(o, unit, ports)
        finally:
            free.append(ports)

    print(f"{'unit':28} {'passed':>6} {'failed':>6} {'seconds':>7}", flush=True)
    with concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
        for done in concurrent.futures.as_completed([pool.submit(one, unit) for unit in units]):
            r = done.result()
            outcomes.append(r)
            note = "" if r.ended else "  ENDED EARLY " + r.why.split("\n")[0][:70]
            print(f"{r.unit:28} {len(r.passed):6} {len(r.failed):6} {r.seconds:7.0f}{note}", flush=True)
            if o.verbose:
                for case, error in r.failed:
                    print(f"    {case}: {error.splitlines()[0][:150] if error else ''}")
                for command in r.setup:
                    print(f"    set-up: {command}")
    return sorted(outcomes, key=lambda r: r.unit)


def main():
    o = options()

    def stop(number, _frame):
        for group in list(GROUPS):
            end_group(group)
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    listed = [u for u in (HERE / "units.txt").read_text().split("\n") if u and not u.startswith("#")]
    outcomes = run_all(o, [u for u in o.units.split(",") if u] or listed)
    bad = {} if o.record else {unit: case for unit, case, _ in judge.misses(outcomes, whole=not o.only)[2]}
    if bad:
        # Cases wait for times that they think long enough, which a neighbour may make too short.
        for unit, case in bad.items():
            print(f"ONCE MORE, alone: {unit}, for: {case}", flush=True)
        o.jobs = 1
        outcomes = [r for r in outcomes if r.unit not in bad] + run_all(o, list(bad))
    if o.json:
        o.json.write_text(json.dumps([dataclasses.asdict(r) for r in outcomes], indent=1))
    if o.record:
        o.record.write_text(judge.record(outcomes))
        return 0
    return judge.judge(outcomes, whole=not o.only)


if __name__ == "__main__":
    sys.exit(main())
