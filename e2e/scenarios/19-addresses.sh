# a pod gets the address of a deleted master of another cluster
# shellcheck shell=bash

on_kind || skip

pod_address() { in_test get pod "$1" -o 'jsonpath={.status.podIP}'; }
on_node() { docker exec "$node" sh -c "$1"; }
# Where the network plug-in host-local notes the addresses of that node's pods, and which one it gave last.
freed() { on_node "! ls /run/cni-ipam-state/*/$address"; }

# A master of demo and a pod of kept on one node. The claim of the latter holds it there.
read -r node pod victim < <(jq -nr --slurpfile demo <(resource demo) --slurpfile kept <(pods_json kept) '
    [$demo[0].status.shards[].master as $master | $kept[0].items[] | select(.spec.nodeName == $master.node)
        | "\($master.node) \($master.pod) \(.metadata.name)"] | first')
address=$(pod_address "$pod")
uid=$(pod_uid "$victim")
tell "$victim is to get $address, where $pod is the master"
on_node 'ls /run/cni-ipam-state/*/last_reserved_ip.0' || skip "pods do not get their addresses from host-local"

# The operator must not make the master anew before its address has passed on.
paused demo true
trap 'paused demo false' EXIT
in_test delete pod "$pod"
expect 60 "$address is free" freed
on_node "cd /run/cni-ipam-state/* && printf %s ${address%.*}.$((${address##*.} - 1)) > last_reserved_ip.0"
in_test delete pod "$victim"
expect 60 "there is a new $victim" replaced "$victim" "$uid"
expect 60 "six pods are Ready" settled kept 6
[ "$(pod_address "$victim")" = "$address" ]
tell "$victim has it"
paused demo false
trap - EXIT
expect 120 "all is well" settled demo 6
[ "$(pod_address "$pod")" != "$address" ]
settled kept 6
