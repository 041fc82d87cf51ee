// Directives that Redis can change live are changed live, on all nodes at once; the file follows.
#include <algorithm>
#include <iterator>

#include "controllers/api/names.h"
#include "controllers/plan/outdated.h"
#include "controllers/plan/planner.h"
#include "controllers/plan/waiting.h"
#include "controllers/resources/configuration.h"

namespace slotwright {

LiveConfig LiveConfigOf(const Observation& observation) {
  const auto& cluster = observation.cluster;
  const PodTemplate current(cluster);
  const bool waits_for_a_person = cluster.spec.update == UpdateStrategy::kManual;
  const auto is_wanted = [&](const PodView& pod) {
    return pod.ours && !pod.terminating && cluster.spec.Wants(pod.shard, pod.index);
  };
  const auto is_current = [&](const PodView& pod) { return is_wanted(pod) && !current.IsOutdated(pod); };
  // One that ends again and again has nothing to lose by another file: perhaps the present one is at fault.
  bool tried = std::ranges::any_of(observation.pods, [&](const PodView& pod) {
    return is_current(pod) && pod.trouble.starts_with("CrashLoopBackOff");
  });
  LiveConfig live;
  for (const auto& node : observation.nodes) {
    // What is set on a node in quarantine could end it too early.
    if (!node.Answers() || node.quarantined) continue;
    const PodView* pod = observation.FindPod(node.pod);
    // Who is about to be replaced reads the new file then.
    if (pod == nullptr || !(is_current(*pod) || (waits_for_a_person && is_wanted(*pod)))) continue;
    tried = true;
    auto change = current.LiveChangeOf(*pod, node.server.run_id);
    if (!change) continue;
    live.changes.emplace_back(SetConfig{RefTo(node), *std::move(change)});
  }
  live.taken = tried && live.changes.empty();
  return live;
}

std::map<std::string, std::string> LiveDirectivesInUse(const Observation& observation) {
  const auto& cluster = observation.cluster;
  std::map<std::string, std::string> in_use;
  const auto file = observation.objects.find({"ConfigMap", ConfigMapOf(cluster.name)});
  if (file != observation.objects.end()) {
    in_use = DirectivesIn(*file->second);
  } else {  // somebody deleted it
    for (const auto& pod : observation.pods) in_use.merge(NotedDirectives(pod));
  }
  auto directives = LiveDirectives(cluster);
  for (auto directive = directives.begin(); directive != directives.end();) {
    auto& [name, value] = *directive;
    const auto found = in_use.find(name);
    const bool of_the_user = cluster.spec.config.contains(name);
    if (of_the_user && found != in_use.end()) value = found->second;
    directive = of_the_user && found == in_use.end() ? directives.erase(directive) : std::next(directive);
  }
  return directives;
}

}  // namespace slotwright
