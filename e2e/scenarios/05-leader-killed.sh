# the leading operator is killed in the middle of a scale-out
# shellcheck shell=bash

moving() { in_test get rdc demo -o json | jq -e '.status.operation.slotsLeft > 100'; }

# kill_hard POD: its process at once, on kind; elsewhere the pod is deleted without a grace period.
kill_hard() {
    local node container pid
    node=$(in_system get pod "$1" -o 'jsonpath={.spec.nodeName}')
    container=$(in_system get pod "$1" -o 'jsonpath={.status.containerStatuses[0].containerID}')
    if docker inspect "$node" >/dev/null 2>&1; then
        pid=$(docker exec "$node" crictl inspect "${container#*//}" | jq .info.pid)
        docker exec "$node" kill -KILL "$pid"
    else
        in_system delete pod "$1" --force --grace-period=0
    fi
}

other_leads() { [ "$(lease_holder)" != "$1" ] && [ -n "$(lease_holder)" ]; }

checker_ask checker-demo "fill?keys=200000"
in_test scale rdc/demo --replicas=4
expect 60 "slots are being moved" moving
leader=$(lease_holder)
kill_hard "${leader%_*}"
tell "killed $leader: $(in_test get rdc demo -o json | jq -c .status.operation)"
expect 60 "another one leads" other_leads "$leader"
tell "it is $(lease_holder)"
expect 180 "four masters" settled demo 8
expect 60 "two operators are Ready" operators_ready 2
in_test scale rdc/demo --replicas=3
expect 180 "three masters" settled demo 6
