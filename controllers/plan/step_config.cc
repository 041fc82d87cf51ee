// Directives that Redis can change live are changed live, on all nodes at once; the file follows.
#include "controllers/api/names.h"
#include "controllers/plan/outdated.h"
#include "controllers/plan/planner.h"
#include "controllers/plan/waiting.h"
#include "controllers/resources/configuration.h"

namespace slotwright {

std::vector<Action> LiveChanges(const Observation& observation) {
  const auto& cluster = observation.cluster;
  const PodTemplate current(cluster);
  std::vector<Action> actions;
  for (const auto& node : observation.nodes) {
    // What is set on a node in quarantine could end it too early.
    if (!node.Answers() || node.quarantined) continue;
    const PodView* pod = observation.FindPod(node.pod);
    if (pod == nullptr || pod->terminating || !cluster.spec.Wants(pod->shard, pod->index)) continue;
    // Who is to be replaced reads the new file then; new values may not even fit its old memory limit.
    if (current.IsOutdated(*pod)) continue;
    auto change = current.LiveChangeOf(*pod, node.server.run_id);
    if (!change) continue;
    actions.emplace_back(SetConfig{RefTo(node), std::move(change->directives), std::move(change->note)});
  }
  return actions;
}

std::string LiveConfigOfNewPods(const Observation& observation) {
  auto directives = LiveDirectives(observation.cluster);
  const auto found = observation.objects.find({"ConfigMap", ConfigMapOf(observation.cluster.name)});
  const auto written =
      found == observation.objects.end() ? std::nullopt : AsWritten(observation.cluster, *found->second);
  if (written) {
    const auto in_file = LiveDirectives(*written);
    std::erase_if(directives, [&](const auto& directive) { return !in_file.contains(directive.first); });
    for (auto& [name, value] : directives) value = in_file.at(name);
  }
  return reconciler::Json(directives).dump();
}

}  // namespace slotwright
