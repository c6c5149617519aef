#!/usr/bin/env bash
# Runs the index's stress and model tests, and those of shared collections and snapshots, under ThreadSanitizer and AddressSanitizer.
#
#   tests/sanitize.sh                       both, three seconds each
#   EONKV_STRESS_SECS=60 tests/sanitize.sh thread
#
# The stable compiler has both; RUSTC_BOOTSTRAP=1 lets it take the flag. The standard library is not
# instrumented, hence the suppressions below. The system's allocator serves instead of jemalloc: only
# that one do the sanitizers know. LeakSanitizer stays on: the stress test ends with nothing alive.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export RUSTC_BOOTSTRAP=1 EONKV_STRESS_SECS=${EONKV_STRESS_SECS:-3}
HOST=$(rustc -vV | sed -n 's/^host: //p')

run() { # sanitizer, flags
    echo "=== $1"
    RUSTFLAGS="-Zsanitizer=$1 -Cunsafe-allow-abi-mismatch=sanitizer" \
        cargo test --target "$HOST" --target-dir "target/$1" --no-default-features \
        --test index_stress --test index_model --test sharing --test snapshots -- --nocapture
}

for sanitizer in "${@:-thread address}"; do
    for one in $sanitizer; do
        case $one in
        thread)
            # ThreadSanitizer does not model fences. Two protocols rest on one and would be reported:
            # crossbeam-epoch frees blocks after an epoch that a fence announced, and seqlock reads end
            # with one. Blocks freed by the collector are therefore not watched for races with the
            # free itself; AddressSanitizer watches those. Nothing of the table is suppressed.
            TSAN_OPTIONS="suppressions=$PWD/tests/tsan.txt ${TSAN_OPTIONS:-}" run thread
            ;;
        address) run address ;;
        *) echo "unknown sanitizer $one" >&2 && exit 2 ;;
        esac
    done
done
