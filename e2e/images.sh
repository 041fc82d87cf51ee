#!/bin/bash
# Makes images of Redis engines and loads them on all nodes: images.sh [NAME...], by default all that are known.
set -euo pipefail
# shellcheck source=lib/all.sh
. "$(dirname "$0")/lib/all.sh"

[ $# -gt 0 ] || set -- "${REDIS_IMAGES[@]}"
cluster_environment
cache_lock
images=()
for name; do
    if [ "$ENGINE" = host ]; then
        step "loading $name on the nodes" redis_image_pull "$name"
    else
        need_commands debootstrap python3 pip3
        redis_image "$name"
        images+=("$(redis_image_dir "$name")")
    fi
done
[ ${#images[@]} = 0 ] || step "loading $* on the nodes" images_load_on_nodes "${images[@]}"
