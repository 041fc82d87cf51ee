// Services, disruption budgets, claims and the Secret.
#include "controllers/api/names.h"
#include "controllers/resources/configuration.h"
#include "controllers/resources/resources.h"

namespace slotwright {

using reconciler::Json;

namespace {

constexpr const char* kClaimPrefix = "data-";

Json Metadata(const RedisCluster& cluster, const std::string& name, const std::string& component) {
  return {{"name", name},
          {"namespace", cluster.ns},
          {"labels", CommonLabels(cluster, component)},
          {"ownerReferences", OwnerReferences(cluster)}};
}

// For clients: any node answers, and its redirects lead to the others.
Json ClientService(const RedisCluster& cluster) {
  return {{"apiVersion", "v1"},
          {"kind", "Service"},
          {"metadata", Metadata(cluster, cluster.name, "client")},
          {"spec",
           {{"type", "ClusterIP"},
            {"selector", SelectorLabels(cluster)},
            {"ports", Json::array({{{"name", "redis"}, {"port", cluster.spec.port}, {"targetPort", "redis"}}})}}}};
}

// A DNS name for each pod, from its first moment on: nodes must find each other before they are ready.
Json NodesService(const RedisCluster& cluster) {
  return {{"apiVersion", "v1"},
          {"kind", "Service"},
          {"metadata", Metadata(cluster, NodesServiceOf(cluster.name), "nodes")},
          {"spec",
           {{"clusterIP", "None"},
            {"publishNotReadyAddresses", true},
            {"selector", SelectorLabels(cluster)},
            {"ports", Json::array({{{"name", "redis"}, {"port", cluster.spec.port}, {"targetPort", "redis"}},
                                   {{"name", "bus"}, {"port", cluster.bus_port()}, {"targetPort", "bus"}}})}}}};
}

// One for each shard, so that a drain can never take a master together with its replica. A single pod without storage
// holds the only copy of its data: it must not be evicted at all.
//
// minAvailable and never maxUnavailable: for the latter Kubernetes asks the pods' controller for its scale, which is
// the number of masters, takes that for the number of pods of each shard and then allows no eviction at all.
//
// Pods of a cluster that never came up hold nothing and must not keep a machine from being drained. Later a pod that is
// not ready may be one that loads the only copy.
Json DisruptionBudget(const RedisCluster& cluster, int shard) {
  Json selector = SelectorLabels(cluster);
  selector[labels::kShard] = std::to_string(shard);
  const int replicas = cluster.spec.replicas_per_master;
  const bool only_copy = replicas == 0 && !cluster.spec.storage;
  Json metadata = Metadata(cluster, ShardNameOf(cluster.name, shard), "shard");
  metadata["labels"][labels::kShard] = std::to_string(shard);
  return {{"apiVersion", "policy/v1"},
          {"kind", "PodDisruptionBudget"},
          {"metadata", metadata},
          {"spec",
           {{"minAvailable", only_copy ? 1 : replicas},
            {"maxUnavailable", nullptr},
            {"unhealthyPodEvictionPolicy", cluster.formed_at.empty() ? Json("AlwaysAllow") : Json()},
            {"selector", {{"matchLabels", selector}}}}}};
}

Json Claim(const RedisCluster& cluster, int shard, int index) {
  const auto& storage = *cluster.spec.storage;
  Json metadata = Metadata(cluster, ClaimNameOf(cluster.name, shard, index), "data");
  metadata["labels"][labels::kShard] = std::to_string(shard);
  if (storage.retain) metadata.erase("ownerReferences");
  Json spec = {{"accessModes", {"ReadWriteOnce"}}, {"resources", {{"requests", {{"storage", storage.size}}}}}};
  if (!storage.storage_class_name.empty()) spec["storageClassName"] = storage.storage_class_name;
  return {{"apiVersion", "v1"}, {"kind", "PersistentVolumeClaim"}, {"metadata", metadata}, {"spec", spec}};
}

}  // namespace

std::int64_t SizeOfClaim(const Json& claim) {
  const Json size = claim.value(Json::json_pointer("/spec/resources/requests/storage"), Json());
  return ParseQuantity(size.is_string() ? size.get<std::string>() : size.dump()).value_or(0);
}

std::string ClaimNameOf(const std::string& cluster, int shard, int index) {
  return kClaimPrefix + PodNameOf(cluster, shard, index);
}

std::optional<std::string> PodOfClaim(const std::string& name) {
  const std::string prefix = kClaimPrefix;
  return name.starts_with(prefix) ? std::optional(name.substr(prefix.size())) : std::nullopt;
}

std::vector<std::pair<reconciler::ResourceType, std::string>> NamesOfDesiredObjects(const RedisCluster& cluster) {
  namespace types = reconciler::types;
  std::vector<std::pair<reconciler::ResourceType, std::string>> names = {
      {types::kConfigMaps, ConfigMapOf(cluster.name)},
      {types::kServices, cluster.name},
      {types::kServices, NodesServiceOf(cluster.name)},
  };
  for (int shard = 0; shard < cluster.spec.masters; ++shard) {
    names.emplace_back(types::kPodDisruptionBudgets, ShardNameOf(cluster.name, shard));
    if (!cluster.spec.storage) continue;
    for (int index = 0; index < cluster.spec.pods_per_shard(); ++index) {
      names.emplace_back(types::kPersistentVolumeClaims, ClaimNameOf(cluster.name, shard, index));
    }
  }
  return names;
}

std::vector<DesiredObject> DesiredObjects(const RedisCluster& cluster) {
  namespace types = reconciler::types;
  std::vector<DesiredObject> objects = {
      {types::kConfigMaps, ConfigMap(cluster)},
      {types::kServices, ClientService(cluster)},
      {types::kServices, NodesService(cluster)},
  };
  for (int shard = 0; shard < cluster.spec.masters; ++shard) {
    objects.push_back({types::kPodDisruptionBudgets, DisruptionBudget(cluster, shard)});
    if (!cluster.spec.storage) continue;
    for (int index = 0; index < cluster.spec.pods_per_shard(); ++index) {
      objects.push_back({types::kPersistentVolumeClaims, Claim(cluster, shard, index)});
    }
  }
  return objects;
}

Json PasswordSecret(const RedisCluster& cluster, const std::string& password) {
  return {{"apiVersion", "v1"},
          {"kind", "Secret"},
          {"type", "Opaque"},
          {"metadata", Metadata(cluster, cluster.password_secret(), "auth")},
          {"stringData", {{cluster.spec.auth.key, password}}}};
}

}  // namespace slotwright
