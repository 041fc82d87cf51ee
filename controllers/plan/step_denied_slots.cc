// Slots of which each says that another one owns them.
//
// That is what is left if a master that gives a slot away takes a new epoch in the middle of it: its claim beat the new
// owner's, and then it gave the slot up all the same. It happens to people with redis-cli; ClusterView::KeepsItsEpoch
// keeps us from it.
#include <fmt/format.h>

#include "controllers/plan/planner.h"
#include "controllers/plan/waiting.h"

namespace slotwright::steps {

namespace {

constexpr const char* kReason = "ReturningSlots";
constexpr std::chrono::seconds kPatience{3};

// The highest epoch that is named: nobody's table prefers another claim, so no new epoch is needed.
const NodeView* LastOwner(const ClusterView& view, Slot slot) {
  const NodeView* last = nullptr;
  for (const NodeView* viewer : view.answering) {
    for (const auto& line : viewer->table->lines) {
      if (!line.slots.Contains(slot)) continue;
      const auto named = view.by_id.find(line.id);
      if (named == view.by_id.end()) return nullptr;  // away: it may say so itself
      const NodeView* owner = named->second;
      if (!owner->me().flags.master) continue;
      if (last == nullptr || owner->me().config_epoch > last->me().config_epoch) last = owner;
    }
  }
  return last;
}

}  // namespace

std::optional<Plan> ReturnDeniedSlots(const Observation& observation, const ClusterView& view) {
  if (!EveryPodAnswers(observation, view)) return std::nullopt;
  const SlotSet denied = view.claimed - view.covered;
  std::map<const NodeView*, SlotSet> returned;
  for (const Slot slot : denied.Slots()) {
    if (const NodeView* owner = LastOwner(view, slot)) returned[owner].Add(slot);
  }
  if (returned.empty()) return std::nullopt;
  const std::string message =
      fmt::format("of {} slots each owner says that another one owns them: {}", denied.size(), denied.ToString());
  // Nodes are not all asked at the same moment: a slot that changes hands meanwhile looks like that for once. Who gets
  // it back then would take writes for it until he hears of the new owner. While a person moves slots that may happen
  // look by look, each time with other slots.
  Plan wait = WaitForRedis(observation, "denied-slots", kReason, message);
  wait.until_it_stands = true;
  if (!Stands(observation, wait, kPatience)) return wait;
  std::vector<Action> actions;
  for (const auto& [owner, slots] : returned) actions.emplace_back(SettleSlots{RefTo(*owner), slots, owner->id()});
  return DoAndPoll(observation, "denied-slots", kReason, message, std::move(actions));
}

}  // namespace slotwright::steps
