// Carries one Plan out: commands to Redis, then whatever takes longer, each with its outcome. Decides nothing.
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "controllers/act/kubernetes_actions.h"
#include "controllers/act/outcome.h"
#include "controllers/act/redis_commands.h"
#include "controllers/act/refusals.h"
#include "controllers/plan/plan.h"
#include "controllers/redis/commander.h"
#include "reconciler/kube/client.h"

namespace slotwright {

/// Thread-safe.
class Executor {
 public:
  struct Options {
    /// Requests to the API server at the same time.
    int parallel_requests = 16;
    /// A migration stops after that time, so that failures, edits and a change of the leader never wait for it.
    std::chrono::milliseconds migration_slice{1000};
    /// Called after each single effect, with the words of the action that it is part of; a test dies here.
    std::function<void(const std::string& action)> after_effect;
  };
  /// `client` and `commander` outlive the executor.
  Executor(const reconciler::Client& client, Commander& commander, reconciler::Clock& clock, Options options);

  /// outcomes[i] belongs to plan.actions[i]. `stop` ends waiting for a failover.
  [[nodiscard]] std::vector<Outcome> Carry(const Plan& plan, const RedisCluster& cluster, const std::string& password,
                                           const std::stop_token& stop = {});

 private:
  void ActAlone(const Action& action, const RedisCluster& cluster, const std::string& password, Outcome& outcome,
                const std::stop_token& stop);
  void ApplyConfig(const SetConfig& action, const RedisCluster& cluster, const std::string& password,
                   Outcome& outcome) const;
  void ActOnRedis(const std::vector<std::pair<size_t, NodeCommands>>& commands, const std::string& password,
                  std::vector<Outcome>& outcomes);
  void Done(const std::string& action) const;
  /// Empty if the replica still follows that master.
  [[nodiscard]] std::string WhyNotItsReplica(const NodeRef& replica, const NodeId& master, const std::string& password);
  /// What was not done; empty if all is.
  [[nodiscard]] std::string TakeOver(const Takeover& takeover, const std::string& password);
  /// Waits for a while only, and begins no other attempt before its time.
  void FailOver(const Failover& failover, const RedisCluster& cluster, const std::string& password, Outcome& outcome,
                const std::stop_token& stop);
  void Move(const MigrateSlots& move, const RedisCluster& cluster, const std::string& password, Outcome& outcome);

  Commander& commander_;
  reconciler::Clock& clock_;
  const Options options_;
  Refusals refusals_;  // failovers under way, keys that are too large, claims that cannot grow, pods that nobody takes
  KubernetesActions kubernetes_;
};

}  // namespace slotwright
