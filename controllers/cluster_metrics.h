// What operators of Redis Clusters watch and alert on: slotwright_* metrics.
#pragma once

#include <memory>
#include <vector>

#include "controllers/act/executor.h"
#include "controllers/observe/observation.h"
#include "controllers/plan/cluster_view.h"
#include "controllers/plan/plan.h"

namespace prometheus {
class Registry;
}

namespace slotwright {

/// Thread-safe. All series carry the labels namespace and name.
class ClusterMetrics {
 public:
  explicit ClusterMetrics(std::shared_ptr<prometheus::Registry> registry);
  ~ClusterMetrics();

  void Observe(const Observation& observation, const ClusterView& view, const Plan& plan,
               const std::vector<Outcome>& outcomes);
  /// The cluster is gone: so are its series.
  void Remove(const reconciler::ObjectKey& key);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace slotwright
