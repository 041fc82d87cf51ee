// Look-ups in an Observation.
#include "controllers/observe/observation.h"

#include <algorithm>

#include "controllers/api/names.h"

namespace slotwright {

int Observation::ShardCount() const {
  // Anybody may write a label, or make a pod that says it is ours.
  int count = cluster.spec.masters;
  for (const auto& pod : pods) {
    if (pod.ours && pod.shard < kMostMasters) count = std::max(count, pod.shard + 1);
  }
  for (const auto& [kind_and_name, object] : objects) {
    const bool is_claim = kind_and_name.first == reconciler::types::kPersistentVolumeClaims.kind;
    const bool is_budget = kind_and_name.first == reconciler::types::kPodDisruptionBudgets.kind &&
                           reconciler::ControllerUidOf(*object) == cluster.uid;
    const int shard = NumberLabel(*object, labels::kShard);
    if ((is_claim || is_budget) && shard < kMostMasters) count = std::max(count, shard + 1);
  }
  return count;
}

const PodView* Observation::FindPod(const std::string& name) const {
  const auto found = std::ranges::find(pods, name, &PodView::name);
  return found == pods.end() ? nullptr : &*found;
}

}  // namespace slotwright
