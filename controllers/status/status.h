// What the resource's status says: a pure function of what was observed and what was decided.
#pragma once

#include "controllers/observe/observation.h"
#include "controllers/plan/cluster_view.h"
#include "controllers/plan/plan.h"

namespace slotwright {

/// The whole status, as it should be written. Numbers that change all the time under load (keys, offsets) are left to
/// the metrics: a status that never rests would never let the API server rest either.
[[nodiscard]] reconciler::Json BuildStatus(const Observation& observation, const ClusterView& view, const Plan& plan);

}  // namespace slotwright
