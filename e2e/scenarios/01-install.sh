# helm install in restricted namespaces: two Ready, one leads
# shellcheck shell=bash

kubectl create namespace "$SYSTEM"
kubectl create namespace "$NAMESPACE"
kubectl label namespace "$SYSTEM" "$NAMESPACE" pod-security.kubernetes.io/enforce=restricted
helm install slotwright "$E2E_DIR/../charts/slotwright" --namespace "$SYSTEM" "${INSTALL_OPTIONS[@]}"
in_system rollout status deployment/slotwright --timeout=120s
expect 30 "two operators are Ready, and the leader is one of them" operators_ready 2
in_system get pods -o json | jq -r '.items[] | [.metadata.name, .spec.nodeName,
    "started \(.status.containerStatuses[0].state.running.startedAt)",
    (.status.conditions[] | select(.type == "Ready") | "Ready \(.lastTransitionTime)")] | join("  ")'
tell "the leader is $(lease_holder)"
# Not merely started: nothing was refused, and nobody died on the way.
[ "$(in_system get pods -o json | jq '[.items[].status.containerStatuses[0].restartCount] | add')" = 0 ]
kubectl get --raw "/api/v1/namespaces/$SYSTEM/services/slotwright-metrics:metrics/proxy/metrics" | grep -c .
