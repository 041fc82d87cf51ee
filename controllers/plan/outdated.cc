// See outdated.h.
#include "controllers/plan/outdated.h"

#include <algorithm>

#include "controllers/resources/resources.h"

namespace slotwright {

PodTemplate::PodTemplate(const RedisCluster& cluster)
    : hash_(PodHash(cluster)), live_directives_(LiveDirectives(cluster)) {}

bool PodTemplate::IsOutdated(const PodView& pod) const {
  if (pod.hash != hash_) return true;
  // A directive that is no longer named gets its default back, which only a restart gives.
  const auto is_gone = [&](const std::string& name) { return !live_directives_.contains(name); };
  return std::ranges::any_of(pod.live_notes.unknown, is_gone) ||
         std::ranges::any_of(pod.live_notes.directives, is_gone, [](const auto& known) { return known.first; });
}

std::optional<LiveChange> PodTemplate::LiveChangeOf(const PodView& pod, const std::string& run_id) const {
  const LiveNotes& known = pod.live_notes;
  const bool restarted = known.run_id.empty() ? pod.restarts > 0 : known.run_id != run_id;
  const bool keeps_maxmemory = IsOutdated(pod);
  LiveChange change{.directives = {}, .before = known, .after = known, .if_refused = known};
  for (const auto& [name, value] : live_directives_) {
    if (keeps_maxmemory && name == "maxmemory") continue;
    if (!restarted && known.Has(name, value)) continue;
    change.directives[name] = value;
    change.before->Doubt(name);
    change.after.directives[name] = value;
    change.after.unknown.erase(name);
  }
  if (change.directives.empty()) return std::nullopt;
  change.after.run_id = run_id;
  change.after.refused.clear();
  change.if_refused->refused = change.directives;
  // What was refused before will be again: that is not worth two notes each time.
  if (known.refused == change.directives) change.before = change.if_refused = std::nullopt;
  return change;
}

}  // namespace slotwright
