# shellcheck shell=bash disable=SC2034  # some of what is set here is read by other files only
# What every script here shares: where things are, how progress and failures are told.

E2E_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# What belongs to the running cluster and is gone after down.sh.
E2E_STATE=$(realpath -m "${E2E_STATE:-$E2E_DIR/.state}")
# What is worth keeping between clusters.
E2E_CACHE=$(realpath -m "${SLOTWRIGHT_CACHE:-$HOME/.cache/slotwright}/e2e")
# Sockets and pids of an engine of our own. Not under E2E_STATE: a socket's path has at most 107 characters.
E2E_RUN=/run/slotwright-e2e
E2E_CLUSTER=slotwright

# note TEXT: one line of progress. To stderr, so that stdout holds only what a shell can eval.
note() { printf 'e2e: %s\n' "$*" >&2; }

# die PROBLEM [REMEDY...]: ends the script with a problem and what a person can do about it.
die() {
    printf 'e2e: error: %s\n' "$1" >&2
    shift
    [ $# -eq 0 ] || printf '     %s\n' "$@" >&2
    exit 1
}

# step TITLE COMMAND [ARG...]: runs a command that may take a while; its output goes to a log, its duration to the person.
# COMMAND stops at its first failure. Do not use step in a condition (`if`, `||`): bash would not stop it there.
step() {
    local title=$1 start=$SECONDS status log
    shift
    mkdir -p "$E2E_STATE/log"
    log=$E2E_STATE/log/$(tr -cs 'a-zA-Z0-9.' - <<<"$title").log
    log=${log/-.log/.log}
    note "$title ..."
    set +e
    (
        set -e
        "$@"
    ) >"$log" 2>&1
    status=$?
    set -e
    if [ "$status" -ne 0 ]; then
        tail -n 25 "$log" | sed 's/^/     | /' >&2
        die "$title: failed after $((SECONDS - start)) s (exit status $status)" "The whole output is in $log."
    fi
    note "$title: done in $((SECONDS - start)) s"
}

# need_commands COMMAND...: all of them, or a list of what is missing.
need_commands() {
    local command missing=()
    for command; do
        command -v "$command" >/dev/null || missing+=("$command")
    done
    [ ${#missing[@]} -eq 0 ] || die "not installed: ${missing[*]}" \
        "On Debian and Ubuntu run scripts/setup.sh e2e; elsewhere, and for go 1.26, use the means of your system."
}

# wait_all PID...: waits for all of them; fails if one did.
wait_all() {
    local pid failed=0
    for pid; do
        wait "$pid" || failed=1
    done
    return "$failed"
}

# wait_until SECONDS COMMAND [ARG...]: polls until COMMAND succeeds; fails once the time is over.
wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.2
    done
}
