# another engine, then its next version while operators are killed
# shellcheck shell=bash

change() { in_test patch rdc demo --type=merge -p "{\"spec\": {\"image\": \"$1\"}}"; }
all_well() {
    expect 240 "every pod has $1" all_have demo "$1"
    expect 120 "all is well" settled demo 6
    in_test get rdc demo -o wide
}

change "$OTHER_IMAGE"
all_well "$OTHER_IMAGE"
while_operators_die 2 demo change "$NEXT_IMAGE"
all_well "$NEXT_IMAGE"
