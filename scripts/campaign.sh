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
# As in Seeds.*: lives in which the operator gives up, or writes are excused, prove nothing.
awk '/ given up, / {
  for (i = 2; i <= NF; i++) {
    if ($i == "given") given_up += $(i - 1)
    if ($i == "writes") { excused += $(i - 3); written += $(i - 1) }
  }
  lives += $1
} END {
  printf "campaign: %d given up, %d of %d writes excused\n", given_up, excused, written
  exit !(given_up * 100 <= lives && excused * 100 < written)
}' "$log" || { echo "campaign: that is too many"; status=1; }
[ "$status" -eq 0 ] && [ "$failed" -eq 0 ]
