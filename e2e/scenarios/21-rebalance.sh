# uneven slots: only said in Manual mode, evened in Automatic mode
# shellcheck shell=bash

# slots_of SHARD: how many its master has.
slots_of() {
    in_test get rdc demo -o "jsonpath={.status.shards[?(@.name==\"demo-$1\")].slots}" |
        awk -v RS='[ \n]' -F- 'NF { n += (NF == 2 ? $2 : $1) - $1 + 1 } END { print n + 0 }'
}
said() { settled demo 8 && in_test get rdc demo -o yaml | grep 'slots are uneven and spec.rebalance.mode is Manual'; }
even() { settled demo 8 && [ "$(slots_of 3)" -ge 4014 ]; } # 4096 less the threshold of 2 %

in_test patch rdc demo --type=merge -p '{"spec": {"masters": 4, "rebalance": {"mode": "Manual"}}}'
expect 120 "a fourth master without slots, and that is said" said
[ "$(slots_of 3)" = 0 ]
in_test patch rdc demo --type=merge -p '{"spec": {"rebalance": {"mode": "Automatic"}}}'
expect 120 "the fourth has its share" even
tell "of slots: $(slots_of 0) $(slots_of 1) $(slots_of 2) $(slots_of 3)"
in_test patch rdc demo --type=merge -p '{"spec": {"masters": 3}}'
expect 120 "three masters" settled demo 6
