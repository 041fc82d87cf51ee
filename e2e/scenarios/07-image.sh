# a rolling change to another engine
# shellcheck shell=bash

all_new() { [ "$(pods_json demo | jq -r '.items[].spec.containers[].image' | sort -u)" = "$NEXT_IMAGE" ]; }

in_test patch rdc demo --type=merge -p "{\"spec\": {\"image\": \"$NEXT_IMAGE\"}}"
expect 240 "every pod has $NEXT_IMAGE" all_new
expect 120 "all is well" settled demo 6
in_test get rdc demo -o wide
