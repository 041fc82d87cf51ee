# shellcheck shell=bash
# Container images from folders, without a registry and without an engine: the format of `docker save`, one layer.

# image_pack NAME CONFIG ROOT OUT: the image of the folder ROOT, as files in the folder OUT. CONFIG is the OCI image
# config's inner JSON object, such as {"Entrypoint": ["/pause"], "User": "65532"}.
image_pack() {
    local name=$1 config=$2 root=$3 out=$4 digest
    tar -C "$root" --numeric-owner --sort=name -cf "$out/layer.tar" .
    digest=$(sha256sum "$out/layer.tar" | cut -d' ' -f1)
    jq -cn --argjson config "$config" --arg diff "sha256:$digest" --arg architecture "$(image_architecture)" \
        '{architecture: $architecture, os: "linux",
          config: ({Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]} + $config),
          rootfs: {type: "layers", diff_ids: [$diff]}}' >"$out/config.json"
    jq -cn --arg name "$name" '[{Config: "config.json", RepoTags: [$name], Layers: ["layer.tar"]}]' >"$out/manifest.json"
}

# image_stream DIR: a packed image as the tar stream that `docker load` and `ctr images import` read.
image_stream() { tar -C "$1" -cf - manifest.json config.json layer.tar; }

image_architecture() {
    case $(uname -m) in
        x86_64) echo amd64 ;;
        aarch64) echo arm64 ;;
        *) uname -m ;;
    esac
}

# image_load_on_nodes DIR: loads a packed image on all nodes of the running cluster, side by side.
image_load_on_nodes() {
    local dir=$1 node pids=() failed=0
    for node in $(kind get nodes --name "$E2E_CLUSTER"); do
        image_stream "$dir" | docker exec -i "$node" \
            ctr --namespace=k8s.io images import --digests --snapshotter=overlayfs - &
        pids+=($!)
    done
    [ ${#pids[@]} -gt 0 ] || die "there is no cluster to load an image on" "Run $E2E_DIR/up.sh first."
    for node in "${pids[@]}"; do
        wait "$node" || failed=1
    done
    return "$failed"
}
