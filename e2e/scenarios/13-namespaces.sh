# two releases for one namespace each, without cluster-wide rights
# shellcheck shell=bash

pods=$(pods_identities demo)
helm uninstall slotwright --namespace "$SYSTEM" --wait
# wait_until alone would see the old pods as Ready.
no_operator() { none in_system get pods -o name; }
expect 60 "the old operators are gone" no_operator
# The definition was kept, so this release need not bring it.
helm install slotwright "$E2E_DIR/../charts/slotwright" --namespace "$SYSTEM" "${INSTALL_OPTIONS[@]}" \
    --set "watch.namespaces={$NAMESPACE}" --set crds.install=false
in_system rollout status deployment/slotwright --timeout=120s
expect 60 "two operators are Ready" operators_ready 2
none kubectl get clusterroles,clusterrolebindings -l app.kubernetes.io/name=slotwright -o name
# What is elsewhere is none of its business.
in_other() { kubectl --namespace "$NAMESPACE-other" "$@"; }
kubectl create namespace "$NAMESPACE-other"
trap 'kubectl delete namespace "$NAMESPACE-other" --wait=false' EXIT
resource demo | jq 'del(.metadata.namespace, .metadata.uid, .metadata.resourceVersion, .status)
    | .spec.masters = 1 | .spec.replicasPerMaster = 1' | in_other create -f -
# An operator of the same version changes nothing.
expect 60 "all is well" settled demo "$(wc -l <<<"$pods")"
pods_unharmed demo "$pods"
in_test scale rdc/demo --replicas=5
expect 120 "five masters" settled demo 10
shards_apart demo 10
in_other get rdc demo -o json | jq -e '.status == null'
none in_other get pods -o name
# Until an operator of its own comes, with a Lease of its own name.
helm install beside "$E2E_DIR/../charts/slotwright" --namespace "$NAMESPACE-other" "${INSTALL_OPTIONS[@]}" \
    --set "watch.namespaces={$NAMESPACE-other}" --set crds.install=false,replicas=1
in_test scale rdc/demo --replicas=3
expect 120 "three masters" settled demo 6
in_other wait --for=condition=Ready rdc/demo --timeout=120s || {
    # The namespace is on its way out when a diagnosis is made.
    in_other get rdc demo -o yaml
    in_other get events --sort-by=.lastTimestamp
    in_other logs -l app.kubernetes.io/component=operator --tail=-1
    exit 1
}
helm uninstall beside --namespace "$NAMESPACE-other"
[ "$(in_other get pods -l app.kubernetes.io/name=redis -o name | wc -l)" = 2 ]
