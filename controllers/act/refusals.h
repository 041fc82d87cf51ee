// What was refused, or takes too long, is not tried again at once.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "controllers/plan/plan.h"
#include "reconciler/base/clock.h"

namespace slotwright {

/// Thread-safe. `clock` outlives it.
class Refusals {
 public:
  explicit Refusals(reconciler::Clock& clock) : clock_(clock) {}

  /// What is to be said again; nothing if `what` may be tried.
  [[nodiscard]] std::optional<Refusal> Of(const std::string& what);
  void Note(const std::string& what, Refusal refusal, reconciler::Duration time);

 private:
  struct Known {
    Refusal refusal;
    reconciler::MonotonicTime until;
  };
  reconciler::Clock& clock_;
  std::mutex mutex_;
  std::map<std::string, Known> known_;
};

}  // namespace slotwright
