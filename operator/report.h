// What `slotwright status`, `slotwright check` and local mode print about a cluster.
#pragma once

#include <string>

#include "controllers/observe/observation.h"
#include "controllers/plan/plan.h"
#include "reconciler/kube/types.h"

namespace slotwright {

/// From the resource's status alone: conditions, operation, shards.
[[nodiscard]] std::string StatusReport(const reconciler::Json& cluster);

/// The table of nodes: pod, role, address, id, slots, keys, whom it replicates, state.
[[nodiscard]] std::string NodeTableReport(const Observation& observation);

/// Which slots each master serves, drawn to scale.
[[nodiscard]] std::string SlotMapReport(const Observation& observation);

/// What the operator would do next, and why.
[[nodiscard]] std::string PlanReport(const Plan& plan);

/// "[OK] all 16384 slots covered" and the like, one finding a line. `healthy` is false if one of them is a problem.
struct CheckReport {
  std::string text;
  bool healthy = true;
};
[[nodiscard]] CheckReport Check(const Observation& observation, const Plan& plan);

}  // namespace slotwright
