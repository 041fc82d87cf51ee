// Labels, owners, comparison and hashes: what all objects of a cluster have in common.
#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>

#include "controllers/api/names.h"
#include "controllers/resources/resources.h"

namespace slotwright {

using reconciler::Json;

Json SelectorLabels(const RedisCluster& cluster) {
  return {{labels::kName, "redis"}, {labels::kInstance, cluster.name}};
}

Json CommonLabels(const RedisCluster& cluster, const std::string& component) {
  Json all = SelectorLabels(cluster);
  all[labels::kManagedBy] = "slotwright";
  all[labels::kPartOf] = "redis-cluster";
  all[labels::kComponent] = component;
  return all;
}

Json OwnerReferences(const RedisCluster& cluster) {
  return Json::array({{{"apiVersion", kRedisClusters.ApiVersion()},
                       {"kind", kRedisClusters.kind},
                       {"name", cluster.name},
                       {"uid", cluster.uid},
                       {"controller", true},
                       {"blockOwnerDeletion", true}}});
}

bool Covers(const Json& actual, const Json& desired) {
  if (desired.is_object()) {
    if (!actual.is_object()) return false;
    for (const auto& [key, value] : desired.items()) {
      const auto found = actual.find(key);
      if (found == actual.end() ? !value.is_null() : !Covers(*found, value)) return false;
    }
    return true;
  }
  if (desired.is_array()) {
    if (!actual.is_array() || actual.size() != desired.size()) return false;
    for (size_t i = 0; i < desired.size(); ++i) {
      if (!Covers(actual[i], desired[i])) return false;
    }
    return true;
  }
  return actual == desired;
}

std::string ShortHash(const std::string& text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr);
  std::string hex;
  for (size_t i = 0; i < 8; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

}  // namespace slotwright
