// See refusals.h.
#include "controllers/act/refusals.h"

namespace slotwright {

std::string Refusals::Of(const std::string& what) {
  const std::lock_guard lock(mutex_);
  const auto known = refusals_.find(what);
  return known == refusals_.end() || clock_.Now() >= known->second.until ? "" : known->second.error;
}

void Refusals::Note(const std::string& what, const std::string& error) {
  constexpr std::chrono::seconds kNotBefore{30};
  const std::lock_guard lock(mutex_);
  std::erase_if(refusals_, [&](const auto& known) { return known.second.until <= clock_.Now(); });
  refusals_[what] = {.error = error, .until = clock_.Now() + kNotBefore};
}

}  // namespace slotwright
