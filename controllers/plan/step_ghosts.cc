// Forgets nodes that are gone for good: dead, without slots and replicas, and their pod lives on under a new id.
#include <fmt/format.h>

#include "controllers/api/names.h"
#include "controllers/plan/planner.h"
#include "controllers/plan/waiting.h"

namespace slotwright::steps {

namespace {

// A dead node whose pod has no other node may come back with its data.
bool HasSuccessor(const Observation& observation, const ClusterView& view, const ClusterView::Absent& ghost) {
  const auto& cluster = observation.cluster;
  for (const NodeView* node : view.answering) {
    if (HostnameOf(cluster.ns, cluster.name, node->pod) == ghost.hostname) return true;
  }
  return false;
}

}  // namespace

std::optional<Plan> ForgetGhosts(const Observation& observation, const ClusterView& view) {
  std::vector<Action> actions;
  std::string names;
  for (const auto& ghost : view.absent) {
    if (ghost.owns_slots || ghost.has_live_replicas || !ghost.failed_everywhere) continue;
    if (!HasSuccessor(observation, view, ghost)) continue;
    names += (names.empty() ? "" : ", ") + ghost.id.Short();
    for (const NodeView* viewer : ghost.viewers) actions.emplace_back(Forget{RefTo(*viewer), ghost.id});
  }
  if (actions.empty()) return std::nullopt;
  Plan plan = Do("ghosts", "ForgettingNodes",
                 fmt::format("nodes {} are dead, own no slots and their pods live on under new ids", names),
                 std::move(actions));
  plan.look_again = PollInterval(observation);
  return plan;
}

}  // namespace slotwright::steps
