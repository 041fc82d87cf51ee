#!/bin/bash
# Runs inside the node's root: the services and settings that kind's own base image makes at the same place.
set -euo pipefail

# A node in a container needs no hardware, no consoles and no mounts of its own.
rm -f /lib/systemd/system/multi-user.target.wants/* /etc/systemd/system/*.wants/*
rm -f /lib/systemd/system/{local-fs,basic}.target.wants/*
rm -f /lib/systemd/system/sockets.target.wants/*{udev,initctl}*
rm -f /lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service
echo ReadKMsg=no >>/etc/systemd/journald.conf
[ -e /sbin/init ] || ln -s /usr/lib/systemd/systemd /sbin/init
systemctl enable kubelet.service containerd.service undo-mount-hacks.service
systemctl mask systemd-binfmt.service # it would register in the whole kernel

mkdir -p /etc/kubernetes/manifests /opt/cni/bin /kind/manifests
cp /usr/lib/cni/{host-local,loopback,ptp,portmap} /opt/cni/bin/
ln -sf /usr/bin/{containerd,ctr,containerd-shim-runc-v2} /usr/local/bin/
# Every container's spec: hides the host's product name, leaves the limits alone.
ctr oci spec | jq 'del(.process.rlimits)
    | .hooks.createContainer += [{path: "/kind/bin/mount-product-files.sh"}]' >/etc/containerd/cri-base.json
