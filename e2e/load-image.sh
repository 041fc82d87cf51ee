#!/bin/bash
# Turns a folder into a container image and loads it on all nodes: load-image.sh NAME ROOTFS_DIR [CONFIG_JSON]
# CONFIG_JSON is the OCI image config's object, for example '{"Entrypoint": ["/slotwright"], "User": "65532"}'.
set -euo pipefail
# shellcheck source=lib/all.sh
. "$(dirname "$0")/lib/all.sh"

{ [ $# -ge 2 ] && [ $# -le 3 ]; } || die "usage: $0 NAME ROOTFS_DIR [CONFIG_JSON]" \
    "For example: $0 slotwright:dev build/rootfs '{\"Entrypoint\": [\"/slotwright\"]}'"
[[ $1 == *:* ]] || die "the image name $1 has no tag" "Name it like slotwright:dev; without one Kubernetes would try to pull it."
[ -d "$2" ] || die "$2 is not a folder" "Give the folder that is to be the container's /."
config=${3:-}
[ -n "$config" ] || config='{}'
jq -e 'type == "object"' <<<"$config" >/dev/null || die "not a JSON object: $config"

cluster_environment
cache_lock
packed=$(mktemp -d)
trap 'rm -rf "$packed"' EXIT
step "packing $1" image_pack "$1" "$config" "$2" "$packed"
step "loading $1 on the nodes" images_load_on_nodes "$packed"
