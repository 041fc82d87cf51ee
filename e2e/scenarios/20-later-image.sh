# the next major version, with storage, while operators are killed
# beside the next one, with the checker kept
# shellcheck shell=bash

change() { in_test patch rdc kept --type=merge -p "{\"spec\": {\"image\": \"$LATER_IMAGE\"}}"; }
while_operators_die 2 kept change
expect 240 "every pod has $LATER_IMAGE" all_have kept "$LATER_IMAGE"
expect 120 "all is well" settled kept 6
in_test get rdc kept -o wide
