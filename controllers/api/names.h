// Names and labels of everything that belongs to a RedisCluster, in one place.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "reconciler/kube/types.h"

namespace slotwright {

inline const reconciler::ResourceType kRedisClusters{"slotwright.dev", "v1alpha1", "redisclusters", "RedisCluster"};

namespace labels {
inline constexpr const char* kName = "app.kubernetes.io/name";  // always "redis"
inline constexpr const char* kInstance = "app.kubernetes.io/instance";
inline constexpr const char* kManagedBy = "app.kubernetes.io/managed-by";
inline constexpr const char* kComponent = "app.kubernetes.io/component";
inline constexpr const char* kPartOf = "app.kubernetes.io/part-of";
/// The shard's number. A role is never a label: it is what Redis says right now.
inline constexpr const char* kShard = "slotwright.dev/shard";
inline constexpr const char* kIndex = "slotwright.dev/index";
}  // namespace labels

namespace annotations {
/// "true": observe and report, touch nothing.
inline constexpr const char* kPaused = "slotwright.dev/paused";
/// On a pod: what it was built from.
inline constexpr const char* kPodHash = "slotwright.dev/pod-hash";
/// On a pod: the directives of spec.config that Redis can change live, with the values that its server has, as JSON.
inline constexpr const char* kLiveConfig = "slotwright.dev/live-config";
/// On the ConfigMap: the specification that it was made from, as JSON; the last one that was valid.
inline constexpr const char* kSpec = "slotwright.dev/spec";
}  // namespace annotations

/// "demo-2-0": shard 2, index 0. Index 0 is the master at creation and nothing more later on.
[[nodiscard]] std::string PodNameOf(const std::string& cluster, int shard, int index);
/// "demo-2".
[[nodiscard]] std::string ShardNameOf(const std::string& cluster, int shard);
/// "demo-config".
[[nodiscard]] std::string ConfigMapOf(const std::string& cluster);
/// "demo-nodes": the headless Service that gives each pod a DNS name.
[[nodiscard]] std::string NodesServiceOf(const std::string& cluster);
/// What a pod announces as cluster-announce-hostname: "demo-2-0.demo-nodes.default.svc". It is how a node is recognised
/// as ours whatever its address, so it must name cluster and namespace.
[[nodiscard]] std::string HostnameOf(const std::string& ns, const std::string& cluster, const std::string& pod);
/// Shard and index of "demo-2-0", or of the hostname that begins with it; nothing if it is none of that cluster's.
[[nodiscard]] std::optional<std::pair<int, int>> ShardAndIndexOf(const std::string& cluster, std::string_view pod);
/// The same of a node's hostname, if it is of that very cluster: other namespaces have clusters of that name too.
[[nodiscard]] std::optional<std::pair<int, int>> PlaceOfHostname(const std::string& ns, const std::string& cluster,
                                                                 std::string_view hostname);
/// The number that a label holds; -1 if there is none.
[[nodiscard]] int NumberLabel(const reconciler::Json& object, const char* label);
/// Where the nodes of a cluster talk to each other: from 16384 to 32767, never `client_port`, made from the cluster's
/// name. Redis has no password on the bus, and CLUSTER MEET dials an address for seconds: where that passes to a node
/// of another cluster meanwhile, the two clusters would become one if both listened on the usual port.
[[nodiscard]] int BusPortOf(const std::string& ns, const std::string& cluster, int client_port);
/// The end of all hostnames of a cluster: ".demo-nodes.default.svc".
[[nodiscard]] std::string HostnameSuffixOf(const std::string& ns, const std::string& cluster);

}  // namespace slotwright
