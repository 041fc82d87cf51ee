// See refusals.h.
#include "controllers/act/refusals.h"

#include <utility>

namespace slotwright {

std::optional<Refusal> Refusals::Of(const std::string& what) {
  const std::lock_guard lock(mutex_);
  const auto known = known_.find(what);
  if (known == known_.end() || clock_.Now() >= known->second.until) return std::nullopt;
  return known->second.refusal;
}

void Refusals::Note(const std::string& what, Refusal refusal, reconciler::Duration time) {
  const std::lock_guard lock(mutex_);
  std::erase_if(known_, [&](const auto& known) { return known.second.until <= clock_.Now(); });
  known_[what] = {.refusal = std::move(refusal), .until = clock_.Now() + time};
}

}  // namespace slotwright
