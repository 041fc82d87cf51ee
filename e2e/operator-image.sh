#!/bin/bash
# Makes the operator's image (slotwright:e2e) and the write checker's, and loads both on all nodes. SLOTWRIGHT names the program.
set -euo pipefail
# shellcheck source=lib/all.sh
. "$(dirname "$0")/lib/all.sh"

root=$(cd "$E2E_DIR/.." && pwd)
program=${SLOTWRIGHT:-$root/build/release/operator/slotwright-operator}
cluster_environment
cache_lock
packed=$(mktemp -d)
trap 'rm -rf "$packed"' EXIT
mkdir "$packed/operator"

if [ "$ENGINE" = host ]; then
    step "building the operator's image" docker build -t slotwright:e2e "$root"
    step "building the write checker's image" checker_image_build write-checker:e2e
    step "loading the images on the nodes" kind load docker-image --name "$E2E_CLUSTER" slotwright:e2e write-checker:e2e
else
    need_commands debootstrap strip
    [ -x "$program" ] || die "there is no program $program" "Run make build first, or set SLOTWRIGHT to where it is."
    slim_root "$OPERATOR_PACKAGES"
    step "packing the operator's image" operator_image slotwright:e2e "$program" "$packed/operator"
    note "the operator's image has $(cat "$packed/operator/megabytes") MB"
    checker_image write-checker:e2e
    step "loading both images on the nodes" images_load_on_nodes "$packed/operator" "$(checker_image_dir)"
fi
