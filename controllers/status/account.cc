// See account.h.
#include "controllers/status/account.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "reconciler/base/text.h"

namespace slotwright {

std::string AccountForFailure(const std::vector<Outcome>& outcomes, Plan& plan) {
  const auto failed = std::ranges::find_if(outcomes, [](const Outcome& o) { return !o.error.empty(); });
  if (failed == outcomes.end()) return "";
  plan.settled = false;
  const auto number = static_cast<size_t>(failed - outcomes.begin());
  const bool is_beside = number >= outcomes.size() - plan.beside;
  const bool is_refused = !failed->refusal.empty();
  // Not the queue's back-off: whatever else is to be done for this cluster must not wait for it.
  plan.look_again = std::max(plan.look_again, std::chrono::milliseconds(is_refused && !is_beside ? 2000 : 500));
  // Both parts have to be found in the status again (news.h), which is cut at MessageForStatus.
  constexpr std::size_t kMostOfAPart = 2000;
  const std::string failure = reconciler::Clipped(
      is_refused ? failed->error : fmt::format("could not {}: {}", failed->action, failed->error), kMostOfAPart);
  if (is_beside) {
    // What is waited for is still the same.
    if (!plan.refusal && !plan.meanwhile) plan.meanwhile = {plan.reason, plan.message};
    plan.message = reconciler::Clipped(plan.message, kMostOfAPart) + "; besides, " + failure;
    return failure;
  }
  // Whose the open slots are is told by the operation that moves them.
  if (is_refused && plan.migration) plan.meanwhile = {plan.reason, plan.message};
  plan.reason = is_refused ? failed->refusal : "ActionFailed";
  plan.message = failure;
  if (is_refused) plan.refusal = Refusal{plan.reason, plan.message};
  return failure;
}

void AccountForMigration(const std::vector<Outcome>& outcomes, reconciler::Duration took, Plan& plan) {
  if (!plan.migration) return;
  const auto seconds_of = [](reconciler::Duration time) {
    return std::max(std::chrono::duration<double>(time).count(), 0.001);
  };
  double slots_per_second = 0;
  double keys_per_second = 0;
  for (const auto& outcome : outcomes) {
    const auto& moved = outcome.moved;
    const double seconds = seconds_of(std::max(took, moved.took));
    // The servers' own jobs may be of an earlier, larger goal.
    plan.migration->slots_left = std::max(0, plan.migration->slots_left - moved.slots);
    slots_per_second += moved.slots / seconds;
    keys_per_second += static_cast<double>(moved.keys) / seconds;
  }
  if (slots_per_second == 0 && keys_per_second == 0) return;
  plan.migration->keys_per_second = static_cast<std::int64_t>(keys_per_second);
  if (slots_per_second > 0) {
    plan.migration->seconds_left = static_cast<std::int64_t>(plan.migration->slots_left / slots_per_second);
  }
}

}  // namespace slotwright
