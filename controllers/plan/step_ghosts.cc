// Forgets nodes that are gone for good: without slots and replicas, and dead while their pod lives on under a new id,
// or taken away.
#include <fmt/format.h>

#include <algorithm>

#include "controllers/plan/planner.h"
#include "controllers/plan/waiting.h"

namespace slotwright::steps {

namespace {

// Who forgets a node forgets as well which slots it has open towards it (clusterDelNode in Redis' cluster_legacy.c),
// and with that that keys of them may have gone to its successor (simulation, seed 816380).
bool IsEndOfAnOpenSlot(const ClusterView& view, const NodeId& id) {
  return std::ranges::any_of(view.answering, [&](const NodeView* node) {
    return node->me().flags.master && std::ranges::count(node->me().open_slots, id, &OpenSlot::peer) > 0;
  });
}

}  // namespace

std::optional<Plan> ForgetGhosts(const Observation& observation, const ClusterView& view) {
  std::vector<Action> actions;
  std::string names;
  for (const auto& ghost : view.absent) {
    if (!ghost.LeftOver() || (ghost.connected && !ghost.removed) || IsEndOfAnOpenSlot(view, ghost.id)) continue;
    names += (names.empty() ? "" : ", ") + ghost.id.Short();
    for (const NodeView* viewer : ghost.viewers) actions.emplace_back(Forget{RefTo(*viewer), ghost.id});
  }
  if (actions.empty()) return std::nullopt;
  return DoAndPoll(observation, "ghosts", "ForgettingNodes",
                   fmt::format("nodes {} are gone for good and own no slots", names), std::move(actions));
}

std::optional<Plan> AwaitForgetting(const Observation& observation, const ClusterView& view) {
  if (view.absent.empty()) return std::nullopt;
  return WaitForRedis(observation, "ghosts", "DeadNodeInTable",
                      fmt::format("node {} ({}) is gone, and forgotten as soon as nobody has a connection to it",
                                  view.absent[0].id.Short(), view.absent[0].hostname));
}

}  // namespace slotwright::steps
