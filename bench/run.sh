#!/usr/bin/env bash
# All measurements, each side by side with what it is compared to. Usage: bench/run.sh [BUILD_FOLDER [creation|migration|many]]
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/release}
for what in ${2:-creation migration many}; do
  python3 "bench/$what.py" --slotwright "$build/operator/slotwright"
done
