# shellcheck shell=bash
# The Docker engine under kind: the host's, or where none runs one of our own, started and stopped by hand.

E2E_SOCKET=$E2E_RUN/docker.sock

# engine_choose: sets ENGINE to "host" or "own" and points the docker client there. E2E_ENGINE=own|host overrules.
engine_choose() {
    if [ -S "$E2E_SOCKET" ]; then
        ENGINE=own
    elif [ -n "${E2E_ENGINE:-}" ]; then
        ENGINE=$E2E_ENGINE
    elif command -v docker >/dev/null && timeout 10 docker info >/dev/null 2>&1; then
        ENGINE=host
    else
        ENGINE=own
    fi
    case $ENGINE in
        own) export DOCKER_HOST=unix://$E2E_SOCKET ;;
        host) ;;
        *) die "E2E_ENGINE=$ENGINE" "It is either own or host." ;;
    esac
}

# engine_start: starts our engine unless it runs. It keeps its images in the cache and leaves the host's iptables alone.
engine_start() {
    engine_answers && return 0
    [ "$(id -u)" = 0 ] || die "an engine of our own needs root" "Start Docker's service instead, or run this as root."
    [ -z "$(engine_pid)" ] || die "dockerd (process $(engine_pid)) runs but does not answer" \
        "Its log is $E2E_RUN/dockerd.log. $E2E_DIR/down.sh after ending that process cleans up."
    engine_stop # what one that was killed has left
    mkdir -p "$E2E_RUN" "$E2E_CACHE/engine"
    engine_remember_sysctls
    # shellcheck disable=SC2054  # the comma is dockerd's
    local options=(
        --host "$DOCKER_HOST" --pidfile "$E2E_RUN/docker.pid"
        --data-root "$E2E_CACHE/engine" --exec-root "$E2E_RUN/exec"
        --bridge none --iptables=false --ip6tables=false
        --default-address-pool base=172.30.0.0/16,size=24
    )
    if engine_lacks_sys_resource; then
        options+=(--add-runtime "trimmed=$(go_binaries_dir tools)/runc-shim" --default-runtime trimmed)
    fi
    # A session of its own: it outlives this script and its terminal. 9 is the lock.
    setsid dockerd "${options[@]}" >"$E2E_RUN/dockerd.log" 2>&1 </dev/null 9>&- &
    disown
    wait_until 60 engine_answers || {
        tail -n 20 "$E2E_RUN/dockerd.log" >&2
        die "dockerd does not answer on $E2E_SOCKET after 60 s" "Its log is $E2E_RUN/dockerd.log."
    }
}

engine_answers() { timeout 5 docker version; } >/dev/null 2>&1

# engine_has_containers: whether a cluster of ours is there, be the engine alive or not.
engine_has_containers() { [ -n "$(ls -A "$E2E_CACHE/engine/containers" 2>/dev/null)" ]; }

# engine_remove_images: from a host's engine, what has a name that only we give. Upstream's own (redis:…,
# valkey/valkey:…) may have been there before.
engine_remove_images() {
    local name names=(slotwright:e2e write-checker:e2e)
    for name in "${REDIS_IMAGES[@]}"; do
        [[ $name != valkey:* ]] || names+=("$name")
    done
    docker image rm "${names[@]}" >/dev/null 2>&1 || true # takes away those that are there
}

# engine_stop: stops our engine, by its pid, and takes away what it leaves behind.
engine_stop() {
    local pid
    pid=$(engine_pid)
    if [ -n "$pid" ]; then
        kill "$pid"
        wait_until 30 engine_process_ended "$pid" || kill -KILL "$pid"
        wait_until 10 engine_process_ended "$pid" || die "dockerd (process $pid) does not end" "See /proc/$pid/stack."
    fi
    engine_kill_orphans
    unmount_below "$E2E_RUN"
    unmount_below "$E2E_CACHE/engine"
    engine_restore_sysctls
    # Cgroups that dockerd leaves; one in use cannot be removed.
    find /sys/fs/cgroup/*/docker -depth -type d -exec rmdir {} + 2>/dev/null || true
    rm -rf --one-file-system "$E2E_RUN"
}

# engine_kill_orphans: the containers of an engine that was killed. A container's first process is its shim's child, and
# ends only after all others in it.
engine_kill_orphans() {
    local shim first
    for shim in $(pgrep -f -- "^[^ ]*containerd-shim-runc-v2 .*-address $E2E_RUN/exec/" || true); do
        note "a container outlived the engine; killing it"
        for first in $(pgrep -P "$shim" || true); do
            kill -KILL "$first"
            wait_until 30 engine_process_ended "$first" || note "process $first does not end; see /proc/$first/stack"
        done
        kill -KILL "$shim" || true
    done
}

# engine_pid: the pid of our engine, or nothing. A pid file outlives its process: only a dockerd of our socket counts.
engine_pid() {
    local pid
    pid=$(cat "$E2E_RUN/docker.pid" 2>/dev/null) || return 0
    if tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep -qxF "$E2E_RUN/docker.pid"; then
        printf '%s' "$pid"
    fi
}

# engine_process_ended PID: a zombie has ended as well.
engine_process_ended() { ! grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$1/status"; }

# engine_remember_sysctls, engine_restore_sysctls: what dockerd and the kubelets set for the whole host.
engine_remember_sysctls() {
    local name
    for name in net.ipv4.ip_forward vm.overcommit_memory kernel.panic kernel.panic_on_oops; do
        printf '%s %s\n' "/proc/sys/${name//./\/}" "$(cat "/proc/sys/${name//./\/}")"
    done >"$E2E_RUN/sysctls"
}

engine_restore_sysctls() {
    local file value
    [ -f "$E2E_RUN/sysctls" ] || return 0
    while read -r file value; do
        echo "$value" >"$file" || note "could not set $file back to $value"
    done <"$E2E_RUN/sysctls"
}

# engine_lacks_sys_resource: whether root here may not have CAP_SYS_RESOURCE (bit 24), as in many sandboxes.
engine_lacks_sys_resource() {
    local bounding
    bounding=$(awk '$1 == "CapBnd:" { print $2 }' /proc/self/status)
    [ $((16#$bounding >> 24 & 1)) = 0 ]
}
