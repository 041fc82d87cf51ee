// Directives that Redis can change live are changed live, on all nodes at once; the file follows.
#include <algorithm>

#include "controllers/api/names.h"
#include "controllers/plan/outdated.h"
#include "controllers/plan/planner.h"
#include "controllers/plan/waiting.h"
#include "controllers/resources/configuration.h"

namespace slotwright {

LiveConfig LiveConfigOf(const Observation& observation) {
  const auto& cluster = observation.cluster;
  const PodTemplate current(cluster);
  const auto is_current = [&](const PodView& pod) {
    return pod.ours && !pod.terminating && cluster.spec.Wants(pod.shard, pod.index) && !current.IsOutdated(pod);
  };
  // One that ends again and again has nothing to lose by another file: perhaps the present one is at fault.
  bool tried = std::ranges::any_of(observation.pods, [&](const PodView& pod) {
    return is_current(pod) && pod.trouble.starts_with("CrashLoopBackOff");
  });
  LiveConfig live;
  for (const auto& node : observation.nodes) {
    // What is set on a node in quarantine could end it too early.
    if (!node.Answers() || node.quarantined) continue;
    const PodView* pod = observation.FindPod(node.pod);
    // Who is to be replaced reads the new file then; new values may not even fit its old memory limit.
    if (pod == nullptr || !is_current(*pod)) continue;
    tried = true;
    auto change = current.LiveChangeOf(*pod, node.server.run_id);
    if (!change) continue;
    live.changes.emplace_back(SetConfig{RefTo(node), std::move(change->directives), std::move(change->note)});
  }
  live.taken = tried && live.changes.empty();
  return live;
}

std::string LiveConfigOfNewPods(const Observation& observation) {
  const auto& cluster = observation.cluster;
  const auto file = observation.objects.find({"ConfigMap", ConfigMapOf(cluster.name)});
  const bool exists = file != observation.objects.end();
  return reconciler::Json(exists ? LiveDirectivesInFile(cluster, *file->second) : LiveDirectives(cluster)).dump();
}

}  // namespace slotwright
