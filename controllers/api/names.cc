// See names.h.
#include "controllers/api/names.h"

#include <fmt/format.h>

namespace slotwright {

std::string PodNameOf(const std::string& cluster, int shard, int index) {
  return fmt::format("{}-{}-{}", cluster, shard, index);
}

std::string ShardNameOf(const std::string& cluster, int shard) { return fmt::format("{}-{}", cluster, shard); }

std::string NodesServiceOf(const std::string& cluster) { return cluster + "-nodes"; }

std::string HostnameOf(const std::string& ns, const std::string& cluster, const std::string& pod) {
  return pod + HostnameSuffixOf(ns, cluster);
}

std::string HostnameSuffixOf(const std::string& ns, const std::string& cluster) {
  return fmt::format(".{}.{}.svc", NodesServiceOf(cluster), ns);
}

}  // namespace slotwright
