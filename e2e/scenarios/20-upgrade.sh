# helm upgrade: other operators, the same Redis pods
# shellcheck shell=bash

demo=$(pods_identities demo)
kept=$(pods_identities kept)
before=$(in_system get pods -o name)
all_new() { ! in_system get pods -o name | grep -qxF "$before"; }

helm upgrade slotwright "$E2E_DIR/../charts/slotwright" --namespace "$SYSTEM" --reuse-values --set operator.logLevel=debug
in_system rollout status deployment/slotwright --timeout=120s
expect 60 "the old operators are gone" all_new
expect 60 "two operators are Ready" operators_ready 2
expect 60 "all is well" settled demo 6
pods_unharmed demo "$demo"
pods_unharmed kept "$kept"
