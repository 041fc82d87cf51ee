# what cannot be is refused, with a reason
# shellcheck shell=bash

# refused MESSAGE COMMAND [ARG...]
refused() {
    local message=$1 said
    shift
    if said=$("$@" 2>&1); then
        tell "accepted: $*"
        return 1
    fi
    tell "$said"
    grep -qF "$message" <<<"$said"
}

refused "port cannot be changed; create a new RedisCluster and move the data" \
    in_test patch rdc demo --type=merge -p '{"spec": {"port": 7000}}'
refused "storage cannot be added to or removed from an existing RedisCluster" \
    in_test patch rdc demo --type=merge -p '{"spec": {"storage": {"size": "1Gi"}}}'
refused "metadata.name must have at most 40 characters" \
    cluster_apply "a-name-that-is-much-too-long-for-the-names-of-services" "$REDIS_IMAGE"
refused "should be greater than or equal to 1" in_test scale rdc/demo --replicas=0

# told NAME TEXT: the condition Ready says that.
told() { resource "$1" | jq -e --arg text "$2" 'any(.status.conditions[]; .type == "Ready" and (.message | contains($text)))'; }
# never_rolled TEXT SPEC: no pod goes for one that the API server would refuse.
never_rolled() {
    in_test patch rdc demo --type=merge -p "{\"spec\": $2}"
    expect 30 "it is refused: $1" told demo "$1"
    refuses demo PodRefused
    pods_unharmed demo "$pods"
}
pods=$(pods_identities demo)
resources=$(resource demo | jq -c .spec.resources)
never_rolled 'unknown field "spec.affinity.nodeAfinity"' '{"placement": {"affinity": {"nodeAfinity": {}}}}'
never_rolled 'must be less than or equal to memory limit of 1Gi' '{"placement": {"affinity": null},
    "resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}}'
in_test patch rdc demo --type=merge -p "{\"spec\": {\"resources\": $resources}}"
expect 60 "all is well" settled demo 6
pods_unharmed demo "$pods"
