# the API server is killed, then silent, and comes back
# shellcheck shell=bash

on_kind || skip
answers() { kubectl --request-timeout=2s get --raw /readyz; }
is_away() { ! answers; }
restarts() { in_system get pods -o json | jq '[.items[].status.containerStatuses[0].restartCount] | add'; }
node=$(kubectl get nodes -l node-role.kubernetes.io/control-plane -o 'jsonpath={.items[0].metadata.name}')
pods=$(pods_identities demo)
before=$(restarts)
docker exec "$node" bash -c 'crictl stop --timeout 0 "$(crictl ps --quiet --name kube-apiserver)"'
expect 10 "it is away" is_away
expect 120 "the API server answers" answers
expect 120 "two operators are Ready" operators_ready 2

# Connections are taken and nothing is said, for longer than a leader may go without its Lease.
trap 'docker unpause "$node" 2>/dev/null || true' EXIT
docker pause "$node"
sleep 5
docker unpause "$node"
expect 120 "the API server answers" answers
expect 60 "two operators are Ready" operators_ready 2
tell "the leader is $(lease_holder)"
[ "$(restarts)" = "$before" ]
pods_unharmed demo "$pods"
in_test scale rdc/demo --replicas=4
expect 120 "four masters" settled demo 8
