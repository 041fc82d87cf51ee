// CLUSTER FAILOVER and waiting for its end, which its OK does not tell.
#pragma once

#include <algorithm>
#include <chrono>
#include <stop_token>
#include <string>

#include "controllers/plan/plan.h"
#include "controllers/redis/commander.h"
#include "reconciler/base/clock.h"

namespace slotwright {

struct FailoverResult {
  std::string error;       ///< Empty: the replica is master, or `stop` fired.
  bool undecided = false;  ///< It was told, and is still a replica.
};

/// Waits for 6 s at most: the old master, if it lives, unpauses its clients by itself after 5 s and stays master.
[[nodiscard]] FailoverResult FailOver(Commander& commander, reconciler::Clock& clock, const std::string& password,
                                      const Failover& action, const std::stop_token& stop = {});

/// From the beginning of one attempt to the next that may follow. For two node timeouts a master that voted for another
/// attempt to replace the same master votes for none (redis: clusterSendFailoverAuthIfNeeded), so attempts that follow
/// each other faster can split the votes between them for ever. And for four of them Redis begins no new election after
/// one that was not won, though it is told to and the old master holds back its clients' writes for 5 s
/// (clusterHandleSlaveFailover, auth_retry_time; Valkey forgets the old one).
[[nodiscard]] constexpr std::chrono::milliseconds TimeOfAnAttempt(std::chrono::milliseconds node_timeout) {
  return std::max<std::chrono::milliseconds>(4 * node_timeout, std::chrono::seconds(4)) + std::chrono::seconds(1);
}

}  // namespace slotwright
