# configuration: a directive changed live, another by a roll
# shellcheck shell=bash

# setting POD DIRECTIVE: what the server says.
# shellcheck disable=SC2016  # the pod's own variables
setting() {
    in_test exec "$1" -- sh -c '{ cat /run/slotwright/auth; echo "CONFIG GET $0"; } |
        "$(command -v redis-cli || command -v valkey-cli)" -h "$POD_IP"' "$2" | tail -n 1
}
# everywhere DIRECTIVE VALUE
everywhere() {
    local pod
    for pod in $(pods_json demo | jq -r '.items[].metadata.name'); do
        [ "$(setting "$pod" "$1")" = "$2" ] || return 1
    done
}

pods=$(pods_identities demo)
in_test patch rdc demo --type=merge -p '{"spec": {"config": {"slowlog-log-slower-than": "7654"}}}'
expect 30 "every server knows" everywhere slowlog-log-slower-than 7654
expect 60 "all is well" settled demo 6
pods_unharmed demo "$pods"
in_test patch rdc demo --type=merge -p '{"spec": {"config": {"databases": "20"}}}'
expect 180 "every server has been started with it" everywhere databases 20
expect 60 "all is well" settled demo 6
