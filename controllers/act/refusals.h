// What was refused, or takes too long, is not tried again at once.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "reconciler/base/clock.h"

namespace slotwright {

/// For 30 s each. Thread-safe. `clock` outlives it.
class Refusals {
 public:
  explicit Refusals(reconciler::Clock& clock) : clock_(clock) {}

  /// The error that is to be said again; empty if `what` may be tried.
  [[nodiscard]] std::string Of(const std::string& what);
  void Note(const std::string& what, const std::string& error);

 private:
  struct Refusal {
    std::string error;
    reconciler::MonotonicTime until;
  };
  reconciler::Clock& clock_;
  std::mutex mutex_;
  std::map<std::string, Refusal> refusals_;
};

}  // namespace slotwright
