# the API server is killed and comes back
# shellcheck shell=bash

on_kind || skip
answers() { kubectl --request-timeout=2s get --raw /readyz; }
restarts() { in_system get pods -o json | jq '[.items[].status.containerStatuses[0].restartCount] | add'; }
node=$(kubectl get nodes -l node-role.kubernetes.io/control-plane -o 'jsonpath={.items[0].metadata.name}')
pods=$(pods_identities demo)
before=$(restarts)
docker exec "$node" bash -c 'crictl stop --timeout 0 "$(crictl ps --quiet --name kube-apiserver)"'
! answers || tell "it answers still"
expect 120 "the API server answers" answers
expect 120 "two operators are Ready" operators_ready 2
tell "operators restarted $(($(restarts) - before)) times; the leader is $(lease_holder)"
pods_unharmed demo "$pods"
in_test scale rdc/demo --replicas=4
expect 120 "four masters" settled demo 8
