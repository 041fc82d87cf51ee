#!/usr/bin/env bash
# SET and GET on every master of a cluster in local mode, each reached through a MOVED redirect, with redis-cli as the
# cluster-aware client. Usage: KUBECONFIG=… scripts/smoke.sh NAME [NAMESPACE]
set -euo pipefail

name=$1
namespace=${2:-default}
server=$(sed -n 's/.*"server": *"\([^"]*\)".*/\1/p' "$KUBECONFIG")

fail() { echo "smoke: $*" >&2; exit 1; }
api() { curl -sS --fail --noproxy '*' "$server/$1"; }

# The password goes from the Secret into redis-cli's standard input: never onto a command line.
password() {
  api "api/v1/namespaces/$namespace/secrets/$secret" |
    KEY=$secret_key python3 -c 'import base64, json, os, sys
print(base64.b64decode(json.load(sys.stdin)["data"][os.environ["KEY"]]).decode())'
}
ask() { # ask HOST [option...] reads commands from standard input
  local host=$1
  shift
  { password; cat; } | redis-cli --askpass -h "$host" "$@" 2>&1
}

read -r secret secret_key <<< "$(api "apis/slotwright.dev/v1alpha1/namespaces/$namespace/redisclusters/$name" |
  NAME=$name python3 -c 'import json, os, sys
auth = json.load(sys.stdin)["spec"].get("auth", {})
print(auth.get("secretName") or os.environ["NAME"] + "-auth", auth.get("key") or "password")')"

addresses=$(api "apis/slotwright.dev/v1alpha1/namespaces/$namespace/redisclusters/$name" |
  python3 -c 'import json, sys
for shard in json.load(sys.stdin)["status"]["shards"]: print(shard["master"]["address"].rsplit(":", 1)[0])')
mapfile -t masters <<< "$addresses"

echo
echo "SET and GET through redirects (redis-cli -c):"
for ((i = 0; i < ${#masters[@]}; i++)); do
  target=${masters[i]}
  start=${masters[(i + 1) % ${#masters[@]}]}
  found=
  for ((k = 0; k < 64 && ${#masters[@]} > 1; k++)); do
    key="quickstart:$i:$k"
    answer=$(echo "SET $key hello-$i" | ask "$start" -c)
    # Only a key that the target owns takes us from start to target.
    case $answer in
      *"Redirected"*"located at $target:"*OK*) found=$key; break ;;
      *OK*) ;;
      *) fail "SET $key on $start answered: $answer" ;;
    esac
  done
  [ ${#masters[@]} -gt 1 ] || { found="quickstart:0:0"; echo "SET $found hello-0" | ask "$start" -c > /dev/null; }
  [ -n "$found" ] || fail "no key led from $start to $target"
  value=$(echo "GET $found" | ask "$start" -c | tail -n 1)
  [ "$value" = "hello-$i" ] || fail "GET $found on $start answered: $value"
  slot=$(echo "CLUSTER KEYSLOT $found" | ask "$start" | tail -n 1)
  printf '  SET %-16s asked %s -> MOVED %5s -> %s: OK   GET: %s\n' "$found" "$start" "$slot" "$target" "$value"
done
cat << NEXT

Go on with:
  export KUBECONFIG="$KUBECONFIG"
  kubectl get rdc,pods,svc,secrets -o wide        kubectl describe rdc/$name
  build/release/operator/slotwright status $name  build/release/operator/slotwright check $name
  redis-cli -c --askpass -h ${masters[0]}         # kubectl get secret $secret -o jsonpath='{.data.$secret_key}' | base64 -d
NEXT
