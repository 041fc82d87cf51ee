// See effects.h.
#include "tests/simulation/effects.h"

namespace slotwright::simulation {

bool Effects::IsMissed() { return rates.missed_percent > 0 && simulator_.Random(1, 100) <= rates.missed_percent; }

Effects::Fate Effects::Next(const std::string& what) {
  if (simulator_.Random(1, 100) <= rates.refused_percent) return Fate::kRefused;
  log_.push_back(what);
  if (trace) trace(what);
  is_last_ = count() == crash_after || simulator_.Random(1, 100) <= rates.crash_percent;
  if (count() == lose_reply_of || simulator_.Random(1, 100) <= rates.lost_reply_percent) return Fate::kLostReply;
  return Fate::kNormal;
}

void Effects::Done() {
  if (!is_last_) return;
  if (trace) trace("the operator dies");
  throw OperatorDied();
}

}  // namespace slotwright::simulation
