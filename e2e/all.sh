#!/bin/bash
# Brings a cluster up, runs all scenarios with the operator in its own pods, and takes the cluster down, also after a failure.
set -euo pipefail
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"

take_down() {
    local status=$?
    # down.sh removes the logs of the steps; after a failure they are what is wanted.
    if [ "$status" -ne 0 ] && [ -d "$E2E_STATE/log" ]; then
        mkdir -p "$E2E_DIR/../build/e2e"
        cp -r "$E2E_STATE/log" "$E2E_DIR/../build/e2e/steps"
    fi
    "$E2E_DIR/down.sh" || status=1
    exit "$status"
}

unset KUBECONFIG # never on anybody else's cluster
trap 'exit 130' INT TERM
trap take_down EXIT
"$E2E_DIR/up.sh" >/dev/null
"$E2E_DIR/operator-image.sh"
E2E_CLEAN='' "$E2E_DIR/run.sh" # the cluster goes anyway
