# kubectl scale to four masters and back to three; two replicas for each, and one again
# shellcheck shell=bash

replicas() { in_test patch rdc demo --type=merge -p "{\"spec\": {\"replicasPerMaster\": $1}}"; }

in_test scale rdc/demo --replicas=4
expect 180 "four masters" settled demo 8
shards_apart demo 8
[ "$(resource demo | jq '[.status.shards[] | select(.slots != "")] | length')" = 4 ]
in_test scale rdc/demo --replicas=3
expect 180 "three masters" settled demo 6
replicas 2
expect 180 "two replicas for each master" settled demo 9
shards_apart demo 9
replicas 1
expect 180 "one replica for each master" settled demo 6
shards_apart demo 6
