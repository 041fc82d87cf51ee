// What is worth an event: a decision that is only repeated is not.
#pragma once

#include <string>
#include <vector>

#include "controllers/observe/observation.h"
#include "controllers/plan/plan.h"
#include "reconciler/runtime/event_recorder.h"

namespace slotwright {

struct News {
  reconciler::EventType type;
  std::string reason;
  std::string message;
  friend bool operator==(const News&, const News&) = default;
};

/// Compared with the conditions that were written last. `failure`: of AccountForFailure, which `plan` has been through.
[[nodiscard]] std::vector<News> NewsOf(const Observation& observation, const Plan& plan, const std::string& failure);

}  // namespace slotwright
