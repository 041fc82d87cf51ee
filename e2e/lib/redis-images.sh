# shellcheck shell=bash
# The images of the Redis engines that tests use, made from packages. Their names are below.

REDIS_IMAGES=(redis:7.0 redis:8.2 valkey:8.0 valkey:9.1)
ENGINES_SCRIPT=$E2E_DIR/../scripts/engines.sh # further servers come from where local mode has them from
REDIS_CONFIG='{"Cmd": ["redis-server"], "WorkingDir": "/data"}'

# redis_image NAME: packs the image called NAME into the cache, unless it is there.
redis_image() {
    [[ " ${REDIS_IMAGES[*]} " = *" $1 "* ]] ||
        die "nobody has said how to make the image $1" "Known: ${REDIS_IMAGES[*]}. See lib/redis-images.sh."
    cached "making Redis' Debian root" "$(redis_root)" redis_root_make
    [ "$1" = redis:7.0 ] || redis_image redis:7.0 # the others are made on top of it
    cached "packing $1" "$(redis_image_dir "$1")" redis_image_make "$1"
}

redis_root() {
    printf '%s/root/%s' "$E2E_CACHE" \
        "$(cache_key "redis-$DEBIAN_SUITE" "$E2E_DIR"/lib/{debian-root,redis-images}.sh)"
}

redis_image_dir() {
    printf '%s/image/%s' "$E2E_CACHE" \
        "$(cache_key "${1/:/-}" "$E2E_DIR"/lib/{debian-root,redis-images,image}.sh "$ENGINES_SCRIPT")"
}

# redis_root_make DIR: Debian with redis-server, redis-cli and a user 999 called redis, as people expect of the image.
redis_root_make() {
    debian_root redis-server,redis-tools "$1"
    chroot "$1" groupmod --gid 999 redis
    chroot "$1" usermod --uid 999 --gid 999 --home /data redis
    install -d -m 750 -o 999 -g 999 "$1/data"
    chown -R 999:999 "$1/var/lib/redis" "$1/etc/redis"
    # Never used in a container, and half of the size.
    rm -rf "$1"/usr/lib/*-linux-gnu/perl* "$1"/usr/share/{perl5,zoneinfo,bash-completion}
}

# redis_image_make NAME DIR
redis_image_make() {
    local name=$1 dir=$2 added=$2/root base
    if [ "$name" = redis:7.0 ]; then
        image_pack "$name" "$REDIS_CONFIG" "$(redis_root)" "$dir"
        return
    fi
    install -d -m 755 "$added" "$added/usr" "$added/usr/local" "$added/usr/local/bin"
    case $name in
        redis:8.2) server_install "$added" redis-8.2.3 redis ;;
        valkey:8.0) server_install "$added" valkey-8.0.1 valkey ;;
        valkey:9.1) server_install "$added" valkey-9.1.2 valkey ;;
    esac
    base=$(redis_image_dir redis:7.0)
    image_pack "$name" "$REDIS_CONFIG" "$added" "$dir" "$base"
    rm -rf "$added"
}

# server_install ROOT ENGINE PRODUCT: the server of that engine, before Debian's redis-server on the PATH and under its name.
server_install() {
    local root=$1 product=$3
    "$ENGINES_SCRIPT" "$2"
    install -m 755 "${SLOTWRIGHT_ENGINES:-$HOME/.cache/slotwright/engines}/$2/$product-server" "$root/usr/local/bin/"
    [ "$product" = valkey ] || return 0
    ln -s valkey-server "$root/usr/local/bin/redis-server"
    ln -s /usr/bin/redis-cli "$root/usr/local/bin/valkey-cli"
}

# redis_image_pull NAME: the same name from upstream, by a host engine that has a network.
redis_image_pull() {
    local upstream=$1
    [[ $1 != valkey:* ]] || upstream=valkey/$1
    docker image inspect "$upstream" >/dev/null 2>&1 || docker pull "$upstream"
    docker tag "$upstream" "$1"
    kind load docker-image --name "$E2E_CLUSTER" "$1" || {
        # kind asks for all platforms, of which Docker 29 keeps only the one that it pulled.
        local node
        for node in $(kind get nodes --name "$E2E_CLUSTER"); do
            docker save "$1" | docker exec -i "$node" ctr --namespace=k8s.io images import --digests --snapshotter=overlayfs -
        done
    }
}
