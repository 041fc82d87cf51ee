// Conditions as the Kubernetes API conventions want them (metav1.Condition).
#pragma once

#include <string>

#include "reconciler/base/clock.h"
#include "reconciler/kube/types.h"

namespace slotwright {

enum class ConditionStatus { kTrue, kFalse, kUnknown };

struct Condition {
  std::string type;  ///< CamelCase adjective or participle: "Ready", "SlotsCovered".
  ConditionStatus status = ConditionStatus::kUnknown;
  std::string reason;   ///< CamelCase word for machines.
  std::string message;  ///< For people.
};

/// As much of a message as a status holds: more than 32768 characters would have the API server refuse every status.
[[nodiscard]] std::string MessageForStatus(const std::string& message);

/// `before` is the list as it stands. lastTransitionTime is kept unless the status changes. The message is cut where
/// MessageForStatus cuts it.
[[nodiscard]] reconciler::Json WithCondition(const reconciler::Json& before, const Condition& condition,
                                             std::int64_t generation, reconciler::WallTime now);
/// The condition of that type; null if there is none.
[[nodiscard]] reconciler::Json FindCondition(const reconciler::Json& conditions, const std::string& type);

/// Whether a condition, as FindCondition gives it, is True and has been for so long.
[[nodiscard]] bool HasBeenTrueFor(const reconciler::Json& condition, std::chrono::seconds time,
                                  reconciler::WallTime now);

}  // namespace slotwright
