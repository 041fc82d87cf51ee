// Never joins two clusters: refuses while a node that is not ours sits in a table, or our nodes refuse our password.
#include <fmt/format.h>

#include "controllers/api/names.h"
#include "controllers/plan/planner.h"
#include "controllers/plan/waiting.h"

namespace slotwright::steps {

namespace {

// Ours announce a hostname, others need not. Whom all of ours list, and some reach, is none of ours if each pod has
// another node.
bool IsStranger(const Observation& observation, const ClusterView& view, const ClusterView::Absent& absent) {
  const auto& cluster = observation.cluster;
  if (!absent.hostname.empty()) return !absent.hostname.ends_with(HostnameSuffixOf(cluster.ns, cluster.name));
  return absent.connected && absent.viewers.size() == view.answering.size() && EveryPodAnswers(observation, view);
}

std::string NameOf(const ClusterView::Absent& absent) {
  if (!absent.hostname.empty()) return absent.hostname;
  return absent.viewers[0]->table->Find(absent.id)->endpoint.ToString();
}

}  // namespace

std::optional<Plan> RefuseStrangers(const Observation& observation, const ClusterView& view) {
  const auto& cluster = observation.cluster;
  if (const NodeView* node = WhoRefusesThePassword(observation, view)) {
    return Refuse("strangers", "PasswordNotAccepted",
                  fmt::format("{} at {} does not accept the password in Secret {}; put back the password that the pods "
                              "were started with (changing it is not supported yet). A pod whose container was started "
                              "again since has the changed one: delete that pod after that",
                              node->pod, node->endpoint.ToString(), cluster.password_secret()));
  }
  for (const auto& absent : view.absent) {
    if (!IsStranger(observation, view, absent)) continue;
    return Refuse("strangers", "StrangerInCluster",
                  fmt::format("node {} ({}) is in the table of {} but does not belong to this RedisCluster; nothing is "
                              "joined until it is gone: find out who ran CLUSTER MEET, then CLUSTER FORGET it on every "
                              "node",
                              absent.id.Short(), NameOf(absent), absent.viewers[0]->pod));
  }
  return std::nullopt;
}

}  // namespace slotwright::steps
