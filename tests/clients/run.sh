#!/usr/bin/env bash
# Smoke tests with the client libraries that people use: redis-py (PyPI) and ioredis (npm), against
# the release binary on a free port. (redis-rs is tests/redis_rs.rs, part of `cargo test`.) And what
# libraries learn from COMMAND, compared with redis-server (tests/command_shapes.py).
#
#   tests/clients/run.sh            all
#   tests/clients/run.sh python     one of: python node shapes
#
# The libraries are installed below target/clients. Where that is impossible the test says SKIPPED.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
target=${CARGO_TARGET_DIR:-target}
server=${EONKV_SERVER:-$target/release/eonkv-server}
[ -x "$server" ] || cargo build --release --bin eonkv-server
room=$target/clients
mkdir -p "$room"
room=$(cd "$room" && pwd)
server=$(cd "$(dirname "$server")" && pwd)/${server##*/}
failed=0

# with_servers COMMAND...: runs it with the ports of two fresh servers, the second with a password.
with_servers() (
    pids=()
    trap '[ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null || true; wait' EXIT
    ports=()
    cd "$room"
    for flags in "" "--requirepass secret"; do
        port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
        # shellcheck disable=SC2086  # the flags are words
        mkdir -p "$room/data.$port"
        "$server" --port "$port" --bind 127.0.0.1 --dir "$room/data.$port" $flags >"$room/server.$port.log" 2>&1 &
        pids+=($!)
        ports+=("$port")
        up=
        for _ in $(seq 100); do
            if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
                up=1
                break
            fi
            sleep 0.1
        done
        if [ -z "$up" ]; then
            echo "FAILED: the server does not come up:"
            tail -n 5 "$room/server.$port.log"
            exit 1
        fi
    done
    timeout 300 "$@" "${ports[@]}"
)

run_python() {
    local venv=$room/venv
    if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c 'import redis' 2>/dev/null; then
        if ! { python3 -m venv "$venv" && "$venv/bin/pip" -q install --disable-pip-version-check 'redis>=6'; }; then
            echo "SKIPPED: redis-py cannot be installed here"
            return
        fi
    fi
    with_servers "$venv/bin/python" "$here/smoke.py" || failed=1
}

run_node() {
    local modules=$room/node
    if ! command -v npm >/dev/null; then
        echo "SKIPPED: ioredis needs npm"
        return
    fi
    if [ ! -d "$modules/node_modules/ioredis" ]; then
        mkdir -p "$modules"
        if ! npm --prefix "$modules" install --silent --no-audit --no-fund --ignore-scripts ioredis@5; then
            echo "SKIPPED: ioredis cannot be installed here"
            return
        fi
    fi
    NODE_PATH=$modules/node_modules with_servers node "$here/smoke.js" || failed=1
}

run_shapes() {
    python3 "$here/../command_shapes.py" "$server" || failed=1
}

for library in ${*:-python node shapes}; do
    "run_$library"
done
exit $failed
