# storage: grows, never shrinks, is kept or goes; all pods at once
# beside the next one, with the checker kept
# writers wait for at most 30 s
# shellcheck shell=bash

# A class like the default one, whose claims may grow. Nobody resizes file systems here: what the claims ask for is looked at.
kubectl get storageclass -o json | jq --arg name "$GROWING_CLASS" '[.items[]
    | select(.metadata.annotations["storageclass.kubernetes.io/is-default-class"] == "true")][0]
    | {apiVersion, kind, provisioner, parameters, reclaimPolicy, volumeBindingMode, allowVolumeExpansion: true,
        metadata: {name: $name}}' | kubectl apply -f -

claims() { in_test get pvc -l "app.kubernetes.io/instance=$1" -o json; }
# all_ask NAME SIZE
all_ask() { [ "$(claims "$1" | jq -r '.items[].spec.resources.requests.storage' | sort -u)" = "$2" ]; }
all_replaced() {
    local now
    now=$(pods_json kept | jq -r '.items[].metadata.uid') && [ -n "$now" ] && ! grep -qxF "$uids" <<<"$now"
}
resize() { in_test patch rdc kept --type=merge -p "{\"spec\": {\"storage\": {\"size\": \"$1\"}}}"; }

cluster_apply kept "$REDIS_IMAGE" "storage: {size: 64Mi, retain: Delete, storageClassName: $GROWING_CLASS}"
in_test wait --for=condition=Ready rdc/kept --timeout=180s
expect 60 "six pods are Ready" settled kept 6
checker_start kept
checker_ask checker-kept "fill?keys=20000"
uids=$(pods_json kept | jq -r '.items[].metadata.uid')
in_test delete pods -l app.kubernetes.io/name=redis,app.kubernetes.io/instance=kept
tell "all deleted"
expect 120 "there are other pods" all_replaced
expect 180 "all is well" settled kept 6

pods=$(pods_identities kept)
resize 128Mi
expect 60 "all claims ask for 128Mi" all_ask kept 128Mi
expect 60 "all is well" settled kept 6
resize 64Mi
expect 60 "less is refused" refuses kept StorageCannotShrink
all_ask kept 128Mi
resize 128Mi
expect 60 "all is well" settled kept 6
pods_unharmed kept "$pods"

# spare RETAIN: a small cluster whose claims stay, or go with it.
spare() {
    in_test apply -f - <<EOF
apiVersion: slotwright.dev/v1alpha1
kind: RedisCluster
metadata: {name: spare}
spec: {masters: 1, replicasPerMaster: 0, image: $REDIS_IMAGE, storage: {size: 64Mi, retain: $1}}
EOF
    expect 120 "it is well" settled spare 1
}
gone() { none in_test get pods,pvc -l app.kubernetes.io/instance=spare -o name; }
only_its_claim() { [ "$(in_test get pods,pvc -l app.kubernetes.io/instance=spare -o name)" = persistentvolumeclaim/data-spare-0-0 ]; }
spare Retain
redis_ask spare-0-0 "SET here yes"
in_test delete rdc spare
expect 60 "its claim is left" only_its_claim
spare Delete
[ "$(redis_ask spare-0-0 "GET here")" = yes ]
in_test delete rdc spare
expect 60 "nothing of it is left" gone
