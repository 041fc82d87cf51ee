// See outdated.h.
#include "controllers/plan/outdated.h"

#include <algorithm>

#include "controllers/api/names.h"
#include "controllers/resources/resources.h"

namespace slotwright {

using reconciler::Json;

namespace {

// In the note beside the directives: the process that they were set on. A directive's name has no such character.
constexpr const char* kRunId = "@run";

std::map<std::string, std::string> ReadNote(const std::string& note) {
  const Json json = Json::parse(note, nullptr, false);
  std::map<std::string, std::string> values;
  if (!json.is_object()) return values;
  for (const auto& [name, value] : json.items()) {
    if (value.is_string()) values[name] = value.get<std::string>();
  }
  return values;
}

}  // namespace

bool IsOutdated(const RedisCluster& cluster, const PodView& pod) {
  if (pod.hash != reconciler::AnnotationOf(DesiredPod(cluster, pod.shard, pod.index), annotations::kPodHash))
    return true;
  // A directive that is no longer named gets its default back, which only a restart gives.
  const auto wanted = LiveDirectives(cluster);
  return std::ranges::any_of(ReadNote(pod.live_config),
                             [&](const auto& known) { return known.first != kRunId && !wanted.contains(known.first); });
}

std::optional<LiveChange> LiveChangeOf(const RedisCluster& cluster, const PodView& pod, const std::string& run_id) {
  const auto wanted = LiveDirectives(cluster);
  const auto known = ReadNote(pod.live_config);
  const auto noted_run = known.find(kRunId);
  const bool restarted = noted_run != known.end() && noted_run->second != run_id;
  LiveChange change;
  for (const auto& [name, value] : wanted) {
    const auto found = known.find(name);
    if (restarted || found == known.end() || found->second != value) change.directives[name] = value;
  }
  if (change.directives.empty()) return std::nullopt;
  Json note = wanted;
  note[kRunId] = run_id;
  change.note = note.dump();
  return change;
}

}  // namespace slotwright
