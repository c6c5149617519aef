"""Judges what the suite came to: against what Redis passes, and against what EonKV may fail."""
import collections
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent


def record(outcomes):
    """The passed cases as text: a line per unit in brackets, then a line per case."""
    lines = ["# Cases that redis-server 7.0.15 passes (a name as often as it passes)."]
    for r in outcomes:
        lines += ["", f"[{r.unit}]", *r.passed]
    return "\n".join(lines) + "\n"


def reference():
    """unit -> how often Redis passes each case."""
    units, here = {}, None
    for line in (HERE / "redis-7.0.15.txt").read_text().splitlines():
        if line.startswith("[unit/") or line.startswith("[integration/"):
            here = units.setdefault(line[1:-1], collections.Counter())
        elif line and not line.startswith("#") and here is not None:
            here[line] += 1
    return units


def may_fail():
    """unit -> case -> the reason why it may fail."""
    return tomllib.loads((HERE / "expected.toml").read_text())


def left_out(unit):
    """Cases that are not even tried: what they leave behind would fail others, or they wait for ever."""
    return [case for case, reason in may_fail().get(unit, {}).items() if reason.startswith("not run: ")]


def misses(outcomes, whole=True):
    """How many cases passed, how many failed as expected, which others failed and why, which need not be
    listed any more. `whole`: each unit ran all its cases."""
    redis, expected = reference(), may_fail()
    passed = lost = 0
    bad, stale = [], []
    for r in outcomes:
        listed = expected.get(r.unit, {})
        errors = {case: error.split("\n")[0] for case, error in r.failed}
        got = collections.Counter(r.passed)
        passed += sum(got.values())
        missing = redis.get(r.unit, collections.Counter()) - got
        if not whole:
            missing = collections.Counter({c: n for c, n in missing.items() if c in errors})
        for case in missing:
            if case in listed:
                lost += 1
            else:
                bad.append((r.unit, case, errors.get(case, "not reached")))
        tried = [case for case in listed if case not in left_out(r.unit)]
        stale += [(r.unit, case) for case in tried if whole and case not in missing and case not in errors]
        # What is neither a case nor a reference: errors between cases lose the rest of a block.
        for case, error in r.failed:
            if case not in redis.get(r.unit, {}) and case not in listed:
                bad.append((r.unit, case, error.split("\n")[0]))
    return passed, lost, bad, stale


def judge(outcomes, whole=True):
    """Prints the judgement and returns the exit status."""
    passed, lost, bad, stale = misses(outcomes, whole)
    for unit, case in stale:
        print(f"PASSES NOW, take it off expected.toml: {unit}: {case}")
    for unit, case, error in bad:
        print(f"FAILED: {unit}: {case}: {error[:200]}")
    print(f"conformance: {passed} passed, {len(bad)} failed, {lost} expected to fail")
    print(f"{passed} passed, {len(bad)} failed, {lost} skipped")
    return 1 if bad else 0
