# what the embedded API server is held to, asked of this one
# beside the next one
# shellcheck shell=bash

program=${E2E_CONFORMANCE:-$E2E_DIR/../build/release/tests/conformance/conformance_test}
[ -x "$program" ] || skip "there is no $program"
# Most of the time it waits, for a garbage collector among others: four at a time. Each test has its own namespace.
shards=4
pids=()
for ((i = 0; i < shards; ++i)); do
    CONFORMANCE_KUBECONFIG=$KUBECONFIG GTEST_TOTAL_SHARDS=$shards GTEST_SHARD_INDEX=$i "$program" --gtest_brief=1 &
    pids+=($!)
done
wait_all "${pids[@]}"
kubectl delete crd "$CONFORMANCE_CRD"
