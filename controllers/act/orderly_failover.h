// CLUSTER FAILOVER and waiting for its end, which its OK does not tell.
#pragma once

#include <chrono>
#include <stop_token>
#include <string>

#include "controllers/plan/plan.h"
#include "controllers/redis/commander.h"
#include "reconciler/base/clock.h"

namespace slotwright {

/// Returns once the replica is master, or at `stop`; else what is wrong, after twice the node timeout and a second.
/// Until then a master that voted for another attempt to replace the same master votes for none (redis:
/// clusterSendFailoverAuthIfNeeded), so attempts that follow each other faster can split the votes between them for
/// ever. The old master, if it lives, unpauses its clients by itself after 5 s and stays master.
[[nodiscard]] std::string FailOver(Commander& commander, reconciler::Clock& clock, const std::string& password,
                                   const Failover& action, std::chrono::milliseconds node_timeout,
                                   const std::stop_token& stop = {});

}  // namespace slotwright
