#!/usr/bin/env bash
# Tests of the Helm chart without a cluster; builds helm and fetches promtool once. Usage: tests/chart/run.sh [unittest
# option...]. With SLOTWRIGHT (a program) the options that the chart gives are looked up in its help; otherwise that is skipped.
set -euo pipefail
cd "$(dirname "$0")"

tools=$(../../scripts/tools.sh)
PATH=$tools:$PATH
built=$PWD/../../build/release/operator/slotwright-operator
[ -n "${SLOTWRIGHT:-}" ] || [ ! -x "$built" ] || export SLOTWRIGHT=$built
PROMTOOL=${PROMTOOL:-$(../../scripts/promtool.sh)}
export PROMTOOL PATH PYTHONDONTWRITEBYTECODE=1
exec python3 -m unittest discover --pattern '*_test.py' --top-level-directory . "$@"
