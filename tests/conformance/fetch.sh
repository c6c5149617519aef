#!/usr/bin/env bash
# Prints the folder of Redis 7.0.15's test suite, fetching it first if need be: the tests/ folder
# of Debian 12's source package (3 MB, nothing is compiled), kept in target/conformance.
# Needs `apt-get`, not root. Elsewhere unpack redis-7.0.15 and set EONKV_TCL_SUITE to its folder.
set -euo pipefail
if [ -n "${EONKV_TCL_SUITE:-}" ]; then
    echo "$EONKV_TCL_SUITE"
    exit
fi
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
target=${CARGO_TARGET_DIR:-target}/conformance
mkdir -p "$target"
target=$(cd "$target" && pwd)
suite=$target/redis-7.0.15
if [ ! -d "$suite/tests" ]; then
    apt=$target/apt
    mkdir -p "$apt/parts" "$apt/lists/partial" "$apt/source"
    # The mirror that the machine uses already, if it says.
    uri=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -n 1)
    cat >"$apt/parts/source.sources" <<SOURCES
Types: deb-src
URIs: ${uri:-http://deb.debian.org/debian}
Suites: bookworm
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
    options=(-o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$apt/parts"
        -o Dir::State::lists="$apt/lists" -o APT::Sandbox::User=)
    apt-get "${options[@]}" -qq update >&2
    (cd "$apt/source" && apt-get "${options[@]}" -qq source --download-only redis >&2)
    tar -xzf "$apt/source/redis_7.0.15.orig.tar.gz" -C "$target" \
        redis-7.0.15/tests redis-7.0.15/redis.conf
fi
echo "$suite"
