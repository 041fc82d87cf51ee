// Forgets nodes that are gone for good: without slots and replicas, and dead while their pod lives on under a new id,
// or taken away.
#include <fmt/format.h>

#include "controllers/api/names.h"
#include "controllers/plan/planner.h"
#include "controllers/plan/waiting.h"
#include "controllers/plan/wanted.h"

namespace slotwright::steps {

namespace {

// A dead node whose pod has no other node may come back with its data. Of one that is known from gossip alone nobody
// has heard the hostname: it was no pod's node if each pod has another one.
bool HasSuccessor(const Observation& observation, const ClusterView& view, const ClusterView::Absent& ghost) {
  const auto& cluster = observation.cluster;
  if (ghost.hostname.empty()) return ghost.unreachable_everywhere && EveryPodAnswers(observation, view);
  for (const NodeView* node : view.answering) {
    if (HostnameOf(cluster.ns, cluster.name, node->pod) == ghost.hostname) return true;
  }
  return false;
}

// Its pod was taken away and will not be made again, so there is nothing to wait for.
bool WasRemoved(const Observation& observation, const ClusterView::Absent& ghost) {
  const auto& cluster = observation.cluster;
  const auto place = PlaceOfHostname(cluster.ns, cluster.name, ghost.hostname);
  if (!place || IsWanted(observation, place->first, place->second)) return false;
  return observation.FindPod(PodNameOf(cluster.name, place->first, place->second)) == nullptr;
}

}  // namespace

std::optional<Plan> ForgetGhosts(const Observation& observation, const ClusterView& view) {
  std::vector<Action> actions;
  std::string names;
  for (const auto& ghost : view.absent) {
    if (ghost.owns_slots || ghost.has_live_replicas) continue;
    const bool replaced = !ghost.connected && HasSuccessor(observation, view, ghost);
    if (!replaced && !WasRemoved(observation, ghost)) continue;
    names += (names.empty() ? "" : ", ") + ghost.id.Short();
    for (const NodeView* viewer : ghost.viewers) actions.emplace_back(Forget{RefTo(*viewer), ghost.id});
  }
  if (actions.empty()) return std::nullopt;
  Plan plan = Do("ghosts", "ForgettingNodes", fmt::format("nodes {} are gone for good and own no slots", names),
                 std::move(actions));
  plan.look_again = PollInterval(observation);
  return plan;
}

}  // namespace slotwright::steps
