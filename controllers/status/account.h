// What a round did changes what its plan said: both are told together.
#pragma once

#include <string>
#include <vector>

#include "controllers/act/outcome.h"
#include "controllers/plan/plan.h"
#include "reconciler/base/clock.h"

namespace slotwright {

/// What could not be done is the news, not what was planned; of what was to be done beside it (Plan::beside), it is
/// told beside it. Returns it in words; "" if all was done. `outcomes[i]` belongs to `plan.actions[i]`.
std::string AccountForFailure(const std::vector<Outcome>& outcomes, Plan& plan);

/// How fast the slice of a migration was that took `took`, and how long the rest takes if it goes on like that.
void AccountForMigration(const std::vector<Outcome>& outcomes, reconciler::Duration took, Plan& plan);

}  // namespace slotwright
