#!/bin/bash
# Runs the scenarios on the cluster that KUBECONFIG names, by default the one of up.sh: run.sh [SCENARIO...]; see README.md.
# A scenario is a file of scenarios/, named whole or by its number; they build upon each other, the first two on nothing.
set -euo pipefail
# shellcheck source=lib/all.sh
. "$(dirname "$0")/lib/all.sh"
# shellcheck source=lib/scenario.sh
. "$E2E_DIR/lib/scenario.sh"

REPORT=${E2E_REPORT:-$E2E_DIR/../build/e2e}
export OPERATOR_IMAGE=${E2E_OPERATOR_IMAGE:-slotwright:e2e}
export CHECKER_IMAGE=${E2E_CHECKER_IMAGE:-write-checker:e2e}
export REDIS_IMAGE=${E2E_REDIS_IMAGE:-redis:7.0} LATER_IMAGE=${E2E_LATER_IMAGE:-redis:8.2}
export OTHER_IMAGE=${E2E_OTHER_IMAGE:-valkey:8.0} NEXT_IMAGE=${E2E_NEXT_IMAGE:-valkey:9.1}

# How the operator is installed: with our image, and a Lease that a dead leader leaves sooner than by default, as scenarios kill
# many. (The last ones have the defaults.)
# shellcheck disable=SC2034  # they read it
INSTALL_OPTIONS=(--set "image.repository=${OPERATOR_IMAGE%:*},image.tag=${OPERATOR_IMAGE##*:}"
    --set "operator.extraArgs={--leader-elect-lease-duration=3s,--leader-elect-renew-deadline=2s,--leader-elect-retry-period=1s}")

export GROWING_CLASS=slotwright-e2e-growing # made by the scenario that needs it
CONFORMANCE_CRD=widgets.conformance.slotwright.dev # made by the conformance tests
CHECKERS=$REPORT/checkers                          # those that must answer, one a line: a pod that is gone is missed
FAILED=$REPORT/failed                              # scenarios, one a line

title_of() { sed -n '1s/^# //p' "$1"; }

# play FILE: a scenario's commands up to the first that fails; their output and how long they took go into the report. Call it
# after `set +e`, and never in a condition (`if`, `||`): bash would then not stop at the first failure.
play() {
    local name began=$EPOCHREALTIME status
    name=$(basename "$1" .sh)
    (
        set -eE
        trap 'tell "failed: $BASH_COMMAND"' ERR
        # shellcheck source=/dev/null
        . "$1"
    ) >"$REPORT/$name.log" 2>&1
    status=$?
    awk -v began="$began" -v now="$EPOCHREALTIME" 'BEGIN { printf "%.1f", now - began }' >"$REPORT/$name.seconds"
    return "$status"
}

# is_aside FILE: whether its second line says that it runs beside the next one that does not.
is_aside() { sed -n 2p "$1" | grep -q '^# beside the next one'; }

# checkers_of FILE: those whose writes count with it. One that runs aside has that of its second line or none, another one all
# but those.
checkers_of() {
    local file others=''
    if is_aside "$1"; then
        sed -n '2s/^# beside the next one, with the checker /checker-/p' "$1"
        return
    fi
    for file in "${asides[@]}"; do
        others+=$(checkers_of "$file")$'\n'
    done
    grep -vxF "$others" "$CHECKERS" || true
}

# scenario FILE: plays it. What happened since the one before is counted with it.
scenario() {
    local status
    note "$(title_of "$1") ..."
    set +e
    play "$1"
    status=$?
    set -e
    # shellcheck disable=SC2046  # names of pods
    conclude "$1" "$status" $(checkers_of "$1")
}

# scenarios FILE...: one after the other.
scenarios() {
    local file
    for file; do
        scenario "$file"
    done
}

# longest_wait FILE: of a writer, in seconds, at most. A shard that is handed over is away for less than one, on a busy machine
# for two; an election comes after the node timeout of five. Where a machine dies or all pods go, one of the first lines says so.
longest_wait() {
    local expected
    expected=$(sed -n '1,4s/^# writers wait for at most \([0-9]*\) s$/\1/p' "$1")
    echo "${expected:-5}"
}

# conclude FILE STATUS CHECKER...: adds the scenario's line to the table, and its name to those that failed; it fails also if one of the
# checkers finds an acknowledged write lost or out of place, if one of its writers got nowhere, or had to wait for too long.
conclude() {
    local name title seconds status=$2 lap result=ok limit
    name=$(basename "$1" .sh)
    limit=$(longest_wait "$1")
    title=$(title_of "$1")
    seconds=$(cat "$REPORT/$name.seconds")
    shift 2
    lap=$(laps "$@" 2>>"$REPORT/$name.log") || { lap=null; status=1; }
    printf 'checkers: %s\n' "$(jq -c . <<<"$lap")" >>"$REPORT/$name.log"
    jq -e --argjson limit "$limit" '. == null or (.least_acknowledged > 0 and .lost == 0 and .disordered == 0
        and .worst_seconds <= $limit)' <<<"$lap" >/dev/null || {
        printf 'a write was lost or out of place, a writer got nowhere, or waited for more than %s s\n' "$limit" >>"$REPORT/$name.log"
        status=1
    }
    if [ "$status" = 77 ] && [ -n "${E2E_SKIPS-yes}" ]; then
        result=skipped
        status=0
    fi
    if [ "$status" -ne 0 ]; then
        result=FAILED
        echo "$name" >>"$FAILED"
        diagnose >"$REPORT/$name.diagnosis.log" 2>&1 || true
        tail -n 8 "$REPORT/$name.log" | sed 's/^/     | /' >&2
    fi
    row "$title" "$result" "$seconds" "$lap" | tee -a "$REPORT/summary.txt" >&2
}

# row TITLE RESULT SECONDS LAP
row() {
    local columns
    columns=$(jq -r 'if . == null then "- - -" else "\(.acknowledged) \(.lost) \(.worst_seconds)" end' <<<"$4")
    # shellcheck disable=SC2086  # three columns
    printf '%-65s %-7s %8s %9s %5s %8s\n' "$1" "$2" "$3" $columns
}

# diagnose: what a person asks for first after a failure.
diagnose() {
    local pod
    kubectl get nodes,pods -A -o wide
    kubectl get rdc -A -o yaml
    in_test get pvc,pdb -o yaml
    kubectl get events -A --sort-by=.lastTimestamp
    for pod in $(in_system get pods -o name); do
        echo "== $pod"
        in_system logs "$pod" --previous || true
        in_system logs "$pod"
    done
    for pod in $(in_test get pods -o name); do
        echo "== $pod"
        in_test logs "$pod" --tail=60
    done
}

# clean: takes away what the scenarios made, unless E2E_CLEAN is empty; the definition too, as it was not there before.
clean() {
    [ -n "${E2E_CLEAN-yes}" ] || return 0
    in_test delete rdc --all --timeout=60s >/dev/null 2>&1 || true
    helm uninstall slotwright --namespace "$SYSTEM" >/dev/null 2>&1 || true
    kubectl delete namespace "$NAMESPACE" "$NAMESPACE-other" "$SYSTEM" --ignore-not-found --timeout=120s >/dev/null
    kubectl delete crd redisclusters.slotwright.dev "$CONFORMANCE_CRD" --ignore-not-found >/dev/null
    kubectl delete storageclass "$GROWING_CLASS" --ignore-not-found >/dev/null
}

if [ -z "${KUBECONFIG:-}" ]; then
    cluster_environment
fi
PATH=$("$E2E_DIR/../scripts/tools.sh"):$PATH
need_commands kubectl helm jq curl
for existing in namespace/{"$SYSTEM","$NAMESPACE","$NAMESPACE-other"} crd/{redisclusters.slotwright.dev,"$CONFORMANCE_CRD"}; do
    [ -z "$(kubectl get "$existing" --ignore-not-found -o name)" ] ||
        die "$existing is there already" "The scenarios install Slotwright themselves; take it away first."
done
# shellcheck disable=SC2034  # scenarios ask
ON_KIND=$(kubectl get nodes -o json | jq 'all(.items[]; .spec.providerID // "" | startswith("kind://docker/"))')
mkdir -p "$REPORT"
rm -f "$REPORT"/*.{log,seconds}
true >"$CHECKERS"
true >"$FAILED"
row scenario result seconds '{"acknowledged": "acked", "lost": "lost", "worst_seconds": "worst-s"}' >"$REPORT/summary.txt"
api=$(mktemp -d)
export API=$api/socket
kubectl proxy --unix-socket="$API" >/dev/null &
proxy=$!
trap 'kill "$proxy"; rm -rf "$api"; clean' EXIT
wait_until 10 test -S "$API"

files=("$E2E_DIR"/scenarios/*.sh)
if [ $# -gt 0 ]; then
    files=()
    for wanted; do
        files+=("$E2E_DIR/scenarios/${wanted%.sh}"*.sh)
    done
fi
asides=()
for file in "${files[@]}"; do
    if is_aside "$file"; then
        asides+=("$file")
        continue
    fi
    scenarios "${asides[@]}" &
    lane=$!
    scenario "$file"
    wait "$lane"
    asides=()
    # Without an operator and a cluster nothing else has a meaning.
    ! grep -q '^0[12]-' "$FAILED" || break
done
scenarios "${asides[@]}"
cat "$REPORT/summary.txt"
[ ! -s "$FAILED" ] || die "failed: $(xargs <"$FAILED")" "Their logs are in $REPORT."
