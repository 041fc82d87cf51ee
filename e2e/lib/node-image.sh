# shellcheck shell=bash
# The image of a Kubernetes node for kind, made here from Debian packages and the binaries we built.
# What `kind build node-image` does, with kind's own unit files and manifests, but without pulling anything.

NODE_PACKAGES=systemd,systemd-sysv,dbus,conntrack,iptables,nftables,iproute2,ethtool,util-linux,mount,kmod,libseccomp2
NODE_PACKAGES+=,e2fsprogs,bash,ca-certificates,curl,jq,procps,containerd,runc,containernetworking-plugins,socat
NODE_PACKAGES+=,iputils-ping
PROXY_PACKAGES=iptables,nftables,conntrack,kmod,iproute2

# node_parts: builds and caches everything a node image is made of.
node_parts() {
    local part
    for part in kubernetes etcd coredns crictl local-path-provisioner tools; do
        go_binaries "$part"
    done
    cached "making the node's Debian root" "$(node_root)" debian_root "$NODE_PACKAGES"
    cached "making kube-proxy's Debian root" "$(proxy_root)" debian_root "$PROXY_PACKAGES"
}

node_root() { printf '%s/root/%s' "$E2E_CACHE" "$(root_key node "$NODE_PACKAGES")"; }
proxy_root() { printf '%s/root/%s' "$E2E_CACHE" "$(root_key kube-proxy "$PROXY_PACKAGES")"; }
root_key() { cache_key "$1-$DEBIAN_SUITE" "$E2E_DIR/lib/debian-root.sh" - <<<"$2"; }

# node_image: the name of the image, which says what it is made from.
node_image() {
    local part parts=()
    for part in kubernetes etcd coredns crictl local-path-provisioner tools; do
        parts+=("$(go_binaries_dir "$part")")
    done
    printf 'slotwright-e2e/node:%s' "$(cache_key "$KUBERNETES_VERSION" "$E2E_DIR/lib/node-image.sh" "$E2E_DIR/lib/image.sh" \
        "$E2E_DIR/lib/node-setup.sh" "$E2E_DIR/manifests/pod-network.yaml" - <<<"${parts[*]} $(node_root) $(proxy_root)")"
}

# node_image_build: makes the image and gives it to our engine, which keeps it; older ones go.
node_image_build() {
    local image old work=$E2E_CACHE/node.unfinished
    image=$(node_image)
    docker image inspect "$image" >/dev/null 2>&1 && return 0
    for old in $(docker image ls --format '{{.Repository}}:{{.Tag}}' slotwright-e2e/node); do
        step "removing the older node image" docker image rm "$old"
    done
    remove_tree "$work"
    mkdir -p "$work"/{root,packed,images}
    step "assembling the node's root" node_image_root "$work/root"
    step "packing the cluster's own images" node_image_bundle "$work"
    step "putting them into the node's root" node_image_preload "$work"
    step "loading the node image into the engine" node_image_load "$work" "$image"
    rm -rf "$work"
}

node_image_root() {
    local root=$1 kind files kubernetes program
    kind=$(go_module_source kind sigs.k8s.io/kind)
    files=$kind/images/base/files
    kubernetes=$(go_binaries_dir kubernetes)
    cp -a "$(node_root)/." "$root/"
    cp -r --no-preserve=mode,ownership "$files"/{kind,etc,usr} "$root/"
    chmod 755 "$root"/kind/bin "$root"/kind/bin/* "$root"/usr/local/bin/*
    install -m 755 "$E2E_DIR/lib/node-setup.sh" "$root/setup.sh"
    chroot "$root" /setup.sh
    rm "$root/setup.sh"

    for program in kubelet kubeadm kubectl; do
        install -m 755 "$kubernetes/$program" "$root/usr/bin/"
    done
    install -m 755 "$(go_binaries_dir crictl)/crictl" "$root/usr/local/bin/"
    printf '%s' "$KUBERNETES_VERSION" >"$root/kind/version"
    sed -i "s#^\( *sandbox_image = \).*#\1\"$(cluster_image pause)\"#" "$root/etc/containerd/config.toml"
    cp "$E2E_DIR/manifests/pod-network.yaml" "$root/kind/manifests/default-cni.yaml"
    storage_manifest "$kind" >"$root/kind/manifests/default-storage.yaml"
}

# storage_manifest KIND_SOURCE: kind's default StorageClass, a Go string constant, with the image names filled in.
storage_manifest() {
    local source=$1/pkg/build/nodeimage/const_storage.go
    sed -n '/^const defaultStorageManifest = `/,$p' "$source" | sed '1d; /^`$/,$d' |
        sed "s#\` + storageProvisionerImage + \`#$(storage_image Provisioner)#; s#\` + storageHelperImage + \`#$(storage_image Helper)#"
}

# storage_image Provisioner|Helper: the name under which kind's manifest asks for it.
storage_image() {
    sed -n "s/^const storage$1Image = \"\(.*\)\"/\1/p" \
        "$(go_module_source kind sigs.k8s.io/kind)/pkg/build/nodeimage/const_storage.go"
}

# cluster_image PART: the full name under which kubeadm asks for kube-apiserver, etcd, coredns, pause, ...
cluster_image() {
    "$(go_binaries_dir kubernetes)/kubeadm" config images list --kubernetes-version "$KUBERNETES_VERSION" | grep "/$1:"
}

# node_image_bundle WORK: packs what runs in every cluster as images into WORK/images.
node_image_bundle() {
    local work=$1 part kubernetes
    kubernetes=$(go_binaries_dir kubernetes)
    for part in kube-apiserver kube-controller-manager kube-scheduler; do
        bundle_program "$work" "$(cluster_image "$part")" '{}' "$kubernetes/$part" "usr/local/bin/$part"
    done
    bundle_program "$work" "$(cluster_image etcd)" '{}' "$(go_binaries_dir etcd)/etcd" usr/local/bin/etcd
    bundle_program "$work" "$(cluster_image coredns)" '{"Entrypoint": ["/coredns"]}' "$(go_binaries_dir coredns)/coredns" coredns
    bundle_program "$work" "$(cluster_image pause)" '{"Entrypoint": ["/pause"]}' "$(go_binaries_dir tools)/pause" pause
    bundle_program "$work" slotwright-e2e/pod-network:1 '{"Entrypoint": ["/pod-network"]}' \
        "$(go_binaries_dir tools)/pod-network" pod-network
    bundle_program "$work" "$(storage_image Provisioner)" '{}' \
        "$(go_binaries_dir local-path-provisioner)/local-path-provisioner" usr/local/bin/local-path-provisioner

    # The provisioner's helper pod only makes and removes folders: the shell of kube-proxy's Debian does.
    cp -a "$(proxy_root)" "$work/packed/proxy"
    install -m 755 "$kubernetes/kube-proxy" "$work/packed/proxy/usr/local/bin/"
    bundle_root "$work" "$(cluster_image kube-proxy)" '{}' "$work/packed/proxy"
    # One image, two names.
    jq -c --arg name "$(storage_image Helper)" '.[0].RepoTags += [$name]' "$work/images/kube-proxy/manifest.json" >"$work/m.json"
    mv "$work/m.json" "$work/images/kube-proxy/manifest.json"
}

# bundle_program WORK IMAGE CONFIG FILE PATH: an image of one static program, and the certificates it may need.
bundle_program() {
    local root=$1/packed/program
    rm -rf "$root"
    mkdir -p "$root/tmp"
    chmod 1777 "$root/tmp"
    install -D -m 755 "$4" "$root/$5"
    install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
    bundle_root "$1" "$2" "$3" "$root"
}

bundle_root() {
    local short=${2##*/}
    mkdir "$1/images/${short%%:*}"
    image_pack "$2" "$3" "$4" "$1/images/${short%%:*}"
}

# node_image_preload WORK: imports the images into the root's containerd store, by a containerd of our own on it.
# Not unpacked, so that no snapshot needs this host's overlay mounts; each node unpacks what it uses.
node_image_preload() {
    local work=$1 socket=$E2E_RUN/preload.sock pid image
    mkdir -p "$E2E_RUN" "$work/root/var/lib/containerd"
    cat >"$work/containerd.toml" <<EOF
version = 2
root = "$work/root/var/lib/containerd"
state = "$work/containerd-state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "$socket"
EOF
    containerd --config "$work/containerd.toml" 9>&- &
    pid=$!
    # shellcheck disable=SC2064  # this pid, now
    trap "kill $pid; wait $pid || true" EXIT
    wait_until 30 ctr -a "$socket" version
    for image in "$work"/images/*; do
        images_stream "$image" | ctr -a "$socket" -n k8s.io images import --no-unpack -
    done
    ctr -a "$socket" -n k8s.io images ls -q
}

node_image_load() {
    local work=$1 image=$2
    # What kind's base image says: systemd wants to know that it is in a container and stops on a signal of its own.
    image_pack "$image" '{"Entrypoint": ["/usr/local/bin/entrypoint", "/sbin/init"], "StopSignal": "SIGRTMIN+3",
        "Env": ["container=docker", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}' \
        "$work/root" "$work/packed"
    images_stream "$work/packed" | docker load
}
