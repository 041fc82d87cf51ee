# a rolling change to the next major version, with storage
# shellcheck shell=bash

all_new() { [ "$(pods_json kept | jq -r '.items[].spec.containers[].image' | sort -u)" = "$LATER_IMAGE" ]; }

in_test patch rdc kept --type=merge -p "{\"spec\": {\"image\": \"$LATER_IMAGE\"}}"
expect 240 "every pod has $LATER_IMAGE" all_new
expect 120 "all is well" settled kept 6
in_test get rdc kept -o wide
