// See waiting.h.
#include "controllers/plan/waiting.h"

#include <algorithm>

#include "controllers/api/conditions.h"

namespace slotwright {

using std::chrono::milliseconds;

milliseconds PollInterval(const Observation& observation) {
  constexpr milliseconds kQuick{20};
  constexpr milliseconds kSlow{2000};
  const auto ready = FindCondition(observation.cluster.status.value("conditions", reconciler::Json::array()), "Ready");
  if (!ready.is_object()) return kQuick;
  const auto since = reconciler::ParseTime(ready.value("lastTransitionTime", ""));
  const auto elapsed = std::chrono::duration_cast<milliseconds>(observation.now - since);
  // A Ready that is about to be withdrawn says nothing about how long something has been under way.
  if (ready.value("status", "") == "True" || elapsed < std::chrono::seconds(20)) return kQuick;
  return std::clamp(elapsed / 100, kQuick, kSlow);
}

Plan WaitForRedis(const Observation& observation, std::string step, std::string reason, std::string message) {
  return {.step = std::move(step),
          .reason = std::move(reason),
          .message = std::move(message),
          .look_again = PollInterval(observation)};
}

Plan Refuse(std::string step, std::string reason, std::string message) {
  return {.step = std::move(step),
          .reason = reason,
          .message = message,
          .refusal = Refusal{reason, message},
          .look_again = std::chrono::seconds(2)};
}

Plan Do(std::string step, std::string reason, std::string message, std::vector<Action> actions) {
  return {.step = std::move(step),
          .reason = std::move(reason),
          .message = std::move(message),
          .actions = std::move(actions),
          .look_again = milliseconds(10)};
}

NodeRef RefTo(const NodeView& node) { return {.pod = node.pod, .id = node.id(), .endpoint = node.endpoint}; }

}  // namespace slotwright
