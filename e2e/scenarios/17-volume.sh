# a volume is lost: made anew, copied from the master
# beside the next one, with the checker kept
# shellcheck shell=bash

pod=$(in_test get rdc kept -o 'jsonpath={.status.shards[0].replicas[0].pod}')
uid=$(pod_uid "$pod")
claim=$(in_test get pvc "data-$pod" -o 'jsonpath={.metadata.uid}')
other_claim() { [ "$(in_test get pvc "data-$pod" -o 'jsonpath={.metadata.uid}')" != "$claim" ]; }

in_test delete pvc "data-$pod" --wait=false
in_test delete pod "$pod"
expect 120 "there is a new volume" other_claim
expect 120 "there is a new $pod" replaced "$pod" "$uid"
expect 120 "all is well" settled kept 6
