#!/bin/bash
# Installs what up.sh and images.sh need on a Debian machine that runs no Docker service. Go comes from elsewhere.
set -euo pipefail
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"

[ "$(id -u)" = 0 ] || die "installing packages needs root" "Run: sudo $0"
install_packages() {
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        debootstrap containerd runc docker.io iptables iproute2 jq util-linux python3 python3-pip ca-certificates
}
step "installing Debian packages" install_packages
