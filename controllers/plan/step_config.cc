// Directives that Redis can change live are changed live, on all nodes at once; the file follows.
#include <iterator>
#include <optional>
#include <set>

#include "controllers/api/names.h"
#include "controllers/plan/outdated.h"
#include "controllers/plan/planner.h"
#include "controllers/plan/waiting.h"
#include "controllers/plan/wanted.h"
#include "controllers/resources/configuration.h"

namespace slotwright {

namespace {

using Directives = std::map<std::string, std::string>;

std::optional<std::string> Find(const Directives& directives, const std::string& name) {
  const auto found = directives.find(name);
  return found == directives.end() ? std::nullopt : std::optional(found->second);
}

// What servers run with or start with: what all notes agree on; where they do not, the file, unless nobody has what it
// says: then somebody else has edited it. Of a value in the file of which nobody knows whether he has it, a refusal
// tells that nobody has.
std::optional<std::string> InUse(const std::string& name, const std::vector<const LiveNotes*>& notes,
                                 const Directives& file) {
  std::set<std::optional<std::string>> noted;
  for (const LiveNotes* pods : notes) {
    if (!pods->unknown.contains(name)) noted.insert(Find(pods->directives, name));
  }
  const auto in_file = Find(file, name);
  const auto refused = [&](const LiveNotes* pods) { return in_file && Find(pods->refused, name) == in_file; };
  if (noted.empty() && std::ranges::any_of(notes, refused)) return std::nullopt;
  if (noted.empty() || noted.contains(in_file)) return noted.size() == 1 ? *noted.begin() : in_file;
  return *noted.begin();
}

// Of the ConfigMap that is there; nothing if there is none.
std::optional<Directives> FileNow(const Observation& observation) {
  const auto found = observation.objects.find({"ConfigMap", ConfigMapOf(observation.cluster.name)});
  return found == observation.objects.end() ? std::nullopt : std::optional(DirectivesIn(*found->second));
}

// The names of those that have not the same value in both, or are in one alone.
std::set<std::string> Differing(const Directives& one, const Directives& other) {
  std::set<std::string> names;
  for (const auto& [name, value] : one) {
    if (Find(other, name) != value) names.insert(name);
  }
  for (const auto& [name, value] : other) {
    if (!one.contains(name)) names.insert(name);
  }
  return names;
}

Directives LiveDefaults(RedisCluster cluster) {
  cluster.spec.config.clear();
  return LiveDirectives(cluster);
}

}  // namespace

LiveConfig LiveConfigOf(const Observation& observation) {
  const auto& cluster = observation.cluster;
  const PodTemplate current(cluster);
  // Who is about to be replaced is left as it is, but not if that may take days: it waits for a person, or stands.
  const bool outdated_wait =
      cluster.spec.update == UpdateStrategy::kManual || TimeInStep(observation) >= std::chrono::minutes(1);
  bool asked = false;
  const bool any_outdated = std::ranges::any_of(
      observation.pods, [&](const PodView& pod) { return IsToBeKept(observation, pod) && current.IsOutdated(pod); });
  LiveConfig live;
  for (const auto& node : observation.nodes) {
    // What is set on a node in quarantine could end it too early.
    if (!node.Answers() || node.quarantined || node.leaving) continue;
    const PodView* pod = observation.FindPod(node.pod);
    if (pod == nullptr || !IsToBeKept(observation, *pod)) continue;
    if (current.IsOutdated(*pod) && !outdated_wait) continue;
    asked = true;
    auto change = current.LiveChangeOf(*pod, node.server.run_id);
    if (!change) continue;
    live.changes.emplace_back(SetConfig{RefTo(node), *std::move(change)});
  }
  // Also if a new pod ends again and again: others that start again would read what no server was asked to take.
  live.taken = live.changes.empty() && asked && !any_outdated;
  return live;
}

std::map<std::string, std::string> LiveDirectivesInUse(const Observation& observation) {
  const auto& cluster = observation.cluster;
  std::vector<const LiveNotes*> notes;
  for (const auto& pod : observation.pods) {
    if (IsToBeKept(observation, pod)) notes.push_back(&pod.live_notes);
  }
  const auto file_now = FileNow(observation);
  auto directives = LiveDirectives(cluster);
  if (notes.empty() && !file_now) return directives;  // a new beginning
  const Directives file = file_now.value_or(Directives{});
  const Directives defaults = LiveDefaults(cluster);
  for (auto directive = directives.begin(); directive != directives.end();) {
    auto& [name, value] = *directive;
    // The operator's own values are known to be good, but for the one that goes with the pods' memory limit.
    const bool may_be_refused = cluster.spec.config.contains(name) || name == "maxmemory";
    const auto in_use = may_be_refused ? InUse(name, notes, file) : value;
    // A pod that is still to be replaced has no such memory limit.
    const auto known = in_use || name == "maxmemory" ? in_use : Find(defaults, name);
    if (known) value = *known;
    directive = known ? std::next(directive) : directives.erase(directive);
  }
  return directives;
}

std::vector<Action> NotesBeforeTheFile(const Observation& observation, const Directives& before,
                                       const Directives& after) {
  const auto changed = Differing(before, after);
  const bool formed = !observation.cluster.formed_at.empty();
  std::vector<Action> actions;
  for (const auto& pod : observation.pods) {
    const auto is_its_own = [&](const NodeView& node) { return node.pod == pod.name && node.Answers(); };
    if (!pod.ours || pod.terminating || (formed && std::ranges::any_of(observation.nodes, is_its_own))) continue;
    NotePod note{pod.name, pod.live_notes};
    for (const auto& name : changed) note.notes.Doubt(name);
    if (note.notes.unknown != pod.live_notes.unknown) actions.emplace_back(std::move(note));
  }
  return actions;
}

LiveNotes NotesOfNewPods(const Observation& observation) {
  LiveNotes notes{.directives = LiveDirectivesInUse(observation)};
  // Also what is about to be left out: if they have it only a restart takes it from them.
  const auto changed = Differing(FileNow(observation).value_or(Directives{}), notes.directives);
  for (const auto& name : changed) notes.Doubt(name);
  // It starts as the data on its volume have to be read (start.sh).
  if (observation.cluster.spec.storage && !observation.cluster.formed_at.empty()) notes.Doubt("appendonly");
  return notes;
}

}  // namespace slotwright
