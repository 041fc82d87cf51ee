// Masters that refuse writes because their disk takes none.
#include <fmt/format.h>

#include <algorithm>

#include "controllers/plan/planner.h"
#include "controllers/topology/text.h"

namespace slotwright {

bool RefusesWrites(const RedisCluster& cluster, const NodeView& node) {
  const auto& config = cluster.spec.config;
  const auto save = config.find("save");
  const auto stops = config.find("stop-writes-on-bgsave-error");
  const bool saves = save == config.end() ? cluster.spec.storage.has_value() : !save->second.empty();
  const bool goes_on = stops != config.end() && text::LowerCase(stops->second) == "no";
  // That the last write failed is said also of files that were turned off since.
  return (node.server.append_failed && node.server.aof_enabled) || (node.server.save_failed && saves && !goes_on);
}

namespace steps {

// Who gives slots away has what its successor would not know of (before Valkey 8).
std::optional<Plan> LeaveFullDisks(const Observation& observation, const ClusterView& view) {
  std::optional<Plan> wait;
  for (const auto& [id, slots] : view.owned) {
    const NodeView& master = *view.by_id.at(id);
    const auto gives = [](const OpenSlot& open) { return open.direction == OpenSlot::Direction::kMigrating; };
    if (!RefusesWrites(observation.cluster, master) || std::ranges::any_of(master.me().open_slots, gives)) continue;
    auto plan = HandOver(observation, view, master, "LeavingFullDisk",
                         fmt::format("{} refuses writes, as it could not save the last ones", master.pod));
    if (!plan) continue;
    plan->step = "disk";
    if (!plan->actions.empty()) return plan;
    wait = std::move(plan);
  }
  return wait;
}

}  // namespace steps

}  // namespace slotwright
