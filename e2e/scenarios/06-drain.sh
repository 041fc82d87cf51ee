# a node is drained and uncordoned
# shellcheck shell=bash

away=$(pod_node checker-demo)
node=$(pods_json demo | jq -r --arg away "$away" '[.items[].spec.nodeName | select(. != $away)] | first')
on_node() { pods_json demo | jq -r --arg node "$node" '[.items[] | select(.spec.nodeName == $node)] | length'; }
tell "$(on_node) Redis pods on $node"
kubectl drain "$node" --ignore-daemonsets --delete-emptydir-data --timeout=180s
tell "drained"
[ "$(on_node)" = 0 ]
expect 120 "all is well on the other nodes" settled demo 6
kubectl uncordon "$node"
expect 60 "two operators are Ready" operators_ready 2
