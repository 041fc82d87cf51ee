# a cluster with storage: all its pods are deleted at once
# beside the next one, with the checker kept
# shellcheck shell=bash

all_replaced() { ! pods_json kept | jq -r '.items[].metadata.uid' | grep -qxF "$uids"; }

cluster_apply kept "$REDIS_IMAGE" 'storage: {size: 64Mi, retain: Delete}'
in_test wait --for=condition=Ready rdc/kept --timeout=180s
expect 60 "six pods are Ready" settled kept 6
checker_start kept
checker_ask checker-kept "fill?keys=20000"
uids=$(pods_json kept | jq -r '.items[].metadata.uid')
in_test delete pods -l app.kubernetes.io/name=redis,app.kubernetes.io/instance=kept
tell "all deleted"
expect 120 "there are other pods" all_replaced
expect 180 "all is well" settled kept 6
