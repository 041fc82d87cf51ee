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
  # Without a terminal each step would be a line: print the failure or nothing.
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  start=$SECONDS
  ninja -C "build/$preset" "$@" > "$log" 2>&1 || { grep -E 'error|FAILED|warning' -A 5 "$log" | head -n 100 >&2; exit 1; }
  echo "build: build/$preset is up to date after $((SECONDS - start)) s"
fi
