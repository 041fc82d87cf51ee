# what the embedded API server is held to, asked of this one
# shellcheck shell=bash

program=$E2E_DIR/../build/release/tests/conformance/conformance_test
if [ ! -x "$program" ]; then
    tell "skipped: there is no $program"
    exit 77
fi
CONFORMANCE_KUBECONFIG=$KUBECONFIG "$program" --gtest_brief=1
kubectl delete crd widgets.conformance.slotwright.dev
