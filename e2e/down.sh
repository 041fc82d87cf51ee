#!/bin/bash
# Takes the cluster down, and with it all that up.sh started: only the cache and what a host's engine pulled stay.
set -euo pipefail
# shellcheck source=lib/all.sh
. "$(dirname "$0")/lib/all.sh"

began=$SECONDS
engine_choose
cache_lock
mkdir -p "$E2E_STATE"
if [ "$ENGINE" = own ] && engine_has_containers && ! engine_answers; then
    # It has died, and only an engine can take its containers away.
    go_binaries tools
    step "starting the engine again" engine_start
fi
if engine_answers; then
    go_binaries kind
    PATH=$(go_binaries_dir kind):$PATH
    if cluster_exists; then
        step "deleting the cluster" cluster_delete
    fi
    [ "$ENGINE" = own ] || engine_remove_images
fi
cluster_routes_remove
if [ "$ENGINE" = own ]; then
    if engine_answers; then
        docker network rm kind >/dev/null 2>&1 || true
        docker volume prune --force >/dev/null
    fi
    step "stopping the engine" engine_stop
fi
# By name: a wrong E2E_STATE must not cost anybody their files.
rm -rf "$E2E_STATE"/{kubeconfig,kubeconfig.lock,env.sh,cluster.yaml,routes,log}
rmdir --ignore-fail-on-non-empty "$E2E_STATE"
note "down after $((SECONDS - began)) s"
