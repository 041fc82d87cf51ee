# shellcheck shell=bash disable=SC2034  # read by the other files here
# The versions of everything that is built here, in one place. The Go modules' own versions are in go/*/go.mod.

KUBERNETES_VERSION=v1.36.3
KIND_VERSION=v0.33.0
DEBIAN_SUITE=bookworm # from trixie on systemd refuses to run under cgroup v1
