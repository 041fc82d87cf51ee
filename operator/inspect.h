// One direct look at a cluster for commands and local mode: reads what the operator would, changes nothing.
#pragma once

#include <string>

#include "controllers/observe/observation.h"
#include "controllers/plan/plan.h"
#include "reconciler/kube/client.h"

namespace slotwright {

struct Inspection {
  Observation observation;
  Plan plan;  ///< What the operator would do next.
};

/// kNotFound if there is no such RedisCluster. Asks every node directly, so it needs a way to the pods' addresses.
[[nodiscard]] reconciler::Result<Inspection> Inspect(const reconciler::Client& client,
                                                     const reconciler::ObjectKey& key);

/// kNotFound names the cluster and the namespace.
[[nodiscard]] reconciler::Result<reconciler::Json> GetCluster(const reconciler::Client& client,
                                                              const reconciler::ObjectKey& key);

/// The same as if `object` had been applied by kubectl, by what the API server says would be stored then. Nothing need
/// exist. kInvalid if it would be refused. Who may not apply is spared that question, and gets no defaults for what is
/// new.
[[nodiscard]] reconciler::Result<Inspection> InspectAsIf(const reconciler::Client& client,
                                                         const reconciler::Json& object);

}  // namespace slotwright
