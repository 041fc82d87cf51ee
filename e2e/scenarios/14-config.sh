# configuration: a directive changed live, another by a roll
# beside the next one, with the checker kept
# shellcheck shell=bash

# everywhere DIRECTIVE VALUE
everywhere() {
    local pods pod
    pods=$(pods_json kept | jq -r '.items[].metadata.name') && [ "$(wc -w <<<"$pods")" = 6 ] || return 1
    for pod in $pods; do
        [ "$(redis_ask "$pod" "CONFIG GET $1" | tail -n 1)" = "$2" ] || return 1
    done
}

pods=$(pods_identities kept)
in_test patch rdc kept --type=merge -p '{"spec": {"config": {"slowlog-log-slower-than": "7654"}}}'
expect 60 "every server knows" everywhere slowlog-log-slower-than 7654
expect 60 "all is well" settled kept 6
pods_unharmed kept "$pods"
in_test patch rdc kept --type=merge -p '{"spec": {"config": {"tcp-backlog": "500"}}}'
expect 180 "every server has been started with it" everywhere tcp-backlog 500
expect 60 "all is well" settled kept 6
