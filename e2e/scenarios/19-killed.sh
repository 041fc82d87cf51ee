# operators killed again and again, whatever goes on
# shellcheck shell=bash

# Both of them, every three seconds, until the file is gone; at most a hundred times.
kill_operators() {
    local i
    for ((i = 0; i < 100; ++i)); do
        [ -e "$1" ] || return 0
        in_system delete pods -l app.kubernetes.io/component=operator --force --grace-period=0
        sleep 3
    done
}

go_on=$(mktemp)
trap 'rm -f "$go_on"; wait' EXIT
checker_ask checker-demo "fill?keys=200000"
# change SECONDS PODS WHAT PATCH [COMMAND...]: patched, and the command run beside it; killed for that long while it goes on,
# and then it ends well.
change() {
    kill_operators "$go_on" &
    in_test patch rdc demo --type=merge -p "$4"
    "${@:5}"
    sleep "$1"
    rm -f "$go_on"
    wait
    tell "$3: $(in_test get rdc demo -o json | jq -c '.status.operation')"
    expect 120 "$3" settled demo "$2"
    touch "$go_on"
}
lose_a_master() { in_test delete pod "$(master_of kept 1)" --wait=false; }
third_is_gone() { [ -z "$(in_test get all,cm,pdb,secret -l app.kubernetes.io/instance=third -o name)" ]; }
change 6 8 "four masters" '{"spec": {"masters": 4}}' cluster_apply third "$REDIS_IMAGE"
expect 60 "another cluster is there" settled third 6
change 8 8 "another directive" '{"spec": {"config": {"databases": "21"}}}' lose_a_master
expect 60 "a master's pod of yet another one is back" settled kept 6
change 6 6 "three masters" '{"spec": {"masters": 3}}' in_test delete rdc third
expect 60 "nothing of the other cluster is left" third_is_gone
expect 60 "two operators are Ready" operators_ready 2
