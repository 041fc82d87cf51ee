#!/usr/bin/env bash
# Builds and runs every test. Usage: scripts/test.sh [PRESET] [ctest option...]
set -euo pipefail
cd "$(dirname "$0")/.."

preset=${1:-release}
shift || true
scripts/engines.sh
scripts/build.sh "$preset"
exec ctest --test-dir "build/$preset" --output-on-failure --parallel 2 "$@"
