// The Pod of one Redis node.
#include <fmt/format.h>

#include "controllers/api/names.h"
#include "controllers/resources/configuration.h"
#include "controllers/resources/resources.h"

namespace slotwright {

using reconciler::Json;

namespace {

constexpr const char* kConfigDir = "/etc/slotwright/config";
constexpr const char* kAuthDir = "/etc/slotwright/auth";
constexpr const char* kRunDir = "/run/slotwright";
constexpr const char* kDataDir = "/data";

// Kubernetes replaces $(NAME) in arguments, and $$ by a plain $.
std::string WithoutExpansion(const std::string& argument) {
  std::string escaped;
  for (const char c : argument) escaped += c == '$' ? "$$" : std::string(1, c);
  return escaped;
}

Json Container(const RedisCluster& cluster, const std::string& pod) {
  const auto& spec = cluster.spec;
  const std::string config = kConfigDir;
  Json args = {config + "/redis.conf",
               std::string(kAuthDir) + "/password",
               kRunDir,
               kDataDir,
               std::to_string(FailoverWaitSeconds(cluster)),
               "--bind",
               "$(POD_IP)",
               "--cluster-announce-ip",
               "$(POD_IP)",
               "--cluster-announce-hostname",
               HostnameOf(cluster.ns, cluster.name, pod)};
  // In the pod and not in the file that all share: a container that starts again by itself while others are rolled has
  // the values that its pod was made with.
  for (const auto& option : StartOptions(cluster)) args.push_back(WithoutExpansion(option));
  const auto asks = [&](const char* script) {
    return Json{{"command", {"/bin/sh", config + script, std::to_string(spec.port), kRunDir, kDataDir}}};
  };
  Json container = {
      {"name", "redis"},
      {"image", spec.image},
      {"imagePullPolicy", spec.image_pull_policy},
      {"command", {"/bin/sh", config + "/start.sh"}},
      {"args", std::move(args)},
      {"env", Json::array({{{"name", "POD_IP"}, {"valueFrom", {{"fieldRef", {{"fieldPath", "status.podIP"}}}}}}})},
      {"ports", Json::array({{{"name", "redis"}, {"containerPort", spec.port}},
                             {{"name", "bus"}, {"containerPort", cluster.bus_port()}}})},
      // Often until there is nothing to wait for any more. Then as often as notes on append-only files may be old.
      {"startupProbe",
       {{"exec", asks("/started.sh")}, {"periodSeconds", 1}, {"timeoutSeconds", 2}, {"failureThreshold", 120}}},
      {"readinessProbe", {{"exec", asks("/ready.sh")}, {"periodSeconds", 2}, {"timeoutSeconds", 2}}},
      {"livenessProbe",
       {{"exec", {{"command", {"/bin/sh", config + "/alive.sh", std::to_string(spec.port)}}}},
        {"initialDelaySeconds", 10 + FailoverWaitSeconds(cluster)},
        {"periodSeconds", 10},
        {"timeoutSeconds", 5},
        {"failureThreshold", 6}}},
      {"lifecycle",
       {{"preStop",
         {{"exec",
           {{"command",
             {"timeout", "20", "/bin/sh", config + "/stop.sh", std::to_string(spec.port), kRunDir, kDataDir}}}}}}}},
      {"securityContext",
       {{"allowPrivilegeEscalation", false}, {"readOnlyRootFilesystem", true}, {"capabilities", {{"drop", {"ALL"}}}}}},
      {"volumeMounts", Json::array({{{"name", "config"}, {"mountPath", kConfigDir}, {"readOnly", true}},
                                    {{"name", "auth"}, {"mountPath", kAuthDir}, {"readOnly", true}},
                                    {{"name", "run"}, {"mountPath", kRunDir}},
                                    {{"name", "data"}, {"mountPath", kDataDir}}})},
  };
  if (!spec.resources.empty()) container["resources"] = spec.resources;
  return container;
}

Json Volumes(const RedisCluster& cluster, const std::string& claim) {
  Json data = {{"name", "data"}};
  if (cluster.spec.storage) {
    data["persistentVolumeClaim"] = {{"claimName", claim}};
  } else {
    data["emptyDir"] = Json::object();
  }
  const Json password = {{"key", cluster.spec.auth.key}, {"path", "password"}};
  return Json::array(
      {{{"name", "config"}, {"configMap", {{"name", ConfigMapOf(cluster.name)}}}},
       {{"name", "auth"}, {"secret", {{"secretName", cluster.password_secret()}, {"items", Json::array({password})}}}},
       {{"name", "run"}, {"emptyDir", {{"medium", "Memory"}}}},
       data});
}

// Pods of one shard apart from each other first, then pods of the whole cluster; never required. Beside what is given,
// as that of machines is, unless it says itself which pods are to be apart.
Json Affinity(const RedisCluster& cluster, int shard) {
  const auto& placement = cluster.spec.placement;
  const Json& given = placement.affinity;
  if (given.is_object() && given.contains("podAntiAffinity")) return given;
  Json shard_labels = SelectorLabels(cluster);
  shard_labels[labels::kShard] = std::to_string(shard);
  Json terms = Json::array();
  int weight = 100;
  for (const auto& key : placement.topology_keys) {
    terms.push_back({{"weight", weight},
                     {"podAffinityTerm", {{"labelSelector", {{"matchLabels", shard_labels}}}, {"topologyKey", key}}}});
    weight -= 10;
  }
  for (const auto& key : placement.topology_keys) {
    terms.push_back(
        {{"weight", weight / 10},
         {"podAffinityTerm", {{"labelSelector", {{"matchLabels", SelectorLabels(cluster)}}}, {"topologyKey", key}}}});
  }
  if (terms.empty()) return given;
  Json affinity = given.is_null() ? Json::object() : given;
  affinity["podAntiAffinity"] = {{"preferredDuringSchedulingIgnoredDuringExecution", terms}};
  return affinity;
}

Json PodSpec(const RedisCluster& cluster, int shard, int index) {
  const auto& spec = cluster.spec;
  const std::string pod = PodNameOf(cluster.name, shard, index);
  Json pod_spec = {
      {"hostname", pod},
      {"subdomain", NodesServiceOf(cluster.name)},
      {"restartPolicy", "Always"},
      {"automountServiceAccountToken", false},
      {"enableServiceLinks", false},
      // stop.sh has its 20 s; then SIGTERM lets replicas catch up for shutdown-timeout (10 s) and saves.
      {"terminationGracePeriodSeconds", 60},
      // 999 is the redis user of the images of Redis' and Valkey's makers.
      {"securityContext",
       {{"runAsNonRoot", true},
        {"runAsUser", 999},
        {"runAsGroup", 999},
        {"fsGroup", 999},
        {"seccompProfile", {{"type", "RuntimeDefault"}}}}},
      {"containers", Json::array({Container(cluster, pod)})},
      {"volumes", Volumes(cluster, ClaimNameOf(cluster.name, shard, index))},
  };
  const Json affinity = Affinity(cluster, shard);
  if (!affinity.is_null()) pod_spec["affinity"] = affinity;
  if (!spec.placement.node_selector.empty()) pod_spec["nodeSelector"] = spec.placement.node_selector;
  if (!spec.placement.tolerations.empty()) pod_spec["tolerations"] = spec.placement.tolerations;
  if (!spec.placement.priority_class_name.empty()) {
    pod_spec["priorityClassName"] = spec.placement.priority_class_name;
  }
  for (const auto& secret : spec.image_pull_secrets) pod_spec["imagePullSecrets"].push_back({{"name", secret}});
  return pod_spec;
}

Json ObjectOrEmpty(const Json& value) { return value.is_null() ? Json::object() : value; }

// Those that all pods of the cluster have.
Json LabelsOf(const RedisCluster& cluster) {
  Json pod_labels = ObjectOrEmpty(cluster.spec.pod_labels);
  pod_labels.update(CommonLabels(cluster, "node"));
  return pod_labels;
}

Json AnnotationsOf(const RedisCluster& cluster) { return ObjectOrEmpty(cluster.spec.pod_annotations); }

}  // namespace

std::string PodHash(const RedisCluster& cluster) {
  // By the first pod: names and places are all that the others differ in.
  return ShortHash(Json({PodSpec(cluster, 0, 0), LabelsOf(cluster), AnnotationsOf(cluster)}).dump());
}

Json DesiredPod(const RedisCluster& cluster, int shard, int index) {
  const std::string name = PodNameOf(cluster.name, shard, index);
  Json pod_labels = LabelsOf(cluster);
  pod_labels[labels::kShard] = std::to_string(shard);
  pod_labels[labels::kIndex] = std::to_string(index);
  Json pod_annotations = AnnotationsOf(cluster);
  pod_annotations[annotations::kPodHash] = PodHash(cluster);
  pod_annotations[annotations::kLiveConfig] = Json(LiveDirectives(cluster)).dump();
  return {{"apiVersion", "v1"},
          {"kind", "Pod"},
          {"metadata",
           {{"name", name},
            {"namespace", cluster.ns},
            {"labels", pod_labels},
            {"annotations", pod_annotations},
            {"ownerReferences", OwnerReferences(cluster)}}},
          {"spec", PodSpec(cluster, shard, index)}};
}

}  // namespace slotwright
