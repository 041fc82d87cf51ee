# shellcheck shell=bash
# What scenarios are made of: the cluster under test, waiting for it, and its write checkers. run.sh sources it.

SYSTEM=slotwright-system
NAMESPACE=slotwright-e2e

in_system() { kubectl --namespace "$SYSTEM" "$@"; }
in_test() { kubectl --namespace "$NAMESPACE" "$@"; }

# tell TEXT: a line with the time, in the scenario's log.
tell() { printf '%s %s\n' "$(date +%T.%3N)" "$*"; }

# expect SECONDS WHAT COMMAND [ARG...]: polls until COMMAND succeeds, and says when; or says what did not come.
expect() {
    local seconds=$1 what=$2 start=$SECONDS
    shift 2
    wait_until "$seconds" "$@" || {
        tell "NOT within $seconds s: $what"
        return 1
    }
    tell "after $((SECONDS - start)) s: $what"
}

# cluster_apply NAME IMAGE [SPEC_LINE...]: a 3+3 cluster.
cluster_apply() {
    local name=$1 image=$2
    shift 2
    {
        printf '%s\n' 'apiVersion: slotwright.dev/v1alpha1' 'kind: RedisCluster' "metadata: {name: $name}" 'spec:' \
            '  masters: 3' '  replicasPerMaster: 1' "  image: $image"
        [ $# -eq 0 ] || printf '  %s\n' "$@"
    } | in_test apply -f -
}

# redis_ask POD COMMAND: what its server answers.
# shellcheck disable=SC2016  # the pod's own variables
redis_ask() {
    in_test exec "$1" -- sh -c '{ cat /run/slotwright/auth; echo "$0"; } |
        "$(command -v redis-cli || command -v valkey-cli)" -h "$POD_IP"' "$2" | sed 1d # the first line answers AUTH
}

# settled NAME PODS: Ready for what the resource says now, nothing under way, and so many pods Ready.
settled() {
    in_test get rdc "$1" -o json | jq -e '.status.observedGeneration == .metadata.generation
        and (.status.operation | not) and any(.status.conditions[]; .type == "Ready" and .status == "True")' &&
        [ "$(pods_ready "$1")" = "$2" ]
}

# refuses NAME REASON: the condition Ready says so.
refuses() {
    in_test get rdc "$1" -o json | jq -e --arg reason "$2" \
        'any(.status.conditions[]; .type == "Ready" and .status == "False" and .reason == $reason)'
}

pods_ready() {
    pods_json "$1" | jq '[.items[] | select(.metadata.deletionTimestamp | not)
        | select(any(.status.conditions[]?; .type == "Ready" and .status == "True"))] | length'
}

pods_json() { in_test get pods -l "app.kubernetes.io/name=redis,app.kubernetes.io/instance=$1" -o json; }

# paused NAME true|false: whether the operator leaves that cluster alone.
paused() { in_test annotate rdc "$1" --overwrite "slotwright.dev/paused=$2"; }

# all_have NAME IMAGE: no pod of the cluster has another image.
all_have() { [ "$(pods_json "$1" | jq -r '.items[].spec.containers[].image' | sort -u)" = "$2" ]; }

# node_of_no_checker: a worker on which no write checker runs.
node_of_no_checker() {
    local used
    used=$(in_test get pods -l app=write-checker -o json | jq '[.items[].spec.nodeName]')
    kubectl get nodes -l '!node-role.kubernetes.io/control-plane' -o json |
        jq -r --argjson used "$used" '[.items[].metadata.name | select(IN($used[]) | not)][0]'
}

pod_uid() { in_test get pod "$1" -o 'jsonpath={.metadata.uid}'; }
pod_node() { in_test get pod "$1" -o 'jsonpath={.spec.nodeName}'; }

# replaced POD UID: whether a pod of that name is there that is not the one of UID.
replaced() {
    local now
    now=$(pod_uid "$1") && [ -n "$now" ] && [ "$now" != "$2" ]
}

# master_of NAME SHARD: the pod that is the master of that shard now.
master_of() { in_test get rdc "$1" -o "jsonpath={.status.shards[?(@.name==\"$1-$2\")].master.pod}"; }

lease_holder() { in_system get lease slotwright -o 'jsonpath={.spec.holderIdentity}'; }

# operators_ready COUNT: so many operator pods are Ready, and one of them holds the Lease.
operators_ready() {
    local pods
    pods=$(in_system get pods -l app.kubernetes.io/component=operator -o json | jq -r '.items[]
        | select(any(.status.conditions[]?; .type == "Ready" and .status == "True")) | .metadata.name')
    [ "$(wc -l <<<"$pods")" = "$1" ] && grep -qxF "$(lease_holder | sed 's/_.*//')" <<<"$pods"
}

# while_operators_die SECONDS COMMAND...: runs it, and for that long what it began goes on, while all operators are killed every
# three seconds. The next leader has to wait until the Lease of a dead one is over.
while_operators_die() {
    local scenario=$BASHPID killer before times=0
    before=$(operators)
    while ((times++ < 100)) && kill -0 "$scenario"; do
        in_system delete pods -l app.kubernetes.io/component=operator --force --grace-period=0
        sleep 3
    done &
    killer=$!
    "${@:2}"
    sleep "$1"
    kill "$killer"
    wait "$killer" || true
    [ -z "$(comm -12 <(echo "$before") <(operators))" ] # none of them is left
}

operators() { in_system get pods -l app.kubernetes.io/component=operator -o name | sort; }

# on_kind: whether nodes are containers here, so that their processes can be reached; scenarios that need it say `on_kind ||
# skip`.
on_kind() { docker inspect "$(kubectl get nodes -o 'jsonpath={.items[0].metadata.name}')" >/dev/null 2>&1; }
skip() {
    tell "skipped: the nodes are not containers of this machine"
    exit 77
}

# pods_unharmed NAME UIDS: the cluster's pods are still the same ones. pods_identities NAME makes UIDS: container ids too.
pods_identities() { pods_json "$1" | jq -r '.items[] | "\(.metadata.uid) \(.status.containerStatuses[0].containerID)"' | sort; }
pods_unharmed() { [ "$(pods_identities "$1")" = "$2" ]; }

# checker_start NAME: writes to that cluster from now on.
checker_start() {
    in_test create configmap write-checker --from-file="$E2E_DIR/lib/checker.py" --dry-run=client -o yaml | in_test apply -f -
    sed "s/CLUSTER/$1/g; s/IMAGE/$CHECKER_IMAGE/" "$E2E_DIR/manifests/checker.yaml" | in_test apply -f -
    in_test wait --for=condition=Ready "pod/checker-$1" --timeout=60s
}

checker_stop() { in_test delete pod "checker-$1" --wait; }

# checker_ask POD PATH: by the API server's proxy, so that it does not matter where this runs.
checker_ask() { kubectl --request-timeout=120s get --raw "/api/v1/namespaces/$NAMESPACE/pods/$1:8000/proxy/$2"; }

checkers() { in_test get pods -l app=write-checker -o 'jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}' 2>/dev/null; }

# laps CHECKER...: what they saw since the last time, in one JSON object; null where there is none.
laps() {
    local pod all=''
    for pod; do
        all+=$(checker_ask "$pod" lap) || return 1
    done
    jq -cs 'if length == 0 then null else {acknowledged: (map(.acknowledged) | add),
        least_acknowledged: (map(.least_acknowledged) | min), unknown: (map(.unknown) | add),
        lost: (map(.lost) | add), disordered: (map(.disordered) | add), worst_seconds: (map(.worst_seconds) | max),
        example: (map(.example) | join(" ")), errors: (map(.errors) | add)} end' <<<"$all"
}
