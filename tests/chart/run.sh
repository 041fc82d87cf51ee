#!/usr/bin/env bash
# Tests of the Helm chart without a cluster; builds helm once. Usage: tests/chart/run.sh [unittest option...]
# With SLOTWRIGHT (a program) the options that the chart gives are looked up in its help, and with PROMTOOL the alerts are
# run by Prometheus' own rules; otherwise these two say that they were skipped.
set -euo pipefail
cd "$(dirname "$0")"

tools=$(../../scripts/tools.sh)
PATH=$tools:$PATH
built=$PWD/../../build/release/operator/slotwright-operator
[ -n "${SLOTWRIGHT:-}" ] || [ ! -x "$built" ] || export SLOTWRIGHT=$built
export PATH PYTHONDONTWRITEBYTECODE=1
exec python3 -m unittest discover --pattern '*_test.py' --top-level-directory . "$@"
