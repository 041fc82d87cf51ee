# slots moved by hand: said; then evened while operators are killed
# shellcheck shell=bash

master() { in_test get rdc demo -o "jsonpath={.status.shards[$1].master.$2}"; }
# slots_of SHARD: how many its master has.
slots_of() {
    in_test get rdc demo -o "jsonpath={.status.shards[$1].slots}" |
        awk -v RS='[ \n]' -F- 'NF { n += (NF == 2 ? $2 : $1) - $1 + 1 } END { print n + 0 }'
}
said() { settled demo 6 && resource demo | grep 'slots are uneven and spec.rebalance.mode is Manual'; }
even() { settled demo 6 && [ "$(slots_of 0)" -ge 5352 ]; } # 5461 less the threshold of 2 %

in_test patch rdc demo --type=merge -p '{"spec": {"rebalance": {"mode": "Manual"}}}'
paused demo true
trap 'paused demo false' EXIT
# The password goes from the server's own file to the client's environment, inside of the pod.
in_test exec "$(master 0 pod)" -- sh -c "REDISCLI_AUTH=\$(sed 's/^AUTH .//; s/.$//' /run/slotwright/auth) redis-cli --cluster reshard \
    $(master 0 address) --cluster-from $(master 0 id) --cluster-to $(master 1 id) --cluster-slots 1500 --cluster-yes" | tail -n 2
paused demo false
trap - EXIT
expect 120 "uneven slots are said" said
tell "of slots: $(slots_of 0) $(slots_of 1) $(slots_of 2)"
# So much that evening takes a while, in which the operators are killed.
checker_ask checker-demo "fill?keys=400000"
automatic() { in_test patch rdc demo --type=merge -p '{"spec": {"rebalance": {"mode": "Automatic", "method": "Keys"}}}'; }
while_operators_die 1 demo automatic
expect 120 "they are even" even
tell "of slots: $(slots_of 0) $(slots_of 1) $(slots_of 2)"
in_test patch rdc demo --type=merge -p '{"spec": {"rebalance": {"method": "Auto"}}}'
