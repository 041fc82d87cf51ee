#!/bin/sh
# Fetches the tools that tests of the chart need and that no distribution packages: helm, built from its Go module into
# ~/.cache/slotwright/tools/<tool>-<version>/. Prints their folders, for PATH. Needs Go. Does nothing for what is there
# already.
set -eu

tools="${SLOTWRIGHT_TOOLS:-$HOME/.cache/slotwright/tools}"

# fetch NAME VERSION PACKAGE; Go's checksum database vouches for what comes.
fetch() {
  name=$1 version=$2 package=$3
  folder=$tools/$name-$version
  if [ ! -x "$folder/$name" ]; then
    command -v go > /dev/null || { echo "tools.sh: building $name needs Go 1.26 or newer (go.dev)" >&2; exit 1; }
    mkdir -p "$tools"
    work=$(mktemp -d "$tools/.fetch-XXXXXX")
    trap 'rm -rf "$work"' EXIT INT TERM
    echo "tools.sh: building $name $version, which takes some minutes once" >&2
    GOBIN=$work CGO_ENABLED=0 nice go install -trimpath -ldflags '-s -w' "$package@$version" > "$work/log" 2>&1 || {
      tail -n 20 "$work/log" >&2
      exit 1
    }
    rm -f "$work/log"
    # One rename: whoever looks finds all or nothing.
    rm -rf "${folder:?}"
    mv -T "$work" "$folder"
    chmod 755 "$folder"
    trap - EXIT INT TERM
  fi
  echo "$folder"
}

fetch helm v4.3.1 helm.sh/helm/v4/cmd/helm
