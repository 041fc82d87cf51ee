# a rolling change to the next major version, with storage
# beside the next one, with the checker kept
# shellcheck shell=bash

in_test patch rdc kept --type=merge -p "{\"spec\": {\"image\": \"$LATER_IMAGE\"}}"
expect 240 "every pod has $LATER_IMAGE" all_have kept "$LATER_IMAGE"
expect 120 "all is well" settled kept 6
in_test get rdc kept -o wide
