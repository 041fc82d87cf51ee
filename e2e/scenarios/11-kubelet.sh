# the kubelet of a node is stopped, and started again
# shellcheck shell=bash

on_kind || skip
away=$(pod_node checker-demo)
node=$(pods_json demo | jq -r --arg away "$away" '[.items[].spec.nodeName | select(. != $away)] | first')
pods=$(pods_identities demo)
docker exec "$node" systemctl stop kubelet
# Started again whatever happens.
trap 'docker exec "$node" systemctl start kubelet' EXIT
kubectl wait --for=condition=Ready=Unknown "node/$node" --timeout=120s
tell "$node is called lost: $(in_test get rdc demo -o json | jq -c '.status.conditions[] | select(.type == "Ready")')"
in_test get pods -o wide
# The processes live: nobody may be failed over or replaced.
pods_unharmed demo "$pods"
docker exec "$node" systemctl start kubelet
kubectl wait --for=condition=Ready "node/$node" --timeout=120s
expect 120 "all is well" settled demo 6
pods_unharmed demo "$pods"
