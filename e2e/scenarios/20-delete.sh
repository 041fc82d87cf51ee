# delete a RedisCluster, helm uninstall: the rest stays and serves
# shellcheck shell=bash

nothing_left() { [ -z "$(in_test get pods,svc,cm,pdb -l app.kubernetes.io/instance=demo -o name)" ]; }

checker_stop demo
in_test delete rdc demo --timeout=60s
expect 60 "nothing of demo is left" nothing_left
helm uninstall slotwright --namespace "$SYSTEM" --wait
kubectl get crd redisclusters.slotwright.dev
[ "$(in_test get rdc -o name)" = rediscluster.slotwright.dev/kept ]
[ "$(pods_ready kept)" = 6 ]
[ -z "$(in_system get pods -o name)" ]
