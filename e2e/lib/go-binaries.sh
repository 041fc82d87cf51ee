# shellcheck shell=bash
# Builds programs from Go modules. The folders under go/ pin what is built, each with a go.mod and go.sum of its own.

# go_binaries NAME: builds what go/NAME pins, unless the cache has it.
go_binaries() {
    cached "building $1 from its Go modules" "$(go_binaries_dir "$1")" go_build "$1"
}

# go_binaries_dir NAME: the folder of the programs that go/NAME pins.
go_binaries_dir() {
    local files
    mapfile -t files < <(find "$E2E_DIR/go/$1" -type f | sort)
    printf '%s/go/%s' "$E2E_CACHE" "$(cache_key "$1" "${files[@]}" "$E2E_DIR/lib/go-binaries.sh")"
}

# go_module_source NAME MODULE: the folder of a module's source, as pinned by go/NAME.
go_module_source() {
    (cd "$E2E_DIR/go/$1" && go mod download "$2" >&2 && go list -m -f '{{.Dir}}' "$2")
}

go_build() {
    local name=$1 out=$2 packages=() flags="-s -w" v=k8s.io/component-base/version
    case $name in
        kubernetes)
            packages=(k8s.io/kubernetes/cmd/{kube-apiserver,kube-controller-manager,kube-proxy,kube-scheduler,kubeadm,kubectl,kubelet})
            flags+=" -X $v.gitVersion=$KUBERNETES_VERSION -X $v.gitMajor=1 -X $v.gitTreeState=clean"
            flags+=" -X $v.gitMinor=$(cut -d. -f2 <<<"$KUBERNETES_VERSION")"
            ;;
        etcd) packages=(go.etcd.io/etcd/server/v3) ;;
        crictl) packages=(sigs.k8s.io/cri-tools/cmd/crictl) ;;
        kind) packages=(sigs.k8s.io/kind) ;;
        local-path-provisioner) packages=(github.com/rancher/local-path-provisioner) ;;
        coredns) packages=(.) ;;
        tools)
            packages=(./...)
            flags+=" -X main.realRunc=$(command -v runc)"
            ;;
        *) die "go/$name: nobody has said what to build there" "Add it to go_build in lib/go-binaries.sh." ;;
    esac
    cd "$E2E_DIR/go/$name" || return
    # Niced: a cold build keeps all cores busy for minutes.
    CGO_ENABLED=0 nice -n 15 go build -trimpath -buildvcs=false -ldflags "$flags" -o "$out/" "${packages[@]}"
    if [ "$name" = etcd ]; then # its main package is called after the module's folder
        mv "$out/server" "$out/etcd"
    fi
}
