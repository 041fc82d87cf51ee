# two zones, three machines: no shard is in one zone alone
# beside the next one
# shellcheck shell=bash

on_kind || skip
# zone_of NODE
zone_of() { kubectl get node "$1" -o 'jsonpath={.metadata.labels.topology\.kubernetes\.io/zone}'; }
relabel() { kubectl label node "$1" --overwrite "topology.kubernetes.io/zone=$2"; }

# Otherwise each has a zone of its own, and whoever keeps machines apart keeps zones apart as well.
mapfile -t workers < <(kubectl get nodes -l '!node-role.kubernetes.io/control-plane' -o name | sed 's|.*/||')
last=${workers[-1]}
before=$(zone_of "$last")
trap 'relabel "$last" "$before"' EXIT
relabel "$last" "$(zone_of "${workers[-2]}")"
kubectl get nodes -L topology.kubernetes.io/zone

# Between two machines of one zone, one of another: without a word about zones a third of the shards would be in one alone.
cluster_apply zones "$REDIS_IMAGE" 'placement: {topologyKeys: [topology.kubernetes.io/zone, kubernetes.io/hostname]}'
expect 120 "it is Ready" settled zones 6
in_test get pods -l app.kubernetes.io/instance=zones -o wide
shards_apart zones 6 topology.kubernetes.io/zone
in_test delete rdc zones
zones_are_gone() { none in_test get all,cm,pdb,secret -l app.kubernetes.io/instance=zones -o name; }
expect 60 "nothing of it is left" zones_are_gone
