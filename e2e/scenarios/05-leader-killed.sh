# the leading operator is killed in the middle of a scale-out
# shellcheck shell=bash

slots_left() { resource demo | jq '.status.operation.slotsLeft // 0'; }
moving() { [ "$(slots_left)" -gt 500 ]; }

other_leads() {
    local holder
    holder=$(lease_holder)
    [ -n "$holder" ] && [ "$holder" != "$1" ]
}

checker_ask checker-demo "fill?keys=600000"
leader=$(lease_holder)
kill_prepare "pod/${leader%_*}"
in_test scale rdc/demo --replicas=4
expect 60 "slots are being moved" moving
kill_now
left=$(slots_left)
tell "killed $leader with $left slots left"
[ "$left" -gt 0 ] # nobody is there to count on: it was in the middle
expect 60 "another one leads" other_leads "$leader"
tell "it is $(lease_holder)"
expect 180 "four masters" settled demo 8
expect 60 "two operators are Ready" operators_ready 2
in_test scale rdc/demo --replicas=3
expect 180 "three masters" settled demo 6
