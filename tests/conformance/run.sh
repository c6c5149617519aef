#!/usr/bin/env bash
# Runs Redis 7.0.15's own tests against the release binary and judges the result.
#
#   tests/conformance/run.sh [options of suite.py]      e.g. --units unit/expire --verbose
#
# Needs tclsh, python3 (3.11) and redis-tools (the suite uses redis-cli); without them, or where
# the suite cannot be had, it says SKIPPED and ends well, unless CI is set: there they must be.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
skip() {
    echo "SKIPPED: $1"
    [ -z "${CI:-}" ] || exit 1
    exit 0
}
for tool in tclsh python3 redis-cli redis-benchmark; do
    command -v "$tool" >/dev/null || skip "the suite needs $tool"
done
python3 -c 'import tomllib' 2>/dev/null || skip "the judge needs Python 3.11"
suite=$("$here/fetch.sh") || skip "Redis' source package cannot be fetched here"
server=${EONKV_SERVER:-${CARGO_TARGET_DIR:-target}/release/eonkv-server}
[ -x "$server" ] || cargo build --release --bin eonkv-server
# The suite writes to several connections without waiting and expects the server to run what arrived first
# first, which one worker does. EONKV_IO_THREADS=2 shows what it says of more.
export EONKV_IO_THREADS=${EONKV_IO_THREADS:-1}
# Some cases read the append-only file line by line in Tcl, and know none of the lines that hold checksums.
export EONKV_AOF_CHECKSUMS=${EONKV_AOF_CHECKSUMS:-no}
exec python3 "$here/suite.py" --suite "$suite" --server "$server" "$@"
