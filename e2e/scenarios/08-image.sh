# rolling changes to another engine, then to its next major version
# shellcheck shell=bash

# roll IMAGE
roll() {
    in_test patch rdc demo --type=merge -p "{\"spec\": {\"image\": \"$1\"}}"
    expect 240 "every pod has $1" all_have demo "$1"
    expect 120 "all is well" settled demo 6
    in_test get rdc demo -o wide
}

roll "$OTHER_IMAGE"
roll "$NEXT_IMAGE"
