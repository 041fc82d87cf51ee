# shellcheck shell=bash
# A cache of folders: each is built beside its place and renamed into it, so what is there is always whole.

# One script at a time: they share the cache, and there is one cluster. A script called by another has the lock already.
cache_lock() {
    [ -z "${E2E_LOCKED:-}" ] || return 0
    mkdir -p "$E2E_CACHE"
    exec 9>"$E2E_CACHE/.lock"
    flock -n 9 || {
        note "another e2e script is at work; waiting for it"
        flock -w 1800 9 || die "the lock $E2E_CACHE/.lock is still held after 30 minutes" "See who: fuser -v $E2E_CACHE/.lock"
    }
    export E2E_LOCKED=1
}

# cache_key LABEL FILE...: LABEL and a hash of what the thing is made from.
cache_key() {
    local label=$1
    shift
    printf '%s-%s' "$label" "$(cat -- "$@" | sha256sum | cut -c1-10)"
}

# cached TITLE DIR COMMAND [ARG...]: makes DIR by `COMMAND [ARG...] EMPTY_DIR`, unless it is there. Needs cache_lock.
cached() {
    local title=$1 dir=$2
    shift 2
    [ ! -d "$dir" ] || return 0
    remove_tree "$dir.unfinished"
    mkdir -p "$dir.unfinished"
    step "$title" "$@" "$dir.unfinished"
    mv -T "$dir.unfinished" "$dir"
}

# remove_tree DIR: also where somebody was killed while things were mounted in it, which must not be deleted with it.
remove_tree() {
    unmount_below "$1"
    rm -rf --one-file-system "$1"
}

# unmount_below DIR: all that is mounted on it and in it, deepest first.
unmount_below() {
    local target
    awk -v dir="$1/" 'index($5 "/", dir) == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r target; do
        umount -l "$target" || note "could not unmount $target"
    done
}
