// See news.h.
#include "controllers/status/news.h"

#include "controllers/api/conditions.h"

namespace slotwright {

using reconciler::EventType;
using reconciler::Json;

std::vector<News> NewsOf(const Observation& observation, const Plan& plan, const std::string& failure) {
  const Json conditions = observation.cluster.status.value("conditions", Json::array());
  const Json ready = FindCondition(conditions, "Ready");
  const Json degraded = FindCondition(conditions, "Degraded");
  const auto before = [&](const char* field) { return reconciler::StringAt(ready, {field}); };

  std::vector<News> news;
  // What is done beside a refusal changes the message of Ready, and is no other refusal.
  if (plan.refusal && reconciler::StringAt(degraded, {"message"}) != MessageForStatus(plan.refusal->message)) {
    news.push_back({EventType::kWarning, plan.refusal->reason, plan.refusal->message});
  }
  const bool is_in_the_refusal = plan.refusal && plan.refusal->message == failure;
  if (!failure.empty() && !is_in_the_refusal &&
      before("message").find(MessageForStatus(failure)) == std::string::npos) {
    news.push_back({EventType::kWarning, "ActionFailed", failure});
  }
  if (!news.empty()) return news;

  if (plan.settled) {
    if (before("status") != "True") news.push_back({EventType::kNormal, "Ready", plan.message});
  } else if (plan.refusal || !failure.empty()) {
    return news;  // told before
  } else if (!plan.actions.empty() && before("reason") != plan.reason) {
    news.push_back({EventType::kNormal, plan.reason, plan.message});
  } else if (before("status") == "True") {
    news.push_back({EventType::kWarning, plan.reason, plan.message});
  }
  return news;
}

}  // namespace slotwright
