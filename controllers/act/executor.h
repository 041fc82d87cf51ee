// Carries one Plan out: commands to Redis, then whatever takes longer, each with its outcome. Decides nothing.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controllers/act/outcome.h"
#include "controllers/act/slot_mover.h"
#include "controllers/observe/observation.h"
#include "controllers/plan/plan.h"
#include "controllers/redis/commander.h"
#include "reconciler/kube/client.h"

namespace slotwright {

/// The commands of an action on one node, and a part of the error replies that do not matter. No node: the action is
/// one on Kubernetes.
struct NodeCommands {
  const NodeRef* node = nullptr;
  std::vector<Command> commands;
  std::string_view harmless;
};

/// Thread-safe.
class Executor {
 public:
  struct Options {
    /// Requests to the API server at the same time.
    int parallel_requests = 16;
    /// A migration stops after that time, so that failures, edits and a change of the leader never wait for it.
    std::chrono::milliseconds migration_slice{1000};
    /// Called after each single effect, with its number in this process; a test dies here.
    std::function<void(const std::string& action)> after_effect;
  };
  /// `client` and `commander` outlive the executor.
  Executor(const reconciler::Client& client, Commander& commander, reconciler::Clock& clock, Options options);

  /// outcomes[i] belongs to plan.actions[i]. `stop` ends waiting for
  /// a failover.
  [[nodiscard]] std::vector<Outcome> Carry(const Plan& plan, const RedisCluster& cluster, const std::string& password,
                                           const std::stop_token& stop = {});

 private:
  void ActAlone(const Action& action, const RedisCluster& cluster, const std::string& password, Outcome& outcome,
                const std::stop_token& stop);
  void ActOnKubernetes(const Action& action, const RedisCluster& cluster, const std::string& password,
                       Outcome& outcome);
  void GrowClaim(const DesiredObject& claim, const RedisCluster& cluster, Outcome& outcome);
  /// Empty if the pod of a node that is to be given something to lose is there to stay; else why not.
  [[nodiscard]] std::string WhyNotToTrust(const NodeRef& node, const RedisCluster& cluster) const;
  /// Empty if no pod of that name runs, or none is named; else why not.
  [[nodiscard]] std::string WhyNotGone(const std::string& name, const RedisCluster& cluster) const;
  void ApplyConfig(const SetConfig& action, const RedisCluster& cluster, const std::string& password,
                   Outcome& outcome) const;
  void Evict(const EvictPod& action, const RedisCluster& cluster, Outcome& outcome) const;
  [[nodiscard]] bool WasGranted(const EvictPod& action, const RedisCluster& cluster, int shard) const;
  /// If its pod is on its way out. If it does not answer any more, or has become the only one with what it has, it
  /// stays who it was.
  void LetLeave(const std::optional<NodeRef>& node, const reconciler::ObjectKey& pod, const std::string& uid,
                const std::string& password) const;
  /// Whether the pod's claim is somebody else's, or cannot be asked for; `outcome` says so.
  [[nodiscard]] bool WouldMountAnothersVolume(const std::string& pod, const RedisCluster& cluster,
                                              Outcome& outcome) const;
  /// Whether the API server would take what is to come; else `outcome` says why not.
  [[nodiscard]] bool WouldBeTaken(const reconciler::Json& pod, Outcome& outcome) const;
  void Create(const reconciler::ResourceType& type, const reconciler::Json& object, const RedisCluster& cluster,
              Outcome& outcome, const reconciler::CreateOptions& options = {}) const;
  void ActOnRedis(const std::vector<std::pair<size_t, NodeCommands>>& commands, const std::string& password,
                  std::vector<Outcome>& outcomes);
  void Done(const std::string& action) const;
  /// What was refused, or takes too long, is not tried again at once: it is said again until then. Empty if it may be
  /// tried.
  [[nodiscard]] std::string RefusedBefore(const std::string& what);
  void NoteRefused(const std::string& what, const std::string& error);
  void Move(const MigrateSlots& move, const RedisCluster& cluster, const std::string& password, Outcome& outcome);

  const reconciler::Client& client_;
  Commander& commander_;
  reconciler::Clock& clock_;
  const Options options_;
  struct KnownRefusal {
    std::string error;
    reconciler::MonotonicTime until;
  };
  std::mutex mutex_;
  std::map<std::string, KnownRefusal> refused_;  // moves of keys that are too large, claims that cannot grow
};

}  // namespace slotwright
