#!/usr/bin/env bash
# All measurements, each side by side with what it is compared to. Usage: bench/run.sh [BUILD_FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
exec python3 bench/creation.py --slotwright "${1:-build/release}/operator/slotwright" "${@:2}"
