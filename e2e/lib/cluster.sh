# shellcheck shell=bash
# The kind cluster: its configuration, its creation and deletion, and the host's way to its pods.

# cluster_environment_write: what a shell needs to use the cluster, for people and for the other scripts.
cluster_environment_write() {
    {
        echo "export KUBECONFIG=$E2E_STATE/kubeconfig"
        if [ "$ENGINE" = own ]; then
            echo "export DOCKER_HOST=$DOCKER_HOST"
            echo "export PATH=$(go_binaries_dir kubernetes):$(go_binaries_dir kind):\$PATH"
        else
            echo "export PATH=$(go_binaries_dir kind):\$PATH"
        fi
    } >"$E2E_STATE/env.sh"
}

# cluster_environment: takes on the environment of the cluster that up.sh brought up.
cluster_environment() {
    engine_choose
    [ -f "$E2E_STATE/env.sh" ] || die "there is no cluster" "Run $E2E_DIR/up.sh first."
    # shellcheck source=/dev/null
    . "$E2E_STATE/env.sh"
}

# cluster_config WORKERS: kind's configuration for this host.
cluster_config() {
    local workers=$1 worker zones=(a b c)
    cat <<'EOF'
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
networking: {podSubnet: 10.244.0.0/16, serviceSubnet: 10.96.0.0/16}
kubeadmConfigPatches:
- |
  # A dead node is seen after 11 s, not 40 s.
  kind: ClusterConfiguration
  controllerManager: {extraArgs: [{name: node-monitor-grace-period, value: 11s}]}
  etcd: {local: {extraArgs: [{name: unsafe-no-fsync, value: "true"}]}}
- |
  kind: KubeletConfiguration
  nodeStatusUpdateFrequency: 4s
  nodeLeaseDurationSeconds: 12
EOF
    if [ "$(stat -fc %T /sys/fs/cgroup)" != cgroup2fs ]; then
        # Under the systemd driver runc freezes a starting pod's cgroup for a moment; a node killed then never dies.
        printf '  %s\n' 'failCgroupV1: false' 'cgroupDriver: cgroupfs'
    fi
    if [ "$ENGINE" = own ]; then
        cluster_containerd_patch
    fi
    printf '%s\n' "nodes:" "- {role: control-plane}"
    for ((worker = 0; worker < workers; worker++)); do
        printf -- '- {role: worker, labels: {topology.kubernetes.io/zone: %s}}\n' "${zones[worker % 3]}"
    done
}

cluster_containerd_patch() {
    printf '%s\n' 'containerdConfigPatches:' '- |-' \
        '  [plugins."io.containerd.grpc.v1.cri"]' \
        "    restrict_oom_score_adj = $(engine_lacks_sys_resource && echo true || echo false)"
    if [ "$(stat -fc %T /sys/fs/cgroup)" != cgroup2fs ]; then
        printf '%s\n' '  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]' '    SystemdCgroup = false'
    fi
}

# cluster_exists / cluster_answers: whether kind knows it, whether its API server is ready.
cluster_exists() { kind get clusters 2>/dev/null | grep -qx "$E2E_CLUSTER"; }
cluster_answers() { kubectl --request-timeout=3s get --raw /readyz >/dev/null 2>&1; }

# cluster_takes_images: kind has configured and restarted the containerd of each node; kubeadm comes after that.
cluster_takes_images() { docker exec "$E2E_CLUSTER-control-plane" test -e /etc/kubernetes/admin.conf; }

cluster_create() {
    local options=(--name "$E2E_CLUSTER" --config "$E2E_STATE/cluster.yaml" --wait 180s)
    if [ "$ENGINE" = own ]; then
        options+=(--image "$(node_image)")
        # IPv4 only: on the dual stack network that kind would make, nodes reach the API server over IPv6, and a
        # partition made with iptables would cut nothing.
        docker network inspect kind >/dev/null 2>&1 || docker network create --subnet 172.30.7.0/24 kind
    fi
    kind create cluster "${options[@]}"
}

# cluster_all_ready: waits until the nodes are Ready and pods can have names and volumes.
cluster_all_ready() {
    kubectl wait --for=condition=Ready nodes --all --timeout=120s
    kubectl -n kube-system rollout status deployment/coredns --timeout=120s
    kubectl -n local-path-storage rollout status deployment/local-path-provisioner --timeout=120s
}

# cluster_routes: lets this host reach pods and ClusterIPs, through the nodes.
cluster_routes() {
    local cidr address
    [ "$(id -u)" = 0 ] || {
        note "not root: no routes to the pods. Programs on this host cannot reach pod addresses."
        return 0
    }
    {
        kubectl get nodes --no-headers \
            -o 'custom-columns=C:.spec.podCIDR,A:.status.addresses[?(@.type=="InternalIP")].address'
        address=$(kubectl get nodes -l node-role.kubernetes.io/control-plane \
            -o 'jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}')
        echo "10.96.0.0/16 $address"
    } >"$E2E_STATE/routes"
    while read -r cidr address; do
        ip route replace "$cidr" via "$address"
    done <"$E2E_STATE/routes"
}

# cluster_routes_remove: they go with the nodes' bridge, but a host's engine keeps that.
cluster_routes_remove() {
    local cidr address
    [ -f "$E2E_STATE/routes" ] || return 0
    while read -r cidr address; do
        ip route del "$cidr" via "$address" 2>/dev/null || true # it may be gone
    done <"$E2E_STATE/routes"
}

cluster_delete() {
    kind delete cluster --name "$E2E_CLUSTER" && return 0
    # Under cgroup v1 a container that is killed while its cgroup is frozen cannot die before it is thawed.
    cluster_thaw
    kind delete cluster --name "$E2E_CLUSTER"
}

cluster_thaw() {
    local container state
    for container in $(docker ps -aq --no-trunc --filter "label=io.x-k8s.kind.cluster=$E2E_CLUSTER"); do
        find "/sys/fs/cgroup/freezer/docker/$container" -name freezer.state 2>/dev/null | while read -r state; do
            grep -qx THAWED "$state" || echo THAWED >"$state"
        done
    done
}
