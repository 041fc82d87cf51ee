# operators killed again and again, whatever goes on
# writers wait for at most 8 s
# shellcheck shell=bash

# That long where all operators die while slots move and a node is drained: a master that was importing a slot does not learn who
# its owner is after a failover, and says CLUSTERDOWN until an operator is back and closes the slot (up to 2.5 s were seen, a Lease that has to run out included).

checker_ask checker-demo "fill?keys=200000"
patch() { in_test patch rdc "$1" --type=merge -p "$2"; }
third_is_gone() { none in_test get all,cm,pdb,secret -l app.kubernetes.io/instance=third -o name; }
all_ask() { [ "$(in_test get pvc -l app.kubernetes.io/instance=kept -o json |
    jq -r '.items[].spec.resources.requests.storage' | sort -u)" = "$1" ]; }

out_and_another_cluster() {
    patch demo '{"spec": {"masters": 4}}'
    cluster_apply third "$REDIS_IMAGE"
}
while_operators_die 2 "demo third" out_and_another_cluster
in_test get rdc
expect 120 "four masters" settled demo 8
expect 60 "another cluster is there" settled third 6

# On kind also a drain: what is on that node has to go elsewhere meanwhile.
node=
if on_kind; then
    node=$(node_of_no_checker)
    trap 'kubectl uncordon "$node"' EXIT
fi
in_and_grow() {
    patch demo '{"spec": {"masters": 3}}'
    patch kept '{"spec": {"storage": {"size": "192Mi"}}}'
    in_test delete rdc third
    [ -z "$node" ] || kubectl drain "$node" --ignore-daemonsets --delete-emptydir-data --timeout=180s
}
while_operators_die 2 demo in_and_grow
in_test get rdc
expect 120 "three masters" settled demo 6
expect 60 "all claims ask for more" all_ask 192Mi
expect 60 "nothing of the other cluster is left" third_is_gone
[ -z "$node" ] || kubectl uncordon "$node"
expect 120 "the one with storage is well" settled kept 6

roll_and_lose_a_master() {
    patch demo '{"spec": {"config": {"databases": "21"}}}'
    in_test delete pod "$(master_of kept 1)" --wait=false
}
while_operators_die 1 "demo kept" roll_and_lose_a_master
in_test get rdc
expect 120 "another directive" settled demo 6
expect 60 "a master's pod of yet another cluster is back" settled kept 6
expect 60 "two operators are Ready" operators_ready 2
