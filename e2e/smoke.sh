#!/bin/bash
# Checks that the cluster can do what the other tests take for granted; says so line by line and cleans up.
set -euo pipefail
# shellcheck source=lib/all.sh
. "$(dirname "$0")/lib/all.sh"

in_smoke() { kubectl --namespace smoke "$@"; }

# ping ADDRESS: a Redis PING from this host, without a Redis client.
ping() {
    local reply
    exec 3<>"/dev/tcp/$1/6379"
    printf 'PING\r\n' >&3
    read -r -t 5 reply <&3
    exec 3>&-
    [ "${reply%$'\r'}" = +PONG ]
}

engines_start() {
    kubectl apply -f "$E2E_DIR/manifests/smoke.yaml"
    engine_apply redis redis:7.0
    engine_apply valkey valkey:9.1
    in_smoke rollout status statefulset/redis --timeout=60s
    in_smoke rollout status statefulset/valkey --timeout=60s
}

# engine_apply ENGINE IMAGE
engine_apply() {
    sed "s/ENGINE/$1/g; s/IMAGE/$2/" "$E2E_DIR/manifests/smoke-engine.yaml" | kubectl apply -f -
}

volumes_bound() { [ "$(in_smoke get pvc -o 'jsonpath={.items[*].status.phase}')" = "Bound Bound" ]; }

versions_right() {
    in_smoke exec redis-0 -- redis-server --version | grep 'v=7.0'
    in_smoke exec valkey-0 -- valkey-server --version | grep 'v=9.1'
    in_smoke exec valkey-0 -- redis-server --version | grep 'v=9.1'
}

pods_reach_each_other_by_name() {
    in_smoke exec valkey-0 -- redis-cli -h redis-0.engines PING | grep PONG
    in_smoke exec redis-0 -- redis-cli -h engines.smoke.svc.cluster.local PING | grep PONG
}

host_reaches_pods() {
    local address
    for address in $(in_smoke get pods -o 'jsonpath={.items[*].status.podIP}'); do
        timeout 10 bash -c "$(declare -f ping); ping $address"
    done
    timeout 10 bash -c "$(declare -f ping); ping $(in_smoke get service engines -o 'jsonpath={.spec.clusterIP}')"
}

data_survives_its_pod() {
    in_smoke exec redis-0 -- redis-cli SET key kept
    in_smoke delete pod redis-0 --wait
    in_smoke rollout status statefulset/redis --timeout=60s
    in_smoke exec redis-0 -- redis-cli GET key | grep kept
}

cluster_environment
trap 'kubectl delete namespace smoke --wait=false >/dev/null 2>&1 || true' EXIT
step "smoke: all nodes are Ready" kubectl wait --for=condition=Ready nodes --all --timeout=60s
step "smoke: restricted pods of both engines run" engines_start
step "smoke: claims of the default StorageClass are bound" volumes_bound
step "smoke: the images hold the engines that they are named after" versions_right
step "smoke: pods reach each other across nodes, by name" pods_reach_each_other_by_name
step "smoke: this host reaches pods and services" host_reaches_pods
step "smoke: data survives its pod" data_survives_its_pod
step "smoke: cleaning up" kubectl delete namespace smoke --timeout=60s
note "the cluster is fit for use"
