// Defaults and checks of built-in resources: only what operators, kubelets and kubectl rely on.
#pragma once

#include "local/apiserver/resource.h"

namespace slotwright::local::apiserver {

[[nodiscard]] Strategy PodStrategy();
[[nodiscard]] Strategy ServiceStrategy();
[[nodiscard]] Strategy ConfigMapStrategy();
[[nodiscard]] Strategy SecretStrategy();
[[nodiscard]] Strategy NamespaceStrategy();
[[nodiscard]] Strategy ClaimStrategy();
[[nodiscard]] Strategy DisruptionBudgetStrategy();
[[nodiscard]] Strategy LeaseStrategy();
[[nodiscard]] Strategy EventStrategy();

}  // namespace slotwright::local::apiserver
