# shellcheck shell=bash
# Container images from folders, without a registry and without an engine: the format of `docker save`.

# image_pack NAME CONFIG ROOT OUT [BASE]: the image of the folder ROOT, as files in the folder OUT. CONFIG is the OCI image
# config's inner JSON object, such as {"Entrypoint": ["/pause"], "User": "65532"}. With BASE, a packed image of one layer,
# ROOT is what comes on top of it; nodes that have BASE unpack only that.
image_pack() {
    local name=$1 config=$2 root=$3 out=$4 base=${5:-} layers=(layer.tar) digests=()
    tar -C "$root" --numeric-owner --sort=name -cf "$out/layer.tar" .
    if [ -n "$base" ]; then
        ln "$base/layer.tar" "$out/base.tar"
        layers=(base.tar layer.tar)
        digests=("$(jq -r '.rootfs.diff_ids[0]' "$base/config.json")")
    fi
    digests+=("sha256:$(sha256sum "$out/layer.tar" | cut -d' ' -f1)")
    jq -cn --argjson config "$config" --arg architecture "$(image_architecture)" --args \
        '{architecture: $architecture, os: "linux",
          config: ({Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]} + $config),
          rootfs: {type: "layers", diff_ids: $ARGS.positional}}' "${digests[@]}" >"$out/config.json"
    jq -cn --arg name "$name" --args '[{Config: "config.json", RepoTags: [$name], Layers: $ARGS.positional}]' \
        "${layers[@]}" >"$out/manifest.json"
}

# images_stream DIR...: packed images as one tar stream that `docker load` and `ctr images import` read; a layer that several
# have is in it once.
images_stream() {
    local dir layer file together number=0
    together=$(mktemp -d)
    for dir; do
        ln -s "$dir/config.json" "$together/$((++number)).json"
        for layer in $(jq -r '.[0].Layers[]' "$dir/manifest.json"); do
            file=$(stat -c %i "$dir/$layer").tar
            [ -e "$together/$file" ] || ln -s "$dir/$layer" "$together/$file"
            printf '%s\n' "$file"
        done | jq -Rcn --slurpfile manifest "$dir/manifest.json" --arg config "$number.json" \
            '$manifest[0][0] + {Config: $config, Layers: [inputs]}'
    done | jq -s . >"$together/manifest.json"
    tar -C "$together" -hcf - -T <(ls "$together")
    rm -rf "$together"
}

image_architecture() {
    case $(uname -m) in
        x86_64) echo amd64 ;;
        aarch64) echo arm64 ;;
        *) uname -m ;;
    esac
}

# images_load_on_nodes DIR...: loads packed images on all workers of the running cluster, side by side; where it has none, on
# the one node there is.
images_load_on_nodes() {
    local nodes node pids=()
    nodes=$(kind get nodes --name "$E2E_CLUSTER")
    for node in $(grep -v -- '-control-plane$' <<<"$nodes" || printf '%s' "$nodes"); do
        images_stream "$@" | docker exec -i "$node" \
            ctr --namespace=k8s.io images import --digests --snapshotter=overlayfs - &
        pids+=($!)
    done
    [ ${#pids[@]} -gt 0 ] || die "there is no cluster to load an image on" "Run $E2E_DIR/up.sh first."
    wait_all "${pids[@]}"
}
