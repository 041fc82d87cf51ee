# shellcheck shell=bash
# What scenarios are made of: the cluster under test, waiting for it, and its write checkers. run.sh sources it.

SYSTEM=slotwright-system
NAMESPACE=slotwright-e2e

in_system() { kubectl --namespace "$SYSTEM" "$@"; }
in_test() { kubectl --namespace "$NAMESPACE" "$@"; }

# ask PATH: what the API server answers. Waiting asks often: with a kubectl each time a run of all scenarios took 150 s of a
# processor for itself, with one that passes questions on (run.sh keeps it at the socket API) 100.
ask() { curl --silent --show-error --fail --max-time 120 --unix-socket "$API" "http://localhost$1"; }
# resource NAME [NAMESPACE]: the RedisCluster, in JSON.
resource() { ask "/apis/slotwright.dev/v1alpha1/namespaces/${2:-$NAMESPACE}/redisclusters/$1"; }

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
    resource "$1" | jq -e '.status.observedGeneration == .metadata.generation
        and (.status.operation | not) and any(.status.conditions[]; .type == "Ready" and .status == "True")' &&
        [ "$(pods_ready "$1")" = "$2" ]
}

# refuses NAME REASON: the condition Ready says so.
refuses() {
    resource "$1" | jq -e --arg reason "$2" \
        'any(.status.conditions[]; .type == "Ready" and .status == "False" and .reason == $reason)'
}

pods_ready() {
    pods_json "$1" | jq '[.items[] | select(.metadata.deletionTimestamp | not)
        | select(any(.status.conditions[]?; .type == "Ready" and .status == "True"))] | length'
}

pods_json() { pods_of "$NAMESPACE" "app.kubernetes.io/name%3Dredis,app.kubernetes.io/instance%3D$1"; }
# pods_of NAMESPACE SELECTOR: in JSON.
pods_of() { ask "/api/v1/namespaces/$1/pods?labelSelector=$2"; }

# shards_apart NAME PODS [LABEL]: the cluster has so many pods, and no two of one shard are on the same node; with LABEL, on nodes
# with the same value of that label.
shards_apart() {
    local places
    places=$(kubectl get nodes -o json |
        jq --arg of "${3:-kubernetes.io/hostname}" '[.items[] | {(.metadata.name): .metadata.labels[$of]}] | add')
    pods_json "$1" | jq -e --argjson pods "$2" --argjson places "$places" \
        '[.items[] | "\(.metadata.name | sub("-[0-9]+$"; "")) \($places[.spec.nodeName])"]
        | length == $pods and length == (unique | length)'
}

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

pod_uid() { ask "/api/v1/namespaces/$NAMESPACE/pods/$1" | jq -r .metadata.uid; }
pod_node() { ask "/api/v1/namespaces/$NAMESPACE/pods/$1" | jq -r .spec.nodeName; }

# replaced POD UID: whether a pod of that name is there that is not the one of UID.
replaced() {
    local now
    now=$(pod_uid "$1") && [ -n "$now" ] && [ "$now" != "$2" ]
}

# master_of NAME SHARD: the pod that is the master of that shard now.
master_of() { resource "$1" | jq -er --arg shard "$1-$2" '.status.shards[] | select(.name == $shard) | .master.pod'; }

# none COMMAND [ARG...]: it succeeds and prints nothing.
none() {
    local out
    out=$("$@") && [ -z "$out" ]
}

lease_holder() { ask "/apis/coordination.k8s.io/v1/namespaces/$SYSTEM/leases/slotwright" | jq -r '.spec.holderIdentity // ""'; }

# operator_leads: the Lease's holder is a pod that is there.
operator_leads() {
    local pods
    pods=$(operators) && grep -qxF "pod/$(lease_holder | sed 's/_.*//')" <<<"$pods"
}

# operators_ready COUNT: so many operator pods are Ready, and one of them holds the Lease.
operators_ready() {
    local pods
    pods=$(pods_of "$SYSTEM" app.kubernetes.io/component%3Doperator | jq -r '.items[]
        | select(any(.status.conditions[]?; .type == "Ready" and .status == "True")) | .metadata.name')
    [ "$(wc -l <<<"$pods")" = "$1" ] && grep -qxF "$(lease_holder | sed 's/_.*//')" <<<"$pods"
}

operators() { pods_of "$SYSTEM" app.kubernetes.io/component%3Doperator | jq -r '.items[] | "pod/\(.metadata.name)"' | sort; }

# kill_prepare POD...: chooses what kill_now ends, so that a kill comes at once and takes nobody's time to put things in order:
# on kind the processes of those operators that run, elsewhere the pods (whose processes are then told to end, and do so).
kill_prepare() {
    local pod node container pid
    victims=("$@")
    on_kind || return 0
    victims=()
    for pod; do
        read -r node container <<<"$(in_system get "$pod" -o \
            'jsonpath={.spec.nodeName} {.status.containerStatuses[0].containerID}')"
        pid=$(docker exec "$node" crictl inspect "${container#*//}" | jq .info.pid) || continue
        [ "$pid" -le 0 ] || victims+=("$node $pid")
    done
    [ ${#victims[@]} -gt 0 ]
}

kill_now() {
    local victim pids=()
    if on_kind; then
        for victim in "${victims[@]}"; do
            docker exec "${victim% *}" kill -KILL "${victim#* }" &
            pids+=($!)
        done
        wait_all "${pids[@]}"
    else
        in_system delete "${victims[@]}" --force --grace-period=0
    fi
}

# under_way NAME...: says what the operator last said it was doing about these clusters, or why they are not Ready; fails if all
# is well with one of them.
under_way() {
    local name what said=()
    for name; do
        what=$(resource "$name" | jq -er '.status | (.operation | select(.) | "\(.type): \(.step)")
            // (.conditions[]? | select(.type == "Ready" and .status == "False") | .reason)') || return 1
        said+=("$name $what")
    done
    echo "${said[*]}"
}

# while_operators_die TIMES NAMES COMMAND [ARG...]: runs it, and up to so many times kills all operators while each of the
# clusters NAMES ("one another") has something under way, each time a little later after the next leader was there. Nobody gives
# the Lease back: it has to run out. Pods go with their processes, as the kubelet would start them later each time. Fails if no kill was in the middle.
while_operators_die() {
    local times=$1 names before now command round said hits=0
    read -ra names <<<"$2"
    before=$(operators)
    [ -n "$before" ]
    mapfile -t now <<<"$before"
    kill_prepare "${now[@]}"
    "${@:3}" &
    command=$!
    expect 60 "${names[*]}: something is under way" under_way "${names[@]}"
    for ((round = 0; round < times; ++round)); do
        if [ "$round" -gt 0 ]; then
            expect 60 "another operator leads" operator_leads
            sleep "0.$((round * 3))"
            mapfile -t now < <(operators)
            kill_prepare "${now[@]}" || continue
            under_way "${names[@]}" >/dev/null || break
        fi
        kill_now || continue # who killed them is a scenario beside this one
        # Nobody is there to say anything else.
        if said=$(under_way "${names[@]}"); then
            tell "killed ${#victims[@]} operators in the middle of: $said"
            hits=$((hits + 1))
        fi
        in_system delete "${now[@]}" --force --grace-period=0 --ignore-not-found
    done
    wait "$command"
    tell "$hits kills were in the middle"
    [ "$hits" -gt 0 ]
    expect 30 "there are other operators" operators_other_than "$before"
}

# operators_other_than PODS: some, and none of those.
operators_other_than() {
    local now
    now=$(operators) && [ -n "$now" ] && [ -z "$(comm -12 <(echo "$1") <(echo "$now"))" ]
}

# on_kind: whether nodes are containers here, so that their processes can be reached; scenarios that need it say `on_kind ||
# skip`. The nodes say so, not docker: where it does not answer, the scenario has to fail.
on_kind() { [ "$ON_KIND" = true ]; }
# skip [REASON]
skip() {
    tell "skipped: ${1:-the nodes are not containers of this machine}"
    exit 77
}

# masters_of NAME: the pods that are its shards' masters, in one line.
masters_of() { resource "$1" | jq -ce '[.status.shards[].master.pod]'; }

# pods_unharmed NAME UIDS: the cluster's pods are still the same ones. pods_identities NAME makes UIDS: container ids too.
pods_identities() { pods_json "$1" | jq -r '.items[] | "\(.metadata.uid) \(.status.containerStatuses[0].containerID)"' | sort; }
pods_unharmed() { [ "$(pods_identities "$1")" = "$2" ]; }

# checker_start NAME: writes to that cluster from now on, and is asked after each scenario until checker_stop.
checker_start() {
    in_test create configmap write-checker --from-file="$E2E_DIR/lib/checker.py" --dry-run=client -o yaml | in_test apply -f -
    sed "s/CLUSTER/$1/g; s/IMAGE/$CHECKER_IMAGE/" "$E2E_DIR/manifests/checker.yaml" | in_test apply -f -
    echo "checker-$1" >>"$CHECKERS"
    in_test wait --for=condition=Ready "pod/checker-$1" --timeout=60s
}

# checker_stop NAME: what it saw up to now is in the log, and has to be well.
checker_stop() {
    local lap
    lap=$(laps "checker-$1")
    tell "the last of checker-$1: $lap"
    jq -e '.lost == 0 and .disordered == 0' <<<"$lap"
    sed -i "/^checker-$1\$/d" "$CHECKERS"
    in_test delete pod "checker-$1" --wait
}

# checker_ask POD PATH: by the API server's proxy, so that it does not matter where this runs.
checker_ask() { ask "/api/v1/namespaces/$NAMESPACE/pods/$1:8000/proxy/$2"; }

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
