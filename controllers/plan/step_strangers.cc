// Never joins two clusters: refuses while a node that is not ours sits in a table, or our nodes refuse our password.
#include <fmt/format.h>

#include "controllers/api/names.h"
#include "controllers/plan/planner.h"
#include "controllers/plan/waiting.h"

namespace slotwright::steps {

std::optional<Plan> RefuseStrangers(const Observation& observation, const ClusterView& view) {
  const auto& cluster = observation.cluster;
  if (const NodeView* node = WhoRefusesThePassword(observation, view)) {
    return Refuse("strangers", "PasswordNotAccepted",
                  fmt::format("{} at {} does not accept the password in Secret {}; put back the password that the pods "
                              "were started with (changing it is not supported yet). A pod whose container was started "
                              "again since has the changed one: delete that pod after that",
                              node->pod, node->endpoint.ToString(), cluster.password_secret()));
  }
  const std::string suffix = HostnameSuffixOf(cluster.ns, cluster.name);
  for (const auto& absent : view.absent) {
    if (absent.hostname.empty() || absent.hostname.ends_with(suffix)) continue;
    return Refuse("strangers", "StrangerInCluster",
                  fmt::format("node {} ({}) is in the table of {} but does not belong to this RedisCluster; nothing is "
                              "joined until it is gone: find out who ran CLUSTER MEET, then CLUSTER FORGET it on every "
                              "node",
                              absent.id.Short(), absent.hostname, absent.viewers[0]->pod));
  }
  return std::nullopt;
}

}  // namespace slotwright::steps
