// How long a container that ended waits before it starts again.
#pragma once

#include <algorithm>
#include <chrono>

#include "reconciler/base/clock.h"

namespace slotwright::local {

/// As the kubelet: the first restart is immediate, then base x 2^n up to five minutes; ten minutes of running forgive
/// all that was.
class CrashBackoff {
 public:
  static constexpr std::chrono::minutes kMax{5};
  static constexpr std::chrono::minutes kForgivenAfter{10};

  explicit CrashBackoff(reconciler::Duration base) : base_(base) {}

  /// The delay before the next start of a container that just ended after running for `ran`.
  [[nodiscard]] reconciler::Duration Ended(reconciler::Duration ran) {
    if (ran >= kForgivenAfter) next_ = {};
    const reconciler::Duration delay = next_;
    next_ = delay == reconciler::Duration{} ? base_ : std::min<reconciler::Duration>(delay * 2, kMax);
    return delay;
  }

 private:
  reconciler::Duration base_;
  reconciler::Duration next_{};
};

}  // namespace slotwright::local
