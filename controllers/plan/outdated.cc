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

PodTemplate::PodTemplate(const RedisCluster& cluster)
    : hash_(PodHash(cluster)), live_directives_(LiveDirectives(cluster)) {}

bool PodTemplate::IsOutdated(const PodView& pod) const {
  if (pod.hash != hash_) return true;
  // A directive that is no longer named gets its default back, which only a restart gives.
  return std::ranges::any_of(ReadNote(pod.live_config), [&](const auto& known) {
    return known.first != kRunId && !live_directives_.contains(known.first);
  });
}

std::optional<LiveChange> PodTemplate::LiveChangeOf(const PodView& pod, const std::string& run_id) const {
  const auto known = ReadNote(pod.live_config);
  const auto noted_run = known.find(kRunId);
  const bool restarted = noted_run != known.end() && noted_run->second != run_id;
  LiveChange change;
  for (const auto& [name, value] : live_directives_) {
    const auto found = known.find(name);
    if (restarted || found == known.end() || found->second != value) change.directives[name] = value;
  }
  if (change.directives.empty()) return std::nullopt;
  Json note = live_directives_;
  note[kRunId] = run_id;
  change.note = note.dump();
  return change;
}

}  // namespace slotwright
