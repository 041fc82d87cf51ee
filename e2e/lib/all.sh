# shellcheck shell=bash
# Loads every library; a script that sources this has all their functions and has done nothing yet.

E2E_LIB=$(dirname "${BASH_SOURCE[0]}")
. "$E2E_LIB/common.sh"
. "$E2E_LIB/versions.sh"
. "$E2E_LIB/cache.sh"
. "$E2E_LIB/go-binaries.sh"
. "$E2E_LIB/debian-root.sh"
. "$E2E_LIB/image.sh"
. "$E2E_LIB/engine.sh"
. "$E2E_LIB/node-image.sh"
. "$E2E_LIB/cluster.sh"
. "$E2E_LIB/redis-images.sh"
. "$E2E_LIB/test-images.sh"
