# a master's pod is deleted
# shellcheck shell=bash

pod=$(master_of demo 0)
uid=$(pod_uid "$pod")
in_test delete pod "$pod"
expect 60 "there is a new $pod" replaced "$pod" "$uid"
expect 120 "all is well again" settled demo 6
tell "the master is $(master_of demo 0)"
