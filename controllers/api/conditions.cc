// See conditions.h.
#include "controllers/api/conditions.h"

#include "reconciler/base/text.h"

namespace slotwright {

using reconciler::Json;

namespace {

const char* ToString(ConditionStatus status) {
  switch (status) {
    case ConditionStatus::kTrue:
      return "True";
    case ConditionStatus::kFalse:
      return "False";
    case ConditionStatus::kUnknown:
      break;
  }
  return "Unknown";
}

}  // namespace

std::string MessageForStatus(const std::string& message) {
  constexpr std::size_t kMostThatAnybodyReads = 4096;
  return reconciler::Clipped(message, kMostThatAnybodyReads);
}

Json FindCondition(const Json& conditions, const std::string& type) {
  if (!conditions.is_array()) return nullptr;
  for (const auto& condition : conditions) {
    if (condition.value("type", "") == type) return condition;
  }
  return nullptr;
}

Json WithCondition(const Json& before, const Condition& condition, std::int64_t generation, reconciler::WallTime now) {
  const Json old = FindCondition(before, condition.type);
  const std::string status = ToString(condition.status);
  const bool same_status = old.is_object() && old.value("status", "") == status;
  const Json entry = {
      {"type", condition.type},
      {"status", status},
      {"reason", condition.reason},
      {"message", MessageForStatus(condition.message)},
      {"observedGeneration", generation},
      {"lastTransitionTime", same_status ? old.value("lastTransitionTime", "") : reconciler::FormatTime(now)},
  };
  Json after = Json::array();
  bool replaced = false;
  for (const auto& other : before.is_array() ? before : Json::array()) {
    const bool match = other.value("type", "") == condition.type;
    after.push_back(match ? entry : other);
    replaced = replaced || match;
  }
  if (!replaced) after.push_back(entry);
  return after;
}

bool HasBeenTrueFor(const reconciler::Json& condition, std::chrono::seconds time, reconciler::WallTime now) {
  return !condition.is_null() && condition.value("status", "") == "True" &&
         now - reconciler::ParseTime(condition.value("lastTransitionTime", "")) >= time;
}

}  // namespace slotwright
