# shellcheck shell=bash
# The images that run.sh needs beside Redis': the operator as the Dockerfile's second stage makes it, and the write checker.

# The shared libraries of the program, under Debian 12's names (the Dockerfile has Debian 13's).
OPERATOR_PACKAGES=libcpprest2.10,libssl3,zlib1g,libyaml-cpp0.7,libhiredis0.14,libprometheus-cpp-core1.0
OPERATOR_PACKAGES+=,libspdlog1.10,libfmt9,libstdc++6
OPERATOR_CONFIG='{"Entrypoint": ["/usr/local/bin/slotwright"], "Cmd": ["operator"], "User": "65532:65532",
    "ExposedPorts": {"8080/tcp": {}, "8081/tcp": {}}}'
CHECKER_PACKAGES=python3-minimal,python3-redis

# operator_image NAME PROGRAM OUT: packs the image into the folder OUT.
operator_image() {
    local name=$1 program=$2 out=$3
    cp -a "$(slim_root_dir "$OPERATOR_PACKAGES")" "$out/root"
    install -m 755 "$program" "$out/root/usr/local/bin/slotwright"
    strip --strip-unneeded "$out/root/usr/local/bin/slotwright"
    install -D -m 644 "$E2E_DIR/../LICENSE" "$out/root/usr/share/doc/slotwright/copyright"
    # Linked against another Debian it would only fail in its pod, with less to go by.
    chroot --userspec=65532:65532 "$out/root" /usr/local/bin/slotwright --version
    du -sm "$out/root" | cut -f1 >"$out/megabytes"
    image_pack "$name" "$OPERATOR_CONFIG" "$out/root" "$out"
}

# checker_image NAME: packs the image into the cache, unless it is there. Its program is mounted, not in it. It is what Python's
# Debian root has more than Redis', on top of redis:7.0: that is on the nodes already, and a third is left to unpack.
checker_image() {
    redis_image redis:7.0
    [ -d "$(checker_image_dir)" ] || slim_root "$CHECKER_PACKAGES"
    cached "packing the write checker's image" "$(checker_image_dir)" checker_image_make "$1"
}

checker_image_dir() {
    printf '%s/image/%s' "$E2E_CACHE" \
        "$(cache_key checker "$E2E_DIR"/lib/{debian-root,redis-images,image,test-images}.sh "$ENGINES_SCRIPT")"
}

# checker_image_make NAME DIR
checker_image_make() {
    local added=$2/root root
    root=$(slim_root_dir "$CHECKER_PACKAGES")
    mkdir "$added"
    # All folders are in it, as one that is not would have to be made with the right owner and mode.
    {
        (cd "$root" && find . -type d)
        comm -13 <(root_files "$(redis_root)") <(root_files "$root") | cut -f 2
    } | sort | tar -C "$root" --numeric-owner --no-recursion --verbatim-files-from -cf - -T - | tar -C "$added" --numeric-owner -xpf -
    image_pack "$1" '{"User": "65532:65532"}' "$added" "$2" "$(redis_image_dir redis:7.0)"
    rm -rf "$added"
}

# root_files DIR: all but its folders, with what tells one version from another; dpkg keeps the times that files have in a package.
root_files() { (cd "$1" && find . ! -type d -printf '%y %m %U:%G %s %T@ %l\t%p\n' | sort); }

# checker_image_build NAME: the same by a host engine that has a network.
checker_image_build() {
    docker build -t "$1" - <<EOF
FROM debian:$DEBIAN_SUITE-slim
RUN apt-get update && apt-get install --yes --no-install-recommends ${CHECKER_PACKAGES//,/ } && rm -rf /var/lib/apt/lists/*
USER 65532
EOF
}

# slim_root PACKAGES: makes the cached Debian root with them, unless it is there.
slim_root() { cached "making a Debian root with ${1%%,*}" "$(slim_root_dir "$1")" slim_root_make "$1"; }

slim_root_dir() {
    printf '%s/root/%s' "$E2E_CACHE" \
        "$(cache_key "slim-$DEBIAN_SUITE" "$E2E_DIR"/lib/{debian-root,test-images}.sh - <<<"$1")"
}

slim_root_make() {
    debian_root "$1" "$2"
    # Never used in a container.
    rm -rf "$2"/usr/lib/*-linux-gnu/perl* "$2"/usr/share/{perl5,zoneinfo,bash-completion}
}
