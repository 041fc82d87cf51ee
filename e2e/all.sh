#!/bin/bash
# Brings a cluster up, runs all scenarios with the operator in its own pods, and takes the cluster down, also after a failure.
# Nothing may be left of it on this machine.
set -euo pipefail
# shellcheck source=lib/all.sh
. "$(dirname "$0")/lib/all.sh"

# traces: where an engine of our own and its nodes would be seen on this machine: mounts, network links, routes, processes (but
# zombies: they are its first process' to take away).
traces() {
    awk '{ print "mount", $5 }' /proc/self/mountinfo
    ip -oneline link | awk -F': ' '{ print "link", $2 }'
    ip route | sed 's/^/route /'
    ps -eo stat=,comm= | awk '$1 !~ /^Z/ && $2 ~ /^(dockerd|docker-proxy|containerd|runc|kube|etcd)/ { print "process", $2 }'
}

take_down() {
    local status=$? left
    # down.sh removes the logs of the steps; after a failure they are what is wanted.
    if [ "$status" -ne 0 ] && [ -d "$E2E_STATE/log" ]; then
        mkdir -p "$E2E_DIR/../build/e2e"
        cp -r "$E2E_STATE/log" "$E2E_DIR/../build/e2e/steps"
    fi
    "$E2E_DIR/down.sh" || status=1
    if [ "$ENGINE" = own ]; then
        left=$(comm -13 <(sort <<<"$before") <(traces | sort))
        [ -z "$left" ] || {
            note "left behind:"
            printf '%s\n' "$left" | sed 's/^/     | /' >&2
            status=1
        }
    fi
    exit "$status"
}

unset KUBECONFIG # never on anybody else's cluster
engine_choose
before=$(traces)
trap 'exit 130' INT TERM
trap take_down EXIT
E2E_OPERATOR=yes "$E2E_DIR/up.sh" >/dev/null
# The cluster goes anyway; and here everything can be done that a scenario may want.
E2E_CLEAN='' E2E_SKIPS='' "$E2E_DIR/run.sh"
