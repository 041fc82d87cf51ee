// Masters that refuse writes because their disk takes none.
#include <fmt/format.h>

#include <algorithm>

#include "controllers/plan/planner.h"
#include "controllers/resources/configuration.h"
#include "controllers/topology/text.h"

namespace slotwright {

bool RefusesWrites(const RedisCluster& cluster, const NodeView& node) {
  const auto is = [&](const char* name, std::string_view value) {
    const auto found = cluster.spec.config.find(name);
    return found != cluster.spec.config.end() && text::LowerCase(found->second) == value;
  };
  // Without storage nothing is saved unless it is asked for, with it by default.
  const bool saves = cluster.spec.storage ? !is("save", "") : cluster.spec.config.contains("save") && !is("save", "");
  // That the last write failed is said also of files that were turned off since.
  return (node.server.append_failed && node.server.aof_enabled) ||
         (node.server.save_failed && saves && !is("stop-writes-on-bgsave-error", "no"));
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
