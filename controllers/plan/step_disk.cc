// Masters that refuse writes because their disk takes none.
#include <fmt/format.h>

#include "controllers/plan/planner.h"
#include "controllers/resources/configuration.h"

namespace slotwright {

bool RefusesWrites(const RedisCluster& cluster, const NodeView& node) {
  const auto is = [&](const char* name, const char* value) {
    const auto found = cluster.spec.config.find(name);
    return found != cluster.spec.config.end() && found->second == value;
  };
  // Without storage nothing is saved unless it is asked for, with it by default.
  const bool saves = cluster.spec.storage ? !is("save", "") : cluster.spec.config.contains("save") && !is("save", "");
  return node.server.append_failed || (node.server.save_failed && saves && !is("stop-writes-on-bgsave-error", "no"));
}

namespace steps {

std::optional<Plan> LeaveFullDisks(const Observation& observation, const ClusterView& view) {
  for (const auto& [id, slots] : view.owned) {
    const NodeView& master = *view.by_id.at(id);
    if (!RefusesWrites(observation.cluster, master)) continue;
    if (auto plan = HandOver(observation, view, master, "LeavingFullDisk",
                             fmt::format("{} refuses writes, as its disk takes none", master.pod))) {
      return plan;
    }
  }
  return std::nullopt;
}

}  // namespace steps

}  // namespace slotwright
