// CLUSTER FAILOVER and waiting for its end, which its OK does not tell.
#pragma once

#include <functional>
#include <string>

#include "controllers/plan/plan.h"
#include "controllers/redis/commander.h"
#include "reconciler/base/clock.h"

namespace slotwright {

/// Returns once the replica is master; else, after at most some seconds, what is wrong. The old master then unpauses
/// its clients by itself and stays master (redis: cluster manual failover timeout, 5 s).
[[nodiscard]] std::string FailOver(Commander& commander, reconciler::Clock& clock, const std::string& password,
                                   const Failover& action);

}  // namespace slotwright
