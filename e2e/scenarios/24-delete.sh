# delete a cluster, helm uninstall: the other one stays and serves
# shellcheck shell=bash

nothing_left() { none in_test get pods,svc,cm,pdb,secret -l app.kubernetes.io/instance=demo -o name; }
no_operator() { none in_system get pods -o name; }

checker_stop demo
pods=$(pods_identities kept)
in_test delete rdc demo --timeout=60s
expect 60 "nothing of demo is left" nothing_left
helm uninstall slotwright --namespace "$SYSTEM" --wait
expect 60 "no operator is left" no_operator
kubectl get crd redisclusters.slotwright.dev
[ "$(in_test get rdc -o name)" = rediscluster.slotwright.dev/kept ]
pods_unharmed kept "$pods"
[ "$(pods_ready kept)" = 6 ]
