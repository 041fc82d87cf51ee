// Creation: gives each master its slots while the nodes do not know each other yet, then records that it was done.
//
// The record (status.formedAt) comes before the first MEET. A cluster can take writes only after that, so slots without
// an owner in a recorded cluster mean that data is gone; in an unrecorded one they mean that creation is not finished.
#include <fmt/format.h>

#include <algorithm>

#include "controllers/api/names.h"
#include "controllers/plan/planner.h"
#include "controllers/plan/waiting.h"

namespace slotwright::steps {

namespace {

constexpr const char* kStep = "assign-slots";

struct Candidate {
  int shard = 0;
  const NodeView* node = nullptr;
  SlotSet owned;
  SlotSet gets;
};

// The master of each shard: who owns slots already, else index 0. Nothing if one of them may not get any. In a cluster
// that lives a shard may be without one, as there is no room for it.
std::optional<std::vector<Candidate>> Candidates(const Observation& observation, const ClusterView& view) {
  std::vector<Candidate> candidates;
  for (int shard = 0; shard < observation.cluster.spec.masters; ++shard) {
    const NodeView* node = view.MasterOf(shard);
    if (node == nullptr) {
      const auto is_master = [&](const NodeView* n) { return n->shard == shard && n->me().flags.master; };
      const auto first = std::ranges::find_if(view.answering, is_master);
      if (first == view.answering.end() && !observation.cluster.formed_at.empty()) continue;
      const bool has_keys =
          std::ranges::any_of(view.answering, [&](const NodeView* n) { return is_master(n) && n->server.keys > 0; });
      if (first == view.answering.end() || has_keys) return std::nullopt;
      node = *first;
    }
    const auto owned = view.owned.find(node->id());
    candidates.push_back({shard, node, owned == view.owned.end() ? SlotSet() : owned->second, {}});
  }
  return candidates;
}

// Everybody's usual range as far as it is free; what is left goes to whoever has least.
void Distribute(int shards, std::vector<Candidate>& candidates, SlotSet free) {
  for (auto& candidate : candidates) {
    if (!candidate.owned.empty()) continue;
    SlotSet usual;
    usual.Add(InitialSlots(candidate.shard, shards));
    candidate.gets = usual & free;
    free = free - candidate.gets;
  }
  const auto load = [](const Candidate& c) { return c.owned.size() + c.gets.size(); };
  for (const SlotRange range : free.Ranges()) {
    std::ranges::min_element(candidates, {}, load)->gets.Add(range);
  }
}

std::vector<Action> Assignments(const ClusterView& view, const std::vector<Candidate>& candidates) {
  std::vector<Action> actions;
  // Replicas need lower ones of their own (step_join.cc).
  constexpr std::uint64_t kRoomForReplicas = 100;
  std::uint64_t epoch = std::max(view.HighestEpoch(), kRoomForReplicas);
  for (const auto& candidate : candidates) {
    if (candidate.gets.empty()) continue;
    AssignSlots assign{RefTo(*candidate.node), candidate.gets, std::nullopt};
    // Different epochs from the start: otherwise the masters would spend their first seconds settling collisions.
    if (TakesEpoch(*candidate.node)) assign.epoch = ++epoch;
    actions.emplace_back(std::move(assign));
  }
  return actions;
}

}  // namespace

std::optional<Plan> AssignInitialSlots(const Observation& observation, const ClusterView& view) {
  const auto& cluster = observation.cluster;
  const bool formed = !cluster.formed_at.empty();
  const int wanted = cluster.spec.pods();
  const auto answering = std::ranges::count_if(
      view.answering, [&](const NodeView* node) { return cluster.spec.Wants(node->shard, node->index); });
  const SlotSet free = SlotSet::All() - view.claimed;

  if (free.empty()) {
    if (formed) return std::nullopt;
    if (view.covered.size() < kSlotCount) return std::nullopt;  // owners are away: not for this step
    return Do(kStep, "AssigningSlots", "all 16384 slots have an owner", {RecordFormed{}});
  }
  // Who does not answer may own them.
  if (!formed && answering < wanted) {
    const auto troubled =
        std::ranges::find_if(observation.pods, [](const PodView& pod) { return !pod.trouble.empty(); });
    return WaitForRedis(observation, kStep, "WaitingForNodes",
                        fmt::format("{} of {} nodes answer{}", answering, wanted,
                                    troubled == observation.pods.end()
                                        ? ""
                                        : fmt::format("; {}: {}", troubled->name, DescribeTrouble(*troubled))));
  }
  // A shard that is to go may own them, and be silent for a moment.
  if (formed && !EveryPodWithDataAnswers(observation, view)) return std::nullopt;
  if (formed && !MayServeEmpty(observation)) return RefuseLostData(kStep, free);
  auto candidates = Candidates(observation, view);
  if (candidates && candidates->empty()) return std::nullopt;
  if (!candidates) {
    return Refuse(
        kStep, "NodesNotEmpty",
        "a node that should become a master holds keys but owns no slots; nothing is assigned over them. Save "
        "the keys if they are needed, then empty the node with FLUSHALL");
  }
  Distribute(cluster.spec.masters, *candidates, free);
  return Do(kStep, "AssigningSlots", fmt::format("{} of {} slots have no owner yet", free.size(), kSlotCount),
            Assignments(view, *candidates));
}

}  // namespace slotwright::steps
