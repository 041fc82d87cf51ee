// Nodes whose tables say of slots what was so before they were away.
//
// Such a table gives a slot to a node that gave it away meanwhile. Before Redis 7.2 a claim replaces another one only
// with a higher epoch, also if that other node claims the slot no more (clusterUpdateSlotsConfigWith in its
// src/cluster.c); and the one that gave it away may have the higher epoch by now. With a new epoch the owner's claim is
// the highest of all.
//
// Or they give it to a node that is gone, with the epoch of the one that took over (seen on 7.0.15: a node came back
// with the table of before, after its shard's master had become another one at the same address): clients are sent
// nowhere.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>
#include <string>

#include "controllers/plan/planner.h"
#include "controllers/plan/waiting.h"

namespace slotwright::steps {

namespace {

constexpr const char* kReason = "UpdatingViews";
constexpr std::chrono::seconds kPatience{3};

// A new epoch in the middle of a move could take the slot back.
bool SlotsAreMoving(const ClusterView& view) {
  return std::ranges::any_of(view.answering, [](const NodeView* node) {
    return !node->me().open_slots.empty() || node->active_migrations > 0;
  });
}

// Those whose claims a viewer will never prefer.
std::set<const NodeView*> OverruledOwners(const ClusterView& view) {
  std::set<const NodeView*> overruled;
  for (const NodeView* viewer : view.answering) {
    for (const auto& line : viewer->table->lines) {
      const auto named = view.by_id.find(line.id);
      const bool is_gone = named == view.by_id.end();
      if (!is_gone && named->second == viewer) continue;
      const SlotSet given_away = is_gone ? line.slots : line.slots - named->second->me().slots;
      if (given_away.empty()) continue;
      // Of two that live with the same epoch one takes a higher one by itself.
      const std::uint64_t enough = line.config_epoch + (is_gone ? 1 : 0);
      for (const auto& [id, slots] : view.owned) {
        const NodeView* owner = view.by_id.at(id);
        if (!(slots & given_away).empty() && owner->me().config_epoch < enough) overruled.insert(owner);
      }
    }
  }
  return overruled;
}

// Who has the highest epoch of all is not given another one (BUMPEPOCH says STILL): somebody else has to take a higher
// one first, best who claims nothing by it. Null if there is nobody.
const NodeView* WhoTakesAnEpoch(const ClusterView& view, const NodeView& owner) {
  if (owner.me().config_epoch < view.HighestEpoch()) return &owner;
  const NodeView* other = nullptr;
  for (const NodeView* node : view.answering) {
    if (node == &owner) continue;
    if (node->me().slots.empty()) return node;
    const auto owned = view.owned.find(node->id());
    if (owned != view.owned.end() && owned->second == node->me().slots) other = node;
  }
  return other;
}

}  // namespace

std::optional<Plan> UpdateStaleViews(const Observation& observation, const ClusterView& view) {
  if (view.disagreement.empty() || !EveryPodAnswers(observation, view) || SlotsAreMoving(view)) return std::nullopt;
  const auto owners = OverruledOwners(view);
  if (owners.empty()) return std::nullopt;
  std::set<std::string> pods;
  for (const NodeView* owner : owners) pods.insert(owner->pod);
  const std::string message = fmt::format("not all nodes know of {} that slots are theirs", fmt::join(pods, ", "));
  // What gossip is about to put right looks the same for a moment, and each time another one's.
  Plan wait = WaitForRedis(observation, "stale-views", kReason, message);
  wait.until_it_stands = true;
  if (!Stands(observation, wait, kPatience)) return wait;
  std::set<const NodeView*> taking;
  for (const NodeView* owner : owners) taking.insert(WhoTakesAnEpoch(view, *owner));
  taking.erase(nullptr);
  if (taking.empty()) return wait;
  std::vector<Action> actions;
  for (const NodeView* node : taking) actions.emplace_back(TakeNewEpoch{RefTo(*node)});
  return DoAndPoll(observation, "stale-views", kReason, message, std::move(actions));
}

}  // namespace slotwright::steps
