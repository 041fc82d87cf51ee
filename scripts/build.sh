#!/usr/bin/env bash
# Configures and builds. Usage: scripts/build.sh [PRESET] [TARGET...]
set -euo pipefail
cd "$(dirname "$0")/.."

preset=${1:-release}
shift || true
if [ ! -f "build/$preset/build.ninja" ]; then
  echo "build: configuring build/$preset"
  cmake --preset "$preset" > "build-$preset.log" 2>&1 || { cat "build-$preset.log" >&2; rm -f "build-$preset.log"; exit 1; }
  rm -f "build-$preset.log"
fi
if [ -t 1 ]; then
  ninja -C "build/$preset" "$@"
else
  # Without a terminal each step would be a line: a line for each tenth of them, and the failure.
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  start=$SECONDS
  ninja -C "build/$preset" "$@" 2>&1 | tee "$log" |
    awk -F'[][/]' -v preset="$preset" '/^\[[0-9]+\/[0-9]+\]/ {
      tenth = int($2 * 10 / $3)
      if (tenth > last) { last = tenth; printf "build: build/%s %d of %d steps\n", preset, $2, $3; fflush() }
    }' || { grep -E 'error|FAILED|warning' -A 5 "$log" | head -n 100 >&2; exit 1; }
  echo "build: build/$preset is up to date after $((SECONDS - start)) s"
fi
