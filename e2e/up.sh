#!/bin/bash
# Brings up a Kubernetes cluster of containers on this machine; see README.md. Prints the `export` lines to use it.
set -euo pipefail
# shellcheck source=lib/all.sh
. "$(dirname "$0")/lib/all.sh"

workers=${E2E_WORKERS:-3}
[[ $workers =~ ^[0-9]+$ ]] || die "E2E_WORKERS=$workers" "It is a number of worker nodes, such as 3."
began=$SECONDS
loading=

load_images() {
    [ -z "${E2E_IMAGES-default}" ] || "$E2E_DIR/images.sh"
    [ -z "${E2E_OPERATOR:-}" ] || "$E2E_DIR/operator-image.sh"
}

engine_choose
need_commands go jq flock docker
cache_lock
mkdir -p "$E2E_STATE"

go_binaries kind
if [ "$ENGINE" = own ]; then
    need_commands dockerd containerd ctr runc debootstrap ip
    node_parts
    if ! engine_answers; then
        step "starting a Docker engine of our own" engine_start
    fi
    node_image_build
else
    note "using the Docker engine that runs here, and upstream's node image"
    need_commands kubectl
fi

cluster_environment_write
cluster_environment
if cluster_exists; then
    kind export kubeconfig --name "$E2E_CLUSTER" --kubeconfig "$KUBECONFIG" --quiet
    cluster_answers || die "the cluster $E2E_CLUSTER exists but does not answer" "Take it down first: $E2E_DIR/down.sh"
    note "the cluster is up already"
else
    cluster_config "$workers" >"$E2E_STATE/cluster.yaml"
    if [ "$ENGINE" = own ]; then
        # Half of the time nodes wait for each other.
        { wait_until 180 cluster_takes_images && load_images; } &
        loading=$!
        trap 'kill "$loading" 2>/dev/null || true' EXIT
    fi
    step "creating a control plane and $workers workers" cluster_create
fi
if [ -n "$loading" ]; then
    wait "$loading"
else
    load_images
fi
step "waiting for nodes, DNS and storage" cluster_all_ready
cluster_routes

note "up after $((SECONDS - began)) s; $E2E_DIR/down.sh takes it down"
cat "$E2E_STATE/env.sh"
