#!/usr/bin/env python3
"""Every query of the dashboard and of the alerts is answered by a Prometheus that scrapes a server.

Usage: tests/monitoring.py [SERVER-BINARY]   (default: target/release, then target/debug)

Starts the server and Debian's `prometheus` on free ports, makes some traffic, and then asks Prometheus each
expression of monitoring/grafana/dashboards/eonkv.json: one without data fails the run. Expressions of
monitoring/alerts.yml must be accepted, and must not fire on a healthy server. Needs nothing but the standard
library; without `prometheus` the run is skipped, loudly, with exit code 0.
"""

import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
MONITORING = ROOT / "monitoring"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def expressions():
    dashboard = json.loads((MONITORING / "grafana/dashboards/eonkv.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            text = target["expr"].replace("$__rate_interval", "6s").replace("$instance", ".*")
            if "$" in text:
                sys.exit(f"{panel['title']}: a variable that this test does not know: {text}")
            yield panel["title"], text


def alerts():
    for line in (MONITORING / "alerts.yml").read_text().splitlines():
        found = re.match(r"\s+expr: (.*)", line)
        if found:
            yield found[1]


def wait(what, ready, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if ready():
                return
        except OSError:
            pass
        time.sleep(0.1)
    sys.exit(f"{what} did not come up in {seconds} s")


def fetch(url):
    with urllib.request.urlopen(url, timeout=5) as response:
        return response.read().decode()


def send(port, *commands):
    """Runs inline commands one by one; the replies do not matter."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        for command in commands:
            client.sendall(command.encode() + b"\r\n")
            client.recv(65536)


def traffic(port):
    """Something for every panel: hits, misses, expiry, errors, a slow command, a refusal."""
    commands = ["SET k v", "GET k", "GET absent", "SET gone v PX 1", "INCR k", "NOSUCH", "GET", "EXPIRE k 1000"]
    send(port, *commands)


def query(base, expression):
    url = f"{base}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
    answer = json.loads(fetch(url))
    if answer["status"] != "success":
        sys.exit(f"Prometheus refuses {expression}: {answer}")
    return answer["data"]["result"]


def check(base, port):
    """The expressions that no answer came for; traffic goes on until all have one."""
    missing = list(expressions())
    end = time.monotonic() + 40
    while missing and time.monotonic() < end:
        traffic(port)
        time.sleep(0.5)
        missing = [(title, text) for title, text in missing if not query(base, text)]
    return missing


def main():
    prometheus = shutil.which("prometheus")
    if prometheus is None:
        print("SKIPPED: no `prometheus` (apt-get install prometheus); no query was tested")
        return
    defaults = [ROOT / "target/release/eonkv-server", ROOT / "target/debug/eonkv-server"]
    binary = sys.argv[1] if len(sys.argv) > 1 else next((str(path) for path in defaults if path.exists()), None)
    if binary is None:
        sys.exit("no server binary: cargo build first, or name one")
    port, metrics, web = free_port(), free_port(), free_port()
    children = []
    with tempfile.TemporaryDirectory() as scratch:
        config = pathlib.Path(scratch) / "prometheus.yml"
        text = (MONITORING / "prometheus.yml").read_text()
        text = text.replace("eonkv:9121", f"127.0.0.1:{metrics}").replace("5s", "1s")
        config.write_text(text)
        shutil.copy(MONITORING / "alerts.yml", scratch)
        try:
            server = [binary, "--port", str(port), "--metrics-port", str(metrics), "--enable-debug-command", "yes", "--save", ""]
            server += ["--latency-monitor-threshold", "1", "--slowlog-log-slower-than", "1000"]
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            children.append(subprocess.Popen(server, **quiet))
            wait("the server", lambda: fetch(f"http://127.0.0.1:{metrics}/readyz") == "ready\n")
            options = [f"--config.file={config}", f"--storage.tsdb.path={scratch}/data"]
            children.append(subprocess.Popen([prometheus, *options, f"--web.listen-address=127.0.0.1:{web}"], **quiet))
            base = f"http://127.0.0.1:{web}"
            wait("prometheus", lambda: "Ready" in fetch(f"{base}/-/ready"))
            send(port, "DEBUG SLEEP 0.02")
            missing = check(base, port)
            firing = [text for text in alerts() if query(base, text) and "failed_calls" not in text]
        finally:
            for child in children:
                child.terminate()
                child.wait(timeout=20)
    for title, text in missing:
        print(f"no data: {title}: {text}")
    for text in firing:
        print(f"fires on a healthy server: {text}")
    print(f"monitoring: {len(list(expressions()))} queries, {len(missing)} without data; {len(list(alerts()))} alerts")
    sys.exit(1 if missing or firing else 0)


if __name__ == "__main__":
    main()
