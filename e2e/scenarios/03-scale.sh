# kubectl scale to four masters and back to three
# shellcheck shell=bash

in_test scale rdc/demo --replicas=4
expect 180 "four masters" settled demo 8
shards_apart demo 8
[ "$(resource demo | jq '[.status.shards[] | select(.slots != "")] | length')" = 4 ]
in_test scale rdc/demo --replicas=3
expect 180 "three masters" settled demo 6
