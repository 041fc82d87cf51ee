# what the embedded API server is held to, asked of this one
# beside the next one
# shellcheck shell=bash

program=${E2E_CONFORMANCE:-$E2E_DIR/../build/release/tests/conformance/conformance_test}
[ -x "$program" ] || skip "there is no $program"
# Most of the time it waits, for a garbage collector among others: four at a time. Each test has its own namespace.
shards=4
pids=()
said=$(mktemp -d)
trap 'rm -r "$said"' EXIT
for ((i = 0; i < shards; ++i)); do
    CONFORMANCE_KUBECONFIG=$KUBECONFIG GTEST_TOTAL_SHARDS=$shards GTEST_SHARD_INDEX=$i "$program" --gtest_brief=1 >"$said/$i" &
    pids+=($!)
done
wait_all "${pids[@]}" || {
    cat "$said"/*
    exit 1
}
# sum_of WORD: of the tests that gtest says so of.
sum_of() { cat "$said"/* | sed -n "s/^\[ *$1 *\] \([0-9]*\) tests*.*/\1/p" | awk '{ sum += $1 } END { print sum + 0 }'; }
tell "$(sum_of PASSED) passed, $(sum_of SKIPPED) skipped"
[ "$(sum_of PASSED)" -ge 60 ] # all but one that needs a young server's forgetfulness
kubectl delete crd "$CONFORMANCE_CRD"
