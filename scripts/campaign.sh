#!/usr/bin/env bash
# Many simulated lives, on all processors. Usage: campaign.sh SIMULATE FIRST COUNT
set -euo pipefail

simulate=$1 first=$2 count=$3
chunk=250
workers=$(nproc)
end=$((first + count))
echo "campaign: seeds $first to $((end - 1)) by $workers workers; a line for every $chunk"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
for ((seed = first; seed < end; seed += chunk)); do
  echo "$seed $((seed + chunk < end ? chunk : end - seed))"
done | xargs -P "$workers" -L 1 sh -c "\"$simulate\" --seed \"\$0\" --count \"\$1\" 2> /dev/null" | tee "$log" || status=$?
failed=$(grep -c '^seed ' "$log" || true)
echo "campaign: $count seeds from $first in $SECONDS s, $failed failed"
[ "$status" -eq 0 ] && [ "$failed" -eq 0 ]
