// What was refused, or takes too long, is not tried again at once.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "controllers/act/outcome.h"
#include "reconciler/base/clock.h"

namespace slotwright {

/// Thread-safe. `clock` outlives it.
class Refusals {
 public:
  explicit Refusals(reconciler::Clock& clock) : clock_(clock) {}

  /// Whether `what` must not be tried yet; then `outcome` says again why not.
  [[nodiscard]] bool Repeat(const std::string& what, Outcome& outcome);
  void Note(const std::string& what, const Outcome& outcome, reconciler::Duration time);

 private:
  struct Known {
    std::string error;
    std::string refusal;
    reconciler::MonotonicTime until;
  };
  reconciler::Clock& clock_;
  std::mutex mutex_;
  std::map<std::string, Known> known_;
};

}  // namespace slotwright
