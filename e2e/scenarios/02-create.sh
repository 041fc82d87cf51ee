# kubectl apply of 3 masters, 3 replicas, until Ready
# shellcheck shell=bash

# The file that users apply, with an image that is there and pods spread over zones as well.
sed "s|^  image: .*|  image: $REDIS_IMAGE|" "$E2E_DIR/../examples/rediscluster.yaml" | kubectl patch --local -f - --type=merge -o yaml \
    -p '{"spec": {"placement": {"topologyKeys": ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]}}}' | in_test apply -f -
in_test wait --for=condition=Ready rdc/demo --timeout=180s
tell "Ready"
expect 60 "six pods are Ready and nothing is under way" settled demo 6
in_test get rdc,pods,pdb,svc -o wide
resource demo | jq -e --arg image "$REDIS_IMAGE" '.spec.masters == 3 and .spec.replicasPerMaster == 1 and .spec.image == $image'
in_test describe rdc/demo | grep -F "16384 slots on 3 masters, 3 replicas in sync"
shards_apart demo 6
in_system exec deployment/slotwright -- slotwright status demo --namespace "$NAMESPACE"
in_system exec deployment/slotwright -- slotwright check demo --namespace "$NAMESPACE"

# As README.md has it, and by a port of this machine, as people look into a cluster.
# shellcheck disable=SC2016  # the pod's own variables
in_test exec demo-0-0 -- sh -c 'REDISCLI_AUTH=$(cat /etc/slotwright/auth/password) redis-cli -c CLUSTER INFO' |
    grep -F cluster_state:ok
forwarded=$REPORT/port-forward.log
kubectl --namespace "$NAMESPACE" port-forward pod/demo-0-0 :6379 >"$forwarded" &
forward=$!
trap 'kill "$forward"' EXIT
port_of_forward() { sed -n 's/^Forwarding from 127.0.0.1:\([0-9]*\) .*/\1/p' "$forwarded" | grep .; }
expect 30 "a port of this machine leads to it" port_of_forward
exec {redis}<>"/dev/tcp/127.0.0.1/$(port_of_forward)"
printf 'PING\r\n' >&"$redis"
read -r -t 10 answer <&"$redis"
exec {redis}>&-
kill "$forward"
trap - EXIT
[[ $answer == *NOAUTH* ]]

# The same program as a plugin of kubectl, if it was built here. Where nothing may be skipped it has to be.
program=${SLOTWRIGHT:-$E2E_DIR/../build/release/operator/slotwright-operator}
if [ -x "$program" ] || [ -z "${E2E_SKIPS-yes}" ]; then
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
apart() { resource demo | jq -e '[.status.shards[].master.node] | length == 3 and length == (unique | length)'; }
expect 60 "each master has a node of its own" apart
