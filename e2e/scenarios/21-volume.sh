# a volume is lost, operators are killed: made anew, copied
# beside the next one, with the checker kept
# shellcheck shell=bash

pod=$(in_test get rdc kept -o 'jsonpath={.status.shards[0].replicas[0].pod}')
uid=$(pod_uid "$pod")
claim=$(in_test get pvc "data-$pod" -o 'jsonpath={.metadata.uid}')
other_claim() {
    local now
    now=$(in_test get pvc "data-$pod" -o 'jsonpath={.metadata.uid}') && [ -n "$now" ] && [ "$now" != "$claim" ]
}
lose() {
    in_test delete pvc "data-$pod" --wait=false
    in_test delete pod "$pod"
}
# copied: the new replica has as many keys as its master, and that is what was filled in.
copied() {
    local keys
    keys=$(redis_ask "$pod" DBSIZE) && [ "$keys" -gt 1000 ] && [ "$(redis_ask "$(master_of kept 0)" DBSIZE)" = "$keys" ]
}

while_operators_die 1 kept lose
expect 120 "there is a new volume" other_claim
expect 120 "there is a new $pod" replaced "$pod" "$uid"
expect 120 "all is well" settled kept 6
expect 10 "it has the data" copied
tell "$(redis_ask "$pod" DBSIZE) keys"
