// See names.h.
#include "controllers/api/names.h"

#include <fmt/format.h>

#include <cstdint>

#include "controllers/topology/text.h"

namespace slotwright {

std::string PodNameOf(const std::string& cluster, int shard, int index) {
  return fmt::format("{}-{}-{}", cluster, shard, index);
}

std::string ShardNameOf(const std::string& cluster, int shard) { return fmt::format("{}-{}", cluster, shard); }

std::optional<std::pair<int, int>> ShardAndIndexOf(const std::string& cluster, std::string_view pod) {
  pod = text::NextField(pod, '.');
  if (!pod.starts_with(cluster + "-")) return std::nullopt;
  pod.remove_prefix(cluster.size() + 1);
  const std::string_view shard_text = text::NextField(pod, '-');
  const auto shard = text::ParseInteger<int>(shard_text);
  if (!shard || shard_text.size() == pod.size()) return std::nullopt;
  const auto index = text::ParseInteger<int>(pod.substr(shard_text.size() + 1));
  if (!index || *shard < 0 || *index < 0) return std::nullopt;
  return std::pair(*shard, *index);
}

std::optional<std::pair<int, int>> PlaceOfHostname(const std::string& ns, const std::string& cluster,
                                                   std::string_view hostname) {
  return hostname.ends_with(HostnameSuffixOf(ns, cluster)) ? ShardAndIndexOf(cluster, hostname) : std::nullopt;
}

int NumberLabel(const reconciler::Json& object, const char* label) {
  return text::ParseInteger<int>(reconciler::LabelOf(object, label)).value_or(-1);
}

std::string ConfigMapOf(const std::string& cluster) { return cluster + "-config"; }

std::string NodesServiceOf(const std::string& cluster) { return cluster + "-nodes"; }

std::string HostnameOf(const std::string& ns, const std::string& cluster, const std::string& pod) {
  return pod + HostnameSuffixOf(ns, cluster);
}

std::string HostnameSuffixOf(const std::string& ns, const std::string& cluster) {
  return fmt::format(".{}.{}.svc", NodesServiceOf(cluster), ns);
}

int BusPortOf(const std::string& ns, const std::string& cluster, int client_port) {
  // FNV-1a: the same in every build of the operator. Below the ports that Linux gives to outgoing connections.
  std::uint32_t hash = 2166136261U;
  for (const char c : ns + "/" + cluster) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  constexpr int kFirst = 16384;
  constexpr int kPorts = 16384;
  const int port = kFirst + static_cast<int>((hash ^ (hash >> 16U)) % kPorts);
  if (port != client_port) return port;
  return port + 1 < kFirst + kPorts ? port + 1 : kFirst;
}

}  // namespace slotwright
