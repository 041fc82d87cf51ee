#!/usr/bin/env bash
# The chart against a real API server, etcd and controller manager (built once as e2e/ does, some minutes), with real Redis
# processes as pods; needs redis-server, openssl and a built operator. Usage: tests/chart/server.sh [unittest option...]
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)

tools=$("$root/scripts/tools.sh")
SLOTWRIGHT=${SLOTWRIGHT:-$root/build/release/operator/slotwright-operator}
[ -x "$SLOTWRIGHT" ] || { echo "server.sh: no $SLOTWRIGHT; run make build, or set SLOTWRIGHT" >&2; exit 2; }

# shellcheck source=e2e/lib/all.sh
. "$root/e2e/lib/all.sh"
for name in etcd kubernetes; do
  [ -d "$(go_binaries_dir "$name")" ] || (cache_lock && go_binaries "$name")
done
PROGRAMS=$(mktemp -d)
trap 'rm -rf "$PROGRAMS"' EXIT
ln -s "$(go_binaries_dir etcd)"/* "$(go_binaries_dir kubernetes)"/* "$PROGRAMS"

PATH=$tools:$PATH
export PATH SLOTWRIGHT PROGRAMS PYTHONDONTWRITEBYTECODE=1
python3 server_test.py "$@"
