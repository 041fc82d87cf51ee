#!/usr/bin/env bash
# Fetches promtool, Prometheus' own checker of rules, out of the distribution's package, which is not installed: that would
# start a server. Prints the program's path. Does nothing if it is there already.
set -euo pipefail

command -v promtool && exit
folder=${SLOTWRIGHT_TOOLS:-$HOME/.cache/slotwright/tools}/promtool
if [ ! -x "$folder/promtool" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    (cd "$work" && apt-get download prometheus >log 2>&1) || {
        cat "$work/log" >&2
        exit 1
    }
    dpkg-deb --extract "$work"/prometheus_*.deb "$work/root"
    mkdir -p "$folder"
    # One rename: whoever looks finds all or nothing.
    mv "$work/root/usr/bin/promtool" "$folder/.promtool-$$"
    mv "$folder/.promtool-$$" "$folder/promtool"
fi
echo "$folder/promtool"
