# the leading operator hangs in the middle of a scale-out: the other one goes on; then it is killed
# shellcheck shell=bash

slots_left() { resource demo | jq '.status.operation.slotsLeft // 0'; }
moving() { [ "$(slots_left)" -gt 500 ]; }
# leads POD: it holds the Lease.
leads() { [ "$(lease_holder)" != "" ] && [ "$(lease_holder | sed 's/_.*//')" = "$1" ]; }
# signal NAME: to the process of kill_prepare.
# shellcheck disable=SC2154  # victims are its
signal() { docker exec "${victims[0]% *}" kill "-$1" "${victims[0]#* }"; }

checker_ask checker-demo "fill?keys=600000"
leader=$(lease_holder)
leader=${leader%_*}
other=$(operators | sed 's|^pod/||' | grep -vxF "$leader")
kill_prepare "pod/$leader"
in_test scale rdc/demo --replicas=4
expect 60 "slots are being moved" moving
# Elsewhere than on kind its pod is deleted, and its place taken by a third one as well.
if on_kind; then signal STOP; else kill_now; fi
left=$(slots_left)
tell "$leader stands still with $left slots left"
[ "$left" -gt 0 ] # nobody is there to count on: it was in the middle
if on_kind; then
    expect 60 "the other one leads" leads "$other"
    # What it wakes up to is not its to do any more.
    signal CONT
    expect 180 "four masters" settled demo 8
    leads "$other"
    signal KILL
else
    expect 60 "another one leads" operator_leads
    expect 180 "four masters" settled demo 8
fi
expect 60 "two operators are Ready" operators_ready 2
in_test scale rdc/demo --replicas=3
expect 180 "three masters" settled demo 6
