#!/usr/bin/env bash
# Runs every fuzz target for so many seconds (default 20), one after the other, or only those named.
#
#   fuzz/run.sh 20                 all targets
#   fuzz/run.sh 600 request hll    ten minutes each of these
#   EONKV_FUZZ_SANITIZER=address fuzz/run.sh 60 rdb restore
#
# Needs a C++ compiler (libFuzzer comes with libfuzzer-sys), but neither nightly nor cargo-fuzz: the
# flags below are what the latter would pass; with a sanitizer only if asked for. A finding is written to
# fuzz/artifacts/TARGET and makes the run fail; what is new in coverage stays in fuzz/corpus/TARGET.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
SECONDS_EACH=${1:-20}
shift || true
TARGETS=("$@")
[ ${#TARGETS[@]} -gt 0 ] || TARGETS=(request inline history commands config glob hll zset stream lua
    rdb restore aof manifest)

HOST=$(rustc -vV | sed -n 's/^host: //p')
COVERAGE="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
COVERAGE+=" -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
COVERAGE+=" -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
FOLDER=${CARGO_TARGET_DIR:-target}
if [ -n "${EONKV_FUZZ_SANITIZER:-}" ]; then # as tests/sanitize.sh has it
    export RUSTC_BOOTSTRAP=1
    COVERAGE+=" -Zsanitizer=$EONKV_FUZZ_SANITIZER -Cunsafe-allow-abi-mismatch=sanitizer"
    FOLDER+=/$EONKV_FUZZ_SANITIZER
fi
BINS=()
for target in "${TARGETS[@]}"; do BINS+=(--bin "$target"); done
RUSTFLAGS="$COVERAGE" cargo build --release --target "$HOST" --target-dir "$FOLDER" --quiet "${BINS[@]}"
BIN=$FOLDER/$HOST/release

for target in "${TARGETS[@]}"; do
    mkdir -p "corpus/$target" "artifacts/$target"
    printf '%-9s ' "$target"
    log=$(mktemp)
    seeds=()
    [ -d "seeds/$target" ] && seeds=("seeds/$target")
    if ! "$BIN/$target" "corpus/$target" "${seeds[@]}" -max_total_time="$SECONDS_EACH" \
        -artifact_prefix="artifacts/$target/" -max_len=4096 -timeout=10 -rss_limit_mb=4096 \
        -print_final_stats=1 >"$log" 2>&1; then
        tail -40 "$log"
        echo "FOUND something in $target: see fuzz/artifacts/$target"
        exit 1
    fi
    grep -a 'number_of_executed_units' "$log" | tail -1
    rm -f "$log"
done
