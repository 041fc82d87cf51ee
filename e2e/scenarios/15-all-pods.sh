# without storage all pods are deleted: said, then served empty
# shellcheck shell=bash

checker_stop demo # it would rightly call everything lost
in_test delete pods --grace-period=1 -l app.kubernetes.io/name=redis,app.kubernetes.io/instance=demo
tell "all deleted"
expect 120 "the condition says that data is lost" refuses demo DataLost
resource demo | jq -c '.status.conditions[]'
in_test patch rdc demo --type=merge -p '{"spec": {"healing": {"lostShard": "AssignEmpty"}}}'
expect 120 "it is served again" settled demo 6
for shard in 0 1 2; do
    [ "$(redis_ask "$(master_of demo "$shard")" DBSIZE)" = 0 ]
done
checker_start demo
