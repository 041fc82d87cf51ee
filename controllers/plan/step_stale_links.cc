// Replicas that ask an address which their master had before.
#include <fmt/format.h>

#include "controllers/plan/planner.h"
#include "controllers/plan/waiting.h"
#include "controllers/plan/wanted.h"

namespace slotwright {

bool AsksAnOldAddress(const NodeView& node, const NodeView& master) {
  if (node.me().master != master.id() || node.server.master_link_up || node.server.master_host.empty()) return false;
  const NodeLine* known = node.table->Find(master.id());
  return known != nullptr && known->endpoint == master.endpoint && known->endpoint.host != node.server.master_host;
}

bool AsksAnewIfToldAgain(const NodeView& node) { return node.server.engine == "redis"; }

namespace steps {

std::optional<Plan> RestartStaleReplicas(const Observation& observation, const ClusterView& view) {
  constexpr std::chrono::seconds kPatience{10};
  for (const NodeView* node : view.answering) {
    const NodeView* master = view.MasterOf(node->shard);
    if (master == nullptr || AsksAnewIfToldAgain(*node) || !AsksAnOldAddress(*node, *master)) continue;
    const PodView* pod = observation.FindPod(node->pod);
    if (pod == nullptr || !pod->ours || pod->terminating || !MayEndBeside(observation, *pod, *master)) continue;
    Plan wait =
        WaitForRedis(observation, "stale-links", "ReplicaSyncing",
                     fmt::format("{} asks {}, where its master is no more; started anew it asks {}, in {} s", node->pod,
                                 node->server.master_host, master->endpoint.host, kPatience.count()));
    wait.until_it_stands = true;
    if (!Stands(observation, wait, kPatience)) return wait;
    return Do("stale-links", "RestartingReplicas",
              fmt::format("{} goes on asking {}, where its master is no more", node->pod, node->server.master_host),
              {DeletePod{pod->name, pod->uid}});
  }
  return std::nullopt;
}

}  // namespace steps

}  // namespace slotwright
