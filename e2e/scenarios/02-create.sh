# kubectl apply of 3 masters, 3 replicas, until Ready
# shellcheck shell=bash

cluster_apply demo "$REDIS_IMAGE" 'placement: {topologyKeys: [topology.kubernetes.io/zone, kubernetes.io/hostname]}'
in_test wait --for=condition=Ready rdc/demo --timeout=180s
tell "Ready"
expect 60 "six pods are Ready and nothing is under way" settled demo 6
in_test get rdc,pods,pdb,svc -o wide
in_system exec deployment/slotwright -- slotwright status demo --namespace "$NAMESPACE"
in_system exec deployment/slotwright -- slotwright check demo --namespace "$NAMESPACE"
checker_start demo
