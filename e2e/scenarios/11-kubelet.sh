# the kubelet of a node is stopped; then the whole machine dies
# writers wait for at most 20 s
# shellcheck shell=bash

on_kind || skip
spread_masters() { in_test patch rdc demo --type=merge -p "{\"spec\": {\"placement\": {\"spreadMasters\": $1}}}"; }
node=$(node_of_no_checker)
spread_masters false # the only hand-over that would be in order here
expect 30 "all is well" settled demo 6
# Of three masters two are a majority, without which nobody is elected; what is left of another scenario may not be spread yet.
masters_here() { resource demo | jq --arg node "$node" '[.status.shards[] | select(.master.node == $node)] | length'; }
leads() { masters_of demo | jq -e --arg pod "$1" 'index($pod)'; }
while [ "$(masters_here)" -gt 1 ]; do
    replica=$(resource demo | jq -r --arg node "$node" 'first(.status.shards[] | select(.master.node == $node)).replicas[0].pod')
    redis_ask "$replica" "CLUSTER FAILOVER"
    expect 30 "$replica leads" leads "$replica"
done
expect 30 "all is well" settled demo 6
pods=$(pods_identities demo)
masters=$(masters_of demo)
docker exec "$node" systemctl stop kubelet
# Started again whatever happens.
trap 'docker exec "$node" systemctl start kubelet' EXIT
kubectl wait --for=condition=Ready=Unknown "node/$node" --timeout=120s
tell "$node is called lost: $(resource demo | jq -c '.status.conditions[] | select(.type == "Ready")')"
in_test get pods -o wide
# The processes live: nobody may be failed over or replaced, and the operator has had the time to.
sleep 6
pods_unharmed demo "$pods"
[ "$(masters_of demo)" = "$masters" ]
docker exec "$node" systemctl start kubelet
kubectl wait --for=condition=Ready "node/$node" --timeout=120s
expect 120 "all is well" settled demo 6
pods_unharmed demo "$pods"
[ "$(masters_of demo)" = "$masters" ]

masters_elsewhere() { resource demo | jq -e --arg node "$node" '.status.readyMasters == .spec.masters
    and all(.status.shards[].master.node; . != $node)'; }
here=$(pods_json demo | jq -r --arg node "$node" '[.items[] | select(.spec.nodeName == $node) | .metadata.name] | first')
if masters_elsewhere; then
    redis_ask "$here" "CLUSTER FAILOVER"
    expect 30 "$here leads" leads "$here"
fi
resource demo | jq -c '[.status.shards[].master]'
[ "$(masters_here)" = 1 ]
trap 'docker start "$node"' EXIT
docker kill "$node"
expect 60 "all masters are on other machines" masters_elsewhere
docker start "$node"
kubectl wait --for=condition=Ready "node/$node" --timeout=120s
spread_masters true
expect 120 "all is well" settled demo 6
none in_test get rdc kept -o name --ignore-not-found || expect 120 "the one with storage as well" settled kept 6
expect 60 "two operators are Ready" operators_ready 2
