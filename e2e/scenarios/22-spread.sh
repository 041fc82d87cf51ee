# masters pile up on a node: handed over until they are spread
# shellcheck shell=bash

spread() { resource demo | jq -e '[.status.shards[].master.node] | length == (unique | length)'; }
piled() { resource demo | jq -e '[.status.shards[].master.node] | length > (unique | length)'; }

paused demo true # or it would put that right before anybody sees it
if piled; then
    tell "two masters are on one node, by what happened before"
else
    replica=$(in_test get rdc demo -o 'jsonpath={.status.shards[0].replicas[0].pod}')
    redis_ask "$replica" "CLUSTER FAILOVER"
    expect 30 "two masters are on one node" piled
fi
resource demo | jq -c '[.status.shards[].master]'
pods=$(pods_identities demo)
paused demo false
expect 120 "each has its own again" spread
expect 60 "all is well" settled demo 6
pods_unharmed demo "$pods" # by handing over, not by replacing them
