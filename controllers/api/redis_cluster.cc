// Reading a RedisCluster from its JSON form.
#include "controllers/api/redis_cluster.h"

#include <fmt/format.h>

#include "controllers/api/names.h"

namespace slotwright {

using reconciler::ErrorKind;
using reconciler::Fail;
using reconciler::Json;
using reconciler::Result;

namespace {

std::vector<std::string> Strings(const Json& array) {
  std::vector<std::string> strings;
  for (const auto& element : array) strings.push_back(element.get<std::string>());
  return strings;
}

PlacementSpec ParsePlacement(const Json& json) {
  PlacementSpec placement;
  if (json.contains("topologyKeys")) {
    placement.topology_keys = Strings(json.at("topologyKeys"));
  } else {
    placement.topology_keys = {"kubernetes.io/hostname"};
  }
  placement.spread_masters = json.value("spreadMasters", true);
  placement.node_selector = json.value("nodeSelector", Json::object());
  placement.tolerations = json.value("tolerations", Json::array());
  placement.affinity = json.value("affinity", Json());
  placement.priority_class_name = json.value("priorityClassName", "");
  return placement;
}

StorageSpec ParseStorage(const Json& json) {
  const Json& size = json.at("size");
  return {.size = size.is_string() ? size.get<std::string>() : size.dump(),
          .storage_class_name = json.value("storageClassName", ""),
          .retain = json.value("retain", "Retain") == "Retain"};
}

RedisClusterSpec ParseSpec(const Json& json) {
  RedisClusterSpec spec;
  spec.masters = json.value("masters", 3);
  spec.replicas_per_master = json.value("replicasPerMaster", 1);
  spec.image = json.value("image", "");
  spec.image_pull_policy = json.value("imagePullPolicy", "IfNotPresent");
  for (const auto& secret : json.value("imagePullSecrets", Json::array())) {
    spec.image_pull_secrets.push_back(secret.value("name", ""));
  }
  spec.port = json.value("port", 6379);
  spec.config = json.value("config", std::map<std::string, std::string>{});
  if (json.contains("auth")) {
    spec.auth = {.secret_name = json.at("auth").value("secretName", ""),
                 .key = json.at("auth").value("key", "password")};
  }
  if (json.contains("storage")) spec.storage = ParseStorage(json.at("storage"));
  spec.resources = json.value("resources", Json::object());
  spec.placement = ParsePlacement(json.value("placement", Json::object()));
  const Json template_metadata = json.value(Json::json_pointer("/podTemplate/metadata"), Json::object());
  spec.pod_labels = template_metadata.value("labels", std::map<std::string, std::string>{});
  spec.pod_annotations = template_metadata.value("annotations", std::map<std::string, std::string>{});
  const auto choice = [&json](const char* path, const char* fallback) {
    return json.value(Json::json_pointer(path), std::string(fallback));
  };
  spec.rebalance.automatic = choice("/rebalance/mode", "Automatic") == "Automatic";
  spec.rebalance.threshold_percent = json.value(Json::json_pointer("/rebalance/thresholdPercent"), 2);
  const std::string method = choice("/rebalance/method", "Auto");
  if (method == "Keys") spec.rebalance.method = MigrationMethod::kKeys;
  if (method == "Atomic") spec.rebalance.method = MigrationMethod::kAtomic;
  if (choice("/healing/lostShard", "Wait") == "AssignEmpty") spec.lost_shard = LostShardPolicy::kAssignEmpty;
  if (choice("/healing/takeover", "Fenced") == "Never") spec.takeover = TakeoverPolicy::kNever;
  if (choice("/update/strategy", "Rolling") == "Manual") spec.update = UpdateStrategy::kManual;
  return spec;
}

}  // namespace

Result<RedisCluster> ParseRedisCluster(const Json& object) {
  try {
    RedisCluster cluster;
    const Json& metadata = object.at("metadata");
    cluster.ns = metadata.value("namespace", "default");
    cluster.name = metadata.at("name").get<std::string>();
    cluster.uid = metadata.value("uid", "");
    cluster.resource_version = reconciler::ResourceVersionOf(object);
    cluster.created_at = metadata.value("creationTimestamp", "");
    cluster.generation = metadata.value("generation", std::int64_t{0});
    cluster.being_deleted = reconciler::IsBeingDeleted(object);
    cluster.paused = reconciler::AnnotationOf(object, annotations::kPaused) == "true";
    cluster.spec_json = object.at("spec");
    cluster.spec = ParseSpec(cluster.spec_json);
    cluster.status = object.value("status", Json::object());
    cluster.formed_at = cluster.status.value("formedAt", "");
    cluster.ready_at = cluster.status.value("readyAt", "");
    return cluster;
  } catch (const Json::exception& e) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("RedisCluster {} cannot be read ({}); apply the CRD of this version, which refuses such "
                            "values, and correct the field",
                            reconciler::KeyOf(object).ToString(), e.what()));
  }
}

Result<RedisClusterSpec> ParseRedisClusterSpec(const Json& spec) {
  try {
    return ParseSpec(spec);
  } catch (const Json::exception& e) {
    return Fail(ErrorKind::kInvalid, fmt::format("the specification cannot be read ({})", e.what()));
  }
}

}  // namespace slotwright
