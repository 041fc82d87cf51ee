// See outdated.h.
#include "controllers/plan/outdated.h"

#include <algorithm>

#include "controllers/api/names.h"
#include "controllers/resources/resources.h"

namespace slotwright {

using reconciler::Json;

namespace {

// In the note beside the directives, whose names have no such character: the process that they were set on, and what
// it refused last.
constexpr const char* kRunId = "@run";
constexpr const char* kRefused = "@refused";

Json ReadNote(const PodView& pod) {
  const Json note = Json::parse(pod.live_config, nullptr, false);
  return note.is_object() ? note : Json::object();
}

bool IsDirective(const std::string& name) { return !name.starts_with('@'); }

Json With(Json note, const Json& changes) {
  note.update(changes);
  return note;
}

}  // namespace

Notes ReadNotes(const PodView& pod) {
  Notes notes;
  const Json note = ReadNote(pod);
  for (const auto& [name, value] : note.items()) {
    if (!IsDirective(name)) continue;
    if (value.is_string()) {
      notes.directives[name] = value.get<std::string>();
    } else {
      notes.unknown.insert(name);
    }
  }
  return notes;
}

PodTemplate::PodTemplate(const RedisCluster& cluster)
    : hash_(PodHash(cluster)), live_directives_(LiveDirectives(cluster)) {}

bool PodTemplate::IsOutdated(const PodView& pod) const {
  if (pod.hash != hash_) return true;
  // A directive that is no longer named gets its default back, which only a restart gives.
  const Json note = ReadNote(pod);
  return std::ranges::any_of(note.items(), [&](const auto& known) {
    return IsDirective(known.key()) && !live_directives_.contains(known.key());
  });
}

bool PodTemplate::HasRefused(const PodView& pod) const {
  const Json note = ReadNote(pod);
  const auto refused = note.find(kRefused);
  if (refused == note.end() || !refused->is_object()) return false;
  return std::ranges::any_of(refused->items(), [&](const auto& directive) {
    const auto wanted = live_directives_.find(directive.key());
    return wanted != live_directives_.end() && directive.value() == wanted->second;
  });
}

std::optional<LiveChange> PodTemplate::LiveChangeOf(const PodView& pod, const std::string& run_id) const {
  const Json known = ReadNote(pod);
  const bool restarted = known.contains(kRunId) ? known[kRunId] != run_id : pod.restarts > 0;
  const bool keeps_maxmemory = IsOutdated(pod);
  LiveChange change;
  Json unknown = Json::object();
  for (const auto& [name, value] : live_directives_) {
    if (keeps_maxmemory && name == "maxmemory") continue;
    if (!restarted && known.contains(name) && known[name] == value) continue;
    change.directives[name] = value;
    unknown[name] = nullptr;
  }
  if (change.directives.empty()) return std::nullopt;
  Json done = With(known, change.directives);
  done[kRunId] = run_id;
  done.erase(kRefused);
  change.note = done.dump();
  // What was refused before will be again: that is not worth two notes each time.
  if (known.contains(kRefused) && known[kRefused] == Json(change.directives)) return change;
  change.note_before = With(known, unknown).dump();
  change.note_if_refused = With(known, {{kRefused, change.directives}}).dump();
  return change;
}

}  // namespace slotwright
