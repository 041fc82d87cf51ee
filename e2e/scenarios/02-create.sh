# kubectl apply of 3 masters, 3 replicas, until Ready
# shellcheck shell=bash

cluster_apply demo "$REDIS_IMAGE" 'placement: {topologyKeys: [topology.kubernetes.io/zone, kubernetes.io/hostname]}'
in_test wait --for=condition=Ready rdc/demo --timeout=180s
tell "Ready"
expect 60 "six pods are Ready and nothing is under way" settled demo 6
in_test get rdc,pods,pdb,svc -o wide
in_system exec deployment/slotwright -- slotwright status demo --namespace "$NAMESPACE"
in_system exec deployment/slotwright -- slotwright check demo --namespace "$NAMESPACE"

# The same program as a plugin of kubectl, if it was built here.
program=$E2E_DIR/../build/release/operator/slotwright-operator
if [ -x "$program" ]; then
    plugins=$(mktemp -d)
    trap 'rm -r "$plugins"' EXIT
    ln -s "$(realpath "$program")" "$plugins/kubectl-slotwright"
    plugin() { PATH=$plugins:$PATH kubectl slotwright "$@" --namespace "$NAMESPACE"; }
    plugin status demo
    # These ask the nodes themselves, to whose addresses kind's host has a route.
    if on_kind && [ "$(id -u)" = 0 ]; then
        plugin check demo
        plugin plan demo
    fi
fi
checker_start demo
