# a node is drained and uncordoned
# shellcheck shell=bash

on_kind || skip # elsewhere the pods of others would have to go as well
away=$(pod_node checker-demo)
on_node() { pods_json demo | jq -r --arg node "$node" '[.items[] | select(.spec.nodeName == $node)] | length'; }
# evict POD: as a drain does it, but only once.
evict() {
    kubectl create --raw "/api/v1/namespaces/$NAMESPACE/pods/$1/eviction" -f - <<<"{\"apiVersion\": \"policy/v1\",
        \"kind\": \"Eviction\", \"metadata\": {\"name\": \"$1\", \"namespace\": \"$NAMESPACE\"}}"
}

# A shard's budget: its master may not go while its replica is away.
master=$(master_of demo 1)
replica=$(in_test get rdc demo -o 'jsonpath={.status.shards[?(@.name=="demo-1")].replicas[0].pod}')
uid=$(pod_uid "$replica")
evict "$replica"
if said=$(evict "$master" 2>&1); then
    tell "both pods of a shard were evicted"
    exit 1
fi
grep -F "disruption budget" <<<"$said"
expect 60 "there is a new $replica" replaced "$replica" "$uid"
expect 120 "all is well" settled demo 6

# A cluster that never came up keeps no node from being drained.
cluster_apply broken "$REDIS_IMAGE" 'config: {no-such-directive: "1"}'
all_run() { [ "$(pods_json broken | jq '[.items[] | select(.status.phase == "Running")] | length')" = 6 ]; }
expect 60 "its servers have been started" all_run

node=$(resource demo | jq -r --arg away "$away" '[.status.shards[].master.node | select(. != $away)] | first')
tell "$(on_node) Redis pods on $node, a master among them"
trap 'kubectl uncordon "$node"' EXIT
kubectl drain "$node" --ignore-daemonsets --delete-emptydir-data --timeout=180s
tell "drained"
[ "$(on_node)" = 0 ]
expect 120 "all is well on the other nodes" settled demo 6
kubectl uncordon "$node"
in_test delete rdc broken
expect 60 "two operators are Ready" operators_ready 2
