# helm upgrade: definition, operators; the same Redis pods
# shellcheck shell=bash

demo=$(pods_identities demo)
kept=$(pods_identities kept)
all_new() {
    local now
    now=$(in_system get pods -o name) && [ -n "$now" ] && ! grep -qxF "$before" <<<"$now"
}
# definition_knows FIELD: of spec.placement
definition_knows() {
    kubectl get crd redisclusters.slotwright.dev -o json |
        jq -e --arg field "$1" '.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.placement.properties | has($field)'
}
# upgrade_to CHART [OPTION...]
upgrade_to() {
    before=$(in_system get pods -o name)
    helm upgrade slotwright "$1" --namespace "$SYSTEM" --reset-then-reuse-values "${@:2}"
    in_system rollout status deployment/slotwright --timeout=120s
    expect 60 "the old operators are gone" all_new
    expect 60 "two operators are Ready" operators_ready 2
}

# There is no release yet: this one as it might have been before it had a field.
older=$(mktemp -d)
trap 'rm -rf "$older"' EXIT
cp -rL "$E2E_DIR/../charts/slotwright" "$older/chart"
sed -i 's/^version: .*/version: 0.0.1/' "$older/chart/Chart.yaml"
sed -i 's/^\( *\)spreadMasters:/\1olderName:/' "$older/chart/files/redisclusters.yaml"
upgrade_to "$older/chart" --set operator.logLevel=debug,crds.install=true
definition_knows olderName
upgrade_to "$E2E_DIR/../charts/slotwright" --set operator.logLevel=info --set-json operator.extraArgs=[]
definition_knows spreadMasters
# Its metrics have each cluster that it has looked at.
has_looked() {
    local metrics
    metrics=$(ask "/api/v1/namespaces/$SYSTEM/pods/$(lease_holder | sed 's/_.*//'):8080/proxy/metrics") &&
        grep -q 'name="demo"' <<<"$metrics" && grep -q 'name="kept"' <<<"$metrics"
}
expect 30 "the new leader has looked" has_looked
expect 60 "all is well" settled demo 6
pods_unharmed demo "$demo"
pods_unharmed kept "$kept"
