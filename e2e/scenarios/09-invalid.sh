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
settled demo 6
