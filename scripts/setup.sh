#!/usr/bin/env bash
# Installs what building and testing needs, asking nothing. Does nothing if all is there.
set -euo pipefail

packages=(
  g++ make cmake ninja-build ccache mold pkg-config git ca-certificates curl
  libcpprest-dev libboost-dev libboost-system-dev libssl-dev zlib1g-dev
  nlohmann-json3-dev libyaml-cpp-dev libhiredis-dev prometheus-cpp-dev libspdlog-dev libfmt-dev libcli11-dev
  libgtest-dev libgmock-dev libmimalloc-dev
  redis-server redis-tools
  python3 python3-redis python3-pip unzip python3-yaml
  shellcheck
)

installed() { dpkg-query --show --showformat='${db:Status-Status}' "$1" 2> /dev/null | grep -qx installed; }

# Usage: setup.sh [lint|e2e]
case ${1:-} in
  lint) packages+=(clang-format-19 clang-tidy-19) ;;
  e2e)
    packages+=(jq)
    # Without a Docker engine that runs here the scripts start one of their own.
    docker info > /dev/null 2>&1 || packages+=(docker.io containerd runc debootstrap iptables iproute2)
    ;;
esac

missing=()
for package in "${packages[@]}"; do
  installed "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get > /dev/null; then
  echo "setup: this script knows Debian and Ubuntu only; install the counterparts of: ${missing[*]}" >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo > /dev/null || { echo "setup: needs root or sudo to install: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi

echo "setup: installing ${#missing[@]} packages: ${missing[*]}"
# Packages would start servers of their own (Redis on 6379, Docker); we start ours when we need them.
policy=/usr/sbin/policy-rc.d
made_policy=
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" > /dev/null
  "${as_root[@]}" chmod 755 "$policy"
  made_policy=yes
fi
undo_policy() { [ -z "$made_policy" ] || "${as_root[@]}" rm -f "$policy"; }
trap undo_policy EXIT

log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
if ! { "${as_root[@]}" apt-get update -q &&
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"; } > "$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "setup: apt-get failed; its last lines are above, all of them in $log" >&2
  exit 1
fi
rm -f "$log"
