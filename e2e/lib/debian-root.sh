# shellcheck shell=bash
# Debian root file systems by debootstrap, from the mirror that this host's apt uses.

# debian_root PACKAGES DIR: a minimal Debian with PACKAGES (comma separated) in DIR, without documentation and caches.
debian_root() {
    local packages=$1 dir=$2 mirror
    mirror=$(debian_mirror)
    mkdir -p "$E2E_CACHE/debs"
    debootstrap --variant=minbase --cache-dir="$E2E_CACHE/debs" --include="$packages" "$DEBIAN_SUITE" "$dir" "$mirror"
    rm -rf "$dir"/var/{cache/apt,lib/apt/lists,log}/* "$dir"/usr/share/{doc,man,info,locale}/*
}

# debian_mirror: E2E_DEBIAN_MIRROR, or where apt gets Debian's packages from.
debian_mirror() {
    local uri
    uri=${E2E_DEBIAN_MIRROR:-$("$E2E_DIR/../scripts/debian-mirror.sh" "$DEBIAN_SUITE")}
    [ -n "$uri" ] || die "apt knows no mirror of Debian $DEBIAN_SUITE" \
        "Run apt-get update first, or set E2E_DEBIAN_MIRROR to the URL of one."
    printf '%s' "$uri"
}
