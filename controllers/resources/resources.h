// The Kubernetes objects of a RedisCluster, as pure functions of its specification: value in, JSON out.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controllers/api/redis_cluster.h"
#include "reconciler/kube/types.h"

namespace slotwright {

/// An object as it should be, and its type.
struct DesiredObject {
  reconciler::ResourceType type;
  reconciler::Json object;
};

/// Everything but Pods and the Secret: ConfigMap, the two Services, one PodDisruptionBudget a shard and, with storage,
/// one PersistentVolumeClaim a pod. Those of shards that leave are not among them.
[[nodiscard]] std::vector<DesiredObject> DesiredObjects(const RedisCluster& cluster);
/// Kind and name of each of them, which costs less.
[[nodiscard]] std::vector<std::pair<reconciler::ResourceType, std::string>> NamesOfDesiredObjects(
    const RedisCluster& cluster);
/// What a PersistentVolumeClaim asks for, in bytes; 0 if that cannot be read.
[[nodiscard]] std::int64_t SizeOfClaim(const reconciler::Json& claim);
/// "data-demo-2-0".
[[nodiscard]] std::string ClaimNameOf(const std::string& cluster, int shard, int index);
/// "demo-2-0" of "data-demo-2-0"; nothing if no pod's claim has such a name.
[[nodiscard]] std::optional<std::string> PodOfClaim(const std::string& name);

/// The same for all pods of a cluster; another one when pods have to be made anew to become what they should be.
[[nodiscard]] std::string PodHash(const RedisCluster& cluster);
/// The Pod of shard `shard`, index `index`, with PodHash as annotations::kPodHash.
[[nodiscard]] reconciler::Json DesiredPod(const RedisCluster& cluster, int shard, int index);

/// The Secret with a generated password. The password goes nowhere else.
[[nodiscard]] reconciler::Json PasswordSecret(const RedisCluster& cluster, const std::string& password);

/// redis.conf, which all pods share: what a running server can change. It holds no password.
[[nodiscard]] std::string RedisConf(const RedisCluster& cluster);

/// Our defaults, then spec.config, then what the operator owns, as far as a running server can change it.
[[nodiscard]] std::map<std::string, std::string> LiveDirectives(const RedisCluster& cluster);

/// The labels by which all pods of a cluster are selected; they never change during a pod's life.
[[nodiscard]] reconciler::Json SelectorLabels(const RedisCluster& cluster);

/// Labels of any object of the cluster.
[[nodiscard]] reconciler::Json CommonLabels(const RedisCluster& cluster, const std::string& component);
/// The ownerReference by which an object is deleted with its RedisCluster.
[[nodiscard]] reconciler::Json OwnerReferences(const RedisCluster& cluster);

/// True if `actual` has everything that `desired` asks for; what the API server added does not matter. Arrays must have
/// the same length; null asks for the absence of a field, as it does in a merge patch.
[[nodiscard]] bool Covers(const reconciler::Json& actual, const reconciler::Json& desired);

/// Hex digits of a SHA-256, shortened to 16.
[[nodiscard]] std::string ShortHash(const std::string& text);

}  // namespace slotwright
