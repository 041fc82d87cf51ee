#!/usr/bin/env bash
# The main job in one command: a real 3+3 Redis Cluster from examples/rediscluster.yaml on this machine.
# In a terminal it stays up until Ctrl-C; otherwise it tears everything down and says so by its exit status.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/engines.sh redis-7.0.15 # the example's; Debian 13's own is newer
scripts/build.sh release slotwright

options=()
[ -t 0 ] && [ -t 1 ] || options+=(--exit-when-ready)
exec build/release/operator/slotwright local --apply examples/rediscluster.yaml \
  --when-ready "scripts/smoke.sh demo" "${options[@]}"
