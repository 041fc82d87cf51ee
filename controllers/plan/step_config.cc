// Directives that Redis can change live are changed live, on all nodes at once.
#include <fmt/format.h>

#include "controllers/plan/outdated.h"
#include "controllers/plan/planner.h"
#include "controllers/plan/waiting.h"

namespace slotwright::steps {

std::optional<Plan> ApplyLiveConfig(const Observation& observation, const ClusterView& view) {
  const auto& cluster = observation.cluster;
  std::vector<Action> actions;
  for (const NodeView* node : view.answering) {
    const PodView* pod = observation.FindPod(node->pod);
    if (pod == nullptr || !cluster.spec.Wants(pod->shard, pod->index)) continue;
    // Who is to be replaced reads the new file then; new values may not even fit its old memory limit.
    if (IsOutdated(cluster, *pod)) continue;
    auto change = LiveChangeOf(cluster, *pod, node->server.run_id);
    if (!change) continue;
    actions.emplace_back(SetConfig{RefTo(*node), std::move(change->directives), std::move(change->note)});
  }
  if (actions.empty()) return std::nullopt;
  std::string message = fmt::format("{} nodes get changed directives without a restart", actions.size());
  return Do("config", "UpdatingConfig", std::move(message), std::move(actions));
}

}  // namespace slotwright::steps
