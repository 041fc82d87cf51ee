// See refusals.h.
#include "controllers/act/refusals.h"

namespace slotwright {

bool Refusals::Repeat(const std::string& what, Outcome& outcome) {
  const std::lock_guard lock(mutex_);
  const auto known = known_.find(what);
  if (known == known_.end() || clock_.Now() >= known->second.until) return false;
  outcome.error = known->second.error;
  outcome.refusal = known->second.refusal;
  return true;
}

void Refusals::Note(const std::string& what, const Outcome& outcome, reconciler::Duration time) {
  const std::lock_guard lock(mutex_);
  std::erase_if(known_, [&](const auto& known) { return known.second.until <= clock_.Now(); });
  known_[what] = {.error = outcome.error, .refusal = outcome.refusal, .until = clock_.Now() + time};
}

}  // namespace slotwright
