#!/usr/bin/env bash
# What clients noticed while the last test run changed and broke real clusters under them, as a table. Usage:
# availability.sh [LOG]
set -euo pipefail
log=${1:-$(dirname "$0")/../build/release/Testing/Temporary/LastTest.log}
[ -r "$log" ] || { echo "availability: there is no $log; run the tests first (make test)" >&2; exit 2; }

echo "| test | acknowledged | lost | without an answer | p99, ms | longest wait, ms |"
echo "|---|---|---|---|---|---|"
sed -nE 's/^[0-9]+\/[0-9]+ Test: (.*)$/= \1/p
  s/^writers: ([0-9]+) writes acknowledged, ([0-9]+) lost, ([0-9]+) unknown, p99 ([0-9.]+) ms, worst gap ([0-9]+) ms.*$/\1 | \2 | \3 | \4 | \5/p' \
  "$log" | awk '/^= / { test = substr($0, 3); next } { print "| `" test "` | " $0 " |" }' | sort
