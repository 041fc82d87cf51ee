// Carries out the actions on objects of Kubernetes, and asks the API server what a cache may not show yet.
#pragma once

#include <optional>
#include <string>

#include "controllers/act/outcome.h"
#include "controllers/act/refusals.h"
#include "controllers/observe/observation.h"
#include "controllers/plan/plan.h"
#include "controllers/redis/commander.h"
#include "reconciler/kube/client.h"

namespace slotwright {

/// Thread-safe. All that it is made of outlives it.
class KubernetesActions {
 public:
  KubernetesActions(const reconciler::Client& client, Commander& commander, reconciler::Clock& clock,
                    Refusals& refusals);

  void Act(const Action& action, const RedisCluster& cluster, const std::string& password, Outcome& outcome);

  /// Empty if the pod of a node that is to give or to be given something is there to stay; else why not.
  [[nodiscard]] std::string WhyNotToTrust(const NodeRef& node, const RedisCluster& cluster) const;
  /// Empty if no pod of that name runs, or none is named; else why not.
  [[nodiscard]] std::string WhyNotGone(const std::string& name, const RedisCluster& cluster) const;
  /// What is noted at the pod; empty, or the error.
  [[nodiscard]] std::string Note(const LiveNotes& notes, const std::string& pod, const RedisCluster& cluster) const;

 private:
  void Create(const reconciler::ResourceType& type, const reconciler::Json& object, const RedisCluster& cluster,
              Outcome& outcome, const reconciler::CreateOptions& options = {}) const;
  void MakePod(const CreatePod& action, const RedisCluster& cluster, Outcome& outcome) const;
  void GrowClaim(const DesiredObject& claim, const RedisCluster& cluster, Outcome& outcome) const;
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

  const reconciler::Client& client_;
  Commander& commander_;
  reconciler::Clock& clock_;
  Refusals& refusals_;
};

}  // namespace slotwright
